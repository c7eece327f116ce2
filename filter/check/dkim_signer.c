#include "check/dkim_signer.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"

#define FILE_MAX 65536 /* bytes of a key file */

/* A key file that was read. */
struct keyfile {
	EVP_PKEY *key;
	enum dkim_load load;
	char why[200];
};

struct dkim_signers {
	struct dkim_signer **all;
	size_t n, room;
	struct map *by_entry; /* the first of each */
	struct map *files;
};

struct dkim_signers *
dkim_signers_new(void)
{
	struct dkim_signers *s = mem_alloc(sizeof(*s));

	s->by_entry = map_new(true);
	s->files = map_new(false);
	return s;
}

static void
keyfile_free(void *p)
{
	struct keyfile *file = p;

	EVP_PKEY_free(file->key);
	free(file);
}

void
dkim_signers_free(struct dkim_signers **signers)
{
	struct dkim_signers *s = *signers;

	*signers = NULL;
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++)
		free(s->all[i]);
	free(s->all);
	map_free(&s->by_entry, NULL);
	map_free(&s->files, keyfile_free);
	free(s);
}

struct dkim_signer *
dkim_signers_add(struct dkim_signers *s, struct str entry, struct str domain,
    struct str selector)
{
	struct dkim_signer *signer = mem_alloc(sizeof(*signer)), *first;

	signer->domain = domain;
	signer->selector = selector;
	signer->relaxed_header = signer->relaxed_body = true;
	if (s->n == s->room) {
		s->room = s->room ? 2 * s->room : 16;
		s->all = mem_resize(s->all, s->room * sizeof(*s->all));
	}
	s->all[s->n++] = signer;
	if (entry.n == 0)
		return signer;
	first = map_get(s->by_entry, entry);
	if (first == NULL) {
		map_put(s->by_entry, entry, signer);
		return signer;
	}
	while (first->next != NULL)
		first = first->next;
	first->next = signer;
	return signer;
}

const struct dkim_signer *
dkim_signers_find(const struct dkim_signers *s, struct str domain)
{
	const struct dkim_signer *found = map_get(s->by_entry, domain);
	char dotted[256];
	ptrdiff_t dot;

	if (found != NULL || domain.n == 0 || domain.n >= sizeof(dotted))
		return found;
	dotted[0] = '.';
	memcpy(dotted + 1, domain.p, domain.n);
	found = map_get(s->by_entry, (struct str){ dotted, domain.n + 1 });
	while (found == NULL && (dot = str_chr(domain, '.')) >= 0) {
		found = map_get(s->by_entry,
		    str_sub(domain, (size_t)dot, domain.n));
		domain = str_sub(domain, (size_t)dot + 1, domain.n);
	}
	return found;
}

const struct dkim_signer *
dkim_signers_nth(const struct dkim_signers *s, size_t nth)
{
	return nth < s->n ? s->all[nth] : NULL;
}

/* --- key files ---------------------------------------------------------- */

static enum dkim_load
bad(struct keyfile *file, enum dkim_load load, const char *why)
{
	snprintf(file->why, sizeof(file->why), "%s", why);
	return load;
}

static enum dkim_load
check_mode(struct keyfile *file, const struct stat *st, unsigned int user)
{
	if (!S_ISREG(st->st_mode))
		return bad(file, DKIM_LOAD_BAD, "it is not a regular file");
	if (st->st_size > FILE_MAX)
		return bad(file, DKIM_LOAD_BAD, "it is too large for a key");
	if (st->st_mode & S_IROTH)
		return bad(file, DKIM_LOAD_BAD,
		    "everybody may read this private key; chmod o-r");
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return bad(file, DKIM_LOAD_BAD,
		    "others than its owner may write it; chmod go-w");
	if (st->st_uid == 0 || st->st_uid == user || st->st_uid == geteuid())
		return DKIM_LOAD_OK;
	return bad(file, DKIM_LOAD_DOUBT,
	    "its owner is neither root nor the user that postern becomes");
}

/* The key must be what RFC 8301 and RFC 8463 let us sign with. */
static enum dkim_load
check_key(struct keyfile *file, FILE *in)
{
	int type;

	file->key = PEM_read_PrivateKey(in, NULL, NULL, (void *)"");
	type = file->key ? EVP_PKEY_base_id(file->key) : EVP_PKEY_NONE;
	if (type == EVP_PKEY_ED25519 ||
	    (type == EVP_PKEY_RSA &&
		EVP_PKEY_bits(file->key) >= DKIM_KEY_BITS_MIN &&
		EVP_PKEY_bits(file->key) <= DKIM_KEY_BITS_MAX))
		return file->load;
	EVP_PKEY_free(file->key);
	file->key = NULL;
	return bad(file, DKIM_LOAD_BAD,
	    "it is no private RSA key of 1024 to 8192 bits, nor an Ed25519 "
	    "key, in PEM form without a passphrase");
}

static void
keyfile_read(struct keyfile *file, struct str name, unsigned int user)
{
	char path[4096];
	struct stat st;
	FILE *in;
	int fd;

	if (name.n >= sizeof(path)) {
		file->load = bad(file, DKIM_LOAD_BAD, "its name is too long");
		return;
	}
	snprintf(path, sizeof(path), "%.*s", STR_FMT(name));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) != 0) {
		file->load = bad(file,
		    errno == EACCES ? DKIM_LOAD_DENIED : DKIM_LOAD_BAD,
		    strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
	file->load = check_mode(file, &st, user);
	in = file->load == DKIM_LOAD_BAD ? NULL : fdopen(fd, "r");
	if (in == NULL) {
		close(fd);
		return;
	}
	file->load = check_key(file, in);
	fclose(in);
}

enum dkim_load
dkim_signer_load(struct dkim_signers *s, struct dkim_signer *signer,
    unsigned int user, struct buf *why)
{
	struct keyfile *file = map_get(s->files, signer->keyfile);

	if (file == NULL) {
		file = mem_alloc(sizeof(*file));
		keyfile_read(file, signer->keyfile, user);
		map_put(s->files, signer->keyfile, file);
	}
	signer->key = file->key;
	buf_adds(why, file->why);
	return file->load;
}

/* --- beside DNS --------------------------------------------------------- */

/* NULL, or what is wrong with a record. */
static const char *
compare_record(struct arena *arena, const struct dkim_signer *signer,
    struct str text)
{
	struct str a = dkim_key_bits(signer->key) > 0 ? STR("rsa-sha256") :
							STR("ed25519-sha256");
	struct evp_pkey_ctx_st *published = NULL;
	struct dkim_record record;
	const char *why = dkim_record_parse(arena, text, &record);

	if (why == NULL)
		why = dkim_record_fits(&record, a);
	if (why == NULL && (published = dkim_key_get(&record)) == NULL)
		why = "the key can't be read";
	if (why == NULL &&
	    EVP_PKEY_eq(dkim_key_itself(published), signer->key) != 1)
		why = "it is the key of another private key";
	dkim_key_free(published);
	return why;
}

static void
compare_one(const struct dkim_signer *signer, struct lookup *lookup,
    int64_t deadline, struct buf *out)
{
	const struct dns_answer *answer = lookup_wait(lookup, deadline);
	struct arena *arena = arena_new(1024 * 1024);
	const char *why = NULL;

	if (answer->status != DNS_OK)
		why = dns_status_word(answer->status);
	for (size_t i = 0; i < answer->count; i++) {
		why = compare_record(arena, signer, answer->records[i].data);
		if (why == NULL)
			break;
	}
	if (why != NULL)
		buf_printf(out, "warning: %.*s._domainkey.%.*s: %s\n",
		    STR_FMT(signer->selector), STR_FMT(signer->domain), why);
	arena_free(&arena);
}

void
dkim_signers_compare(const struct dkim_signers *s, struct resolver *resolver,
    int64_t deadline, struct buf *out)
{
	struct lookup **lookups = mem_alloc((s->n + 1) * sizeof(*lookups));
	char name[512];

	for (size_t i = 0; i < s->n; i++) {
		snprintf(name, sizeof(name), "%.*s._domainkey.%.*s",
		    STR_FMT(s->all[i]->selector), STR_FMT(s->all[i]->domain));
		lookups[i] = resolver_start(resolver, str_of(name), DNS_TXT);
	}
	for (size_t i = 0; i < s->n; i++) {
		if (s->all[i]->key != NULL)
			compare_one(s->all[i], lookups[i], deadline, out);
		lookup_release(&lookups[i]);
	}
	free(lookups);
}
