/* Functions about the pictures that are attached. */
#include <string.h>

#include "score/eval.h"

#define IMAGES_MAX	100
#define PICTURE_MAX	(1024 * 1024)	/* bytes read for its size */

struct eval_images {
	struct {
		struct str	type;	/* "gif", "png", "jpeg" */
		struct str	name;
		double		height, width;
	} image[IMAGES_MAX];
	size_t		 count;
};

static double
be16(const unsigned char *p)
{
	return p[0] * 256.0 + p[1];
}

static double
be32(const unsigned char *p)
{
	return be16(p) * 65536 + be16(p + 2);
}

static bool
gif_size(const unsigned char *p, size_t n, double *height, double *width)
{
	if (n < 10 ||
	    (memcmp(p, "GIF87a", 6) != 0 && memcmp(p, "GIF89a", 6) != 0))
		return false;
	*width = p[6] + p[7] * 256.0;
	*height = p[8] + p[9] * 256.0;
	return true;
}

static bool
png_size(const unsigned char *p, size_t n, double *height, double *width)
{
	if (n < 24 || memcmp(p, "\x89PNG\r\n\x1a\n", 8) != 0 ||
	    memcmp(p + 12, "IHDR", 4) != 0)
		return false;
	*width = be32(p + 16);
	*height = be32(p + 20);
	return true;
}

/* SOF0 to SOF15 but the three that are no frames. */
static bool
is_frame(unsigned char mark)
{
	return mark >= 0xc0 && mark <= 0xcf && mark != 0xc4 && mark != 0xc8 &&
	    mark != 0xcc;
}

static bool
jpeg_size(const unsigned char *p, size_t n, double *height, double *width)
{
	size_t at = 2, length;

	if (n < 2 || p[0] != 0xff || p[1] != 0xd8)
		return false;
	while (at + 9 <= n && p[at] == 0xff && p[at + 1] != 0xda &&
	    p[at + 1] != 0xd9) {
		length = (size_t)be16(p + at + 2);
		if (length < 2)
			return false;
		if (is_frame(p[at + 1])) {
			*height = be16(p + at + 5);
			*width = be16(p + at + 7);
			return true;
		}
		at += 2 + length;
	}
	return false;
}

static const struct {
	const char	*type, *word;
	bool (*size)(const unsigned char *, size_t, double *, double *);
} kinds[] = {
	{ "image/gif", "gif", gif_size },
	{ "image/png", "png", png_size },
	{ "image/jpeg", "jpeg", jpeg_size },
	{ "image/jpg", "jpeg", jpeg_size },
};

static void
add_image(struct eval_images *all, const struct view_part *p)
{
	struct arena *scratch;
	struct str data;
	size_t i;

	if (p->encoding != VIEW_BASE64 || all->count == IMAGES_MAX)
		return;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!str_eq(p->type, str_of(kinds[i].type)))
			continue;
		/* Only the size is kept: the message's arena is no place for
		 * an album. */
		scratch = arena_new(2 * PICTURE_MAX);
		data = view_part_decode(scratch, p, PICTURE_MAX, NULL);
		all->image[all->count].type = str_of(kinds[i].word);
		all->image[all->count].name = p->name;
		if (data.n > 0)
			kinds[i].size((const unsigned char *)data.p, data.n,
			    &all->image[all->count].height,
			    &all->image[all->count].width);
		arena_free(&scratch);
		all->count++;
		return;
	}
}

static const struct eval_images *
images(struct eval *e)
{
	const struct view_part *p;

	if (e->images != NULL)
		return e->images;
	e->images = arena_alloc(e->arena, sizeof(*e->images));
	for (p = e->view->parts; e->images != NULL && p != NULL; p = p->next)
		if (p->leaf)
			add_image(e->images, p);
	return e->images;
}

static bool
is_kind(const struct eval_images *all, size_t i, struct str type)
{
	return str_eq(type, STR("all")) || str_eq(all->image[i].type, type);
}

/* min <= value <= max, the last optional. */
static bool
within(const struct score_rule *r, size_t arg, double value)
{
	return value >= eval_number(r, arg) &&
	    (eval_open(r, arg + 1) || value <= eval_number(r, arg + 1));
}

static bool
image_count(struct eval *e, const struct score_rule *r)
{
	const struct eval_images *all = images(e);
	double n = 0;
	size_t i;

	for (i = 0; all != NULL && i < all->count; i++)
		n += is_kind(all, i, eval_arg(r, 0));
	return within(r, 1, n);
}

static double
area(struct eval *e, struct str type)
{
	const struct eval_images *all = images(e);
	double sum = 0;
	size_t i;

	for (i = 0; all != NULL && i < all->count; i++)
		if (is_kind(all, i, type))
			sum += all->image[i].height * all->image[i].width;
	return sum;
}

static bool
pixel_coverage(struct eval *e, const struct score_rule *r)
{
	return within(r, 1, area(e, eval_arg(r, 0)));
}

static bool
image_to_text(struct eval *e, const struct score_rule *r)
{
	const struct view_lines *text =
	    r->kind == RULE_RAWBODY ? &e->view->rawbody : &e->view->body;
	double pixels = area(e, eval_arg(r, 0)), length = 0, ratio;
	size_t i;

	for (i = 0; i < text->count; i++)
		length += (double)text->line[i].n;
	if (length == 0 || pixels == 0)
		return false;
	ratio = length / pixels;
	return ratio >= eval_number(r, 1) && ratio < eval_number(r, 2);
}

static bool
size_exact(struct eval *e, const struct score_rule *r)
{
	const struct eval_images *all = images(e);
	size_t i;

	for (i = 0; all != NULL && i < all->count; i++)
		if (is_kind(all, i, eval_arg(r, 0)) &&
		    all->image[i].height > 0 && all->image[i].width > 0 &&
		    all->image[i].height == eval_number(r, 1) &&
		    all->image[i].width == eval_number(r, 2))
			return true;
	return false;
}

static bool
size_range(struct eval *e, const struct score_rule *r)
{
	const struct eval_images *all = images(e);
	size_t i;

	for (i = 0; all != NULL && i < all->count; i++) {
		double h = all->image[i].height, w = all->image[i].width;

		if (is_kind(all, i, eval_arg(r, 0)) && h > 0 && w > 0 &&
		    h >= eval_number(r, 1) && w >= eval_number(r, 2) &&
		    (eval_open(r, 3) || h <= eval_number(r, 3)) &&
		    (eval_open(r, 4) || w <= eval_number(r, 4)))
			return true;
	}
	return false;
}

static bool
image_named(struct eval *e, const struct score_rule *r)
{
	const struct eval_images *all = images(e);
	size_t i;

	for (i = 0; all != NULL && i < all->count; i++)
		if (all->image[i].height > 0 && all->image[i].name.n > 0 &&
		    str_eq(all->image[i].name, eval_arg(r, 0)))
			return true;
	return false;
}

const struct eval_def eval_image_defs[] = {
	{ "image_count", image_count, 0, 0 },
	{ "image_named", image_named, 0, 0 },
	{ "image_size_exact", size_exact, 0, 0 },
	{ "image_size_range", size_range, 0, 0 },
	{ "image_to_text_ratio", image_to_text, 0, 0 },
	{ "pixel_coverage", pixel_coverage, 0, 0 },
	{ NULL, NULL, 0, 0 },
};
