/*
 * html_entity - characters by the names that HTML gives them.
 *
 * Values only; any thread.
 */
#ifndef MAIL_HTML_ENTITY_H
#define MAIL_HTML_ENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* name without `&' and `;'; closed: a semicolon follows.  0: no such name. */
uint32_t	html_entity(struct str name, bool closed);

#endif
