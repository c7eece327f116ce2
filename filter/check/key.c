#include "check/key.h"

#include <string.h>

#include "mail/header.h"

#define PART_MAX 255 /* bytes of one value; an address has no more */
#define BITS_MAX 128

/* word, first stage it is known at */
#define PARTS(X)                                \
	X(USER, "user", MAIL)                   \
	X(SENDER, "sender", MAIL)               \
	X(SENDER_DOMAIN, "sender.domain", MAIL) \
	X(CLIENT, "client", CONNECT)            \
	X(HELO, "helo", HELO)                   \
	X(RCPT, "rcpt", RCPT)                   \
	X(RCPT_DOMAIN, "rcpt.domain", RCPT)     \
	X(FROM_DOMAIN, "from.domain", MESSAGE)  \
	X(ALL, "all", CONNECT)

static const struct {
	const char *word;
	enum stage stage;
} parts[] = {
#define X(id, text, at) [KEY_##id] = { text, STAGE_##at },
	PARTS(X)
#undef X
};

#define PART_COUNT (sizeof(parts) / sizeof(parts[0]))

static bool
part_parse(struct str text, struct key *key, const char **why)
{
	struct str bits, bits6 = STR_NONE, word = str_cut(text, '/', &bits);
	uint64_t n = 0, n6 = 0;
	size_t i;

	if (bits.p != NULL)
		bits = str_cut(bits, '/', &bits6);

	for (i = 0; i < PART_COUNT; i++)
		if (str_eq(word, str_of(parts[i].word)))
			break;
	if (i == PART_COUNT) {
		*why =
		    "a key is made of user, sender, sender.domain, client, "
		    "client/BITS[/BITS], helo, rcpt, rcpt.domain, from.domain, "
		    "all";
		return false;
	}
	if (bits.p != NULL && i != KEY_CLIENT) {
		*why = "only client takes a prefix length";
		return false;
	}
	if (bits.p != NULL && (!str_u64(bits, &n) || n < 1 || n > BITS_MAX)) {
		*why = "a prefix length is 1 to 128";
		return false;
	}
	if (bits6.p != NULL &&
	    (n > 32 || !str_u64(bits6, &n6) || n6 < 1 || n6 > BITS_MAX)) {
		*why = "two prefix lengths are one of IPv4 and one of IPv6: "
		       "client/24/64";
		return false;
	}
	key->parts[key->count].part = (enum key_part)i;
	key->parts[key->count].bits = (unsigned int)n;
	key->parts[key->count].bits6 = (unsigned int)n6;
	key->count++;
	return true;
}

bool
key_parse(struct str text, struct key *key, const char **why, size_t *at)
{
	struct str rest = text, part;

	*key = (struct key){ .text = text };
	do {
		*at = rest.p != NULL ? (size_t)(rest.p - text.p) : 0;
		if (key->count == KEY_MAX_PARTS) {
			*why = "a key has six parts at most";
			return false;
		}
		part = str_cut(rest, '+', &rest);
		if (!part_parse(part, key, why))
			return false;
	} while (rest.p != NULL);
	return true;
}

enum stage
key_stage(const struct key *key)
{
	enum stage stage = STAGE_CONNECT;

	for (size_t i = 0; i < key->count; i++)
		if (parts[key->parts[i].part].stage > stage)
			stage = parts[key->parts[i].part].stage;
	return stage;
}

/* IPv6: a /64 is what one customer has, so nobody is told apart within. */
static unsigned int
client_bits(enum addr_family family, unsigned int bits, unsigned int bits6)
{
	if (family == ADDR_V4)
		return bits == 0 || bits > 32 ? 32 : bits;
	return bits6 > 0 ? bits6 : bits > 32 ? bits : 64;
}

static struct str
client_text(const struct session *s, unsigned int bits, unsigned int bits6,
    char out[ADDR_TEXT_MAX + 4])
{
	struct buf text = BUF_INIT(ADDR_TEXT_MAX + 4);
	struct addr a = s->client;
	unsigned int whole = a.family == ADDR_V4 ? 32 : 128;

	if (a.family == ADDR_NONE)
		return STR_NONE;
	bits = client_bits(a.family, bits, bits6);
	addr_mask(&a, bits);
	addr_format(&a, out);
	buf_adds(&text, out);
	if (bits < whole)
		buf_printf(&text, "/%u", bits);
	memcpy(out, text.p, text.n + 1);
	buf_free(&text);
	return str_of(out);
}

static struct str
from_domain(struct arena *arena, const struct txn *txn)
{
	const struct header *h = header_get(&txn->headers, STR("From"), 1);
	struct mailbox *m;
	bool more;

	if (h == NULL)
		return STR_NONE;
	m = header_mailboxes(arena, h->value, 1, &more);
	return m != NULL ? m->domain : STR_NONE;
}

/* An address that makes no sense is its own base. */
static struct str
address_base(const struct address *a)
{
	if (a->null)
		return STR_NONE;
	return a->base.n > 0 ? a->base : a->text.n > 0 ? a->text : a->raw;
}

static struct str
txn_text(struct arena *arena, const struct txn *txn, enum key_part part)
{
	switch (part) {
	case KEY_USER:
		return txn->user;
	case KEY_SENDER:
		return address_base(&txn->sender);
	case KEY_SENDER_DOMAIN:
		return txn->sender.domain;
	case KEY_RCPT:
		return txn->rcpt ? address_base(&txn->rcpt->addr) : STR_NONE;
	case KEY_RCPT_DOMAIN:
		return txn->rcpt ? txn->rcpt->addr.domain : STR_NONE;
	case KEY_FROM_DOMAIN:
		return from_domain(arena, txn);
	default:
		return STR_NONE;
	}
}

/*
 * Lower case, and no byte that could be taken for the key's own signs: two
 * different lists of values never make the same text.  What is longer than an
 * address can be is cut, so that such values share one key.
 */
static void
add_value(struct buf *out, struct str value)
{
	unsigned char c;

	for (size_t i = 0; i < value.n && i < PART_MAX; i++) {
		c = (unsigned char)chr_lower((unsigned char)value.p[i]);
		if (c <= ' ' || c == 0x7f || c == '+' || c == '%')
			buf_printf(out, "%%%02X", c);
		else
			buf_addc(out, (char)c);
	}
}

static bool
add_part(struct buf *out, struct arena *arena, const struct session *s,
    const struct key *key, size_t i)
{
	char client[ADDR_TEXT_MAX + 4];
	enum key_part part = key->parts[i].part;
	struct str value = STR_NONE;

	if (out->n > 0)
		buf_addc(out, '+');
	buf_adds(out, parts[part].word);
	if (part == KEY_ALL)
		return true;
	if (part == KEY_CLIENT)
		value = client_text(s, key->parts[i].bits, key->parts[i].bits6,
		    client);
	else if (part == KEY_HELO)
		value = s->helo;
	else if (s->txn != NULL)
		value = txn_text(arena, s->txn, part);
	if (part == KEY_HELO && value.n > 1 && value.p[value.n - 1] == '.')
		value.n--;
	if (value.n == 0)
		return false;
	buf_addc(out, '=');
	add_value(out, value);
	return true;
}

struct str
key_make(struct arena *arena, const struct session *s, const struct key *key)
{
	struct buf out = BUF_INIT(KEY_MAX_PARTS * (PART_MAX * 3 + 20));
	struct str text = STR_NONE;
	size_t i;

	for (i = 0; i < key->count; i++)
		if (!add_part(&out, arena, s, key, i))
			break;
	if (i == key->count && i > 0)
		text = arena_str(arena, buf_str(&out));
	buf_free(&out);
	return text;
}
