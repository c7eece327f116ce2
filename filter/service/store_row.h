/*
 * store_row - cells of store_memory on their way to the disk and back.
 *
 * Any thread; every function takes the shard's lock for itself.
 */
#ifndef SERVICE_STORE_ROW_H
#define SERVICE_STORE_ROW_H

#include "service/members.h"
#include "service/slots.h"
#include "service/store_memory.h"

/* A cell as it goes to disk and comes back. */
struct store_row {
	enum store_kind	 kind;
	bool		 heir;		/* the row had another's members */
	int64_t		 id;		/* 0: never saved */
	struct str	 space;		/* limit, or the note's space */
	struct str	 key;
	int64_t		 expires_ms;	/* from then on worth nothing */
	int64_t		 window_ms;	/* counters */
	int64_t		 head;
	size_t		 nslots;
	uint64_t	 slots[SLOTS_MAX];
	/* Counters of members: what changed, or all of it.  From
	 * store_row_read() it is the reader's to store_row_free(). */
	bool		 distinct, all_members;
	size_t		 nmembers;
	struct member_row *members;
	size_t		 nvalue;	/* notes */
	char		 value[STORE_VALUE_MAX];
};

/*
 * For the journal's writer.  A cell that was heard of is held, perhaps read
 * (the row's texts point into the cell), and then saved or unsaved.
 */
void		 store_row_hold(struct store_memory *, struct store_cell *);
void		 store_row_read(struct store_memory *, struct store_cell *,
		    struct store_row *);	/* holds as well */
void		 store_row_free(struct store_row *);
/* id is what the cell shall be called on disk from now on. */
void		 store_row_saved(struct store_memory *, struct store_cell *,
		    int64_t id);
/* Saving failed: the journal hears of the cell again. */
void		 store_row_unsaved(struct store_memory *,
		    struct store_cell *);
/* The journal hears of every cell, its id forgotten: for an empty file. */
void		 store_row_resave(struct store_memory *);
/* The same for what members are hashed with. */
void		 store_row_secret(struct store_memory *, uint64_t secret[2],
		    bool load);
/* Takes a row from disk; false: it makes no sense.  *twice: the key is there
 * already; both are added up, and this row should go. */
bool		 store_row_load(struct store_memory *,
		    const struct store_row *, bool *twice);

#endif
