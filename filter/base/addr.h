/*
 * addr - IP addresses, prefixes and ranges.
 *
 * An IPv4-mapped IPv6 address becomes IPv4 at once, so one host has one
 * form.  Values only: nothing to free, any thread.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct sockaddr;

enum addr_family { ADDR_NONE, ADDR_V4, ADDR_V6 };

struct addr {
	enum addr_family family;
	uint8_t		 b[16];		/* network order; 4 bytes for IPv4 */
};

struct addr_net {
	struct addr	 addr;		/* host bits are zero */
	unsigned int	 bits;
};

#define ADDR_TEXT_MAX	46

bool	addr_parse(struct str, struct addr *);	/* also "IPv6:..." */
/* "192.0.2.0/24" or a single address; false for host bits set as well,
 * with *why saying what is wrong. */
bool	addr_net_parse(struct str, struct addr_net *, const char **why);
bool	addr_of_sockaddr(const struct sockaddr *, struct addr *);
void	addr_format(const struct addr *, char out[ADDR_TEXT_MAX]);
bool	addr_eq(const struct addr *, const struct addr *);
int	addr_cmp(const struct addr *, const struct addr *);
bool	addr_in_net(const struct addr *, const struct addr_net *);
void	addr_mask(struct addr *, unsigned int bits);	/* zero host bits */
bool	addr_is_loopback(const struct addr *);
/* Of a network that is nobody's on the Internet (RFC 6890): loopback, link
 * local, private use, shared by carriers. */
bool	addr_is_private(const struct addr *);
/* "1.2.0.192" or nibbles, without zone: for DNSBL and PTR queries. */
void	addr_reverse(const struct addr *, char out[80]);

#endif
