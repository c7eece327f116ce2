#include "auth_fixture.h"

#include "check/dkim_key.h"

#define ED "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

/* RFC 6376 section 3.6.1, a row a rule; why NULL: the record is fine. */
static const struct {
	const char *text, *algorithm, *why;
} rows[] = {
	{ "k=ed25519; " ED, "ed25519-sha256", NULL },
	{ "v=DKIM1; k=ed25519; " ED, "ed25519-sha256", NULL },
	{ " v = DKIM1 ; k = ed25519 ;" ED " ; ", "ed25519-sha256", NULL },
	{ "p=AAAA", "rsa-sha256", NULL },
	{ "p=AAAA", "rsa-sha1", NULL },
	{ "p=AAAA", "ed25519-sha256", "the key is of another type" },
	{ "k=ed25519; " ED, "rsa-sha256", "the key is of another type" },
	{ "k=ed25519-sha256; p=AAAA", "rsa-sha256",
	    "the key is of another type" },
	{ "v=DKIM2; p=AAAA", "rsa-sha256", "the key is of another version" },
	{ "v=dkim1; p=AAAA", "rsa-sha256", "the key is of another version" },
	{ "p=AAAA; v=DKIM1", "rsa-sha256", "the key is of another version" },
	{ "v=DKIM1: g=*; p=AAAA", "rsa-sha256",
	    "the key is of another version" },
	{ "v=DKIM1; p=", "rsa-sha256", "the key was revoked" },
	{ "v=DKIM1; p= \t", "rsa-sha256", "the key was revoked" },
	{ "v=DKIM1; k=rsa", "rsa-sha256", "the key has no p=" },
	{ "", "rsa-sha256", "the key has no p=" },
	{ "v=DKIM1; p=AAAA; p=", "rsa-sha256",
	    "a tag of the key is there twice" },
	{ "v=DKIM1; v=DKIM1; p=AAAA", "rsa-sha256",
	    "a tag of the key is there twice" },
	{ "v=DKIM1; t; p=AAAA", "rsa-sha256", "the key is not a tag list" },
	{ "hello", "rsa-sha256", "the key is not a tag list" },
	{ "h=sha256; p=AAAA", "rsa-sha256", NULL },
	{ "h=sha1 : SHA256; p=AAAA", "rsa-sha256", NULL },
	{ "h=sha1; p=AAAA", "rsa-sha256", "the key is not for this hash" },
	{ "h=; p=AAAA", "rsa-sha256", "the key is not for this hash" },
	{ "s=email; p=AAAA", "rsa-sha256", NULL },
	{ "s=*; p=AAAA", "rsa-sha256", NULL },
	{ "s=web : email; p=AAAA", "rsa-sha256", NULL },
	{ "s=tlsrpt; p=AAAA", "rsa-sha256", "the key is not for mail" },
	{ "g=nobody; n=a; x=b; p=AAAA", "rsa-sha256", NULL },
	{ "g=; p=AAAA", "rsa-sha256", NULL },
};

static void
test_records(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct dkim_record r;
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		why = dkim_record_parse(a, str_of(rows[i].text), &r);
		if (why == NULL)
			why = dkim_record_fits(&r, str_of(rows[i].algorithm));
		if ((why == NULL) != (rows[i].why == NULL) ||
		    (why != NULL && strcmp(why, rows[i].why) != 0))
			fail_msg("%s: %s, want %s", rows[i].text,
			    why ? why : "fine",
			    rows[i].why ? rows[i].why : "fine");
	}
	arena_free(&a);
}

static void
flags(const char *text, bool testing, bool strict)
{
	struct arena *a = arena_new(1 << 20);
	struct dkim_record r;

	assert_null(dkim_record_parse(a, str_of(text), &r));
	assert_int_equal(r.testing, testing);
	assert_int_equal(r.strict, strict);
	arena_free(&a);
}

static void
test_flags(void **state)
{
	(void)state;
	flags("p=AAAA", false, false);
	flags("t=y; p=AAAA", true, false);
	flags("t=s; p=AAAA", false, true);
	flags("t= s : x : y ; p=AAAA", true, true);
	flags("t=yes; p=AAAA", false, false);
}

/* Found again, the same one; bad keys are none. */
static void
test_keys(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct evp_pkey_ctx_st *one, *two;
	struct dkim_record r;

	(void)state;
	assert_null(dkim_record_parse(a, STR("k=ed25519; " ED), &r));
	one = dkim_key_get(&r);
	two = dkim_key_get(&r);
	assert_non_null(one);
	assert_ptr_equal(dkim_key_itself(one), dkim_key_itself(two));
	assert_int_equal(dkim_key_bits(dkim_key_itself(one)), 0);
	dkim_key_free(two);
	dkim_keys_forget();
	dkim_key_free(one);
	r.k = STR("rsa");
	assert_null(dkim_key_get(&r));
	r.k = STR("ed25519");
	r.p = STR("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUR");
	assert_null(dkim_key_get(&r));
	r.p = STR("****");
	assert_null(dkim_key_get(&r));
	arena_free(&a);
}

static void
decodes(const char *text, const char *want)
{
	unsigned char out[8];
	size_t n;

	if (want == NULL) {
		assert_false(
		    dkim_base64_decode(str_of(text), out, sizeof(out), &n));
		return;
	}
	assert_true(dkim_base64_decode(str_of(text), out, sizeof(out), &n));
	assert_int_equal(n, strlen(want));
	assert_memory_equal(out, want, n);
}

/* RFC 6376 section 2.10 lets padding be left out. */
static void
test_base64(void **state)
{
	(void)state;
	decodes("YWJj", "abc");
	decodes("YWI=", "ab");
	decodes("YWI", "ab");
	decodes("YQ==", "a");
	decodes("YQ", "a");
	decodes("YQ=", NULL);
	decodes("YWJj=", NULL);
	decodes("YWJj====", NULL);
	decodes("Y", NULL);
	decodes("Y=Jj", NULL);
	decodes("YW j", NULL);
	decodes("", NULL);
	decodes("=", NULL);
	decodes("YWJjYWJjYWI=", "abcabcab");
	decodes("YWJjYWJjYWJj", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_base64),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
