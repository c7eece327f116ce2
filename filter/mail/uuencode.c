#include "mail/uuencode.h"

#include <string.h>

#define MODE_DIGITS 4

static struct str
line_of(struct str text, struct str *rest)
{
	struct str line = str_cut(text, '\n', rest);

	if (rest->p == NULL)
		*rest = str_sub(text, text.n, 0);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

/* "begin 644 name" */
static bool
is_begin(struct str line, struct str *name)
{
	size_t digits = 0;

	if (!str_starts(line, STR("begin ")))
		return false;
	line = str_sub(line, 6, line.n);
	while (
	    digits < line.n && line.p[digits] >= '0' && line.p[digits] <= '7')
		digits++;
	if (digits < 3 || digits > MODE_DIGITS || digits == line.n ||
	    line.p[digits] != ' ')
		return false;
	*name = str_trim(str_sub(line, digits, line.n));
	return name->n > 0;
}

static unsigned int
digit(struct str line, size_t i)
{
	/* Blanks at the end get lost on the way. */
	return i < line.n ? ((unsigned char)line.p[i] - ' ') & 0x3f : 0;
}

/* false: the line is none of a file. */
static bool
decode_line(struct str line, struct buf *out)
{
	size_t n, at;

	if (line.n == 0 || line.p[0] < ' ' || line.p[0] > '`')
		return false;
	n = digit(line, 0);
	/* Some add a checksum; blanks at the end may be lost. */
	if (line.n > 1 + (n + 2) / 3 * 4 + 2 || line.n + 8 < 1 + n / 3 * 4)
		return false;
	for (at = 1; n > 0; at += 4) {
		unsigned int bits = digit(line, at) << 18 |
		    digit(line, at + 1) << 12 | digit(line, at + 2) << 6 |
		    digit(line, at + 3);

		for (int shift = 16; shift >= 0 && n > 0; shift -= 8, n--)
			buf_addc(out, (char)(bits >> shift & 0xff));
	}
	return true;
}

bool
uuencode_next(struct str *text, struct str *name, struct buf *out)
{
	struct str rest = *text, line;
	bool found = false;

	while (rest.n > 0 && !found) {
		const char *at;

		/* Most texts have no such line. */
		if (!str_starts(rest, STR("begin "))) {
			at = memmem(rest.p, rest.n, "\nbegin ", 7);
			if (at == NULL)
				break;
			rest = str_sub(rest, (size_t)(at - rest.p) + 1, rest.n);
		}
		line = line_of(rest, &rest);
		if (!is_begin(line, name))
			continue;
		while (rest.n > 0) {
			struct str next;

			line = line_of(rest, &next);
			if (str_eq(str_trim(line), STR("end")) ||
			    !decode_line(line, out))
				break;
			found = true;
			rest = next;
		}
	}
	*text = rest;
	return found;
}
