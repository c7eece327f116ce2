/*
 * filetype - what a file is, by its first bytes.
 *
 * A small table of what comes by mail and matters there: programs, scripts,
 * documents that can carry macros, archives, disk images, pictures.  What a
 * sender says of a file, its name and its declared media type, proves
 * nothing; filetype_mismatch() tells where that contradicts its bytes.
 *
 * Linear, no memory.  Values only; any thread.
 */
#ifndef MAIL_FILETYPE_H
#define MAIL_FILETYPE_H

#include <stdbool.h>

#include "base/str.h"

/* What a file may pass for; a type can belong to several. */
enum filetype_family {
	FAMILY_PROGRAM	= 1 << 0,
	FAMILY_SCRIPT	= 1 << 1,
	FAMILY_SHORTCUT	= 1 << 2,
	FAMILY_OFFICE	= 1 << 3,
	FAMILY_PAGE	= 1 << 4,	/* PDF, PostScript */
	FAMILY_ARCHIVE	= 1 << 5,
	FAMILY_DISK	= 1 << 6,
	FAMILY_IMAGE	= 1 << 7,
	FAMILY_MEDIA	= 1 << 8,
	FAMILY_TEXT	= 1 << 9,
	FAMILY_OTHER	= 1 << 10
};

/* id, word, families, what it is */
#define FILETYPES(X)							\
	X(EXE,	"exe",	PROGRAM,	"program of Windows or DOS")	\
	X(ELF,	"elf",	PROGRAM,	"program of Linux and others")	\
	X(MACHO, "macho", PROGRAM,	"program of macOS")		\
	X(JAVA,	"class", PROGRAM,	"Java class")			\
	X(JAR,	"jar",	PROGRAM,	"Java archive")			\
	X(APK,	"apk",	PROGRAM,	"Android package")		\
	X(DEX,	"dex",	PROGRAM,	"Android program")		\
	X(APPX,	"appx",	PROGRAM,	"Windows package")		\
	X(MSI,	"msi",	PROGRAM,	"Windows installer")		\
	X(CRX,	"crx",	PROGRAM,	"browser extension")		\
	X(DEB,	"deb",	PROGRAM,	"Debian package, or an ar archive") \
	X(RPM,	"rpm",	PROGRAM,	"RPM package")			\
	X(XAR,	"xar",	PROGRAM,	"macOS package")		\
	X(SCRIPT, "script", SCRIPT,	"begins with #!")		\
	X(WSF,	"wsf",	SCRIPT,		"Windows script file")		\
	X(REG,	"reg",	SCRIPT,		"Windows registry entries")	\
	X(LNK,	"lnk",	SHORTCUT,	"Windows shortcut")		\
	X(URL,	"url",	SHORTCUT,	"Internet shortcut")		\
	X(CHM,	"chm",	SHORTCUT,	"compiled HTML help")		\
	X(OLE,	"ole",	OFFICE,		"compound file: doc, xls, ppt, msg") \
	X(OOXML, "ooxml", OFFICE,	"docx, xlsx, pptx and their kin") \
	X(ODF,	"odf",	OFFICE,		"OpenDocument")			\
	X(RTF,	"rtf",	OFFICE,		"Rich Text")			\
	X(ONE,	"one",	OFFICE,		"OneNote section")		\
	X(MDB,	"mdb",	OFFICE,		"Access database")		\
	X(PDF,	"pdf",	PAGE,		"PDF")				\
	X(PS,	"ps",	PAGE,		"PostScript")			\
	X(ZIP,	"zip",	ARCHIVE,	"ZIP archive")			\
	X(SEVENZ, "7z",	ARCHIVE,	"7-Zip archive")		\
	X(RAR,	"rar",	ARCHIVE,	"RAR archive")			\
	X(GZ,	"gz",	ARCHIVE,	"gzip")				\
	X(BZ2,	"bz2",	ARCHIVE,	"bzip2")			\
	X(XZ,	"xz",	ARCHIVE,	"xz")				\
	X(ZST,	"zst",	ARCHIVE,	"Zstandard")			\
	X(LZ4,	"lz4",	ARCHIVE,	"LZ4")				\
	X(LZIP,	"lzip",	ARCHIVE,	"lzip")				\
	X(Z,	"z",	ARCHIVE,	"compress")			\
	X(CAB,	"cab",	ARCHIVE,	"Windows cabinet")		\
	X(ACE,	"ace",	ARCHIVE,	"ACE archive")			\
	X(ARJ,	"arj",	ARCHIVE,	"ARJ archive")			\
	X(LZH,	"lzh",	ARCHIVE,	"LHA archive")			\
	X(TAR,	"tar",	ARCHIVE,	"tar archive")			\
	X(WIM,	"wim",	ARCHIVE,	"Windows image")		\
	X(ISO,	"iso",	DISK,		"CD image")			\
	X(IMG,	"img",	DISK,		"FAT or NTFS image")		\
	X(VHD,	"vhd",	DISK,		"virtual disk, VHD")		\
	X(VHDX,	"vhdx",	DISK,		"virtual disk, VHDX")		\
	X(VMDK,	"vmdk",	DISK,		"virtual disk, VMDK")		\
	X(DMG,	"dmg",	DISK,		"macOS disk image")		\
	X(PNG,	"png",	IMAGE,		"PNG")				\
	X(JPEG,	"jpeg",	IMAGE,		"JPEG")				\
	X(GIF,	"gif",	IMAGE,		"GIF")				\
	X(BMP,	"bmp",	IMAGE,		"BMP")				\
	X(TIFF,	"tiff",	IMAGE,		"TIFF")				\
	X(WEBP,	"webp",	IMAGE,		"WebP")				\
	X(ICO,	"ico",	IMAGE,		"icon")				\
	X(HEIC,	"heic",	IMAGE,		"HEIC or AVIF")			\
	X(PSD,	"psd",	IMAGE,		"Photoshop")			\
	X(EMF,	"emf",	IMAGE,		"Windows metafile")		\
	X(SVG,	"svg",	IMAGE | FAMILY_TEXT, "SVG, which can carry scripts") \
	X(HTML,	"html",	TEXT,		"HTML")				\
	X(XML,	"xml",	TEXT,		"XML")				\
	X(ICS,	"ics",	TEXT,		"calendar")			\
	X(VCF,	"vcf",	TEXT,		"visiting card")		\
	X(PGP,	"pgp",	TEXT,		"OpenPGP, armored")		\
	X(MP3,	"mp3",	MEDIA,		"MP3")				\
	X(MP4,	"mp4",	MEDIA,		"MP4, QuickTime")		\
	X(RIFF,	"riff",	MEDIA,		"WAV or AVI")			\
	X(OGG,	"ogg",	MEDIA,		"Ogg")				\
	X(MKV,	"mkv",	MEDIA,		"Matroska, WebM")		\
	X(FLAC,	"flac",	MEDIA,		"FLAC")				\
	X(SWF,	"swf",	MEDIA,		"Flash")			\
	X(TNEF,	"tnef",	OTHER,		"winmail.dat")			\
	X(SQLITE, "sqlite", OTHER,	"SQLite database")

enum filetype {
	FILETYPE_NONE,		/* not known */
#define X(id, word, family, help) FILETYPE_##id,
	FILETYPES(X)
#undef X
	FILETYPE_COUNT
};

/* All words, NULL behind the last. */
extern const char *const filetype_words[];

/* Of the whole file: some kinds are known by their end. */
enum filetype	 filetype_of(struct str bytes);
const char	*filetype_word(enum filetype);		/* "" for NONE */
bool		 filetype_is_archive(enum filetype);
/* By its extension alone, ARCHIVE or DISK. */
bool		 filetype_names_archive(struct str name);
/* Its bytes are of a kind that its name or its media type would not have.
 * Where any of them says nothing, there is none. */
bool		 filetype_mismatch(enum filetype, struct str name,
		    struct str media_type);

#endif
