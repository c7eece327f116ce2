#include "score/perl_regex.h"

#include <string.h>

#include "score/perl_share.h"

#define PATTERN_MAX	(1024 * 1024)
/* What stands for a template until its value is known. */
#define MATCHES_NOTHING "(?!)"
#define MATCHES_ANYTHING "[\\s\\S]*"

/* Where a pattern is being read, and what was made of it so far. */
struct reader {
	struct str	 in;
	size_t		 at;
	struct buf	*out;
	struct buf	 class;		/* the last one */
};

/* ---- delimiters ---- */

static char
closing(char open)
{
	static const char opens[] = "{(<[", closes[] = "})>]";
	const char *p = strchr(opens, open);

	return open != '\0' && p != NULL ? closes[p - opens] : open;
}

/* An end delimiter inside the pattern, not escaped. */
static bool
has_bare(struct str pattern, char c)
{
	size_t i;

	for (i = 0; i < pattern.n; i++) {
		if (pattern.p[i] == '\\')
			i++;
		else if (pattern.p[i] == c)
			return true;
	}
	return false;
}

/* The pattern ends at the last delimiter that only flags follow. */
static bool
split(struct str text, struct str *pattern, struct str *flags, struct buf *why)
{
	size_t start = 0, end;
	char close;

	if (str_starts(text, STR("qr")))
		start = 2;
	else if (str_starts(text, STR("m")))
		start = 1;
	if (text.n < start + 2 || (start == 0 && text.p[0] != '/') ||
	    chr_alnum((unsigned char)text.p[start]) || text.p[start] == '_') {
		buf_adds(why, "a regex is expected");
		return false;
	}
	close = closing(text.p[start]);
	if (close == '\\') {
		buf_adds(why, "a backslash can't delimit a regex");
		return false;
	}
	for (end = text.n; end > start + 1 && text.p[end - 1] >= 'a' &&
	     text.p[end - 1] <= 'z';)
		end--;
	if (end < start + 2 || text.p[end - 1] != close) {
		buf_adds(why, "the regex does not end");
		return false;
	}
	*pattern = str_sub(text, start + 1, end - start - 2);
	*flags = str_sub(text, end, text.n);
	if (strchr("})]", close) == NULL && has_bare(*pattern, close)) {
		buf_printf(why, "the delimiter %c stands inside the regex",
		    close);
		return false;
	}
	return true;
}

/* Perl's flags that PCRE2 has; a, u and p change nothing here. */
static bool
keep_flags(struct str flags, char kept[8], struct buf *why)
{
	size_t i, n = 0;

	for (i = 0; i < flags.n; i++) {
		if (strchr("imsxn", flags.p[i]) != NULL) {
			if (n < 6 && memchr(kept, flags.p[i], n) == NULL)
				kept[n++] = flags.p[i];
		} else if (strchr("aup", flags.p[i]) == NULL) {
			buf_printf(why, "regex flag '%c' is not known",
			    flags.p[i]);
			return false;
		}
	}
	kept[n++] = 'o';
	kept[n] = '\0';
	return true;
}

/* ---- templates ---- */

static bool
template_char(int c)
{
	return (c >= 'A' && c <= 'Z') || chr_digit(c) || c == '_';
}

/* The length of %{NAME} or %{NAME(text)} at p, 0 if there is none. */
static size_t
template_len(struct str p)
{
	size_t i = 2;

	if (p.n < 4 || p.p[0] != '%' || p.p[1] != '{' || p.p[2] < 'A' ||
	    p.p[2] > 'Z')
		return 0;
	while (i < p.n && template_char((unsigned char)p.p[i]))
		i++;
	if (i < p.n && p.p[i] == '(') {
		while (i < p.n && p.p[i] != ')' && p.p[i] != '}')
			i++;
		if (i == p.n || p.p[i] != ')')
			return 0;
		i++;
	}
	return i < p.n && p.p[i] == '}' ? i + 1 : 0;
}

/* Calls found() for each template, and adds all else to out. */
static bool
each_template(struct str pattern, struct buf *out,
    bool (*found)(void *arg, struct str name, struct buf *out), void *arg)
{
	size_t start = 0, i = 0, n;

	while (i < pattern.n) {
		n = template_len(str_sub(pattern, i, pattern.n));
		if (n == 0) {
			i += pattern.p[i] == '\\' && i + 1 < pattern.n ? 2 : 1;
			continue;
		}
		buf_addstr(out, str_sub(pattern, start, i - start));
		if (!found(arg, str_sub(pattern, i + 2, n - 3), out))
			return false;
		i += n;
		start = i;
	}
	buf_addstr(out, str_sub(pattern, start, i - start));
	return !out->failed;
}

struct finder {
	struct arena	*arena;
	struct perl_regex *regex;
};

/* Whether whatever the pattern matches holds all its templates. */
static bool
templates_bare(struct str pattern)
{
	bool in_class = false;
	size_t i, n, depth = 0;

	for (i = 0; i < pattern.n; i++) {
		n = template_len(str_sub(pattern, i, pattern.n));
		if (n > 0 &&
		    (depth > 0 || in_class ||
			(i + n < pattern.n &&
			    strchr("?*{+", pattern.p[i + n]) != NULL)))
			return false;
		if (n > 0)
			i += n - 1;
		else if (pattern.p[i] == '\\')
			i++;
		else if (in_class)
			in_class = pattern.p[i] != ']';
		else if (pattern.p[i] == '[')
			in_class = true;
		else if (pattern.p[i] == '(')
			depth++;
		else if (pattern.p[i] == ')' && depth > 0)
			depth--;
		else if (pattern.p[i] == '|' && depth == 0)
			return false;
	}
	return true;
}

static bool
note_template(void *arg, struct str name, struct buf *out)
{
	struct finder *f = arg;
	struct perl_regex *re = f->regex;

	buf_adds(out, MATCHES_NOTHING);
	if (re->ntemplates == PERL_REGEX_TEMPLATES)
		return false;
	re->templates[re->ntemplates] = arena_str(f->arena, name);
	return re->templates[re->ntemplates++].p != NULL;
}

static bool
loosen_template(void *arg, struct str name, struct buf *out)
{
	(void)arg;
	(void)name;
	buf_adds(out, MATCHES_ANYTHING);
	return true;
}

/* A group named in capitals is for other rules. */
static bool
has_captures(struct str pattern)
{
	struct str p = pattern;
	ptrdiff_t i;

	while ((i = str_find(p, STR("(?"))) >= 0) {
		p = str_sub(p, (size_t)i + 2, p.n);
		if (str_starts(p, STR("P")))
			p = str_sub(p, 1, p.n);
		if (p.n > 1 && (p.p[0] == '<' || p.p[0] == '\'') &&
		    p.p[1] >= 'A' && p.p[1] <= 'Z')
			return true;
	}
	return false;
}

/* ---- Perl to PCRE2 ---- */

/* \x{HEX} at in: its length, and its value; 0 if there is none. */
static size_t
wide_escape(struct str in, unsigned long *value)
{
	size_t i;
	int c;

	if (!str_starts(in, STR("\\x{")))
		return 0;
	*value = 0;
	for (i = 3; i < in.n && in.p[i] != '}'; i++) {
		c = chr_lower((unsigned char)in.p[i]);
		if (chr_digit(c))
			c -= '0';
		else if (c >= 'a' && c <= 'f')
			c -= 'a' - 10;
		else
			return 0;
		if (*value <= 0x10ffff)
			*value = *value * 16 + (unsigned long)c;
	}
	return i < in.n ? i + 1 : 0;
}

/* "{,3}" and "{ 1, 3 }" are quantifiers to Perl alone.  The length of what
 * is at in, 0 if it is no such thing. */
static size_t
odd_quantifier(struct str in, struct buf *out)
{
	struct str low, high;
	ptrdiff_t end;
	bool comma;
	size_t i;

	if (in.p[0] != '{' || (end = str_chr(in, '}')) < 2)
		return 0;
	low = str_cut(str_sub(in, 1, (size_t)end - 1), ',', &high);
	comma = high.p != NULL;
	low = str_trim(low);
	high = str_trim(high);
	for (i = 0; i < low.n; i++)
		if (!chr_digit((unsigned char)low.p[i]))
			return 0;
	for (i = 0; i < high.n; i++)
		if (!chr_digit((unsigned char)high.p[i]))
			return 0;
	if (low.n + high.n == 0)
		return 0;
	buf_printf(out, "{%.*s%s%.*s}", low.n > 0 ? (int)low.n : 1,
	    low.n > 0 ? low.p : "0", comma ? "," : "", STR_FMT(high));
	return (size_t)end + 1;
}

/* A character that is no octet can't be in the subject: it leaves its class,
 * and a range to it ends at the last octet. */
static void
class_wide(struct reader *r, size_t n)
{
	struct buf *class = &r->class;
	unsigned long upper;
	struct str rest;

	if (class->n > 0 && class->p[class->n - 1] == '-' && class->n > 1 &&
	    class->p[class->n - 2] != '[' && class->p[class->n - 2] != '^') {
		buf_adds(class, "\\xff");
		r->at += n;
		return;
	}
	r->at += n;
	rest = str_sub(r->in, r->at, r->in.n);
	if (rest.n > 1 && rest.p[0] == '-' &&
	    (n = wide_escape(str_sub(rest, 1, rest.n), &upper)) > 0)
		r->at += n + 1;
}

static size_t
posix_class(struct str in)
{
	ptrdiff_t end;

	if (!str_starts(in, STR("[:")))
		return 0;
	end = str_find(str_sub(in, 2, in.n), STR(":]"));
	return end < 0 ? 0 : (size_t)end + 4;
}

/* A class that only had characters that are no octets. */
static void
class_end(const struct reader *r, bool wide)
{
	if (wide && r->class.n == 1)
		buf_adds(r->out, MATCHES_NOTHING);
	else if (wide && r->class.n == 2 && r->class.p[1] == '^')
		buf_adds(r->out, "(?s:.)");
	else {
		buf_addstr(r->out, buf_str(&r->class));
		buf_addc(r->out, ']');
	}
}

static void
read_class(struct reader *r)
{
	struct buf *class = &r->class;
	unsigned long value;
	struct str rest;
	bool wide = false;
	size_t n;

	buf_truncate(class, 0);
	buf_addc(class, r->in.p[r->at++]);
	if (r->at < r->in.n && r->in.p[r->at] == '^')
		buf_addc(class, r->in.p[r->at++]);
	if (r->at < r->in.n && r->in.p[r->at] == ']')
		buf_addc(class, r->in.p[r->at++]);
	while (r->at < r->in.n && r->in.p[r->at] != ']') {
		rest = str_sub(r->in, r->at, r->in.n);
		n = wide_escape(rest, &value);
		if (n > 0 && value > 0xff) {
			class_wide(r, n);
			wide = true;
			continue;
		}
		if ((n = posix_class(rest)) == 0)
			n = rest.p[0] == '\\' && rest.n > 1 ? 2 : 1;
		buf_add(class, rest.p, n);
		r->at += n;
	}
	if (r->at == r->in.n)
		buf_addstr(r->out, buf_str(class));
	else
		class_end(r, wide);
	r->at += r->at < r->in.n;
}

/* Perl's charset flags at the start of a group that a tag has made. */
static size_t
charset_flags(struct str in)
{
	return str_starts(in, STR("(?aa)")) ? 5 :
	    str_starts(in, STR("(?a)"))	    ? 4 :
					      0;
}

/* How much of it stands for itself, to Perl and to PCRE2. */
static size_t
plain_len(struct str in)
{
	size_t n = 0;

	while (n < in.n && in.p[n] != '[' && in.p[n] != '\\' &&
	    in.p[n] != '(' && in.p[n] != '{')
		n++;
	return n;
}

static void
translate(struct str pattern, struct buf *out)
{
	struct reader r = { pattern, 0, out, BUF_INIT(PATTERN_MAX) };
	unsigned long value;
	struct str rest;
	size_t n;

	while (r.at < r.in.n) {
		rest = str_sub(r.in, r.at, r.in.n);
		if (rest.p[0] == '[') {
			read_class(&r);
		} else if ((n = wide_escape(rest, &value)) > 0 &&
		    value > 0xff) {
			buf_adds(out, MATCHES_NOTHING);
			r.at += n;
		} else if ((n = charset_flags(rest)) > 0 ||
		    (n = odd_quantifier(rest, out)) > 0) {
			r.at += n;
		} else {
			n = rest.p[0] == '\\' && rest.n > 1 ? 2 : 1;
			n += plain_len(str_sub(rest, n, rest.n));
			buf_add(out, rest.p, n);
			r.at += n;
		}
	}
	buf_free(&r.class);
}

/* Too large for PCRE2: again with what it repeats written once. */
static struct regex *
compile_shared(struct str pattern, struct str flags)
{
	struct buf shared = BUF_INIT(PATTERN_MAX), why = BUF_INIT(1024);
	struct regex *re = NULL;
	size_t at;

	if (perl_share(pattern, &shared))
		re = regex_new(buf_str(&shared), flags, &why, &at);
	buf_free(&shared);
	buf_free(&why);
	return re;
}

static struct regex *
compile(struct str pattern, struct str flags, bool *shared, struct buf *why)
{
	struct buf own = BUF_INIT(1024);
	struct regex *re;
	size_t at;

	*shared = false;
	re = regex_new(pattern, flags, &own, &at);
	/* (A comment of /x may hold any parenthesis.) */
	if (re == NULL && str_chr(flags, 'x') < 0 &&
	    str_find(buf_str(&own), STR("too large")) >= 0) {
		re = compile_shared(pattern, flags);
		*shared = re != NULL;
	}
	if (re == NULL)
		buf_addstr(why, buf_str(&own));
	buf_free(&own);
	return re;
}

/* Compiles once even where templates want it done for each message: a
 * mistake is told when the file is read. */
static bool
change(struct arena *a, struct perl_regex *re, struct str perl, struct buf *why)
{
	struct perl_regex new = { .flags = re->flags };
	struct finder f = { a, &new };
	struct buf out = BUF_INIT(PATTERN_MAX), bare = BUF_INIT(PATTERN_MAX);
	struct buf loose = BUF_INIT(PATTERN_MAX);

	translate(perl, &out);
	new.source = arena_str(a, perl);
	new.pattern = arena_str(a, buf_str(&out));
	new.captures = has_captures(perl);
	new.bare = templates_bare(new.pattern);
	if (out.failed || new.pattern.p == NULL ||
	    !each_template(new.pattern, &bare, note_template, &f))
		buf_adds(why, "the regex is too long");
	else
		new.regex =
		    compile(buf_str(&bare), new.flags, &new.shared, why);
	if (new.ntemplates > 0 && new.bare &&
	    each_template(new.pattern, &loose, loosen_template, NULL))
		new.loose = arena_str(a, buf_str(&loose));
	buf_free(&out);
	buf_free(&bare);
	buf_free(&loose);
	if (new.regex == NULL)
		return false;
	regex_free(&re->regex);
	*re = new;
	if (re->ntemplates > 0)
		regex_free(&re->regex);
	return true;
}

bool
perl_regex_change(struct arena *a, struct perl_regex *re, struct str pattern,
    struct buf *why)
{
	return change(a, re, pattern, why);
}

bool
perl_regex_read(struct arena *a, struct str text, struct perl_regex *re,
    struct buf *why)
{
	struct str pattern, flags;
	char kept[8];

	*re = (struct perl_regex){ .regex = NULL };
	if (!split(text, &pattern, &flags, why) ||
	    !keep_flags(flags, kept, why))
		return false;
	if (str_find(pattern, STR("(?{")) >= 0 ||
	    str_find(pattern, STR("(??{")) >= 0) {
		buf_adds(why, "Perl code in a regex is not run");
		return false;
	}
	re->flags = arena_str(a, str_of(kept));
	return re->flags.p != NULL && change(a, re, pattern, why);
}

/* ---- a message's own regex ---- */

void
perl_regex_quote(struct buf *out, struct str text)
{
	size_t i;

	for (i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c == '\0')
			buf_adds(out, "\\x00");
		else if (!chr_alnum(c) && c != '_' && c < 0x80)
			buf_printf(out, "\\%c", c);
		else
			buf_addc(out, (char)c);
	}
}

struct filler {
	bool		(*value)(void *, struct str, struct buf *);
	void		*arg;
};

static bool
fill_template(void *arg, struct str name, struct buf *out)
{
	const struct filler *f = arg;

	buf_adds(out, "(?:");
	if (!f->value(f->arg, name, out))
		return false;
	buf_addc(out, ')');
	return true;
}

struct regex *
perl_regex_fill(const struct perl_regex *re,
    bool (*value)(void *, struct str, struct buf *), void *arg)
{
	struct filler f = { value, arg };
	struct buf out = BUF_INIT(PATTERN_MAX), why = BUF_INIT(1024);
	struct regex *made = NULL;
	bool shared;

	if (each_template(re->pattern, &out, fill_template, &f))
		made = compile(buf_str(&out), re->flags, &shared, &why);
	buf_free(&out);
	buf_free(&why);
	return made;
}
