#include "mail/view_type.h"

#include <string.h>

#include "mail/view.h"
#include "mail/view_line.h"

#define NAME_MAX_BYTES 8192

/* What stands behind "name=" at or behind *from; p NULL: nothing does. */
static struct str
find_value(struct str s, struct str name, size_t *from)
{
	for (size_t i = *from; i + name.n < s.n; i++) {
		size_t j = i + name.n;
		ptrdiff_t at;

		at = str_ifind(str_sub(s, i, s.n), name);
		if (at < 0)
			break;
		i += (size_t)at;
		j = i + name.n;
		if (i > 0 && chr_word((unsigned char)s.p[i - 1]))
			continue;
		while (j < s.n && chr_white((unsigned char)s.p[j]))
			j++;
		if (j >= s.n || s.p[j] != '=')
			continue;
		for (j++; j < s.n && chr_white((unsigned char)s.p[j]);)
			j++;
		*from = i + 1;
		return str_sub(s, j, s.n);
	}
	*from = s.n;
	return STR_NONE;
}

/* Up to a semicolon, without one quote at each end. */
static struct str
loose_value(struct str s)
{
	if (s.p == NULL)
		return s;
	s = str_cut(s, ';', &(struct str){ 0 });
	if (s.n > 0 && (s.p[0] == '"' || s.p[0] == '\''))
		s = str_sub(s, 1, s.n);
	if (s.n > 0 && (s.p[s.n - 1] == '"' || s.p[s.n - 1] == '\''))
		s.n--;
	return s;
}

struct str
view_type_boundary(struct str ct)
{
	size_t from = 0;
	struct str s;

	while ((s = find_value(ct, STR("boundary"), &from)).p != NULL) {
		size_t n = 0;

		if (s.n > 1 && s.p[0] == '"' && s.p[1] != '"')
			return str_cut(str_sub(s, 1, s.n), '"',
			    &(struct str){ 0 });
		while (n < s.n && s.p[n] != '"' && s.p[n] != ';' &&
		    !chr_white((unsigned char)s.p[n]))
			n++;
		if (n > 0 && (n == s.n || s.p[n] != '"'))
			return str_sub(s, 0, n);
	}
	return STR_NONE;
}

/* RFC 2231 section 3: name*0=, name*1= ... joined. */
static struct str
continued_name(struct arena *a, struct str ct)
{
	struct str pieces[100] = { STR_NONE };
	struct buf all = BUF_INIT(NAME_MAX_BYTES);
	struct str name;

	for (size_t i = 0; i < 100; i++) {
		char key[16] = "name*";
		size_t from = 0, n = 5;

		if (i >= 10)
			key[n++] = '0' + (char)(i / 10);
		key[n++] = '0' + (char)(i % 10);
		pieces[i] =
		    loose_value(find_value(ct, (struct str){ key, n }, &from));
		if (pieces[i].p == NULL) {
			memmove(key + 4, key, n);
			memcpy(key, "file", 4);
			from = 0;
			pieces[i] = loose_value(
			    find_value(ct, (struct str){ key, n + 4 }, &from));
		}
		if (pieces[i].p == NULL)
			break;
		buf_addstr(&all, pieces[i]);
	}
	name = all.n > 0 ? arena_str(a, buf_str(&all)) : STR_NONE;
	buf_free(&all);
	return name;
}

static struct str
find_name(struct arena *a, struct str ct)
{
	size_t plain = 0, file = 0;
	struct str name = find_value(ct, STR("name"), &plain);
	struct str filename = find_value(ct, STR("filename"), &file);

	if (filename.p != NULL && (name.p == NULL || filename.p < name.p))
		name = filename;
	name = loose_value(name);
	if (name.n == 0)
		name = continued_name(a, ct);
	return name;
}

static bool
is_text(struct str type)
{
	static const char *const kept[] = { "text/x-vcard", "text/calendar",
		"text/html" };

	if (!str_starts(type, STR("text")) ||
	    (type.n > 4 && chr_word((unsigned char)type.p[4])))
		return false;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (str_eq(type, str_of(kept[i])))
			return false;
	return true;
}

/* What remains of it where a media type should stand, lower case. */
static struct str
media_type(struct arena *a, struct str ct, bool *missing)
{
	char *p;
	size_t i = 0, n = 0;

	while (ct.n > 0 && chr_white((unsigned char)ct.p[0]))
		ct = str_sub(ct, 1, ct.n);
	ct = str_cut(ct, ';', &(struct str){ 0 });
	while (i < ct.n && ct.p[i] != '/')
		i++;
	if (i > 0 && i < ct.n) {
		for (i++; i < ct.n && ct.p[i] != '/' &&
		     !chr_white((unsigned char)ct.p[i]);)
			i++;
		ct.n = i;
	}
	p = arena_alloc(a, ct.n + 1);
	if (p == NULL)
		return STR_NONE;
	for (i = 0; i < ct.n; i++)
		p[i] = chr_lower((unsigned char)ct.p[i]);
	*missing |= ct.n == 0 || str_eq(ct, STR("0"));
	if (*missing || is_text((struct str){ p, ct.n }))
		return STR("text/plain");
	for (i = 0; i < ct.n; i++)
		if (p[i] > ' ' && p[i] < 0x7f &&
		    strchr("\"(),:;<=>?@[\\]", p[i]) == NULL)
			p[n++] = p[i];
	return (struct str){ p, n };
}

bool
view_type_parse(struct arena *a, const struct headers *hs,
    struct view_type *out)
{
	struct str ct = view_part_field(a, hs, STR("Content-Type"));

	*out =
	    (struct view_type){ .missing = ct.n == 0 || str_eq(ct, STR("0")) };
	if (out->missing) {
		out->type = STR("text/plain");
		out->charset = STR("us-ascii");
		return true;
	}
	out->boundary = view_type_boundary(ct);
	out->charset =
	    loose_value(find_value(ct, STR("charset"), &(size_t){ 0 }));
	out->name = find_name(a, ct);
	out->type = media_type(a, ct, &out->missing);
	return out->type.p != NULL;
}
