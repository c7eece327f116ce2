/*
 * inspect - what an attachment is, whatever its sender calls it.
 *
 * Fills in what policies ask about a file: its type by content, the names in
 * an archive, what is encrypted, macros, and where name and content do not
 * agree.  One struct inspect is for all files of a message, as the caps of
 * mail/archive.h and mail/ole.h are.
 *
 * Findings live in the arena and in the struct content.  One thread at a
 * time.
 */
#ifndef MAIL_INSPECT_H
#define MAIL_INSPECT_H

#include "mail/archive.h"
#include "mail/body.h"
#include "mail/ole.h"

struct inspect {
	struct arena	*arena;
	struct content	*content;
	struct archive	 archive;
	struct ole_findings ole;
	bool		 encrypted;	/* a document in this attachment */
	unsigned int	 told;		/* macro words that are listed */
	struct note	**encrypted_tail, **macros_tail, **mismatches_tail;
	bool		 full;		/* the arena is */
};

void	inspect_init(struct inspect *, struct arena *, struct content *);
/* Its decoded bytes, which are needed for the call alone. */
void	inspect_file(struct inspect *, struct attachment *, struct str bytes);
/* What was found goes into the content; false: the arena was full. */
bool	inspect_end(struct inspect *);

#endif
