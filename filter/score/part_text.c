#include "score/part_text.h"

#include <string.h>

#include "mail/field.h"
#include "score/prefilter.h"

#define MAX_BYTES (4UL * 1024 * 1024)

struct part_text {
	struct str	 text;
	uint32_t	*found;		/* rules that the prefilter named */
	size_t		 nfound;
	bool		 known;
};

void
part_texts_begin(struct part_texts *p, const struct plan *plan,
    struct prefilter_scratch *scratch)
{
	*p = (struct part_texts){ .plan = plan, .scratch = scratch };
	p->kept = arena_new(MAX_BYTES);
	p->passing = arena_new(MAX_BYTES);
	p->first = arena_alloc(p->kept,
	    PART_TEXTS * (plan->npart_fields + 1) * sizeof(*p->first));
}

void
part_texts_end(struct part_texts *p)
{
	arena_free(&p->kept);
	arena_free(&p->passing);
}

static bool
text_fill(struct part_texts *p, struct part_text *t, const struct score_rule *r,
    const struct view_part *part)
{
	const struct prefilter_scratch *s = p->scratch;

	t->text = field_of_part(p->kept, part, r->field, r->flags);
	if (t->text.n > 0) {
		prefilter_pass(p->plan->prefilter, PREFILTER_PART, t->text,
		    p->scratch);
		t->found = arena_alloc(p->kept, s->nfound * sizeof(*t->found));
		t->nfound = s->nfound;
	}
	if (arena_overflowed(p->kept))
		return false;
	if (t->nfound > 0)
		memcpy(t->found, s->found, t->nfound * sizeof(*t->found));
	return t->known = true;
}

/* NULL: it is not kept. */
static struct part_text *
text_kept(struct part_texts *p, const struct score_rule *r,
    const struct view_part *part, size_t number)
{
	struct part_text *t;

	if (p->first == NULL || p->plan->prefilter == NULL ||
	    number >= PART_TEXTS)
		return NULL;
	t = &p->first[number * p->plan->npart_fields +
	    p->plan->part_field_of[r->index]];
	return t->known || text_fill(p, t, r, part) ? t : NULL;
}

static bool
was_found(const struct part_text *t, size_t rule)
{
	size_t i;

	for (i = 0; i < t->nfound; i++)
		if (t->found[i] == rule)
			return true;
	return false;
}

bool
part_text(struct part_texts *p, const struct score_rule *r,
    const struct view_part *part, size_t number, struct str *text)
{
	const struct part_text *t = text_kept(p, r, part, number);

	if (t != NULL) {
		*text = t->text;
	} else {
		arena_reset(p->passing);
		*text = field_of_part(p->passing, part, r->field, r->flags);
		p->limited |= arena_overflowed(p->passing);
	}
	if (text->p == NULL)
		*text = r->if_unset;
	return t == NULL ||
	    !prefilter_covers(p->plan->prefilter, (uint32_t)r->index) ||
	    was_found(t, r->index);
}
