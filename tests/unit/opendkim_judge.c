/*
 * opendkim_judge ZONE MESSAGES: what libopendkim says of signed messages.
 *
 * A program of its own, since that library and ours both name their functions
 * dkim_*.  ZONE has lines "NAME<tab>TEXT".  MESSAGES has, for each message, a
 * line with its length and the message, lines ended by CRLF.  Printed is, for
 * each DKIM-Signature field, a line "MESSAGE FIELD VERDICT", both counted from
 * 0; the verdict is "pass" or what was wrong.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>

#include <opendkim/dkim.h>

#define SIGNATURES_MAX 128

static DKIM_LIB *library;
static char *zone;

static char *
read_all(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	char *p;
	long size;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0) {
		perror(path);
		exit(1);
	}
	rewind(f);
	p = malloc((size_t)size + 1);
	*n = p ? fread(p, 1, (size_t)size, f) : 0;
	fclose(f);
	if (p == NULL || *n != (size_t)size)
		exit(1);
	p[*n] = '\0';
	return p;
}

/* Of several records at a name, the first of the signature's kind of key. */
static bool
fits(const char *text, size_t n, bool ed25519)
{
	return ed25519 == (memmem(text, n, "k=ed25519", 9) != NULL);
}

/* An answer that says "try again" would end the work on all signatures. */
static DKIM_CBSTAT
key_lookup(DKIM *handle, DKIM_SIGINFO *sig, u_char *out, size_t size)
{
	const char *a = (char *)dkim_sig_gettagvalue(sig, false, (u_char *)"a");
	bool ed25519 = a != NULL && strncasecmp(a, "ed25519", 7) == 0;
	const char *line, *text, *best = NULL;
	char name[1024];
	size_t n, len, best_n = 0;

	(void)handle;
	snprintf(name, sizeof(name), "%s._domainkey.%s\t",
	    (char *)dkim_sig_getselector(sig), (char *)dkim_sig_getdomain(sig));
	n = strlen(name);
	for (line = zone; *line; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		if (strncasecmp(line, name, n) != 0)
			continue;
		text = line + n;
		if (best == NULL ||
		    (!fits(best, best_n, ed25519) &&
			fits(text, len - n, ed25519))) {
			best = text;
			best_n = len - n;
		}
	}
	if (best == NULL || best_n >= size)
		return DKIM_CBSTAT_NOTFOUND;
	memcpy(out, best, best_n);
	out[best_n] = '\0';
	return DKIM_CBSTAT_CONTINUE;
}

/* The flag PASSED alone says only that the header's signature verified. */
static const char *
verdict(DKIM_SIGINFO *sig)
{
	int error = dkim_sig_geterror(sig);
	const char *text = dkim_sig_geterrorstr(error);

	if (dkim_sig_getbh(sig) == DKIM_SIGBH_MISMATCH)
		return "body hash mismatch";
	if (error != DKIM_SIGERROR_OK)
		return text ? text : "unknown";
	if (!(dkim_sig_getflags(sig) & DKIM_SIGFLAG_PASSED))
		return "not verified";
	return dkim_sig_getbh(sig) == DKIM_SIGBH_MATCH ? "pass" :
							 "body not hashed";
}

static bool
is_signature(const char *field, size_t n)
{
	return n > 15 && strncasecmp(field, "DKIM-Signature:", 15) == 0;
}

/* From CRLF to CRLF, folds included; 0: the header is at its end. */
static size_t
field_length(const char *p, const char *end)
{
	const char *at = p;

	while (at < end && (at = memmem(at, (size_t)(end - at), "\r\n", 2))) {
		if (at + 2 >= end || (at[2] != ' ' && at[2] != '\t'))
			return (size_t)(at - p);
		at += 2;
	}
	return (size_t)(end - p);
}

/* Shows the header, of its signatures only that one if only >= 0; how many
 * there are. */
static int
show_header(DKIM *handle, const char **p, const char *end, int only)
{
	size_t n;
	int nth = 0;

	while ((n = field_length(*p, end)) > 0) {
		bool signature = is_signature(*p, n);

		if (!signature || only < 0 || only == nth)
			(void)dkim_header(handle, (u_char *)*p, n);
		nth += signature;
		*p += n + 2 < (size_t)(end - *p) ? n + 2 : (size_t)(end - *p);
	}
	*p += end - *p >= 2 ? 2 : 0;
	return nth;
}

/*
 * The verdict of each signature, or of one alone.  false: the library gave up
 * the message for the sake of one of them.
 */
static bool
judge(const char *p, const char *end, int only, const char **verdicts, int *n)
{
	DKIM_STAT status;
	DKIM *handle =
	    dkim_verify(library, (const u_char *)"judge", NULL, &status);
	DKIM_SIGINFO **sigs = NULL;
	int i, have = 0;

	if (handle == NULL)
		exit(1);
	*n = show_header(handle, &p, end, only);
	status = dkim_eoh(handle);
	if (status == DKIM_STAT_OK && p < end)
		status = dkim_body(handle, (u_char *)p, (size_t)(end - p));
	if (status == DKIM_STAT_OK)
		(void)dkim_eom(handle, NULL);
	if (dkim_getsiglist(handle, &sigs, &have) != DKIM_STAT_OK)
		have = 0;
	if (only >= 0)
		verdicts[only] = have == 1 && status == DKIM_STAT_OK ?
		    verdict(sigs[0]) :
		    "refused";
	for (i = 0; only < 0 && i < have && i < SIGNATURES_MAX; i++)
		verdicts[i] = verdict(sigs[i]);
	(void)dkim_free(handle);
	return status == DKIM_STAT_OK && have == *n;
}

static void
judge_message(int nth, const char *p, const char *end)
{
	const char *verdicts[SIGNATURES_MAX];
	int i, n, ignored;
	bool whole = judge(p, end, -1, verdicts, &n);

	for (i = 0; i < n && i < SIGNATURES_MAX; i++) {
		if (!whole)
			(void)judge(p, end, i, verdicts, &ignored);
		printf("%d %d %s\n", nth, i, verdicts[i]);
	}
}

/* Short keys are verified as well, and whatever the library can't use keeps
 * its place. */
static bool
library_init(void)
{
	unsigned int least_bits = 1,
		     flags = DKIM_LIBFLAGS_DELAYSIGPROC |
	    DKIM_LIBFLAGS_BADSIGHANDLES;

	library = dkim_init(NULL, NULL);
	return library != NULL &&
	    dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags,
		sizeof(flags)) == DKIM_STAT_OK &&
	    dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_MINKEYBITS,
		&least_bits, sizeof(least_bits)) == DKIM_STAT_OK &&
	    dkim_set_key_lookup(library, key_lookup) == DKIM_STAT_OK;
}

int
main(int argc, char **argv)
{
	char *messages, *p, *end;
	size_t n, zone_n;
	int nth = 0;

	if (argc != 3 || !library_init())
		return 1;
	zone = read_all(argv[1], &zone_n);
	p = messages = read_all(argv[2], &n);
	end = p + n;
	while (p < end) {
		n = strtoul(p, &p, 10);
		if (*p++ != '\n' || n > (size_t)(end - p))
			return 1;
		judge_message(nth++, p, p + n);
		p += n;
	}
	dkim_close(library);
	free(messages);
	free(zone);
	return 0;
}
