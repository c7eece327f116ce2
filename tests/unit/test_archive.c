#include "mail/archive.h"

#include <bzlib.h>
#include <lzma.h>
#include <zstd.h>

#include "archive_fixture.h"
#include "base/clock.h"
#include "mail/oddity.h"
#include "slack.h"

struct listing {
	struct arena *arena;
	struct archive archive;
	enum filetype type;
	struct buf names; /* joined by blanks */
	char files[200];
};

static void
on_file(void *arg, struct str name, struct str bytes)
{
	struct listing *l = arg;
	size_t n = strlen(l->files);

	snprintf(l->files + n, sizeof(l->files) - n, "%.*s:%zu ", STR_FMT(name),
	    bytes.n);
}

static struct listing *
list_begin(void)
{
	struct listing *l = calloc(1, sizeof(*l));

	l->arena = arena_new(32 << 20);
	archive_init(&l->archive, l->arena, on_file, l);
	return l;
}

static void
list_add(struct listing *l, struct str bytes)
{
	l->type =
	    archive_list(&l->archive, STR_NONE, bytes, filetype_of(bytes));
}

static void
list_names(struct listing *l)
{
	buf_free(&l->names);
	l->names = BUF_INIT(1 << 20);
	for (struct archive_member *m = l->archive.first; m != NULL;
	     m = m->next) {
		if (l->names.n > 0)
			buf_addc(&l->names, ' ');
		buf_addstr(&l->names, m->name);
	}
}

static void
list_free(struct listing *l)
{
	arena_free(&l->arena);
	buf_free(&l->names);
	free(l);
}

static void
assert_names(struct listing *l, const char *want, unsigned int odd)
{
	list_names(l);
	if (!str_eq(buf_str(&l->names), str_of(want)))
		fail_msg("\"%.*s\", not \"%s\"", STR_FMT(buf_str(&l->names)),
		    want);
	assert_int_equal(l->archive.odd, odd);
}

/* Lists it, frees it. */
static struct listing *
list_of(struct buf *b)
{
	struct listing *l = list_begin();

	list_add(l, buf_str(b));
	buf_free(b);
	return l;
}

static void
test_zip(void **state)
{
	struct zipper z = zip_begin();
	struct buf b;
	struct listing *l;

	(void)state;
	zip_add(&z, (struct zipped){ .name = "a.txt", .data = STR("hello") });
	zip_add(&z,
	    (struct zipped){ .name = "dir/b.exe",
		.data = STR("MZ"),
		.store = true });
	zip_add(&z,
	    (struct zipped){ .name = "c\x84.js",
		.data = STR("x"),
		.behind = true });
	zip_add(&z,
	    (struct zipped){ .name = "d",
		.data = STR("secret"),
		.secret = true });
	b = zip_end(&z);
	l = list_of(&b);
	assert_names(l, "a.txt dir/b.exe c\xe2\x80\x9e.js d", 0);
	assert_int_equal(l->type, FILETYPE_ZIP);
	assert_true(l->archive.encrypted);
	assert_true(l->archive.first->next->next->next->encrypted);
	assert_false(l->archive.first->encrypted);
	list_free(l);
}

/* What a program has in front of it that unpacks itself. */
static void
test_zip_behind(void **state)
{
	struct zipper z = zip_begin();
	struct listing *l = list_begin();
	struct buf b;

	(void)state;
	put_zeros(&z.out, 1000);
	z.base = 1000;
	zip_add(&z, (struct zipped){ .name = "a", .data = STR("hello") });
	zip_add(&z, (struct zipped){ .name = "b", .data = STR("hello") });
	b = zip_end(&z);
	l->type =
	    archive_list(&l->archive, STR_NONE, buf_str(&b), FILETYPE_ZIP);
	assert_names(l, "a b", 0);
	list_free(l);
	buf_free(&b);
}

/* A directory and headers that tell different stories. */
static void
test_zip_lies(void **state)
{
	struct zipper z = zip_begin();
	struct buf b;
	struct listing *l;

	(void)state;
	zip_add(&z,
	    (struct zipped){ .name = "first.txt",
		.data = STR("x"),
		.hidden = true });
	zip_add(&z,
	    (struct zipped){ .name = "a.txt",
		.data = STR("x"),
		.local = "a.exe" });
	zip_add(&z,
	    (struct zipped){ .name = "gap.js",
		.data = STR("x"),
		.hidden = true });
	zip_add(&z,
	    (struct zipped){ .name = "b.txt",
		.data = STR("x"),
		.behind = true });
	zip_add(&z,
	    (struct zipped){ .name = "end.vbs",
		.data = STR("x"),
		.hidden = true });
	b = zip_end(&z);
	l = list_of(&b);
	assert_names(l, "a.txt a.exe b.txt first.txt gap.js end.vbs",
	    ODD(ARCHIVE_BROKEN));
	list_free(l);
	/* None at all. */
	z = zip_begin();
	zip_add(&z, (struct zipped){ .name = "a", .data = STR("x") });
	zip_add(&z,
	    (struct zipped){ .name = "b", .data = STR("x"), .behind = true });
	zip_add(&z, (struct zipped){ .name = "c", .data = STR("x") });
	l = list_begin();
	list_add(l, buf_str(&z.out));
	assert_names(l, "a b c", ODD(ARCHIVE_BROKEN));
	list_free(l);
	buf_free(&z.out);
	buf_free(&z.dir);
}

static enum filetype
kind_with(const char *name, bool store, const char *text)
{
	struct zipper z = zip_begin();
	struct listing *l;
	enum filetype t;
	struct buf b;

	zip_add(&z,
	    (struct zipped){ .name = name,
		.data = str_of(text),
		.store = store });
	b = zip_end(&z);
	l = list_of(&b);
	t = l->type;
	list_free(l);
	return t;
}

static void
test_kinds(void **state)
{
	(void)state;
	assert_int_equal(kind_with("[Content_Types].xml", false, "x"),
	    FILETYPE_OOXML);
	assert_int_equal(kind_with("META-INF/MANIFEST.MF", false, "x"),
	    FILETYPE_JAR);
	assert_int_equal(kind_with("AndroidManifest.xml", false, "x"),
	    FILETYPE_APK);
	assert_int_equal(kind_with("mimetype", true,
			     "application/vnd.oasis.opendocument.text"),
	    FILETYPE_ODF);
	assert_int_equal(kind_with("mimetype", true, "text"), FILETYPE_ZIP);
}

/* One level of archives in archives is listed, and what is an OLE file is
 * found, whatever it is called. */
static void
test_nested(void **state)
{
	struct buf ole = BUF_INIT(4096), in, mid, b;
	struct zipper z = zip_begin();
	struct listing *l;

	(void)state;
	buf_add(&ole, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8);
	put_zeros(&ole, 600);
	in = zip_of("evil.exe", STR("MZ"));
	zip_add(&z, (struct zipped){ .name = "in.dat", .data = buf_str(&in) });
	zip_add(&z,
	    (struct zipped){ .name = "vba.png", .data = buf_str(&ole) });
	zip_add(&z,
	    (struct zipped){ .name = "t.zip",
		.data = buf_str(&in),
		.store = true });
	b = zip_end(&z);
	l = list_of(&b);
	assert_names(l,
	    "in.dat vba.png t.zip in.dat/evil.exe "
	    "t.zip/evil.exe",
	    0);
	assert_string_equal(l->files, "vba.png:608 ");
	list_free(l);
	/* Two levels are one too many; a document is no archive here. */
	mid = zip_of("in.docx", buf_str(&in));
	b = zip_of("mid.zip", buf_str(&mid));
	l = list_of(&b);
	assert_names(l, "mid.zip mid.zip/in.docx", 0);
	list_free(l);
	buf_free(&mid);
	mid = zip_of("in.zip", buf_str(&in));
	b = zip_of("mid.zip", buf_str(&mid));
	l = list_of(&b);
	assert_names(l, "mid.zip mid.zip/in.zip", ODD(ARCHIVE_DEEP));
	list_free(l);
	buf_free(&mid);
	buf_free(&in);
	buf_free(&ole);
}

static void
test_tar(void **state)
{
	struct buf b = BUF_INIT(1 << 20), gz, in = zip_of("b", STR("x"));
	struct listing *l;

	(void)state;
	tar_add(&b, "a.txt", STR("hello"), '0');
	tar_add(&b, "././@LongLink", STR("a/very/long/name.exe\0"), 'L');
	tar_add(&b, "short", STR(""), '0');
	tar_add(&b, "pax", STR("24 path=from-a-pax-head\n"), 'x');
	tar_add(&b, "cut", buf_str(&in), '0');
	put_zeros(&b, 1024);
	gz = packed(buf_str(&b), 15 + 16);
	l = list_of(&b);
	assert_int_equal(l->type, FILETYPE_TAR);
	assert_names(l,
	    "a.txt a/very/long/name.exe from-a-pax-head "
	    "from-a-pax-head/b",
	    0);
	list_free(l);
	l = list_of(&gz);
	assert_int_equal(l->type, FILETYPE_GZ);
	assert_names(l,
	    "a.txt a/very/long/name.exe from-a-pax-head "
	    "from-a-pax-head/b",
	    0);
	list_free(l);
	buf_free(&in);
}

static void
test_gzip(void **state)
{
	struct listing *l = list_begin();
	struct buf in = zip_of("in.exe", STR("MZ")), gz;

	(void)state;
	list_add(l,
	    STR("\x1f\x8b\x08\x0c\0\0\0\0\0\x03\x02\0xxname.js\0"
		"\x03\0\0\0\0\0\0\0\0\0"));
	/* (Its end is cut: nothing comes out.) */
	assert_names(l, "name.js", ODD(ARCHIVE_BROKEN));
	list_free(l);
	/* Its own name and what it is called need not agree. */
	l = list_begin();
	archive_list(&l->archive, STR("evil.exe.gz"),
	    STR("\x1f\x8b\x08\x08\0\0\0\0\0\x03name.txt\0"
		"\x03\0\0\0\0\0\0\0\0\0"),
	    FILETYPE_GZ);
	assert_names(l, "evil.exe name.txt", ODD(ARCHIVE_BROKEN));
	list_free(l);
	gz = packed(buf_str(&in), 15 + 16);
	l = list_of(&gz);
	assert_names(l, "gz/in.exe", 0);
	list_free(l);
	l = list_begin();
	list_add(l, STR("\x1f\x8b\x08"));
	assert_names(l, "", ODD(ARCHIVE_BROKEN));
	list_free(l);
	buf_free(&in);
}

static struct buf
packed_bzip2(struct str s)
{
	unsigned int n = (unsigned int)s.n + s.n / 100 + 700;
	char *to = malloc(n);
	struct buf out = BUF_INIT(64 << 20);

	assert_int_equal(BZ2_bzBuffToBuffCompress(to, &n,
			     (char *)(uintptr_t)s.p, (unsigned int)s.n, 9, 0,
			     0),
	    BZ_OK);
	buf_add(&out, to, n);
	free(to);
	return out;
}

static struct buf
packed_xz(struct str s)
{
	size_t room = lzma_stream_buffer_bound(s.n), n = 0;
	uint8_t *to = malloc(room);
	struct buf out = BUF_INIT(64 << 20);

	assert_int_equal(lzma_easy_buffer_encode(9, LZMA_CHECK_CRC64, NULL,
			     (const uint8_t *)s.p, s.n, to, &n, room),
	    LZMA_OK);
	buf_add(&out, to, n);
	free(to);
	return out;
}

static struct buf
packed_zstandard(struct str s)
{
	size_t room = ZSTD_compressBound(s.n), n;
	char *to = malloc(room);
	struct buf out = BUF_INIT(64 << 20);

	n = ZSTD_compress(to, room, s.p, s.n, 19);
	assert_false(ZSTD_isError(n));
	buf_add(&out, to, n);
	free(to);
	return out;
}

static struct buf
packed_gzip(struct str s)
{
	return packed(s, 15 + 16);
}

static const struct packing {
	const char *end;
	enum filetype type;
	struct buf (*pack)(struct str);
} packings[] = {
	{ "gz", FILETYPE_GZ, packed_gzip },
	{ "bz2", FILETYPE_BZ2, packed_bzip2 },
	{ "xz", FILETYPE_XZ, packed_xz },
	{ "zst", FILETYPE_ZST, packed_zstandard },
};

#define PACKINGS (sizeof(packings) / sizeof(packings[0]))

static struct listing *
list_called(const char *name, const struct packing *p, struct buf *file)
{
	struct listing *l = list_begin();
	char whole[64];

	snprintf(whole, sizeof(whole), "%s%s", name, p->end);
	l->type = archive_list(&l->archive, str_of(whole), buf_str(file),
	    filetype_of(buf_str(file)));
	assert_int_equal(l->type, p->type);
	buf_free(file);
	return l;
}

/* What is packed is called as the file is; what it holds is seen. */
static void
test_packed(void **state)
{
	struct buf zip = zip_of("in.exe", STR("MZ")), tar = BUF_INIT(1 << 20);
	struct listing *l;
	struct buf b;

	(void)state;
	tar_add(&tar, "a.exe", STR("MZ"), '0');
	put_zeros(&tar, 1024);
	for (size_t i = 0; i < PACKINGS; i++) {
		b = packings[i].pack(STR("MZ"));
		l = list_called("order.exe.", &packings[i], &b);
		assert_names(l, "order.exe", 0);
		list_free(l);
		b = packings[i].pack(buf_str(&zip));
		l = list_called("order.zip.", &packings[i], &b);
		assert_names(l, "order.zip order.zip/in.exe", 0);
		list_free(l);
		b = packings[i].pack(buf_str(&tar));
		l = list_called("t", &packings[i], &b);
		assert_names(l, "a.exe", 0);
		list_free(l);
	}
	buf_free(&zip);
	buf_free(&tar);
}

/* Cut anywhere, or with any byte changed: nothing but what there is. */
static void
test_packed_broken(void **state)
{
	struct buf zip = zip_of("in.exe", STR("MZ")), b, part;
	struct listing *l;

	(void)state;
	for (size_t i = 0; i < PACKINGS; i++) {
		b = packings[i].pack(buf_str(&zip));
		for (size_t n = 6; n < b.n; n++) {
			part = BUF_INIT(1 << 20);
			buf_add(&part, b.p, n);
			l = list_of(&part);
			assert_true(l->archive.count <= 1);
			list_free(l);
			part = BUF_INIT(1 << 20);
			buf_add(&part, b.p, b.n);
			part.p[n] ^= 0x55;
			l = list_of(&part);
			assert_true(l->archive.count <= 3);
			list_free(l);
		}
		buf_free(&b);
	}
	buf_free(&zip);
}

/* Far more than anybody unpacks, in little. */
static void
test_packed_bombs(void **state)
{
	struct buf zeros = BUF_INIT(64 << 20), b, all;
	struct listing *l;

	(void)state;
	put_zeros(&zeros, 12 << 20);
	for (size_t i = 0; i < PACKINGS; i++) {
		b = packings[i].pack(buf_str(&zeros));
		all = BUF_INIT(64 << 20);
		while (all.n < 512 * 1024)
			buf_addstr(&all, buf_str(&b));
		buf_free(&b);
		l = list_of(&all);
		assert_int_equal(l->archive.odd, ODD(ARCHIVE_BOMB));
		list_free(l);
		/* The same in another: it is not unpacked whole. */
		b = packings[i].pack(buf_str(&zeros));
		all = packings[i].pack(buf_str(&b));
		buf_free(&b);
		l = list_of(&all);
		assert_true(l->archive.unpacked <= ARCHIVE_MAX_UNPACKED);
		list_free(l);
	}
	buf_free(&zeros);
}

static void
rar4_block(struct buf *b, unsigned int type, unsigned int flags,
    struct str fields, size_t data)
{
	put16(b, 0);
	buf_addc(b, (char)type);
	put16(b, flags);
	put16(b, (unsigned)(7 + fields.n));
	buf_addstr(b, fields);
	put_zeros(b, data);
}

static void
test_rar4(void **state)
{
	struct buf b = BUF_INIT(4096);
	struct listing *l;

	(void)state;
	buf_add(&b, "Rar!\x1a\x07\0", 7);
	rar4_block(&b, 0x73, 0, STR("\0\0\0\0\0\0"), 0);
	rar4_block(&b, 0x74, 0x8000,
	    STR("\x05\0\0\0\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\0"
		"\0\0\0\0a.exe"),
	    5);
	rar4_block(&b, 0x74, 0x8204,
	    STR("\x02\0\0\0\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x06\0"
		"\0\0\0\0b.js\0\1"),
	    2);
	rar4_block(&b, 0x7b, 0, STR(""), 0);
	l = list_of(&b);
	assert_int_equal(l->type, FILETYPE_RAR);
	assert_names(l, "a.exe b.js", 0);
	assert_true(l->archive.encrypted);
	list_free(l);
	b = BUF_INIT(4096);
	buf_add(&b, "Rar!\x1a\x07\0", 7);
	rar4_block(&b, 0x73, 0x80, STR("\0\0\0\0\0\0"), 100);
	l = list_of(&b);
	assert_names(l, "", 0);
	assert_true(l->archive.encrypted);
	list_free(l);
}

static void
rar5_block(struct buf *b, struct str fields)
{
	put32(b, 0);
	buf_addc(b, (char)fields.n);
	buf_addstr(b, fields);
}

static void
test_rar5(void **state)
{
	struct buf b = BUF_INIT(4096);
	struct listing *l;

	(void)state;
	buf_add(&b, "Rar!\x1a\x07\1\0", 8);
	rar5_block(&b, STR("\1\0\0"));
	/* With data of 3 bytes, a time and a checksum. */
	rar5_block(&b, STR("\2\2\3\6\x80\x01\0ttttcccc\0\0\5a.exe"));
	buf_adds(&b, "xyz");
	/* With an extra area that says it is encrypted. */
	rar5_block(&b, STR("\2\1\3\0\1\0\0\0\1b\2\1\0"));
	rar5_block(&b, STR("\5\0\0"));
	l = list_of(&b);
	assert_names(l, "a.exe b", 0);
	assert_false(l->archive.first->encrypted);
	assert_true(l->archive.first->next->encrypted);
	list_free(l);
	b = BUF_INIT(4096);
	buf_add(&b, "Rar!\x1a\x07\1\0", 8);
	rar5_block(&b, STR("\4\0\0\0"));
	l = list_of(&b);
	assert_true(l->archive.encrypted);
	list_free(l);
	/* The length of a name has no end: the member is there, without one. */
	b = BUF_INIT(4096);
	buf_add(&b, "Rar!\x1a\x07\1\0", 8);
	rar5_block(&b, STR("\2\0\0\x80\1\0\0\0\xff\xff"));
	l = list_of(&b);
	assert_names(l, "", 0);
	assert_false(l->archive.full);
	list_free(l);
}

static void
test_cab(void **state)
{
	struct buf b = BUF_INIT(4096);
	struct listing *l;

	(void)state;
	buf_add(&b, "MSCF\0\0\0\0", 8);
	put_zeros(&b, 8);
	put32(&b, 36);
	put_zeros(&b, 8);
	put16(&b, 2);
	put_zeros(&b, 6);
	put_zeros(&b, 16);
	buf_add(&b, "a.exe", 6);
	put_zeros(&b, 16);
	buf_add(&b, "b.js", 5);
	l = list_of(&b);
	assert_names(l, "a.exe b.js", 0);
	list_free(l);
	l = list_begin();
	list_add(l, STR("MSCF\0\0\0\0........\x20\0\0\0........\x02\0...."));
	assert_true(l->archive.odd & ODD(ARCHIVE_BROKEN));
	list_free(l);
}

static void
iso_record(char *p, const char *name, size_t n, uint32_t sector, uint32_t size,
    bool folder)
{
	p[0] = (char)(33 + n + (33 + n) % 2);
	for (int i = 0; i < 4; i++) {
		p[2 + i] = (char)(sector >> 8 * i);
		p[10 + i] = (char)(size >> 8 * i);
	}
	p[25] = folder ? 2 : 0;
	p[32] = (char)n;
	memcpy(p + 33, name, n);
}

static void
test_iso(void **state)
{
	static char disk[22 * 2048];
	struct listing *l = list_begin();
	char *at = disk + 20 * 2048;

	(void)state;
	disk[0x8000] = 1;
	memcpy(disk + 0x8001, "CD001", 5);
	disk[0x8800] = (char)255;
	memcpy(disk + 0x8801, "CD001", 5);
	iso_record(disk + 0x8000 + 156, "\0", 1, 20, 2048, true);
	iso_record(at, "\0", 1, 20, 2048, true);
	iso_record(at + 34, "A.EXE;1", 7, 21, 5, false);
	iso_record(at + 74, "DIR", 3, 21, 2048, true);
	iso_record(at + 110, "LOOP", 4, 20, 2048, true);
	iso_record(at + 2048, "B.JS;1", 6, 21, 5, false);
	list_add(l, (struct str){ disk, sizeof(disk) });
	assert_int_equal(l->type, FILETYPE_ISO);
	assert_names(l, "A.EXE B.JS", 0);
	list_free(l);
	/* Joliet's names go before. */
	disk[0x8800] = 2;
	memcpy(disk + 0x8800 + 88, "%/E", 3);
	iso_record(disk + 0x8800 + 156, "\0", 1, 21, 2048, true);
	iso_record(at + 2048, "\0l\0o\0n\0g\0;\0001", 12, 21, 5, false);
	l = list_begin();
	list_add(l, (struct str){ disk, sizeof(disk) });
	assert_names(l, "long", 0);
	list_free(l);
}

/* The start of a 7z, its data, and the header behind that. */
static struct buf
sevenz_of(struct str data, struct str header)
{
	struct buf b = BUF_INIT(1 << 16);

	buf_add(&b, "7z\xbc\xaf\x27\x1c\0\x04\0\0\0\0", 12);
	put32(&b, (uint32_t)data.n);
	put32(&b, 0);
	put32(&b, (uint32_t)header.n);
	put_zeros(&b, 8);
	buf_addstr(&b, data);
	buf_addstr(&b, header);
	return b;
}

/* Two files in one folder, stored; then their names. */
#define SEVENZ_NAMES           \
	"\x05\x02\x11\x11\0"   \
	"a\0.\0j\0s\0\0\0"     \
	"\x3c\xd8\x04\xdf\0\0" \
	"\0"
static const char sevenz_header[] =
    "\x01\x04\x06\0\x01\x09\x80\x90\0"
    "\x07\x0b\x01\0\x01\x01\0\x0c\x80\x90\x0a\x01"
    "1234\0"
    "\x08\x0d\x02\x09\x05\x0a\x01"
    "12345678\0\0" SEVENZ_NAMES "\0";

static void
test_7z(void **state)
{
	struct str header = { sevenz_header, sizeof(sevenz_header) - 1 };
	struct buf b = sevenz_of(STR("data"), header);
	struct listing *l;

	(void)state;
	for (size_t i = 0; i + 1 < b.n; i++) {
		l = list_begin();
		list_add(l, str_sub(buf_str(&b), 0, i));
		assert_null(l->archive.first);
		list_free(l);
	}
	l = list_of(&b);
	assert_int_equal(l->type, FILETYPE_SEVENZ);
	assert_names(l, "a.js \xf0\x9f\x8c\x84", 0);
	assert_false(l->archive.encrypted);
	list_free(l);
	/* One coder encrypts. */
	b = sevenz_of(STR("data"),
	    STR("\x01\x04\x06\0\x01\x09\x10\0\x07\x0b\x01\0\x01\x24\x06\xf1"
		"\x07\x01\x01x\x0c\x10\0\0" SEVENZ_NAMES "\0"));
	l = list_of(&b);
	assert_names(l, "a.js \xf0\x9f\x8c\x84", 0);
	assert_true(l->archive.encrypted);
	list_free(l);
	/* The names are encrypted as well. */
	b = sevenz_of(STR("data"),
	    STR("\x17\x06\0\x01\x09\x04\0\x07\x0b\x01\0\x01\x24\x06\xf1"
		"\x07\x01\x01x\x0c\x10\0\0"));
	l = list_of(&b);
	assert_names(l, "", 0);
	assert_true(l->archive.encrypted);
	list_free(l);
}

/* A header that is packed itself; its length is in the two bytes of a
 * number. */
static void
test_7z_packed(void **state)
{
	struct buf head = BUF_INIT(4096), b;
	lzma_options_lzma options;
	lzma_filter filters[] = { { LZMA_FILTER_LZMA1, &options },
		{ LZMA_VLI_UNKNOWN, NULL } };
	uint8_t data[1000], properties[5];
	size_t n = 0, size = sizeof(sevenz_header) - 1;
	struct listing *l;

	(void)state;
	assert_false(lzma_lzma_preset(&options, 6));
	options.dict_size = 1u << 30;
	assert_int_equal(lzma_properties_encode(filters, properties), LZMA_OK);
	options.dict_size = 4096;
	assert_int_equal(lzma_raw_buffer_encode(filters, NULL,
			     (const uint8_t *)sevenz_header, size, data, &n,
			     sizeof(data)),
	    LZMA_OK);
	buf_add(&head, "\x17\x06\0\x01\x09\x80", 6);
	buf_addc(&head, (char)n);
	buf_add(&head, "\0\x07\x0b\x01\0\x01\x23\x03\x01\x01\x05", 11);
	buf_add(&head, properties, 5);
	buf_add(&head, "\x0c\x80", 2);
	buf_addc(&head, (char)size);
	buf_add(&head, "\0\0", 2);
	b = sevenz_of((struct str){ (char *)data, n }, buf_str(&head));
	l = list_of(&b);
	assert_names(l, "a.js \xf0\x9f\x8c\x84", 0);
	list_free(l);
	/* What it is said to be long is more than comes out. */
	head.p[head.n - 3] = (char)(size + 1);
	b = sevenz_of((struct str){ (char *)data, n }, buf_str(&head));
	l = list_of(&b);
	assert_names(l, "", ODD(ARCHIVE_BROKEN));
	list_free(l);
	buf_free(&head);
}

static void
test_bombs(void **state)
{
	struct buf zeros = BUF_INIT(64 << 20), in, b;
	struct zipper z = zip_begin();
	struct listing *l;

	(void)state;
	put_zeros(&zeros, 30 << 20);
	/* Four of 30 MB in 120 KB. */
	for (int i = 0; i < 4; i++)
		zip_add(&z,
		    (struct zipped){ .name = "z", .data = buf_str(&zeros) });
	b = zip_end(&z);
	l = list_of(&b);
	assert_names(l, "z z z z", ODD(ARCHIVE_BOMB));
	list_free(l);
	/* One of them is only well packed. */
	b = zip_of("z", buf_str(&zeros));
	l = list_of(&b);
	assert_names(l, "z", 0);
	assert_true(l->archive.unpacked <= ARCHIVE_MAX_UNPACKED);
	list_free(l);
	/* A gzip that says it is small. */
	b = BUF_INIT(8 << 20);
	in = packed(buf_str(&zeros), 15 + 16);
	for (int i = 0; i < 4; i++)
		buf_addstr(&b, buf_str(&in));
	put32(&b, 10);
	l = list_of(&b);
	assert_int_equal(l->archive.odd, ODD(ARCHIVE_BOMB));
	list_free(l);
	buf_free(&in);
	buf_free(&zeros);
}

/* Members that all say they are somewhere else in the same data. */
static void
test_many(void **state)
{
	struct zipper z = zip_begin();
	struct listing *l;
	int64_t start;
	struct buf b;

	(void)state;
	for (int i = 0; i < 20000; i++)
		zip_add(&z,
		    (struct zipped){ .name = "m",
			.data = STR("x"),
			.store = true,
			.behind = i % 2 == 0,
			.hidden = i % 3 == 0 });
	b = zip_end(&z);
	start = clock_mono_ms();
	l = list_of(&b);
	assert_int_equal(l->archive.count, ARCHIVE_MAX_MEMBERS);
	assert_true(l->archive.odd & ODD(ARCHIVE_MANY));
	assert_true(l->archive.peeks <= ARCHIVE_MAX_PEEKS);
	assert_true(clock_mono_ms() - start < slack(1000));
	list_free(l);
}

/* Every beginning of an archive, and every byte of it changed. */
static void
test_damaged(void **state)
{
	struct buf in = zip_of("evil.exe", STR("MZ")), b;
	struct zipper z = zip_begin();
	struct listing *l = list_begin();

	(void)state;
	zip_add(&z,
	    (struct zipped){ .name = "a", .data = STR("x"), .behind = true });
	zip_add(&z, (struct zipped){ .name = "in.zip", .data = buf_str(&in) });
	b = zip_end(&z);
	for (size_t n = 0; n <= b.n; n++)
		archive_list(&l->archive, STR_NONE, str_sub(buf_str(&b), 0, n),
		    FILETYPE_ZIP);
	for (size_t i = 0; i < b.n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			b.p[i] = (char)(b.p[i] ^ 1 << bit);
			archive_list(&l->archive, STR_NONE, buf_str(&b),
			    FILETYPE_ZIP);
			b.p[i] = (char)(b.p[i] ^ 1 << bit);
		}
	}
	assert_true(l->archive.count <= ARCHIVE_MAX_MEMBERS);
	list_free(l);
	buf_free(&in);
	buf_free(&b);
}

static void
test_full(void **state)
{
	struct buf b = zip_of("name", STR("x"));
	struct listing *l = list_begin();

	(void)state;
	arena_free(&l->arena);
	l->arena = arena_new(16);
	archive_init(&l->archive, l->arena, NULL, NULL);
	list_add(l, buf_str(&b));
	assert_true(l->archive.full);
	list_free(l);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zip),
		cmocka_unit_test(test_zip_behind),
		cmocka_unit_test(test_zip_lies),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_tar),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_packed_broken),
		cmocka_unit_test(test_packed_bombs),
		cmocka_unit_test(test_rar4),
		cmocka_unit_test(test_rar5),
		cmocka_unit_test(test_cab),
		cmocka_unit_test(test_iso),
		cmocka_unit_test(test_7z),
		cmocka_unit_test(test_7z_packed),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
