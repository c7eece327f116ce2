#include "mail/inspect.h"

#include "mail/oddity.h"

#define TOLD_VBA (1u << 31)
#define TOLD_XLM (1u << 30)

static void
note_add(struct inspect *in, struct note ***tail, struct str text)
{
	struct note *n = arena_alloc(in->arena, sizeof(*n));

	if (n == NULL) {
		in->full = true;
		return;
	}
	n->text = text;
	**tail = n;
	*tail = &n->next;
}

/* --- macros ------------------------------------------------------------ */

/* Each word once a message. */
static void
tell(struct inspect *in, bool found, unsigned int bit, const char *word)
{
	if (!found || (in->told & bit))
		return;
	in->told |= bit;
	note_add(in, &in->macros_tail, str_of(word));
}

static void
read_ole(struct inspect *in, struct str bytes)
{
	struct ole_findings *f = &in->ole;
	const char *word;

	ole_read(bytes, f);
	tell(in, f->vba, TOLD_VBA, "vba");
	tell(in, f->xlm, TOLD_XLM, "xlm");
	for (unsigned int i = 0; (word = ole_start_word(i)) != NULL; i++)
		tell(in, (f->starts >> i & 1) != 0, 1u << i, word);
	in->encrypted |= f->encrypted;
	if (f->broken)
		in->content->odd |= ODD(ARCHIVE_BROKEN);
}

/* A member of an archive, which may be a document or bring macros to one. */
static void
on_file(void *arg, struct str name, struct str bytes)
{
	(void)name;
	if (filetype_of(bytes) == FILETYPE_OLE)
		read_ole(arg, bytes);
}

/* Excel 4 macros of a newer document are sheets of their own. */
static void
find_macro_sheets(struct inspect *in, const struct archive_member *m)
{
	for (; m != NULL; m = m->next)
		tell(in, str_ifind(m->name, STR("xl/macrosheets/")) >= 0,
		    TOLD_XLM, "xlm");
}

/* --- files ------------------------------------------------------------- */

void
inspect_init(struct inspect *in, struct arena *arena, struct content *c)
{
	*in = (struct inspect){ .arena = arena, .content = c };
	archive_init(&in->archive, arena, on_file, in);
	in->encrypted_tail = &c->encrypted;
	in->macros_tail = &c->macros;
	in->mismatches_tail = &c->mismatches;
}

void
inspect_file(struct inspect *in, struct attachment *at, struct str bytes)
{
	struct str called = at->name.n > 0 ? at->name : at->type;
	struct archive_member **new = in->archive.tail;
	enum filetype type = filetype_of(bytes);

	in->encrypted = false;
	if (type == FILETYPE_OLE) {
		read_ole(in, bytes);
		if (in->ole.installer)
			type = FILETYPE_MSI;
	} else if (filetype_is_archive(type)) {
		type = archive_list(&in->archive, at->name, bytes, type);
		in->encrypted |= in->archive.encrypted;
		find_macro_sheets(in, *new);
	}
	at->magic = str_of(filetype_word(type));
	if (in->encrypted)
		note_add(in, &in->encrypted_tail, called);
	if (filetype_mismatch(type, at->name, at->type))
		note_add(in, &in->mismatches_tail, called);
}

bool
inspect_end(struct inspect *in)
{
	struct content *c = in->content;

	c->members = in->archive.first;
	c->odd |= in->archive.odd;
	if (in->ole.cut)
		c->odd |= ODD(ARCHIVE_MANY);
	return !in->full && !in->archive.full;
}
