#include "daemon/admin_key.h"

#include <string.h>

#include "check/key.h"
#include "mail/session.h"

#define WORDS_MAX 512
#define VALUE_MAX 2048

/* --- what is written --------------------------------------------------- */

/* Does a part begin here: a word of keys, then "=" or nothing more? */
static bool
begins_part(struct str text)
{
	struct str value, word = str_cut(text, '=', &value);
	struct key key;
	const char *why;
	size_t at;

	if (str_eq(word, STR("all")))
		return true;
	return value.p != NULL && str_chr(word, '+') < 0 &&
	    str_chr(word, '/') < 0 && key_parse(word, &key, &why, &at);
}

/* Up to the next "+" that a part begins behind: a value may have some. */
static struct str
cut_part(struct str text, struct str *rest)
{
	for (size_t i = 0; i + 1 < text.n; i++)
		if (text.p[i] == '+' &&
		    begins_part(str_sub(text, i + 1, text.n))) {
			*rest = str_sub(text, i + 1, text.n);
			return str_sub(text, 0, i);
		}
	*rest = STR_NONE;
	return text;
}

static int
hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = memchr(digits, chr_lower((unsigned char)c), 16);

	return at != NULL ? (int)(at - digits) : -1;
}

/* As `who' prints it: %2B is a plus sign. */
static struct str
unescape(struct arena *arena, struct str value)
{
	struct buf out = BUF_INIT(VALUE_MAX);
	struct str copy;

	for (size_t i = 0; i < value.n; i++) {
		int high = -1, low = -1;

		if (value.p[i] == '%' && value.n - i > 2) {
			high = hex_value(value.p[i + 1]);
			low = hex_value(value.p[i + 2]);
		}
		if (high < 0 || low < 0) {
			buf_addc(&out, value.p[i]);
			continue;
		}
		buf_addc(&out, (char)(high << 4 | low));
		i += 2;
	}
	copy = arena_str(arena, buf_str(&out));
	buf_free(&out);
	return copy;
}

/* --- facts that make the key ------------------------------------------- */

static bool
take_client(struct session *s, struct str value, struct key *key)
{
	struct str bits, host = str_cut(value, '/', &bits);
	uint64_t n = 0;

	if (!addr_parse(host, &s->client))
		return false;
	if (bits.p != NULL && (!str_u64(bits, &n) || n < 1 || n > 128))
		return false;
	key->parts[0].bits = (unsigned int)n;
	return true;
}

static bool
take_address(struct arena *arena, struct str value, struct address *a)
{
	return envelope_parse(arena, value, a) && !a->null;
}

static struct str
domain_of(struct arena *arena, struct str value)
{
	struct str domain = envelope_domain(arena, value);

	return domain.n > 0 ? domain : value;
}

/*
 * A connection and a message of which the part would be true: so that the
 * key's text is made where limits make theirs.
 */
static bool
take_fact(struct session *s, struct str value, struct key *key)
{
	struct txn *txn = s->txn;
	struct str field;

	switch (key->parts[0].part) {
	case KEY_USER:
		txn->user = value;
		return true;
	case KEY_SENDER:
		return take_address(txn->arena, value, &txn->sender);
	case KEY_SENDER_DOMAIN:
		txn->sender.domain = domain_of(txn->arena, value);
		return true;
	case KEY_CLIENT:
		return take_client(s, value, key);
	case KEY_HELO:
		s->helo = value;
		return true;
	case KEY_RCPT:
		return txn_add_rcpt(txn, value) != NULL;
	case KEY_RCPT_DOMAIN:
		if (txn_add_rcpt(txn, STR("x@x")) == NULL)
			return false;
		txn->rcpt->addr.domain = domain_of(txn->arena, value);
		return true;
	case KEY_FROM_DOMAIN:
		field = arena_printf(txn->arena, " x@%.*s", STR_FMT(value));
		return header_add(txn->arena, &txn->headers, STR("From"),
		    field);
	default:
		return true;
	}
}

/* "user=Alice" to "user=alice"; STR_NONE where it makes no sense. */
static struct str
normal_part(struct arena *arena, struct str part, struct str *word)
{
	struct session *s = session_new();
	struct str value, text = STR_NONE;
	struct key key;
	const char *why;
	size_t at;

	*word = str_cut(part, '=', &value);
	txn_begin(s, 0);
	value = unescape(s->txn->arena, value);
	if (key_parse(*word, &key, &why, &at) && take_fact(s, value, &key)) {
		text = key_make(arena, s, &key);
		if (key.parts[0].bits != 0)
			*word = arena_printf(arena, "%.*s/%u", STR_FMT(*word),
			    key.parts[0].bits);
	}
	session_free(&s);
	return text;
}

static bool
parse_parts(struct arena *arena, struct str text, struct admin_key *k,
    struct buf *err)
{
	struct buf all = BUF_INIT(VALUE_MAX * 4), words = BUF_INIT(WORDS_MAX);
	struct str rest = text, part, word;
	bool ok = true;

	while (ok && rest.n > 0) {
		part = normal_part(arena, cut_part(rest, &rest), &word);
		ok = part.n > 0;
		buf_printf(&all, "%s%.*s", all.n > 0 ? "+" : "", STR_FMT(part));
		buf_printf(&words, "%s%.*s", words.n > 0 ? "+" : "",
		    STR_FMT(word));
	}
	if (!ok) {
		buf_adds(err, "no key: ");
		buf_quoted(err, text);
		buf_adds(err,
		    " (a key is user=LOGIN, sender=ADDRESS, "
		    "sender.domain=NAME, client=ADDRESS[/BITS], helo=NAME, "
		    "rcpt=ADDRESS, rcpt.domain=NAME, from.domain=NAME, all, "
		    "or several joined by +)\n");
	}
	k->text = arena_str(arena, buf_str(&all));
	k->words = arena_str(arena, buf_str(&words));
	k->several = str_chr(k->text, '+') >= 0;
	buf_free(&all);
	buf_free(&words);
	return ok;
}

/* --- the two ways to write it ------------------------------------------ */

/* The value as it stands in keys: as if it were somebody's login. */
static struct str
normal_value(struct arena *arena, struct str value)
{
	struct str word, text;

	text = normal_part(arena,
	    arena_printf(arena, "user=%.*s", STR_FMT(value)), &word);
	return str_sub(text, 5, text.n);
}

bool
admin_key_parse(struct arena *arena, struct str text, struct admin_key *k,
    struct buf *err)
{
	struct str rest = STR_NONE, value;
	struct address a;

	*k = (struct admin_key){ .text = STR_NONE };
	if (text.n == 0 || text.n > VALUE_MAX) {
		buf_adds(err, "no key: it is empty, or too long\n");
		return false;
	}
	str_cut(text, '=', &value);
	if (begins_part(text) || (value.p != NULL && str_chr(value, '@') < 0)) {
		if (!parse_parts(arena, text, k, err))
			return false;
		/* One address also means the prefixes that it is in. */
		if (str_starts(k->text, STR("client=")) && !k->several)
			rest = str_sub(k->text, 7, k->text.n);
		if (!addr_parse(rest, &k->addr))
			k->addr.family = ADDR_NONE;
		return true;
	}
	k->value = normal_value(arena, text);
	if (addr_parse(text, &k->addr)) {
		char canonical[ADDR_TEXT_MAX];

		addr_format(&k->addr, canonical);
		k->value = arena_str(arena, str_of(canonical));
	} else if (str_chr(text, '@') >= 0 && take_address(arena, text, &a) &&
	    a.base.n > 0) {
		k->base = normal_value(arena, a.base);
	}
	return k->value.n > 0;
}

static bool
holds_address(const struct addr *addr, struct str value)
{
	struct addr_net net;
	const char *why;

	return addr->family != ADDR_NONE && str_chr(value, '/') > 0 &&
	    addr_net_parse(value, &net, &why) && addr_in_net(addr, &net);
}

bool
admin_key_means(const struct admin_key *k, struct str key)
{
	struct str rest = key, part, word, value;

	if (k->text.n > 0 && str_eq(k->text, key))
		return true;
	if (k->several)
		return false;
	while (rest.p != NULL) {
		part = str_cut(rest, '+', &rest);
		if (k->text.n > 0 && str_eq(k->text, part))
			return true;
		word = str_cut(part, '=', &value);
		if (str_eq(word, STR("client")) &&
		    holds_address(&k->addr, value))
			return true;
		if (k->value.n > 0 &&
		    (str_eq(k->value, value) ||
			(k->base.n > 0 && str_eq(k->base, value))))
			return true;
	}
	return false;
}
