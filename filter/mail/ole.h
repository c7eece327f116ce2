/*
 * ole - what runs by itself in a compound file (doc, xls, ppt, msg, and the
 * vbaProject.bin of newer documents).
 *
 * Reads the directory of the file ([MS-CFB]) and names what it finds: "vba"
 * for a VBA project, "xlm" for a sheet of Excel 4 macros, and each procedure
 * that Office starts by itself, such as "autoopen", where the source of the
 * macros ([MS-OVBA]) can be read.
 *
 * All sectors and all streams are read at most once, up to caps; chains that
 * bite their tail end there.  A struct ole_findings is for all files of one
 * message, as its caps are.  Any thread, one message each.
 */
#ifndef MAIL_OLE_H
#define MAIL_OLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define OLE_MAX_STREAM	(1024 * 1024)	/* of it read */
/* Of all files of a message together: */
#define OLE_MAX_READ	(8 * 1024 * 1024)
#define OLE_MAX_SOURCE	(4 * 1024 * 1024)	/* of modules, unpacked */
#define OLE_MAX_ENTRIES	20000			/* of directories */

struct ole_findings {
	size_t		 read, unpacked, entries;	/* so far */
	bool		 cut;		/* a cap was met */
	/* Of the last file: */
	bool		 vba;
	bool		 xlm;
	bool		 installer;	/* it is a Windows installer */
	bool		 encrypted;
	bool		 broken;	/* no directory that could be read */
	unsigned int	 starts;	/* bits of ole_start_word() */
};

/* The findings begin as zeros. */
void		 ole_read(struct str bytes, struct ole_findings *);
/* The word for bit i of `starts', NULL past the last. */
const char	*ole_start_word(unsigned int i);

#endif
