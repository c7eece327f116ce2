/* SPF records and macros: what the grammar takes can be expanded, and what
 * comes out is a name or a text of bounded length. */
#include <stdlib.h>

#include "check/spf_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool held)
{
	if (!held)
		abort();
}

static void
expand(const struct spf_macros *v, struct str spec, struct buf *out)
{
	must(spf_macro_valid(spec, true));
	if (spf_macro_name(v, spec, out)) {
		must(out->n > 0 && out->n <= SPF_NAME_MAX);
		must(out->p[0] != '.' || spec.n > 0);
	}
	spf_macro_text(v, spec, out);
	must(out->n <= SPF_TEXT_MAX && !out->failed);
}

static void
check_record(struct arena *a, const struct spf_macros *v, struct str text,
    struct buf *out)
{
	const struct spf_term *t;
	struct spf_record r;

	if (!spf_record_parse(a, text, &r)) {
		must(r.problem != NULL && r.near.n <= 60);
		return;
	}
	must(spf_record_is(text));
	for (t = r.terms; t; t = t->next) {
		must(t->bits4 <= 32 && t->bits6 <= 128);
		must(t->net.bits <= 128);
		if (t->domain.n > 0)
			expand(v, t->domain, out);
	}
	if (r.redirect.p)
		expand(v, r.redirect, out);
	if (r.exp.p)
		expand(v, r.exp, out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str s = { (const char *)data, n };
	struct spf_macros v = { .local = str_sub(s, n / 2, 40),
		.sender_domain = str_sub(s, n / 3, 80),
		.domain = STR("example.org"),
		.helo = str_sub(s, 0, 20) };
	struct arena *a = arena_new(1 << 20);
	struct buf text = BUF_INIT(1 << 20), out = BUF_INIT(64 * 1024);

	v.client.family = n & 1 ? ADDR_V6 : ADDR_V4;
	buf_adds(&text, "v=spf1 ");
	buf_addstr(&text, s);
	check_record(a, &v, buf_str(&text), &out);
	check_record(a, &v, s, &out);
	if (spf_macro_valid(s, true))
		expand(&v, s, &out);
	buf_free(&text);
	buf_free(&out);
	arena_free(&a);
	return 0;
}
