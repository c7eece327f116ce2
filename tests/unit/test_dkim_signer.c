#include "auth_fixture.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <sys/stat.h>

#include "check/dkim_signer.h"

static const char ed_key[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIMXFRmmMrFzVeJLxAm4ApKxDmh9doJvI+tbMoxNretfD\n"
    "-----END PRIVATE KEY-----\n";

static char work[] = "/tmp/postern-signer-XXXXXX";

static struct str
key_file(char *path, size_t size, const char *name, const char *text,
    mode_t mode)
{
	FILE *f;

	snprintf(path, size, "%s/%s", work, name);
	unlink(path);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fchmod(fileno(f), mode), 0);
	fclose(f);
	return str_of(path);
}

static void
expect(const char *name, const char *text, mode_t mode, enum dkim_load want,
    const char *word)
{
	struct dkim_signers *s = dkim_signers_new();
	struct dkim_signer *signer =
	    dkim_signers_add(s, STR("a.example"), STR("a.example"), STR("x"));
	struct buf why = BUF_INIT(1000);
	char path[100];

	signer->keyfile = key_file(path, sizeof(path), name, text, mode);
	assert_int_equal(dkim_signer_load(s, signer, 0, &why), want);
	assert_true(str_find(buf_str(&why), str_of(word)) >= 0);
	assert_true((signer->key != NULL) ==
	    (want == DKIM_LOAD_OK || want == DKIM_LOAD_DOUBT));
	buf_free(&why);
	dkim_signers_free(&s);
}

static void
test_files(void **state)
{
	(void)state;
	expect("good", ed_key, 0600, DKIM_LOAD_OK, "");
	expect("group", ed_key, 0640, DKIM_LOAD_OK, "");
	expect("all", ed_key, 0644, DKIM_LOAD_BAD, "everybody may read");
	expect("write", ed_key, 0660, DKIM_LOAD_BAD, "may write");
	expect("none", "no key\n", 0600, DKIM_LOAD_BAD, "no private RSA key");
	expect("empty", "", 0600, DKIM_LOAD_BAD, "no private RSA key");
}

/* An RSA key of 2,048 bits with an exponent of so many, out of DNS. */
static struct evp_pkey_ctx_st *
key_of_exponent(int bits)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *n = BN_new(), *e = BN_new();
	struct dkim_record record = { .k = STR("rsa") };
	struct buf text = BUF_INIT(4096);
	struct evp_pkey_ctx_st *got;
	EVP_PKEY *key = NULL;
	OSSL_PARAM *params;

	BN_set_bit(n, 2047);
	BN_set_bit(n, 0);
	BN_set_bit(e, bits - 1);
	BN_set_bit(e, 0);
	OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n);
	OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e);
	params = OSSL_PARAM_BLD_to_param(bld);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY,
			     params),
	    1);
	assert_true(dkim_key_text(key, &text));
	record.p = buf_str(&text);
	got = dkim_key_get(&record);
	EVP_PKEY_free(key);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	BN_free(n);
	BN_free(e);
	buf_free(&text);
	return got;
}

/* What a stranger publishes does not say how long a verification takes. */
static void
test_exponent(void **state)
{
	struct evp_pkey_ctx_st *key;

	(void)state;
	assert_non_null(key = key_of_exponent(17));
	dkim_key_free(key);
	assert_non_null(key = key_of_exponent(DKIM_KEY_EXPONENT_MAX));
	dkim_key_free(key);
	assert_null(key_of_exponent(DKIM_KEY_EXPONENT_MAX + 1));
	assert_null(key_of_exponent(2046));
	dkim_keys_forget();
}

/* A file is read once for all that name it. */
static void
test_shared(void **state)
{
	struct dkim_signers *s = dkim_signers_new();
	struct dkim_signer *a, *b;
	struct buf why = BUF_INIT(1000);
	char path[100];

	(void)state;
	a = dkim_signers_add(s, STR_NONE, STR("a.example"), STR("x"));
	b = dkim_signers_add(s, STR_NONE, STR("b.example"), STR("x"));
	a->keyfile = key_file(path, sizeof(path), "shared", ed_key, 0600);
	b->keyfile = a->keyfile;
	assert_int_equal(dkim_signer_load(s, a, 0, &why), DKIM_LOAD_OK);
	unlink(path);
	assert_int_equal(dkim_signer_load(s, b, 0, &why), DKIM_LOAD_OK);
	assert_ptr_equal(a->key, b->key);
	assert_null(dkim_signers_find(s, STR("a.example")));
	dkim_signers_free(&s);
	buf_free(&why);
}

static void
test_missing(void **state)
{
	struct dkim_signers *s = dkim_signers_new();
	struct dkim_signer *signer =
	    dkim_signers_add(s, STR_NONE, STR("a.example"), STR("x"));
	struct buf why = BUF_INIT(1000);

	(void)state;
	signer->keyfile = STR("/nonexistent/key");
	assert_int_equal(dkim_signer_load(s, signer, 0, &why), DKIM_LOAD_BAD);
	assert_true(str_find(buf_str(&why), STR("No such file")) >= 0);
	buf_free(&why);
	dkim_signers_free(&s);
}

static void
finds(const struct dkim_signers *s, const char *domain, const char *selector)
{
	const struct dkim_signer *found = dkim_signers_find(s, str_of(domain));

	if (selector == NULL)
		assert_null(found);
	else {
		assert_non_null(found);
		assert_true(str_eq(found->selector, str_of(selector)));
	}
}

static void
test_find(void **state)
{
	struct dkim_signers *s = dkim_signers_new();

	(void)state;
	dkim_signers_add(s, STR("a.example"), STR("a.example"), STR("1"));
	dkim_signers_add(s, STR(".a.example"), STR("a.example"), STR("2"));
	dkim_signers_add(s, STR(".b.a.example"), STR("b.a.example"), STR("3"));
	dkim_signers_add(s, STR(".c.example"), STR("c.example"), STR("4"));
	dkim_signers_add(s, STR("A.Example"), STR("a.example"), STR("5"));
	finds(s, "a.example", "1");
	finds(s, "A.EXAMPLE", "1");
	finds(s, "x.a.example", "2");
	finds(s, "y.x.a.example", "2");
	finds(s, "b.a.example", "3");
	finds(s, "y.b.a.example", "3");
	finds(s, "c.example", "4");
	finds(s, "xc.example", NULL);
	finds(s, "example", NULL);
	finds(s, "", NULL);
	assert_true(
	    str_eq(dkim_signers_find(s, STR("a.example"))->next->selector,
		STR("5")));
	assert_null(dkim_signers_find(s, STR("a.example"))->next->next);
	assert_non_null(dkim_signers_nth(s, 4));
	assert_null(dkim_signers_nth(s, 5));
	dkim_signers_free(&s);
}

static void
compare(const char *zone, const char *want)
{
	struct dkim_signers *s = dkim_signers_new();
	struct dkim_signer *signer =
	    dkim_signers_add(s, STR_NONE, STR("a.example"), STR("x"));
	struct resolver *r = fixture_resolver(str_of(zone));
	struct buf out = BUF_INIT(10000);
	char path[100];

	signer->keyfile = key_file(path, sizeof(path), "key", ed_key, 0600);
	assert_int_equal(dkim_signer_load(s, signer, 0, &out), DKIM_LOAD_OK);
	dkim_signers_compare(s, r, clock_mono_ms() + 50, &out);
	if (!str_eq(buf_str(&out), str_of(want)) &&
	    (out.n > 0 || want[0] != '\0'))
		fail_msg("%.*s, want %s", STR_FMT(buf_str(&out)), want);
	buf_free(&out);
	resolver_free(&r);
	dkim_signers_free(&s);
}

#define NAME "x._domainkey.a.example"
#define FITS "6twyTtVDzVs59fcdsCfqtRXJzAsHEJP9RZBpi4kdN64="

static void
test_compare(void **state)
{
	(void)state;
	compare(NAME " TXT \"k=ed25519; p=" FITS "\"\n", "");
	compare("", "warning: " NAME ": nxdomain\n");
	compare(NAME " TXT !servfail\n", "warning: " NAME ": servfail\n");
	compare(NAME " TXT !timeout\n", "warning: " NAME ": timeout\n");
	compare(NAME " TXT \"p=\"\n",
	    "warning: " NAME ": the key was revoked\n");
	compare(NAME " TXT \"p=AAAA\"\n",
	    "warning: " NAME ": the key is of another type\n");
	compare(NAME " TXT \"k=ed25519; p=AAAA\"\n",
	    "warning: " NAME ": the key can't be read\n");
	compare(NAME " TXT \"k=ed25519; "
		     "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n",
	    "warning: " NAME ": it is the key of another private key\n");
}

static int
setup(void **state)
{
	(void)state;
	return mkdtemp(work) == NULL;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "good", "group", "all", "write",
		"none", "empty", "key" };
	char path[100];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", work, names[i]);
		unlink(path);
	}
	return rmdir(work);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_exponent),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_compare),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
