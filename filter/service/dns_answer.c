#include "service/dns_answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const struct {
	enum dns_type type;
	const char *word;
} types[] = {
	{ DNS_A, "A" },
	{ DNS_NS, "NS" },
	{ DNS_CNAME, "CNAME" },
	{ DNS_PTR, "PTR" },
	{ DNS_MX, "MX" },
	{ DNS_TXT, "TXT" },
	{ DNS_AAAA, "AAAA" },
};

#define NTYPES (sizeof(types) / sizeof(types[0]))

const char *
dns_type_word(enum dns_type type)
{
	for (size_t i = 0; i < NTYPES; i++)
		if (types[i].type == type)
			return types[i].word;
	return "?";
}

bool
dns_type_parse(struct str word, enum dns_type *type)
{
	for (size_t i = 0; i < NTYPES; i++) {
		if (str_ieq(str_of(types[i].word), word)) {
			*type = types[i].type;
			return true;
		}
	}
	return false;
}

bool
dns_name_normal(struct str name, char out[DNS_NAME_MAX + 1])
{
	size_t label = 0;

	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > DNS_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c < ' ' || c > '~')
			return false;
		if (c == '.' && label == 0)
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > DNS_LABEL_MAX)
			return false;
		out[i] = (char)chr_lower(c);
	}
	out[name.n] = '\0';
	return label > 0;
}

void
dns_build_begin(struct dns_build *b)
{
	*b = (struct dns_build){ .data = BUF_INIT(DNS_MAX_BYTES) };
}

void
dns_build_free(struct dns_build *b)
{
	buf_free(&b->data);
	free(b->records);
	b->records = NULL;
	b->count = b->room = 0;
}

void
dns_build_add(struct dns_build *b, uint16_t pref, struct str data)
{
	size_t from = b->data.n;

	if (b->count == DNS_MAX_RECORDS || b->data.failed)
		return;
	buf_add(&b->data, data.p, data.n);
	buf_addc(&b->data, '\0');
	if (b->data.failed)
		return;
	if (b->count == b->room) {
		b->room = b->room == 0 ? 4 : 2 * b->room;
		b->records =
		    mem_resize(b->records, b->room * sizeof(b->records[0]));
	}
	b->records[b->count++] =
	    (struct dns_built){ .pref = pref, .from = from, .n = data.n };
}

void
dns_build_copy(struct dns_build *b, const struct dns_build *from)
{
	for (size_t i = 0; i < from->count; i++)
		dns_build_add(b, from->records[i].pref,
		    str_sub(buf_str(&from->data), from->records[i].from,
			from->records[i].n));
}

static void
label_add(struct buf *text, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] < ' ' || p[i] > '~')
			buf_printf(text, "\\%03u", p[i]);
		else if (p[i] == '.' || p[i] == '\\')
			buf_printf(text, "\\%c", p[i]);
		else
			buf_addc(text, (char)chr_lower(p[i]));
	}
}

/* A name that fills the rdata to its last byte. */
static bool
name_add(struct dns_build *b, uint16_t pref, const uint8_t *p, size_t n)
{
	struct buf text = BUF_INIT(4 * 255);
	size_t i = 0;
	bool ok;

	while (i < n && p[i] != 0) {
		if (p[i] > DNS_LABEL_MAX || (size_t)p[i] + 1 >= n - i)
			break;
		if (i > 0)
			buf_addc(&text, '.');
		label_add(&text, p + i + 1, p[i]);
		i += 1 + (size_t)p[i];
	}
	ok = i + 1 == n && p[i] == 0 && n <= 255 && !text.failed;
	if (ok)
		dns_build_add(b, pref, buf_str(&text));
	buf_free(&text);
	return ok;
}

/* RFC 7208 section 3.3: a record's strings count as one. */
static bool
txt_add(struct dns_build *b, const uint8_t *p, size_t n)
{
	struct buf text = BUF_INIT(DNS_MAX_BYTES);
	size_t i = 0;
	bool ok;

	while (i < n && (size_t)p[i] < n - i) {
		buf_add(&text, p + i + 1, p[i]);
		i += 1 + (size_t)p[i];
	}
	ok = n > 0 && i == n && !text.failed;
	if (ok)
		dns_build_add(b, 0, buf_str(&text));
	buf_free(&text);
	return ok;
}

static bool
addr_add(struct dns_build *b, size_t want, const uint8_t *p, size_t n)
{
	if (n != want)
		return false;
	dns_build_add(b, 0, (struct str){ (const char *)p, n });
	return true;
}

void
dns_build_rdata(struct dns_build *b, enum dns_type type, const uint8_t *p,
    size_t n)
{
	bool ok = false;

	switch (type) {
	case DNS_A:
		ok = addr_add(b, 4, p, n);
		break;
	case DNS_AAAA:
		ok = addr_add(b, 16, p, n);
		break;
	case DNS_TXT:
		ok = txt_add(b, p, n);
		break;
	case DNS_MX:
		ok = n > 2 &&
		    name_add(b, (uint16_t)(p[0] << 8 | p[1]), p + 2, n - 2);
		break;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		ok = name_add(b, 0, p, n);
		break;
	}
	if (!ok)
		b->malformed = true;
}

struct dns_answer *
dns_build_end(struct dns_build *b, enum dns_status status, bool secure,
    size_t *size)
{
	struct dns_answer *answer;
	struct dns_record *records;
	char *bytes;

	if (b->count > 0)
		status = DNS_OK;
	else if (status == DNS_OK)
		status = b->malformed ? DNS_SERVFAIL : DNS_NODATA;
	*size = sizeof(*answer) + b->count * sizeof(*records) + b->data.n;
	answer = mem_alloc(*size);
	records = (struct dns_record *)(answer + 1);
	bytes = (char *)(records + b->count);
	if (b->data.n > 0)
		memcpy(bytes, b->data.p, b->data.n);
	for (size_t i = 0; i < b->count; i++) {
		records[i].pref = b->records[i].pref;
		records[i].data.p = bytes + b->records[i].from;
		records[i].data.n = b->records[i].n;
	}
	answer->status = status;
	answer->secure = secure;
	answer->count = b->count;
	answer->records = records;
	dns_build_free(b);
	return answer;
}
