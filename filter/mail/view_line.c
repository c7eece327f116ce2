#include "mail/view_line.h"

#include <string.h>

bool
view_line_is_blank(struct str s)
{
	size_t i = 0;

	while (i < s.n && chr_white((unsigned char)s.p[i]))
		i++;
	return i == s.n;
}

struct str
view_line_trim(struct str s)
{
	while (s.n > 0 && chr_white((unsigned char)s.p[s.n - 1]))
		s.n--;
	while (s.n > 0 && chr_white((unsigned char)s.p[0]))
		s = str_sub(s, 1, s.n);
	return s;
}

/* A line with its LF. */
struct str
view_line_take(struct str *rest)
{
	const char *lf = memchr(rest->p, '\n', rest->n);
	struct str line = *rest;

	if (lf != NULL)
		line.n = (size_t)(lf - rest->p) + 1;
	*rest = str_sub(*rest, line.n, rest->n);
	return line;
}

struct str
view_line_drop_lf(struct str s)
{
	if (s.n > 0 && s.p[s.n - 1] == '\n')
		s.n--;
	return s;
}

/* The name of a field that a line begins with, and what may stand behind it;
 * 0: it begins with none. */
size_t
view_line_field(struct str line, bool space_allowed)
{
	size_t i = 0, n;

	while (i < line.n && line.p[i] > ' ' && line.p[i] < 0x7f &&
	    line.p[i] != ':')
		i++;
	n = i;
	while (space_allowed && i < line.n &&
	    (line.p[i] == ' ' || line.p[i] == '\t'))
		i++;
	return i < line.n && line.p[i] == ':' ? n : 0;
}
