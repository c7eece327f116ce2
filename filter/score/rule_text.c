#include "score/rule_text.h"

#define TEXT_MAX	(16UL * 1024 * 1024)

/* Perl's \s. */
static bool
is_space(int c)
{
	return chr_space(c) || c == '\f' || c == '\v';
}

static struct str
trim(struct str s)
{
	while (s.n > 0 && is_space((unsigned char)s.p[0]))
		s = str_sub(s, 1, s.n);
	while (s.n > 0 && is_space((unsigned char)s.p[s.n - 1]))
		s.n--;
	return s;
}

struct str
rule_word(struct str *rest)
{
	struct str s = trim(*rest), word;
	size_t n = 0;

	while (n < s.n && !is_space((unsigned char)s.p[n]))
		n++;
	word = str_sub(s, 0, n);
	*rest = trim(str_sub(s, n, s.n));
	return word;
}

void
rule_text_begin(struct rule_text *t, struct str text)
{
	*t = (struct rule_text){ .rest = text, .copy = BUF_INIT(TEXT_MAX) };
	if (text.p == NULL)
		t->rest = STR("");
}

void
rule_text_end(struct rule_text *t)
{
	buf_free(&t->copy);
}

static void
copy_without_comment(struct buf *out, struct str line)
{
	size_t i;

	buf_truncate(out, 0);
	for (i = 0; i < line.n; i++) {
		if (line.p[i] == '#' && (i == 0 || line.p[i - 1] != '\\'))
			break;
		if (line.p[i] == '\\' && i + 1 < line.n && line.p[i + 1] == '#')
			continue;
		buf_addc(out, line.p[i]);
	}
}

/* "lang XX" before a line; false: it is for others. */
static bool
language_is_ours(struct str *line)
{
	static const char ours[] = "en_US";
	struct str rest = *line, word = rule_word(&rest);

	if (!str_eq(word, STR("lang")) || rest.n == 0)
		return true;
	word = rule_word(&rest);
	if (rest.n == 0 || !str_istarts(str_of(ours), word))
		return false;
	*line = rest;
	return true;
}

bool
rule_text_next(struct rule_text *t, struct rule_line *line)
{
	struct str text, word;
	size_t i;

	while (t->rest.p != NULL && t->rest.n > 0) {
		t->line++;
		copy_without_comment(&t->copy,
		    str_cut(t->rest, '\n', &t->rest));
		text = trim(buf_str(&t->copy));
		if (text.n == 0)
			continue;
		if (!language_is_ours(&text)) {
			t->foreign++;
			continue;
		}
		line->number = t->line;
		line->rest = text;
		word = rule_word(&line->rest);
		/* A longer one is no word of the language; it is told cut. */
		for (i = 0; i < word.n && i < sizeof(t->word); i++)
			t->word[i] = word.p[i] == '-' ?
			    '_' :
			    (char)chr_lower((unsigned char)word.p[i]);
		line->word = (struct str){ t->word, i };
		return true;
	}
	return false;
}
