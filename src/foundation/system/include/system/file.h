/* SPDX-License-Identifier: Apache-2.0 */
/* system/file.h - whole files, folders, and the lock that says a node is already here.
 *
 * Everything blocks: not for a loop. Any thread. */
#ifndef MT_SYSTEM_FILE_H
#define MT_SYSTEM_FILE_H

#include "base/buf.h"

/** Append the whole file to out.
 *  @return MT_OK, MT_E_NOTFOUND, MT_E_TOOBIG (over max bytes or out's maximum), MT_E_DENIED,
 *  MT_E_IO, MT_E_NOMEM; out keeps its old content on failure */
mt_rc mt_file_read(const char *path, size_t max, struct mt_buf *out, struct mt_err *err);

/** Replace or create: readers and a crash at any point see the old content or the new. Written
 *  beside it, synced, renamed, the folder synced.
 *  @param mode permission bits of the new file, e.g. 0600
 *  @return MT_OK, MT_E_DENIED, MT_E_NOTFOUND (no such folder), MT_E_IO ("disk full") */
mt_rc mt_file_write(const char *path, struct mt_str content, unsigned mode, struct mt_err *err);

/** Give a file that somebody else wrote, complete, its name: sync, rename within one disk, sync
 *  the folder. Links are refused.
 *  @return MT_OK, MT_E_NOTFOUND, MT_E_DENIED, MT_E_IO, MT_E_NOMEM */
mt_rc mt_file_publish(const char *from, const char *path, unsigned mode, struct mt_err *err);

/** A large file on its way: written in pieces to "PATH.part", which takes PATH's place when it
 *  is published. What a crash left there the next draft writes over. */
struct mt_draft;

/** @return MT_OK, MT_E_BUSY (somebody else drafts the same file), MT_E_DENIED, MT_E_NOTFOUND
 *  (no such folder), MT_E_IO, MT_E_NOMEM */
mt_rc mt_draft_new(const char *path, unsigned mode, struct mt_draft **out, struct mt_err *err);

/** @return MT_OK, MT_E_IO ("disk full"), MT_E_TOOBIG (of the process's limit) */
mt_rc mt_draft_add(struct mt_draft *draft, struct mt_str piece, struct mt_err *err);

/** Sync, rename, sync the folder; once, after which only free is allowed. */
mt_rc mt_draft_publish(struct mt_draft *draft, struct mt_err *err);

/** Free, and remove what was not published; NULL is allowed. */
void mt_draft_free(struct mt_draft *draft);

/** Make a folder and those above it, with mode 0700; one that is there is fine.
 *  @return MT_OK, MT_E_DENIED, MT_E_EXISTS (something else has the name), MT_E_IO */
mt_rc mt_dir_make(const char *path, struct mt_err *err);

/** Sync a folder's entries to disk. */
mt_rc mt_dir_sync(const char *path, struct mt_err *err);

bool mt_file_exists(const char *path);

/** Remove; a file that is not there is fine. */
mt_rc mt_file_remove(const char *path, struct mt_err *err);

/** What errno means: MT_E_NOTFOUND, MT_E_DENIED, MT_E_EXISTS, MT_E_NOMEM, MT_E_TOOBIG or
 * MT_E_IO. */
mt_rc mt_rc_of_errno(int sys_errno);

/** For MT_CLEANUP on a descriptor; -1 is none. */
void mt_fd_closep(int *fd);

/** A lock on a file, held until freed or the process ends, however it ends. The file keeps one
 *  line of text about the holder. */
struct mt_lock;

/** @param note kept in the file for whoever comes second, e.g. "pid 12 http://127.0.0.1:7700"
 *  @return MT_OK, MT_E_BUSY (held elsewhere; the text ends with the holder's note), MT_E_IO,
 *  MT_E_DENIED, MT_E_NOMEM */
mt_rc mt_lock_take(const char *path, struct mt_str note, struct mt_lock **out,
                   struct mt_err *err);

/** Replace the note of a lock that is held. */
mt_rc mt_lock_note(struct mt_lock *lock, struct mt_str note, struct mt_err *err);

/** Free and unlock; NULL is allowed. The file stays, empty. */
void mt_lock_free(struct mt_lock *lock);

/** Is it held by some process now? Its note, when it is, is appended to note (may be NULL). */
bool mt_lock_is_held(const char *path, struct mt_buf *note);

/** Where motet keeps things. $MOTET_HOME puts all three below one folder; else
 *  $XDG_CONFIG_HOME, $XDG_DATA_HOME, $XDG_RUNTIME_DIR and their defaults below $HOME decide.
 *  Relative values are ignored, as the specification asks. Nothing is created. */
struct mt_dirs {
    char *config;  /* owned; motet.yaml */
    char *data;    /* owned; journal, usage database, models */
    char *runtime; /* owned; lock, sockets */
};

/** @return MT_OK, MT_E_NOTFOUND (no $HOME either), MT_E_NOMEM */
mt_rc mt_dirs_find(struct mt_dirs *out, struct mt_err *err);
void mt_dirs_fini(struct mt_dirs *dirs);

/** Owned "folder/name"; NULL when out of memory. */
char *mt_path_join(const char *dir, const char *name);

#endif
