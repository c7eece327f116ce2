/*
 * aside - a damaged database out of the way of a new one.
 *
 * aside_move("x.db") renames it to x.db.corrupt-20240131-100000 (UTC), and
 * x.db-wal and x.db-shm with it, so that whoever wants to rescue what is in
 * them finds them together.  Nothing that is there already is overwritten:
 * a second one of the same second has ".1" behind its name.  The file keeps
 * its mode and owner; a symbolic link stays, and what it points to is moved.
 * A file that does not begin as a database does, nor with zeros, is not moved:
 * somebody may have named it by mistake.
 * Nobody may have the database open.  Any thread.
 */
#ifndef SERVICE_ASIDE_H
#define SERVICE_ASIDE_H

#include "base/str.h"

/* The new name, to be freed; NULL with a text in *err: all is as it was. */
char	*aside_move(const char *path, struct buf *err);

#endif
