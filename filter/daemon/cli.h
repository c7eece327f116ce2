/*
 * cli - the commands of the one program, and what they have in common.
 *
 * Each command is a row of a table: its name, its words, what it does.
 * cli_main() finds the row and returns the exit status of its function.
 */
#ifndef DAEMON_CLI_H
#define DAEMON_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include "policy/policy.h"

#define CLI_DEFAULT_CONF	"/etc/postern/postern.conf"
#define CLI_VERSION		"0.1"

/* Exit statuses besides 0 and 1. */
#define CLI_USAGE	2
#define CLI_BAD_POLICY	3

int	cli_main(int argc, char **argv);
/* Prints how a command is called; returns CLI_USAGE. */
int	cli_usage(const char *command);
/* Loads a policy and prints its mistakes and warnings; NULL: mistakes. */
struct policy *cli_load_policy(const char *conf, bool shadow, FILE *out);

#endif
