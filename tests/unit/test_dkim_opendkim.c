/*
 * libopendkim as an independent judge of ours: whatever it says does not
 * verify must not pass here, and where both differ a rule says why.
 */
#include "message_fixture.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "check/dkim_canon.h"
#include "check/dkim_key.h"
#include "check/dkim_sign.h"

#define MAILS_MAX  1000
#define MUTATIONS  76 /* of each of the eight signed mails */
#define NAME_COUNT 200

static char work[] = "/tmp/postern-judge-XXXXXX";
static char judge_path[1024];

/* --- the differences ---------------------------------------------------- */

enum part { DATA_PART = 1, OWN_PART = 2 };

/*
 * Where the judge says the one and we the other, and that's right.  A verdict
 * of the judge is its class (below), so that its many words don't matter.
 * passes: it refuses what we take; that is for this mail alone.
 */
static const struct difference {
	enum auth_result judge, ours;
	const char *problem; /* ours */
	unsigned int parts; /* where it is seen */
	const char *passes;
	const char *reason;
} differences[] = {
	{ AUTH_PASS, AUTH_POLICY, "rsa-sha1 is too weak", DATA_PART, NULL,
	    "RFC 8301 section 3.1: rsa-sha1 MUST NOT be used" },
	{ AUTH_PASS, AUTH_NEUTRAL, "rsa-sha1 is too weak", DATA_PART, NULL,
	    "the same with a key for tests, RFC 6376 section 3.6.1" },
	{ AUTH_PASS, AUTH_POLICY, "the key is too short", OWN_PART, NULL,
	    "RFC 8301 section 3.2: no keys of less than 1,024 bits" },
	{ AUTH_PASS, AUTH_POLICY, "l= leaves content unsigned",
	    DATA_PART | OWN_PART, NULL,
	    "RFC 6376 section 8.2: content may have been added" },
	{ AUTH_PASS, AUTH_POLICY, "a From field is not signed", OWN_PART, NULL,
	    "RFC 6376 section 8.15: the added From may be the one shown" },
	{ AUTH_PASS, AUTH_NONE, "not looked at", OWN_PART, NULL,
	    "RFC 6376 section 6.1: a limit to the signatures tried" },
	{ AUTH_PASS, AUTH_NEUTRAL, "q= has no method we know", DATA_PART, NULL,
	    "RFC 6376 section 3.5: unknown methods MUST be ignored" },
	{ AUTH_PASS, AUTH_NEUTRAL, "b= is not base64", OWN_PART, NULL,
	    "the judge takes wrong padding, RFC 4648 section 4 doesn't" },
	{ AUTH_PASS, AUTH_FAIL, "the signature has expired", OWN_PART, NULL,
	    "RFC 6376 section 3.5: a fudge factor for x= is a MAY" },
	{ AUTH_FAIL, AUTH_PASS, "", OWN_PART, "half an hour ahead",
	    "RFC 6376 section 3.5: to ignore a future t= is a MAY" },
	{ AUTH_PERMERROR, AUTH_PASS, "", DATA_PART,
	    "mail-auth/resources/dkim/002.txt",
	    "RFC 6376 section 3.6.1: p= is an RSAPublicKey, though most "
	    "publish a SubjectPublicKeyInfo" },
	{ AUTH_FAIL, AUTH_NEUTRAL, "the signature does not verify", OWN_PART,
	    NULL, "a key for tests, RFC 6376 section 3.6.1" },
	{ AUTH_PERMERROR, AUTH_TEMPERROR, "servfail", DATA_PART, NULL,
	    "the judge is not told of temporary errors" },
	/* Neither passes; one found fault with the field, the other later. */
	{ AUTH_FAIL, AUTH_NEUTRAL, "b= is not base64", OWN_PART, NULL,
	    "the judge skips bytes that are not base64" },
	{ AUTH_FAIL, AUTH_NEUTRAL, "bh= is not base64", OWN_PART, NULL,
	    "the judge skips bytes that are not base64" },
	{ AUTH_FAIL, AUTH_NEUTRAL, "t= is not a number", OWN_PART, NULL,
	    "the judge reads the digits up to the first other byte" },
	{ AUTH_FAIL, AUTH_NEUTRAL, "not a tag list", OWN_PART, NULL,
	    "the judge passes over what is no tag at the end" },
	{ AUTH_PERMERROR, AUTH_NEUTRAL, "d= is not a domain name", OWN_PART,
	    NULL, "the judge asks DNS for any name" },
	{ AUTH_PERMERROR, AUTH_NEUTRAL, "s= is not a name", OWN_PART, NULL,
	    "the judge asks DNS for any name" },
};

#define NDIFFERENCES (sizeof(differences) / sizeof(differences[0]))

static struct {
	unsigned int parts, times;
} seen[NDIFFERENCES];

/* What the judge's verdicts are in the words of RFC 8601; neutral are all
 * others. */
static const struct {
	const char *judge;
	enum auth_result result;
} verdicts[] = {
	{ "pass", AUTH_PASS },
	{ "no signature", AUTH_NONE },
	{ "signature verification failed", AUTH_FAIL },
	{ "body hash mismatch", AUTH_FAIL },
	{ "signature expired", AUTH_FAIL },
	{ "signature timestamp in the future", AUTH_FAIL },
	{ "key not found in DNS", AUTH_PERMERROR },
	{ "key DNS reply corrupt", AUTH_PERMERROR },
	{ "unable to apply public key", AUTH_PERMERROR },
	{ "unauthorized subdomain", AUTH_PERMERROR },
	{ "signature-key hash mismatch", AUTH_PERMERROR },
	{ "length tag value exceeds body size", AUTH_FAIL },
};

static struct {
	unsigned int messages, signatures, passed, different, unexplained;
} counts;

static enum auth_result
judge_result(const char *judge)
{
	size_t i;

	for (i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
		if (strcmp(verdicts[i].judge, judge) == 0)
			return verdicts[i].result;
	return AUTH_NEUTRAL;
}

static bool
explained(enum part part, const char *mail, enum auth_result judge,
    enum auth_result ours, struct str problem)
{
	size_t i;

	for (i = 0; i < NDIFFERENCES; i++) {
		const struct difference *d = &differences[i];

		if (d->judge != judge || d->ours != ours ||
		    !str_eq(problem, str_of(d->problem)) ||
		    (d->parts & part) == 0)
			continue;
		if (ours == AUTH_PASS &&
		    (d->passes == NULL || strcmp(d->passes, mail) != 0))
			continue;
		seen[i].parts |= part;
		seen[i].times++;
		return true;
	}
	return false;
}

static void
compare_one(enum part part, const char *mail, const char *judge,
    enum auth_result ours, struct str problem)
{
	enum auth_result want = judge_result(judge);

	counts.signatures++;
	counts.passed += ours == AUTH_PASS;
	if (want == ours)
		return;
	counts.different++;
	if (explained(part, mail, want, ours, problem))
		return;
	counts.unexplained++;
	print_message("%s: libopendkim: %s; ours: %s (%.*s)\n", mail, judge,
	    auth_result_word(ours), STR_FMT(problem));
}

/* --- messages and keys that belong together ----------------------------- */

struct group {
	enum part part;
	struct buf zone, keys; /* for our resolver, for the judge */
	struct buf mails; /* as the judge takes them */
	char names[MAILS_MAX][NAME_COUNT];
	size_t from[MAILS_MAX], length[MAILS_MAX]; /* in mails */
	size_t n;
};

static struct group *
group_new(enum part part)
{
	struct group *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->part = part;
	g->zone = g->keys = BUF_INIT(1 << 20);
	g->mails = BUF_INIT(8 << 20);
	return g;
}

static void
group_key(struct group *g, struct str name, struct str text)
{
	size_t i;

	if (str_eq(text, STR("!servfail"))) {
		buf_printf(&g->zone, "%.*s TXT !servfail\n", STR_FMT(name));
		return;
	}
	buf_printf(&g->keys, "%.*s\t%.*s\n", STR_FMT(name), STR_FMT(text));
	buf_printf(&g->zone, "%.*s TXT \"", STR_FMT(name));
	for (i = 0; i < text.n; i++)
		buf_printf(&g->zone, "\\%03d", (unsigned char)text.p[i]);
	buf_adds(&g->zone, "\"\n");
}

/* The header: lines end in CRLF, no other CR.  The body: no LF without CR. */
static void
wire(struct str text, struct buf *out)
{
	bool header = true;
	size_t i, line = 0;

	for (i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '\r' && header)
			continue;
		if (c != '\n') {
			buf_addc(out, c);
			line++;
			continue;
		}
		if (header || i == 0 || text.p[i - 1] != '\r')
			buf_addc(out, '\r');
		buf_addc(out, '\n');
		header = header && line > 0;
		line = 0;
	}
}

static void
group_mail(struct group *g, const char *name, struct str text)
{
	struct buf out = BUF_INIT(1 << 20);

	assert_true(g->n < MAILS_MAX);
	wire(text, &out);
	snprintf(g->names[g->n], NAME_COUNT, "%s", name);
	buf_printf(&g->mails, "%zu\n", out.n);
	g->from[g->n] = g->mails.n;
	g->length[g->n] = out.n;
	buf_addstr(&g->mails, buf_str(&out));
	assert_false(g->mails.failed);
	g->n++;
	buf_free(&out);
}

static FILE *
ask_judge(const struct group *g)
{
	char path[128], command[1400];
	const struct buf *texts[] = { &g->keys, &g->mails };
	const char *names[] = { "keys", "mails" };
	FILE *f;
	int i;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", work, names[i]);
		f = fopen(path, "wb");
		assert_non_null(f);
		assert_int_equal(fwrite(texts[i]->p, 1, texts[i]->n, f),
		    texts[i]->n);
		assert_int_equal(fclose(f), 0);
	}
	snprintf(command, sizeof(command), "'%s' %s/keys %s/mails", judge_path,
	    work, work);
	f = popen(command, "r");
	assert_non_null(f);
	return f;
}

/* What the judge has left to say. */
struct said {
	FILE *f;
	bool more;
	size_t mail;
	char text[200];
};

static void
next_verdict(struct said *judge)
{
	char line[256], *p;

	judge->more = fgets(line, sizeof(line), judge->f) != NULL;
	if (!judge->more)
		return;
	line[strcspn(line, "\n")] = '\0';
	judge->mail = strtoul(line, &p, 10);
	(void)strtoul(p, &p, 10);
	snprintf(judge->text, sizeof(judge->text), "%s", p + (*p == ' '));
}

/* Ours beside the judge's, signature by signature. */
static void
compare_mail(const struct group *g, size_t i, struct services *services,
    struct said *judge)
{
	struct fixture f = { .services = *services };
	const struct dkim_signature *s;

	fixture_begin(&f, 5000);
	fixture_message(&f,
	    str_sub(buf_str(&g->mails), g->from[i], g->length[i]));
	assert_non_null(dkim_check(f.txn));
	s = f.txn->checks->dkim->signatures;
	while (s != NULL || (judge->more && judge->mail == i)) {
		bool judged = judge->more && judge->mail == i;

		compare_one(g->part, g->names[i],
		    judged ? judge->text : "no signature",
		    s ? s->result : AUTH_NONE,
		    s ? s->problem : STR("not looked at"));
		s = s ? s->next : NULL;
		if (judged)
			next_verdict(judge);
	}
	fixture_end(&f);
	counts.messages++;
}

static void
group_compare(struct group *g)
{
	struct services services = { .hostname = STR("mx.example.net") };
	struct said judge = { .f = ask_judge(g) };
	size_t i;

	services.resolver = fixture_resolver(buf_str(&g->zone));
	next_verdict(&judge);
	for (i = 0; i < g->n; i++)
		compare_mail(g, i, &services, &judge);
	assert_false(judge.more);
	assert_int_equal(pclose(judge.f), 0);
	resolver_free(&services.resolver);
	buf_free(&g->zone);
	buf_free(&g->keys);
	buf_free(&g->mails);
	free(g);
}

/* --- messages of others ------------------------------------------------- */

static struct buf
data(const char *folder, const char *name)
{
	char file[512], path[1024];

	snprintf(file, sizeof(file), "dkim/%s/%s", folder, name);
	if (fixture_data(file, path, sizeof(path)) == NULL)
		fail_msg("%s is not there", file);
	return fixture_read(path);
}

static void
data_mail(struct group *g, const char *folder, const char *name)
{
	struct buf text = data(folder, name);

	group_mail(g, name, buf_str(&text));
	buf_free(&text);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The files of a folder whose names end so, sorted. */
static size_t
data_files(const char *folder, const char *end, char *names[NAME_COUNT])
{
	char file[512], path[1024];
	struct dirent *entry;
	size_t n = 0;
	DIR *dir;

	snprintf(file, sizeof(file), "dkim/%s", folder);
	if (fixture_data(file, path, sizeof(path)) == NULL)
		fail_msg("%s is not there", file);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		if (str_iends(str_of(entry->d_name), str_of(end)) &&
		    entry->d_name[0] != '.' && n < NAME_COUNT)
			names[n++] = strdup(entry->d_name);
	closedir(dir);
	qsort(names, n, sizeof(names[0]), by_name);
	assert_true(n > 0);
	return n;
}

static void
files_free(char **names, size_t n)
{
	while (n > 0)
		free(names[--n]);
}

static void
need_data(void)
{
	char path[1024];

	if (fixture_data("dkim", path, sizeof(path)) == NULL)
		skip();
}

/* "NAME<tab>TEXT" a line. */
static void
test_mail_dkim(void **state)
{
	const char *folder = "mail-dkim/t/corpus";
	char *names[NAME_COUNT];
	struct str rest, name, text;
	struct group *g;
	struct buf zone;
	size_t i, n;

	(void)state;
	need_data();
	g = group_new(DATA_PART);
	zone = data("mail-dkim", "zone.tsv");
	for (rest = buf_str(&zone); rest.p != NULL;) {
		name = str_cut(str_cut(rest, '\n', &rest), '\t', &text);
		if (text.p && str_find(name, STR("._domainkey.")) >= 0)
			group_key(g, name, text);
	}
	n = data_files(folder, ".txt", names);
	for (i = 0; i < n; i++)
		data_mail(g, folder, names[i]);
	data_mail(g, "mail-dkim/t", "test5.txt");
	group_compare(g);
	files_free(names, n);
	buf_free(&zone);
}

/* "name: text" with "\" at the ends of lines. */
static void
chasquid_keys(struct group *g, const char *folder, const char *file)
{
	struct buf in = data(folder, file), joined = BUF_INIT(65536);
	struct str rest = buf_str(&in), line, value, name;

	while (rest.p) {
		line = str_trim(str_cut(rest, '\n', &rest));
		if (line.n > 0 && line.p[line.n - 1] == '\\') {
			buf_add(&joined, line.p, line.n - 1);
			continue;
		}
		buf_addstr(&joined, line);
		name = str_cut(buf_str(&joined), ':', &value);
		value = str_trim(value);
		if (str_eq(value, STR("TEMPERROR")))
			group_key(g, name, STR("!servfail"));
		else if (value.n > 0 && !str_eq(value, STR("PERMERROR")))
			group_key(g, name, value);
		buf_truncate(&joined, 0);
	}
	buf_free(&joined);
	buf_free(&in);
}

/* Each message with each of the zones. */
static void
test_chasquid(void **state)
{
	const char *folder = "chasquid/internal/dkim/testdata";
	char *zones[NAME_COUNT], *mails[NAME_COUNT];
	size_t i, k, nzones, nmails;

	(void)state;
	need_data();
	nzones = data_files(folder, ".dns", zones);
	nmails = data_files(folder, ".msg", mails);
	for (i = 0; i < nzones; i++) {
		struct group *g = group_new(DATA_PART);

		chasquid_keys(g, folder, zones[i]);
		for (k = 0; k < nmails; k++)
			data_mail(g, folder, mails[k]);
		group_compare(g);
	}
	files_free(zones, nzones);
	files_free(mails, nmails);
}

static void
test_dkimpy(void **state)
{
	static const struct {
		const char *name, *file;
	} keys[] = {
		{ "brisbane._domainkey.football.example.com",
		    "ed25519test.dns" },
		{ "test._domainkey.football.example.com", "test.txt" },
		{ "test._domainkey.example.com", "test.txt" },
		{ "sed._domainkey.test.ex", "eximtest.dns" },
	};
	const char *folder = "dkimpy-mirror/dkim/tests/data";
	const char *ends[] = { ".message", ".msg", ".mbox" };
	char *names[NAME_COUNT];
	struct group *g;
	struct buf text;
	size_t i, k, n;

	(void)state;
	need_data();
	g = group_new(DATA_PART);
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		text = data(folder, keys[i].file);
		group_key(g, str_of(keys[i].name), str_trim(buf_str(&text)));
		buf_free(&text);
	}
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		n = data_files(folder, ends[i], names);
		for (k = 0; k < n; k++)
			data_mail(g, folder, names[k]);
		files_free(names, n);
	}
	group_compare(g);
}

/* A record a line, an empty line, the message. */
static void
mail_auth(const char *folder)
{
	char *names[NAME_COUNT], label[NAME_COUNT];
	size_t i, n = data_files(folder, ".txt", names);
	struct str rest, line, text;

	for (i = 0; i < n; i++) {
		struct group *g = group_new(DATA_PART);
		struct buf in = data(folder, names[i]);

		rest = buf_str(&in);
		while ((line = str_trim(str_cut(rest, '\n', &rest))).n > 0) {
			line = str_cut(line, ' ', &text);
			group_key(g, line, text);
		}
		snprintf(label, sizeof(label), "%s/%s", folder, names[i]);
		group_mail(g, label, rest);
		group_compare(g);
		buf_free(&in);
	}
	files_free(names, n);
}

static void
test_mail_auth(void **state)
{
	(void)state;
	need_data();
	mail_auth("mail-auth/resources/dkim");
	mail_auth("mail-auth/resources/arc");
}

/* --- mutations of what we sign ------------------------------------------ */

static const char rsa_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBAN0O0mZ8mgtZd7cb\n"
    "v8aHupdktjAwe+L9q5RpFMuIoPFPWEN0o8HgEiaCPQh6aLMpyFuYIHFnrd4+wQAu\n"
    "e1T0Dxh/4tJkHnwdAigTbSWRrcVAONEaNl1pH3y+48fyIYGMNpWWMA+z+Kpav63W\n"
    "DKVBSqBYyasigJzDpNsQoKfbhFFDAgMBAAECgYEAh3iE4n/r25a5sgKUdXNKm2sB\n"
    "5+hek85Hr0zyjIUvtJKekcBSdwb9uJHKG38A2QN7IP7KqxURzYiBuL3DoV1sPcDN\n"
    "e7miRxWljHA8CSutZ29G4jL+1kEvBAMS0xIbX6Vu346nIPB+DFxGdWZkYgfl8DgA\n"
    "dy6j5WLXxyE10qnriFECQQDxr9VkAAY0oesrLhQoUBbG7xVGBY4Detr+q0PpM5Bc\n"
    "ZyKoktiLD1y11aLU5E+ixR+mIntWm9+FDaYgQYOxEFK7AkEA6iY8o1NuNvn0EPRJ\n"
    "DWKVG3DzNqtMVy9hYQaWTAHCs8S7+J4hKlu7EkfqU2puLtRjDXqEMBlc70PNht57\n"
    "fDlnGQJBAKMKfkbmqUkKTi4j+J81YBg1o0FIcAQy9ddFTBvemC1tufjEj2ZIJ7/W\n"
    "7fD2UC67El2t90x2/LOygHZUG/Xv0A8CQGwDJ4XQPs9tjoEjr29VQqNd/1QAwT6W\n"
    "xL0VZM+7IC39WxjdGT+JAUr1kcrZFerUXr0g/0mQ6aYWCQFmMGClukECQEVUemVQ\n"
    "Is2WL7uKupDEFzru2mUae8Bp/c/QDsyzpI31CqRDawq77iJuy3CF3r27xt9IV4Jf\n"
    "L1v0sVRBOemhL14=\n"
    "-----END PRIVATE KEY-----\n";
static const unsigned char ed_seed[32] = "postern signs what is judged 01";

static const char mail[] =
    "Received: from a.example by b.example;\r\n"
    "\tMon, 1 Jan 2024 00:00:00 +0000\r\n"
    "From: Alice <alice@example.org>\r\n"
    "To: bob@example.net\r\n"
    "Subject: A folded\r\n  subject   line \r\n"
    "Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n"
    "Message-ID: <1@example.org>\r\n"
    "\r\n"
    "Hello,  world \t\r\n.leading dot\r\n\r\n  x \r\n\r\n\r\n";

static EVP_PKEY *
key_make(bool rsa)
{
	EVP_PKEY *key;
	BIO *bio;

	if (!rsa)
		return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
		    ed_seed, sizeof(ed_seed));
	bio = BIO_new_mem_buf(rsa_pem, -1);
	key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	return key;
}

/* A signature that ours would not make. */
struct recipe {
	const char *name; /* of the mail; also the selector of its key */
	const char *canon;
	const char *tags; /* "l=10; " */
	const char *names; /* for h= */
	uint64_t limit; /* what l= says */
};

static void
sign_by_hand(struct fixture *f, EVP_PKEY *key, const char *selector,
    const struct recipe *r, struct buf *value)
{
	struct str body = buf_str(&f->txn->body.raw);
	bool relaxed = strcmp(r->canon, "relaxed") == 0;
	unsigned char digest[DKIM_DIGEST_MAX];
	struct dkim_body hash;
	struct dkim_hash header;

	dkim_body_begin(&hash, relaxed, false, r->limit);
	dkim_body_add(&hash, body.p, body.n);
	buf_printf(value, " v=1; a=%s-sha256; c=%s/%s; d=example.org; s=%s;\n",
	    dkim_key_bits(key) > 0 ? "rsa" : "ed25519", r->canon, r->canon,
	    selector);
	buf_printf(value, "\t%sh=%s;\n\tbh=", r->tags, r->names);
	dkim_base64_encode(value, digest, dkim_body_end(&hash, digest));
	buf_adds(value, "; b=");
	dkim_hash_begin(&header, false);
	dkim_hash_fields(&header, &f->txn->headers, str_of(r->names), 100, NULL,
	    relaxed);
	dkim_hash_signature(&header, STR("DKIM-Signature"), buf_str(value),
	    value->n, value->n, relaxed);
	assert_true(
	    dkim_key_signs(key, digest, dkim_hash_end(&header, digest), value));
}

static void
sign_as_ours(struct fixture *f, EVP_PKEY *key, const char *selector,
    bool relaxed, struct buf *value)
{
	struct dkim_signer signer = { .domain = STR("example.org"),
		.selector = str_of(selector),
		.key = key,
		.relaxed_header = relaxed,
		.relaxed_body = relaxed };
	struct str body = buf_str(&f->txn->body.raw), made = STR_NONE;

	dkim_sign_body(f->txn, true, body.p, body.n);
	assert_null(dkim_sign_make(f->txn, &f->txn->headers, &signer, &made));
	buf_addstr(value, made);
}

/* Adds the field; r without h= has what ours would make. */
static void
sign(EVP_PKEY *key, const char *selector, const struct recipe *r,
    struct buf *out)
{
	struct services services = { .hostname = STR("mx.example.net") };
	struct fixture f = { .services = services };
	struct buf value = BUF_INIT(8192);

	f.services.resolver = fixture_resolver(STR(""));
	fixture_begin(&f, 1000);
	fixture_message(&f, STR(mail));
	if (r->names)
		sign_by_hand(&f, key, selector, r, &value);
	else
		sign_as_ours(&f, key, selector, r->canon[0] == 'r', &value);
	assert_false(value.failed);
	buf_printf(out, "DKIM-Signature:%.*s\n", STR_FMT(buf_str(&value)));
	buf_free(&value);
	fixture_end(&f);
	resolver_free(&f.services.resolver);
}

static void
publish(struct group *g, EVP_PKEY *key, const char *selector, const char *tags)
{
	struct buf record = BUF_INIT(4096);
	char name[100];

	snprintf(name, sizeof(name), "%s._domainkey.example.org", selector);
	buf_printf(&record,
	    "v=DKIM1; k=%s; %sp=", dkim_key_bits(key) > 0 ? "rsa" : "ed25519",
	    tags);
	assert_true(dkim_key_text(key, &record));
	group_key(g, str_of(name), buf_str(&record));
	buf_free(&record);
}

/* A generator of its own, that each machine has the same mutations. */
static uint32_t
next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void
add_mutations(struct group *g, const char *name, struct str text,
    uint32_t *seed)
{
	struct buf copy = BUF_INIT(65536);
	char label[NAME_COUNT];
	size_t at;
	int i, by;

	group_mail(g, name, text);
	for (i = 0; i < MUTATIONS; i++) {
		buf_truncate(&copy, 0);
		buf_addstr(&copy, text);
		at = next_random(seed) % copy.n;
		by = 1 + (int)(next_random(seed) % 255);
		copy.p[at] = (char)(copy.p[at] ^ by);
		snprintf(label, sizeof(label), "%s, byte %zu is 0x%02x", name,
		    at, (unsigned char)copy.p[at]);
		group_mail(g, label, buf_str(&copy));
	}
	buf_free(&copy);
}

#define NAMES "from:from:to:subject:date"

static void
test_mutations(void **state)
{
	static const struct recipe recipes[] = {
		{ "simple", "simple", "", NULL, 0 },
		{ "relaxed", "relaxed", "", NULL, 0 },
		{ "simple, l= to the end", "simple", "l=39; ", NAMES, 39 },
		{ "relaxed, l= not to the end", "relaxed", "l=10; ", NAMES,
		    10 },
	};
	const char *selectors[] = { "ed", "rsa" };
	struct group *g = group_new(OWN_PART);
	uint32_t seed = 20240101;
	char name[80];
	int i, k;

	(void)state;
	clock_fake(1704067200000);
	for (k = 0; k < 2; k++) {
		EVP_PKEY *key = key_make(k == 1);

		assert_non_null(key);
		publish(g, key, selectors[k], "");
		for (i = 0; i < 4; i++) {
			struct buf text = BUF_INIT(65536);

			sign(key, selectors[k], &recipes[i], &text);
			buf_adds(&text, mail);
			snprintf(name, sizeof(name), "%s, %s", selectors[k],
			    recipes[i].name);
			add_mutations(g, name, buf_str(&text), &seed);
			buf_free(&text);
		}
		EVP_PKEY_free(key);
	}
	clock_fake(-1);
	group_compare(g);
}

/* A mail signed so, with other text in front and behind. */
static void
add_signed(struct group *g, EVP_PKEY *key, const char *selector,
    const struct recipe *r, unsigned int times, const char *more)
{
	struct buf text = BUF_INIT(65536);

	while (times-- > 0)
		sign(key, selector, r, &text);
	buf_adds(&text, more);
	buf_adds(&text, mail);
	group_mail(g, r->name, buf_str(&text));
	buf_free(&text);
}

/* What signatures must be beyond that they verify; each is right but for
 * what its name says. */
static void
test_rules(void **state)
{
	struct recipe r = { .canon = "relaxed",
		.tags = "",
		.limit = DKIM_NO_LIMIT,
		.names = "from:to" };
	EVP_PKEY *key = key_make(true), *small = EVP_RSA_gen(768);
	long long now = (long long)clock_wall_ms() / 1000;
	struct group *g = group_new(OWN_PART);
	char tags[100];

	(void)state;
	publish(g, key, "rsa", "");
	publish(g, key, "test", "t=y; ");
	publish(g, small, "small", "");
	r.name = "nothing";
	add_signed(g, key, "rsa", &r, 1, "");
	r.name = "a key for tests";
	add_signed(g, key, "test", &r, 1, "");
	r.name = "a short key";
	add_signed(g, small, "small", &r, 1, "");
	r.name = "nine signatures";
	add_signed(g, key, "rsa", &r, 9, "");
	r.name = "another From";
	add_signed(g, key, "rsa", &r, 1, "From: eve@example.com\n");
	r.name = "another To, with a key for tests";
	r.names = "from:to:to";
	add_signed(g, key, "test", &r, 1, "To: eve@example.com\n");
	r.tags = tags;
	r.name = "half an hour ahead";
	snprintf(tags, sizeof(tags), "t=%lld; ", now + 1800);
	add_signed(g, key, "rsa", &r, 1, "");
	r.name = "two hours ahead";
	snprintf(tags, sizeof(tags), "t=%lld; ", now + 7200);
	add_signed(g, key, "rsa", &r, 1, "");
	r.name = "expired two minutes ago";
	snprintf(tags, sizeof(tags), "x=%lld; ", now - 120);
	add_signed(g, key, "rsa", &r, 1, "");
	r.name = "expired two hours ago";
	snprintf(tags, sizeof(tags), "x=%lld; ", now - 7200);
	add_signed(g, key, "rsa", &r, 1, "");
	r.tags = "y=a b; ";
	r.name = "a tag that is not known";
	add_signed(g, key, "rsa", &r, 1, "");
	r.tags = "y=\xe4; ";
	r.name = "a byte in a tag that no tag may have";
	add_signed(g, key, "rsa", &r, 1, "");
	r.tags = "";
	r.names = "from:to:\xe4";
	r.name = "a byte in h= that no name may have";
	add_signed(g, key, "rsa", &r, 1, "");
	group_compare(g);
	EVP_PKEY_free(small);
	EVP_PKEY_free(key);
}

/* --- the table is exact ------------------------------------------------- */

static void
test_differences(void **state)
{
	unsigned int parts = DATA_PART | OWN_PART, unused = 0;
	char path[1024];
	size_t i;

	(void)state;
	if (fixture_data("dkim", path, sizeof(path)) == NULL)
		parts = OWN_PART;
	for (i = 0; i < NDIFFERENCES; i++) {
		const struct difference *d = &differences[i];

		print_message("%4u %s (%s): %s\n", seen[i].times,
		    auth_result_word(d->ours), d->problem, d->reason);
		if (seen[i].parts == (d->parts & parts))
			continue;
		print_message("     is not there\n");
		unused++;
	}
	print_message("%u messages, %u signatures, %u passed, %u different\n",
	    counts.messages, counts.signatures, counts.passed,
	    counts.different);
	assert_int_equal(counts.unexplained, 0);
	assert_int_equal(unused, 0);
	assert_true(counts.passed > 50);
}

static int
begin_work(void **state)
{
	char *slash;
	ssize_t n = readlink("/proc/self/exe", judge_path, 900);

	(void)state;
	if (n <= 0 || mkdtemp(work) == NULL)
		return -1;
	judge_path[n] = '\0';
	slash = strrchr(judge_path, '/');
	snprintf(slash, 40, "/opendkim_judge");
	return access(judge_path, X_OK);
}

static int
end_work(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/keys", work);
	unlink(path);
	snprintf(path, sizeof(path), "%s/mails", work);
	unlink(path);
	dkim_global_free();
	return rmdir(work);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_mail_dkim),
		cmocka_unit_test(test_chasquid),
		cmocka_unit_test(test_dkimpy),
		cmocka_unit_test(test_mail_auth),
		cmocka_unit_test(test_differences),
	};

	return cmocka_run_group_tests(tests, begin_work, end_work);
}
