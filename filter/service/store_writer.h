/*
 * store_writer - changed cells are saved in groups.
 *
 * store_writer_changed() is a store_journal's function: it queues a cell.
 * Whoever waits first takes all that is queued, has it saved by the backend,
 * and wakes those it was for and one that saves next; meanwhile the next group
 * gathers.  Where several wait, he first lets those come who are about to: a
 * group costs more than a row.  What nobody waits for is saved by a thread,
 * within 20 ms or so.  When saving fails the
 * cells go back to the queue, everybody who waits is told STORE_DOWN, and
 * that thread tries again after a while that grows up to 5 s.
 *
 * After a group that took long, the thread alone saves, so that who waits
 * waits 5 s and no longer; then the store is down until the disk answers.
 * Only the one that was saving when the disk began to hang waits with it.
 *
 * Lock order: a shard of store_memory, then the queue.  The backend's
 * functions are called without a lock.
 */
#ifndef SERVICE_STORE_WRITER_H
#define SERVICE_STORE_WRITER_H

#include "service/store_backend.h"
#include "service/store_memory.h"

struct store_writer;

struct store_writer_ops {
	/* Saves all of them or none (they are queued again then, and *why
	 * says what failed).  With n == 0 it tries whether saving works. */
	bool		 (*save)(void *, struct store_cell **, size_t n,
			    struct buf *why);
	/* After a group, and about once a second: what nobody waits for. */
	void		 (*tidy)(void *);
};

struct store_writer *store_writer_new(const struct store_writer_ops *,
		    void *arg, struct store_health *);
void		 store_writer_changed(void *, struct store_cell *);
bool		 store_writer_start(struct store_writer *);
/* Until all that was changed before is on disk; 5 s at most. */
enum store_result store_writer_wait(struct store_writer *);
uint64_t	 store_writer_pending(struct store_writer *);
/* Calls it while nobody saves or tidies. */
void		 store_writer_alone(struct store_writer *, void (*)(void *),
		    void *arg);
/* Saves what is queued, if that works, and ends the thread. */
void		 store_writer_free(struct store_writer **);

#endif
