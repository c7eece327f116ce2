/*
 * Prints what rules see of messages, one JSON object a line: file, rendered
 * (lines of body), rawbody (its chunks), parts (depth, type, name), html
 * (facts of each HTML part).  Bytes stand for themselves: each is the
 * character of its number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail/view.h"

#define FILE_MAX (64 * 1024 * 1024)

static void
put_json(struct str s)
{
	putchar('"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < ' ' || c >= 0x7f || c == '"' || c == '\\')
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void
put_lines(const char *key, const struct view_lines *lines)
{
	printf(", \"%s\": [", key);
	for (size_t i = 0; i < lines->count; i++) {
		printf(i > 0 ? ", " : "");
		put_json(lines->line[i]);
	}
	printf("]");
}

static void
put_parts(const struct view *v)
{
	printf(", \"parts\": [");
	for (const struct view_part *p = v->parts; p != NULL; p = p->next) {
		printf("%s[%u, ", p != v->parts ? ", " : "", p->depth);
		put_json(p->type);
		printf(", ");
		put_json(p->name);
		printf(", %s, %zu]", p->leaf ? "true" : "false",
		    p->headers.count);
	}
	printf("]");
}

static void
put_strings(const char *key, const struct html_string *s)
{
	printf(", \"%s\": [", key);
	for (; s != NULL; s = s->next) {
		put_json(s->text);
		printf(s->next != NULL ? ", " : "");
	}
	printf("]");
}

static void
put_facts(const struct html_facts *f)
{
	printf("{\"length\": %zu, \"html_length\": %zu, "
	       "\"non_space_len\": %zu, \"ratio\": %.6f, "
	       "\"closed_extra_ratio\": %.6f, \"bad_tag_ratio\": %.6f, "
	       "\"non_element_ratio\": %.6f, \"obfuscation_ratio\": %.6f, "
	       "\"image_area\": %.0f, \"min_size\": %ld, \"max_size\": %ld",
	    f->length, f->html_length, f->non_space_len, f->ratio,
	    f->closed_extra_ratio, f->bad_tag_ratio, f->non_element_ratio,
	    f->obfuscation_ratio, f->image_area, f->min_size, f->max_size);
	printf(", \"font_low_contrast\": %d, \"font_invalid_color\": %d, "
	       "\"font_face_bad\": %d, \"form_action_mailto\": %d, "
	       "\"embeds\": %d",
	    f->font_low_contrast, f->font_invalid_color, f->font_face_bad,
	    f->form_action_mailto, f->embeds);
	put_strings("title", f->titles);
	put_strings("comment", f->comments);
	put_strings("script", f->scripts);
	printf(", \"anchor\": [");
	for (const struct html_anchor *a = f->anchors; a != NULL; a = a->next) {
		put_json(a->text);
		printf(a->next != NULL ? ", " : "");
	}
	printf("], \"uris\": [");
	for (const struct html_link *l = f->links; l != NULL; l = l->next) {
		printf("[");
		put_json(l->tag);
		printf(", ");
		put_json(l->uri);
		printf(l->next != NULL ? "], " : "]");
	}
	printf("], \"inside\": {");
	for (const struct html_tag *t = f->tags_by_name; t != NULL;
	     t = t->next) {
		put_json(t->name);
		printf(": %ld%s", t->inside, t->next != NULL ? ", " : "");
	}
	printf("}}");
}

static void
put_view(const char *path, const struct view *v)
{
	printf("{\"file\": ");
	put_json(str_of(path));
	put_lines("rendered", &v->body);
	put_lines("rawbody", &v->rawbody);
	put_parts(v);
	printf(", \"html\": [");
	for (struct html_facts *f = v->html; f != NULL; f = f->next) {
		put_facts(f);
		printf(f->next != NULL ? ", " : "");
	}
	printf("], \"truncated\": %s, \"broken\": %s}\n",
	    v->truncated ? "true" : "false", v->broken ? "true" : "false");
}

static bool
read_file(const char *path, struct buf *raw)
{
	FILE *f = fopen(path, "rb");
	char chunk[65536];
	size_t n;

	if (f == NULL) {
		perror(path);
		return false;
	}
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(raw, chunk, n);
	fclose(f);
	return !raw->failed;
}

static bool
show(const char *path)
{
	struct arena *a = arena_new(4UL * FILE_MAX);
	struct buf raw = BUF_INIT(FILE_MAX);
	struct headers hs = { .first = NULL };
	const struct view *v = NULL;
	struct str body;

	if (read_file(path, &raw) &&
	    view_part_split(a, buf_str(&raw), &hs, &body))
		v = view_make(a, &hs, body);
	if (v != NULL)
		put_view(path, v);
	else
		fprintf(stderr, "%s: no view\n", path);
	buf_free(&raw);
	arena_free(&a);
	return v != NULL;
}

int
main(int argc, char **argv)
{
	char path[4096];
	bool ok = true;

	for (int i = 1; i < argc; i++)
		ok &= show(argv[i]);
	while (argc == 1 && fgets(path, sizeof(path), stdin) != NULL) {
		path[strcspn(path, "\n")] = '\0';
		ok &= show(path);
	}
	return ok ? 0 : 1;
}
