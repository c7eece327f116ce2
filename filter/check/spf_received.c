#include <string.h>

#include "check/spf.h"

/* RFC 7208 section 9.1. */
#define VALUE_MAX 320 /* bytes of one value: a whole address */
#define FIELD_MAX 16384 /* all pairs, each byte of them escaped */

static bool
is_atext(unsigned char c)
{
	return chr_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* dot-atom: what may stand without quotes. */
static bool
is_dot_atom(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!is_atext((unsigned char)s.p[i]) &&
		    (s.p[i] != '.' || i == 0 || i + 1 == s.n ||
			s.p[i - 1] == '.'))
			return false;
	return s.n > 0;
}

/* Printable ASCII, what would end the quotes or the comment escaped. */
static void
add_escaped(struct buf *out, struct str s, const char *special)
{
	size_t i;

	for (i = 0; i < s.n && i < VALUE_MAX; i++) {
		char c = s.p[i];

		if (c < ' ' || c > '~')
			c = '?';
		if (strchr(special, c))
			buf_addc(out, '\\');
		buf_addc(out, c);
	}
}

static void
add_pair(struct buf *out, const char *key, struct str value)
{
	buf_printf(out, "\n\t%s=", key);
	if (is_dot_atom(value) && value.n <= VALUE_MAX) {
		buf_addstr(out, value);
	} else {
		buf_addc(out, '"');
		add_escaped(out, value, "\"\\");
		buf_addc(out, '"');
	}
	buf_addc(out, ';');
}

/* "(mx.example.net: DOMAIN ... 192.0.2.1)" */
static void
add_comment(struct buf *out, const struct txn *txn,
    const struct spf_result *spf, const char *client)
{
	static const char *const says[AUTH_COUNT] = {
		[AUTH_PASS] = " allows ",
		[AUTH_FAIL] = " does not allow ",
		[AUTH_SOFTFAIL] = " probably does not allow ",
		[AUTH_NEUTRAL] = " says nothing about ",
		[AUTH_NONE] = " has no SPF record for ",
		[AUTH_TEMPERROR] = " could not be looked up for ",
		[AUTH_PERMERROR] = " has a wrong SPF record for ",
	};
	const char *says_it = says[spf->result];

	buf_adds(out, " (");
	add_escaped(out, txn->checks->services->hostname, "()\\");
	buf_adds(out, ": ");
	add_escaped(out, spf->domain, "()\\");
	buf_adds(out, says_it ? says_it : " was not asked about ");
	buf_adds(out, client);
	buf_addc(out, ')');
}

struct str
spf_received(const struct txn *txn, const struct spf_result *spf)
{
	struct buf out = BUF_INIT(FIELD_MAX);
	char client[ADDR_TEXT_MAX] = "a local program";
	struct str value;

	if (txn->session->client.family != ADDR_NONE)
		addr_format(&txn->session->client, client);
	buf_adds(&out, auth_result_word(spf->result));
	add_comment(&out, txn, spf, client);
	add_pair(&out, "identity", spf->helo ? STR("helo") : STR("mailfrom"));
	if (txn->session->client.family != ADDR_NONE)
		add_pair(&out, "client-ip", str_of(client));
	add_pair(&out, "envelope-from", txn->sender.text);
	add_pair(&out, "helo", txn->session->helo);
	add_pair(&out, "receiver", txn->checks->services->hostname);
	if (spf->result >= AUTH_NEUTRAL && spf->result <= AUTH_SOFTFAIL)
		add_pair(&out, "mechanism",
		    spf->mechanism.n > 0 ? spf->mechanism : STR("default"));
	if (spf->problem.n > 0)
		add_pair(&out, "problem", spf->problem);
	buf_truncate(&out, out.n - 1); /* the last ";" */
	value = out.failed ? STR_NONE : arena_str(txn->arena, buf_str(&out));
	buf_free(&out);
	return value;
}
