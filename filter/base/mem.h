/*
 * mem - heap memory that is there or the process is not.
 *
 * For what an administrator sizes: policies, tables, sessions' fixed parts.
 * What a stranger sizes lives in an arena (base/arena.h), never here.
 * Any thread may call these.  On exhaustion the process ends with one line;
 * the MTA's default action covers the gap.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void	*mem_alloc(size_t n);			/* zeroed */
void	*mem_resize(void *p, size_t n);		/* new bytes are not zeroed */
char	*mem_strdup(const char *s);
char	*mem_strndup(const char *s, size_t n);

#endif
