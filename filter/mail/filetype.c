#include "mail/filetype.h"

#include <stdint.h>
#include <string.h>

#define TEXT_LOOK 1024 /* where the first tag of a text is looked for */

static const struct {
	const char *word;
	unsigned int families;
} types[FILETYPE_COUNT] = { [FILETYPE_NONE] = { "", 0 },
#define X(id, word, family, help) [FILETYPE_##id] = { word, FAMILY_##family },
	FILETYPES(X)
#undef X
};

const char *const filetype_words[] = {
#define X(id, word, family, help) word,
	FILETYPES(X)
#undef X
	    NULL
};

/* Where a file says what it is: bytes at a place. */
struct magic {
	enum filetype type;
	uint32_t at;
	struct str bytes;
};

#define M(id, at, text)                        \
	{                                      \
		FILETYPE_##id, at,             \
		{                              \
			text, sizeof(text) - 1 \
		}                              \
	}

/* The first that fits counts. */
static const struct magic magics[] = {
	M(ELF, 0,
	    "\x7f"
	    "ELF"),
	M(MACHO, 0, "\xfe\xed\xfa\xce"),
	M(MACHO, 0, "\xfe\xed\xfa\xcf"),
	M(MACHO, 0, "\xce\xfa\xed\xfe"),
	M(MACHO, 0, "\xcf\xfa\xed\xfe"),
	M(DEX, 0, "dex\n"),
	M(CRX, 0, "Cr24"),
	M(DEB, 0, "!<arch>\n"),
	M(RPM, 0, "\xed\xab\xee\xdb"),
	M(XAR, 0, "xar!"),
	M(SCRIPT, 0, "#!"),
	M(SCRIPT, 0, "\xef\xbb\xbf#!"),
	M(REG, 0, "Windows Registry Editor"),
	M(REG, 0, "REGEDIT4"),
	M(LNK, 0, "L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F"),
	M(CHM, 0, "ITSF"),
	M(OLE, 0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
	M(RTF, 0, "{\\rt"),
	M(ONE, 0,
	    "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d"
	    "\xae\xb1\x53\x78\xd0\x29\x96\xd3"),
	M(MDB, 4, "Standard Jet DB"),
	M(MDB, 4, "Standard ACE DB"),
	M(PS, 0, "%!PS"),
	M(ZIP, 0, "PK\x03\x04"),
	M(ZIP, 0, "PK\x05\x06"),
	M(ZIP, 0, "PK\x07\x08"),
	M(ZIP, 0, "PK00PK\x03\x04"),
	M(SEVENZ, 0, "7z\xbc\xaf\x27\x1c"),
	M(RAR, 0, "Rar!\x1a\x07"),
	M(RAR, 0, "RE~^"),
	M(GZ, 0, "\x1f\x8b"),
	M(BZ2, 0, "BZh"),
	M(XZ, 0,
	    "\xfd"
	    "7zXZ\0"),
	M(ZST, 0, "\x28\xb5\x2f\xfd"),
	M(LZ4, 0, "\x04\x22\x4d\x18"),
	M(LZIP, 0, "LZIP"),
	M(Z, 0, "\x1f\x9d"),
	M(Z, 0, "\x1f\xa0"),
	M(CAB, 0, "MSCF\0\0\0\0"),
	M(ACE, 7, "**ACE**"),
	M(ARJ, 0, "\x60\xea"),
	M(LZH, 2, "-lh"),
	M(LZH, 2, "-lz"),
	M(TAR, 257, "ustar"),
	M(WIM, 0, "MSWIM\0\0\0"),
	M(ISO, 0x8001, "CD001"),
	M(ISO, 0x8001, "BEA01"),
	M(ISO, 0x8001, "NSR0"),
	M(VHD, 0, "conectix"),
	M(VHDX, 0, "vhdxfile"),
	M(VMDK, 0, "KDMV"),
	M(VMDK, 0, "COWD"),
	M(VMDK, 0, "# Disk DescriptorFile"),
	M(PNG, 0, "\x89PNG\r\n\x1a\n"),
	M(JPEG, 0, "\xff\xd8\xff"),
	M(GIF, 0, "GIF87a"),
	M(GIF, 0, "GIF89a"),
	M(TIFF, 0, "II*\0"),
	M(TIFF, 0, "MM\0*"),
	M(WEBP, 8, "WEBP"),
	M(ICO, 0, "\0\0\x01\0"),
	M(ICO, 0, "\0\0\x02\0"),
	M(PSD, 0, "8BPS"),
	M(EMF, 40, " EMF"),
	M(EMF, 0, "\xd7\xcd\xc6\x9a"),
	M(HEIC, 4, "ftyphei"),
	M(HEIC, 4, "ftypmif1"),
	M(HEIC, 4, "ftypavif"),
	M(MP4, 4, "ftyp"),
	M(MP3, 0, "ID3"),
	M(MP3, 0, "\xff\xfb"),
	M(RIFF, 0, "RIFF"),
	M(OGG, 0, "OggS"),
	M(MKV, 0, "\x1a\x45\xdf\xa3"),
	M(FLAC, 0, "fLaC"),
	M(SWF, 0, "FWS"),
	M(SWF, 0, "CWS"),
	M(SWF, 0, "ZWS"),
	M(TNEF, 0, "\x78\x9f\x3e\x22"),
	M(SQLITE, 0, "SQLite format 3"),
};

/* Texts, behind white space, without case; a tag ends behind its name. */
static const struct {
	enum filetype type;
	bool tag;
	struct str begin;
} texts[] = {
#define T(id, tag, text)                       \
	{                                      \
		FILETYPE_##id, tag,            \
		{                              \
			text, sizeof(text) - 1 \
		}                              \
	}
	T(URL, false, "[InternetShortcut]"),
	T(ICS, false, "BEGIN:VCALENDAR"),
	T(VCF, false, "BEGIN:VCARD"),
	T(PGP, false, "-----BEGIN PGP "),
	T(HTML, false, "<!doctype html"),
	T(SVG, false, "<!doctype svg"),
	T(SVG, true, "<svg"),
	T(WSF, true, "<job"),
	T(WSF, true, "<package"),
	T(HTML, true, "<html"),
	T(HTML, true, "<head"),
	T(HTML, true, "<body"),
	T(HTML, true, "<script"),
	T(HTML, true, "<meta"),
	T(HTML, true, "<title"),
	T(HTML, true, "<table"),
	T(HTML, true, "<iframe"),
	T(HTML, true, "<div"),
	T(HTML, true, "<hta:application"),
};

static bool
has_at(struct str s, size_t at, struct str bytes)
{
	return s.n >= at + bytes.n && memcmp(s.p + at, bytes.p, bytes.n) == 0;
}

/* "MZ" alone could be text; a header of it never is. */
static bool
is_exe(struct str s)
{
	return (str_starts(s, STR("MZ")) || str_starts(s, STR("ZM"))) &&
	    s.n >= 28 && memchr(s.p, '\0', s.n < 64 ? s.n : 64) != NULL;
}

/* Java and Apple chose the same number; behind it Java has its version, of
 * 45 and more, Apple a count of processors. */
static enum filetype
cafebabe(struct str s)
{
	if (s.n < 8 || memcmp(s.p, "\xca\xfe\xba\xbe", 4) != 0)
		return FILETYPE_NONE;
	return s.p[6] == 0 && (unsigned char)s.p[7] < 40 ? FILETYPE_MACHO :
							   FILETYPE_JAVA;
}

/* Readers take a PDF that begins anywhere in its first kilobyte. */
static bool
is_pdf(struct str s)
{
	return str_find(str_sub(s, 0, TEXT_LOOK), STR("%PDF-")) >= 0;
}

static bool
is_bmp(struct str s)
{
	return str_starts(s, STR("BM")) && has_at(s, 6, STR("\0\0\0\0"));
}

/* A boot sector, or a partition table with one behind it. */
static bool
is_img(struct str s)
{
	return has_at(s, 510, STR("\x55\xaa")) &&
	    (has_at(s, 54, STR("FAT1")) || has_at(s, 82, STR("FAT32")) ||
		has_at(s, 3, STR("NTFS")) || has_at(s, 3, STR("EXFAT")) ||
		has_at(s, 512, STR("EFI PART")) ||
		((s.p[446] & 0x7f) == 0 && s.p[450] != 0 && s.n > 512));
}

static enum filetype
by_end(struct str s)
{
	if (s.n >= 512 && has_at(s, s.n - 512, STR("koly")))
		return FILETYPE_DMG;
	if (s.n >= 512 && has_at(s, s.n - 512, STR("conectix")))
		return FILETYPE_VHD;
	return FILETYPE_NONE;
}

/* UTF-16 with its mark, as far as it is ASCII. */
static struct str
narrow(struct str s, char out[TEXT_LOOK])
{
	size_t low = str_starts(s, STR("\xff\xfe")) ? 0 : 1, n = 0;

	if (low == 1 && !str_starts(s, STR("\xfe\xff")))
		return str_sub(str_trim(str_sub(s,
				   str_starts(s, STR("\xef\xbb\xbf")) ? 3 : 0,
				   s.n)),
		    0, TEXT_LOOK);
	for (size_t i = 2; i + 1 < s.n && n < TEXT_LOOK; i += 2)
		out[n++] = s.p[i + low];
	return (struct str){ out, n };
}

/* Past what may stand before the first element. */
static struct str
skip_prolog(struct str s, bool *xml)
{
	ptrdiff_t end;

	for (s = str_trim(s);; s = str_trim(str_sub(s, end, s.n))) {
		if (str_istarts(s, STR("<?xml"))) {
			*xml = true;
			end = str_find(s, STR("?>")) + 2;
		} else if (str_starts(s, STR("<!--"))) {
			end = str_find(s, STR("-->")) + 3;
		} else
			return s;
		if (end < 4)
			return s;
	}
}

static enum filetype
by_text(struct str s)
{
	char wide[TEXT_LOOK];
	bool xml = false;
	struct str t = skip_prolog(narrow(s, wide), &xml);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t n = texts[i].begin.n;

		if (!str_istarts(t, texts[i].begin) ||
		    (texts[i].tag && n < t.n &&
			chr_alnum((unsigned char)t.p[n])))
			continue;
		return texts[i].type;
	}
	return xml ? FILETYPE_XML : FILETYPE_NONE;
}

enum filetype
filetype_of(struct str s)
{
	enum filetype t = cafebabe(s);

	if (is_exe(s))
		return FILETYPE_EXE;
	if (t != FILETYPE_NONE)
		return t;
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
		if (has_at(s, magics[i].at, magics[i].bytes))
			return magics[i].type;
	if (is_bmp(s))
		return FILETYPE_BMP;
	if (is_img(s))
		return FILETYPE_IMG;
	if (is_pdf(s))
		return FILETYPE_PDF;
	t = by_end(s);
	return t != FILETYPE_NONE ? t : by_text(s);
}

const char *
filetype_word(enum filetype type)
{
	return types[type].word;
}

bool
filetype_is_archive(enum filetype type)
{
	return (types[type].families & (FAMILY_ARCHIVE | FAMILY_DISK)) != 0;
}

/* --- what a name and a media type promise ------------------------------ */

#define OFFICE_FILE (FAMILY_OFFICE | FAMILY_TEXT)

/* Extensions that say what is in a file; the families it may be of. */
static const struct promise {
	const char *word;
	unsigned int families;
} extensions[] = {
	{ "7z", FAMILY_ARCHIVE },
	{ "ace", FAMILY_ARCHIVE },
	{ "arj", FAMILY_ARCHIVE },
	{ "avi", FAMILY_MEDIA },
	{ "bmp", FAMILY_IMAGE },
	{ "bz2", FAMILY_ARCHIVE },
	{ "cab", FAMILY_ARCHIVE },
	{ "csv", FAMILY_TEXT },
	{ "doc", OFFICE_FILE },
	{ "docm", OFFICE_FILE },
	{ "docx", OFFICE_FILE },
	{ "gif", FAMILY_IMAGE },
	{ "gz", FAMILY_ARCHIVE },
	{ "heic", FAMILY_IMAGE },
	{ "htm", FAMILY_TEXT },
	{ "html", FAMILY_TEXT },
	{ "ics", FAMILY_TEXT },
	{ "img", FAMILY_DISK },
	{ "iso", FAMILY_DISK },
	{ "jpeg", FAMILY_IMAGE },
	{ "jpg", FAMILY_IMAGE },
	{ "lz", FAMILY_ARCHIVE },
	{ "lzh", FAMILY_ARCHIVE },
	{ "mov", FAMILY_MEDIA },
	{ "mp3", FAMILY_MEDIA },
	{ "mp4", FAMILY_MEDIA },
	{ "odp", OFFICE_FILE },
	{ "ods", OFFICE_FILE },
	{ "odt", OFFICE_FILE },
	{ "one", FAMILY_OFFICE },
	{ "pdf", FAMILY_PAGE },
	{ "png", FAMILY_IMAGE },
	{ "ppt", OFFICE_FILE },
	{ "pptm", OFFICE_FILE },
	{ "pptx", OFFICE_FILE },
	{ "rar", FAMILY_ARCHIVE },
	{ "rtf", OFFICE_FILE },
	{ "svg", FAMILY_TEXT },
	{ "tar", FAMILY_ARCHIVE },
	{ "tgz", FAMILY_ARCHIVE },
	{ "tif", FAMILY_IMAGE },
	{ "tiff", FAMILY_IMAGE },
	{ "txt", FAMILY_TEXT },
	{ "vcf", FAMILY_TEXT },
	{ "vhd", FAMILY_DISK },
	{ "vhdx", FAMILY_DISK },
	{ "wav", FAMILY_MEDIA },
	{ "webp", FAMILY_IMAGE },
	{ "wim", FAMILY_ARCHIVE },
	{ "xls", OFFICE_FILE },
	{ "xlsb", OFFICE_FILE },
	{ "xlsm", OFFICE_FILE },
	{ "xlsx", OFFICE_FILE },
	{ "xml", FAMILY_TEXT },
	{ "xz", FAMILY_ARCHIVE },
	{ "z", FAMILY_ARCHIVE },
	/* Many formats are ZIP archives, and some are sent under that name. */
	{ "zip", FAMILY_ARCHIVE | FAMILY_OFFICE },
	{ "zst", FAMILY_ARCHIVE },
};

/* Beginnings of media types. */
static const struct promise media[] = {
	{ "image/svg", FAMILY_IMAGE | FAMILY_TEXT },
	{ "image/", FAMILY_IMAGE },
	{ "audio/", FAMILY_MEDIA },
	{ "video/", FAMILY_MEDIA },
	{ "application/pdf", FAMILY_PAGE },
	{ "text/",
	    ~(unsigned int)(FAMILY_PROGRAM | FAMILY_SHORTCUT | FAMILY_ARCHIVE |
		FAMILY_DISK) },
};

/* 0: says nothing. */
static unsigned int
promised_by_name(struct str name)
{
	ptrdiff_t dot = str_rchr(name, '.');
	struct str ext = str_trim(str_sub(name, dot + 1, name.n));

	for (size_t i = 0;
	     dot >= 0 && i < sizeof(extensions) / sizeof(extensions[0]); i++)
		if (str_ieq(ext, str_of(extensions[i].word)))
			return extensions[i].families;
	return 0;
}

static unsigned int
promised_by_type(struct str type)
{
	for (size_t i = 0; i < sizeof(media) / sizeof(media[0]); i++)
		if (str_istarts(type, str_of(media[i].word)))
			return media[i].families;
	return 0;
}

bool
filetype_names_archive(struct str name)
{
	return promised_by_name(name) == FAMILY_DISK ||
	    (promised_by_name(name) & FAMILY_ARCHIVE) != 0;
}

bool
filetype_mismatch(enum filetype type, struct str name, struct str media_type)
{
	unsigned int is = types[type].families;
	unsigned int by_name = promised_by_name(name);
	unsigned int by_type = promised_by_type(media_type);

	if (is == 0)
		return false;
	return (by_name != 0 && (by_name & is) == 0) ||
	    (by_type != 0 && (by_type & is) == 0);
}
