/* Text that leaves: JSON and log values stay what they claim to be. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool held)
{
	if (!held)
		abort();
}

/* Printable, and a quote or backslash only behind a backslash. */
static void
check_literal(struct str s, bool ascii)
{
	must(s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"');
	for (size_t i = 1; i < s.n - 1; i++) {
		must((unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7f);
		must(!ascii || (unsigned char)s.p[i] < 0x7f);
		must(s.p[i] != '"');
		if (s.p[i] == '\\')
			must(++i < s.n - 1);
	}
}

static void
check_find(struct str s)
{
	struct str needle = str_sub(s, s.n / 2, s.n / 8 + 1);
	ptrdiff_t at = str_ifind(s, needle);

	must(at >= 0 && (size_t)at <= s.n / 2);
	must(str_ieq(str_sub(s, (size_t)at, needle.n), needle));
	at = str_find(s, needle);
	must(at >= str_ifind(s, needle));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str s = { (const char *)data, n };
	struct buf b = BUF_INIT(16 * n + 16), small = BUF_INIT(n);

	buf_json(&b, s);
	must(!b.failed);
	check_literal(buf_str(&b), false);
	buf_truncate(&b, 0);
	buf_quoted(&b, s);
	must(!b.failed);
	if (b.p[0] == '"')
		check_literal(buf_str(&b), true);
	else
		must(str_eq(buf_str(&b), s));
	buf_quoted(&small, s);
	must(small.failed ? small.n == 0 : small.n == n);
	check_find(s);
	buf_free(&small);
	buf_free(&b);
	return 0;
}
