#include "base/mem.h"

#include <string.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

static void
mem_exhausted(void)
{
	static const char line[] = "postern: out of memory\n";

	/* Nothing that could allocate again. */
	if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
		_exit(EX_SOFTWARE);
	_exit(EX_OSERR);
}

void *
mem_alloc(size_t n)
{
	void *p = calloc(1, n > 0 ? n : 1);

	if (p == NULL)
		mem_exhausted();
	return p;
}

void *
mem_resize(void *p, size_t n)
{
	p = realloc(p, n > 0 ? n : 1);
	if (p == NULL)
		mem_exhausted();
	return p;
}

char *
mem_strndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = mem_alloc(len + 1);

	memcpy(copy, s, len);
	return copy;
}

char *
mem_strdup(const char *s)
{
	return mem_strndup(s, strlen(s));
}
