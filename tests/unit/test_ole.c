#include "mail/ole.h"

#include "archive_fixture.h"

static struct ole_findings
read_parts(const struct cfb_part *parts, size_t n)
{
	struct ole_findings f = { .vba = false };
	struct buf b = cfb_of(parts, n);

	ole_read(buf_str(&b), &f);
	assert_false(f.broken);
	assert_false(f.cut);
	buf_free(&b);
	return f;
}

#define READ(...) \
	read_parts((const struct cfb_part[]){ { "Root Entry", 5, STR("") }, \
		       __VA_ARGS__ }, \
	    sizeof((const struct cfb_part[]){ { "Root Entry", 5, STR("") }, \
		__VA_ARGS__ }) /                                            \
		sizeof(struct cfb_part))

static bool
starts_with(const struct ole_findings *f, const char *word)
{
	const char *w;

	for (unsigned int i = 0; (w = ole_start_word(i)) != NULL; i++)
		if (f->starts >> i & 1 && strcmp(w, word) == 0)
			return true;
	return false;
}

static void
test_plain(void **state)
{
	struct ole_findings f = READ({ "WordDocument", 2, STR("text") });

	(void)state;
	assert_false(f.vba || f.xlm || f.encrypted || f.installer);
	assert_int_equal(f.starts, 0);
}

static void
test_vba(void **state)
{
	struct buf source =
	    vba_source("Attribute VB_Name = \"ThisDocument\"\r\n"
		       "Sub AutoOpen()\r\nMyAutoClose\r\nEnd Sub\r\n"
		       "Private Sub Document_Open()\r\n");
	struct ole_findings f =
	    READ({ "WordDocument", 2, STR("text") }, { "Macros", 1, STR("") },
		{ "VBA", 1, STR("") }, { "ThisDocument", 2, buf_str(&source) });

	(void)state;
	assert_true(f.vba);
	assert_true(starts_with(&f, "autoopen"));
	assert_true(starts_with(&f, "document_open"));
	assert_false(starts_with(&f, "autoclose"));
	assert_false(starts_with(&f, "auto_open"));
	/* As much of it as there is. */
	f = READ({ "VBA", 1, STR("") },
	    { "m", 2, str_sub(buf_str(&source), 0, 30) });
	assert_true(f.vba);
	assert_int_equal(f.starts, 0);
	buf_free(&source);
}

/* A copy of what stood before: "Attribute x = Auto_OpenAuto_Open". */
static void
test_copies(void **state)
{
	struct ole_findings f;
	struct buf b = BUF_INIT(4096);

	(void)state;
	buf_add(&b,
	    "\x01\x0b\xb0\0Attribut\x02"
	    "e \0\0",
	    16);
	f = READ({ "VBA", 1, STR("") }, { "m", 2, buf_str(&b) });
	assert_int_equal(f.starts, 0);
	buf_truncate(&b, 0);
	/* " auto_ope", then 3 bytes from 9 back would be " au": not a name;
	 * back beyond the start ends it. */
	buf_add(&b,
	    "\x01\x20\xb0\0Attribut\0e\nSub au\0to_open\n\x01"
	    "\xff\xff\0",
	    35);
	f = READ({ "VBA", 1, STR("") }, { "m", 2, buf_str(&b) });
	assert_true(starts_with(&f, "auto_open"));
	buf_free(&b);
}

static void
test_excel(void **state)
{
	struct ole_findings f = READ({ "Workbook", 2,
	    STR("\x09\x08\x02\0\0\0\x85\0\x07\0\0\0\0\0\0\x01x") });

	(void)state;
	assert_true(f.xlm);
	f = READ({ "Workbook", 2,
	    STR("\x09\x08\x02\0\0\0\x85\0\x07\0\0\0\0\0\0\0x") });
	assert_false(f.xlm || f.encrypted);
	f = READ({ "Book", 2, STR("\x09\x08\0\0\x2f\0\x02\0\0\0") });
	assert_true(f.encrypted);
	f = READ({ "EncryptedPackage", 2, STR("x") });
	assert_true(f.encrypted);
	f = READ({ "WordDocument", 2, STR("0123456789\0\1") });
	assert_true(f.encrypted);
}

/* A presentation has the project in a packed record. */
static void
test_slides(void **state)
{
	struct buf source = vba_source("Attribute VB_Name = \"m\"\r\n"
				       "Sub Auto_Close()\r\n");
	struct cfb_part parts[] = { { "Root Entry", 5, STR("") },
		{ "VBA", 1, STR("") }, { "m", 2, STR("") } };
	struct buf inner, zip, slides = BUF_INIT(1 << 20);
	struct ole_findings f;

	(void)state;
	parts[2].data = buf_str(&source);
	inner = cfb_of(parts, 3);
	zip = packed(buf_str(&inner), 15);
	buf_add(&slides, "\x10\0\x11\x10\x10\0\x11\x10", 8);
	buf_add(&slides, "records\x10\0\x11\x10", 11);
	put32(&slides, (uint32_t)zip.n + 4);
	put32(&slides, (uint32_t)inner.n);
	buf_addstr(&slides, buf_str(&zip));
	f = READ({ "PowerPoint Document", 2, buf_str(&slides) });
	assert_true(f.vba);
	assert_true(starts_with(&f, "auto_close"));
	f = READ({ "PowerPoint Document", 2,
	    str_sub(buf_str(&slides), 0, slides.n - zip.n / 2) });
	assert_false(f.cut);
	f = READ({ "Other", 2, buf_str(&slides) });
	assert_false(f.vba);
	buf_free(&source);
	buf_free(&inner);
	buf_free(&zip);
	buf_free(&slides);
}

/* Short streams lie in a stream of their own, with a FAT of their own. */
static void
test_mini(void **state)
{
	struct ole_findings f = { .vba = false };
	struct cfb_part parts[] = { { "Root Entry", 5, STR("") },
		{ "mini", 2, STR("\x09\x08\0\0\x2f\0\x02\0\0\0") },
		{ "minifat", 2, STR("\xfe\xff\xff\xff") },
		{ "Book", 2, STR("") } };
	struct buf b = cfb_of(parts, 4);

	(void)state;
	/* Their sectors: 2 to 9, 10 to 17.  The entries stand at 1024. */
	memcpy(b.p + 1024 + 116, "\x02\0\0\0\0\x10\0\0", 8);
	memcpy(b.p + 1024 + 3 * 128 + 116, "\0\0\0\0\x0a\0\0\0", 8);
	memcpy(b.p + 60, "\x0a\0\0\0\x01\0\0\0", 8);
	ole_read(buf_str(&b), &f);
	assert_true(f.encrypted);
	buf_free(&b);
}

static void
test_broken(void **state)
{
	struct ole_findings f = { .vba = false };
	struct cfb_part parts[] = { { "Root Entry", 5, STR("") },
		{ "VBA", 1, STR("") }, { "Workbook", 2, STR("x") } };
	struct buf b = cfb_of(parts, 3);

	(void)state;
	for (size_t n = 0; n < b.n; n += 7)
		ole_read(str_sub(buf_str(&b), 0, n), &f);
	ole_read(STR(""), &f);
	assert_true(f.broken);
	ole_read(STR("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), &f);
	assert_true(f.broken);
	/* The directory is its own next sector. */
	memcpy(b.p + 512 + 4, "\x01\0\0\0", 4);
	f = (struct ole_findings){ .vba = false };
	ole_read(buf_str(&b), &f);
	assert_true(f.vba);
	assert_true(f.read <= OLE_MAX_READ);
	buf_free(&b);
}

/* A message of many such files costs no more than its caps. */
static void
test_caps(void **state)
{
	struct ole_findings f = { .vba = false };
	struct buf data = BUF_INIT(1 << 20), b;
	struct cfb_part parts[] = { { "Root Entry", 5, STR("") },
		{ "big", 2, STR("") } };

	(void)state;
	put_zeros(&data, 50000);
	parts[1].data = buf_str(&data);
	b = cfb_of(parts, 2);
	for (int i = 0; i < 500; i++)
		ole_read(buf_str(&b), &f);
	assert_true(f.cut);
	assert_true(f.read <= OLE_MAX_READ);
	buf_free(&b);
	buf_free(&data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_vba),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_excel),
		cmocka_unit_test(test_slides),
		cmocka_unit_test(test_mini),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_caps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
