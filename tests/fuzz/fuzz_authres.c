/* Authentication-Results: strangers' are judged, ours can be read again. */
#include <stdlib.h>

#include "../unit/authres_cases.h"
#include "check/authres.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool held)
{
	if (!held)
		abort();
}

/* Whatever stands around our name, the field is ours. */
static void
check_forged(struct str s)
{
	struct buf b = BUF_INIT(1 << 20);
	bool forged = authres_forged(s, STR("mx.example.net"));

	buf_adds(&b, "\n\t ()");
	buf_addstr(&b, s);
	must(authres_forged(buf_str(&b), STR("mx.example.net")) == forged);
	buf_truncate(&b, 0);
	buf_adds(&b, "(a) \"mx\".Example.\\");
	buf_truncate(&b, b.n - 1);
	buf_adds(&b, "net;");
	buf_addstr(&b, s);
	must(authres_forged(buf_str(&b), STR("mx.example.net")));
	(void)authres_forged(s, s);
	buf_free(&b);
}

static void
check_written(const uint8_t *data, size_t n)
{
	static const uint8_t nothing;
	struct cases c = { .p = n > 0 ? data : &nothing, .n = n };
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 100);
	struct reader want, got;
	struct str field;

	cases_draw(&c, t, &want);
	field = authres_make(t, STR("mx.example.net"));
	must(reader_read(&got, t->arena, field));
	must(str_eq(got.id, STR("mx.example.net")));
	must(cases_same(&want, &got));
	must(authres_forged(field, STR("mx.example.net")));
	t->checks = s->checks = NULL;
	session_free(&s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	check_forged((struct str){ (const char *)data, n });
	check_written(data, n);
	return 0;
}
