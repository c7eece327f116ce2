#include "mail/filetype.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define CHECK(text, word) assert_word(STR(text), word)

static void
assert_word(struct str bytes, const char *word)
{
	const char *got = filetype_word(filetype_of(bytes));

	if (strcmp(got, word) != 0)
		fail_msg("%s, not %s: %.*s", got, word, STR_FMT(bytes));
}

static void
test_magic(void **state)
{
	(void)state;
	CHECK("MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0\xb8\0\0\0\0\0\0\0"
	      "\x40\0\0\0\0\0",
	    "exe");
	CHECK("MZ is two letters, and a text of some length has them", "");
	CHECK("\x7f"
	      "ELF\x02\x01\x01",
	    "elf");
	CHECK("\xca\xfe\xba\xbe\0\0\0\x34", "class");
	CHECK("\xca\xfe\xba\xbe\0\0\0\x02", "macho");
	CHECK("#!/bin/sh\n", "script");
	CHECK("L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F...", "lnk");
	CHECK("{\\rtf1\\ansi}", "rtf");
	CHECK("\n\nleading junk\n%PDF-1.7", "pdf");
	CHECK("7z\xbc\xaf\x27\x1c\0\x04", "7z");
	CHECK("Rar!\x1a\x07\x01\0", "rar");
	CHECK("\xff\xd8\xff\xe0", "jpeg");
	CHECK("RIFF....WEBPVP8 ", "webp");
	CHECK("RIFF....WAVEfmt ", "riff");
	CHECK("....ftypheic", "heic");
	CHECK("....ftypisom", "mp4");
	CHECK("\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29"
	      "\x96\xd3",
	    "one");
	CHECK("", "");
	CHECK("M", "");
	CHECK("PK", "");
	CHECK("PK\x03\x04", "zip");
}

static void
test_text(void **state)
{
	char late[2000];

	(void)state;
	CHECK("  \r\n<!DOCTYPE html><p>", "html");
	CHECK("<HTML>", "html");
	CHECK("<html5>", "");
	CHECK("\xef\xbb\xbf<!-- > -->\n<script src=x>", "html");
	CHECK("\xff\xfe<\0h\0t\0m\0l\0>\0", "html");
	CHECK("\xfe\xff\0<\0h\0t\0m\0l\0>", "html");
	CHECK("<?xml version='1.0'?>\n<!-- x --><svg onload=x>", "svg");
	CHECK("<?xml version='1.0'?><a/>", "xml");
	CHECK("<job id=1>", "wsf");
	CHECK("[InternetShortcut]\r\nURL=file:", "url");
	CHECK("BEGIN:VCALENDAR", "ics");
	CHECK("<!-- never closed <html>", "");
	CHECK("<?xml never closed", "xml");
	CHECK("Hello <html>", "");
	memset(late, ' ', sizeof(late));
	memcpy(late + 1990, "<html>", 6);
	assert_word((struct str){ late, sizeof(late) }, "html");
}

static void
test_places(void **state)
{
	static char disk[0x8100];
	struct str s = { disk, sizeof(disk) };

	(void)state;
	memcpy(disk + 0x8001, "CD001", 5);
	assert_word(s, "iso");
	memset(disk, 0, sizeof(disk));
	memcpy(disk + s.n - 512, "conectix", 8);
	assert_word(s, "vhd");
	memcpy(disk + s.n - 512, "koly\0\0\0\4", 8);
	assert_word(s, "dmg");
	memset(disk, 0, sizeof(disk));
	memcpy(disk + 257, "ustar", 5);
	assert_word(s, "tar");
	memset(disk, 0, sizeof(disk));
	memcpy(disk + 510, "\x55\xaa", 2);
	assert_word(s, "");
	memcpy(disk + 82, "FAT32", 5);
	assert_word(s, "img");
	assert_word(str_sub(s, 0, 511), "");
	/* Each kind has one word, and no word stands for two. */
	for (int i = 1; i < FILETYPE_COUNT; i++) {
		assert_string_equal(filetype_words[i - 1],
		    filetype_word((enum filetype)i));
		for (int k = 1; k < i; k++)
			assert_string_not_equal(filetype_words[i - 1],
			    filetype_words[k - 1]);
	}
	assert_null(filetype_words[FILETYPE_COUNT - 1]);
}

static bool
differs(enum filetype t, const char *name, const char *type)
{
	return filetype_mismatch(t, str_of(name), str_of(type));
}

static void
test_mismatch(void **state)
{
	(void)state;
	assert_true(differs(FILETYPE_EXE, "a.jpg", "image/jpeg"));
	assert_true(differs(FILETYPE_EXE, "a.PDF ", "application/x"));
	assert_true(differs(FILETYPE_EXE, "a", "image/png"));
	assert_true(differs(FILETYPE_ZIP, "a.pdf", "application/pdf"));
	assert_true(differs(FILETYPE_HTML, "scan.pdf", "application/x"));
	assert_true(differs(FILETYPE_LNK, "a.txt", "text/plain"));
	assert_false(differs(FILETYPE_EXE, "a.exe", "application/x"));
	assert_false(differs(FILETYPE_EXE, "exe", "application/x"));
	assert_false(differs(FILETYPE_NONE, "a.jpg", "image/jpeg"));
	assert_false(differs(FILETYPE_RTF, "a.doc", "application/msword"));
	assert_false(differs(FILETYPE_OOXML, "a.docx", "application/zip"));
	assert_false(differs(FILETYPE_OOXML, "a.zip", "application/zip"));
	assert_false(differs(FILETYPE_SVG, "a.svg", "image/svg+xml"));
	assert_false(differs(FILETYPE_XML, "a.svg", "image/svg+xml"));
	assert_false(differs(FILETYPE_PNG, "a.jpg", "image/jpeg"));
	assert_true(filetype_names_archive(STR("x.ZIP")));
	assert_true(filetype_names_archive(STR("x.iso")));
	assert_false(filetype_names_archive(STR("x.docx")));
	assert_false(filetype_names_archive(STR("zip")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_magic),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_mismatch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
