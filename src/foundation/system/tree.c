/* SPDX-License-Identifier: Apache-2.0 */
#include "system/tree.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/file.h"

enum { OPEN_MAX_N = 16 };

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

mt_rc mt_tree_remove(const char *path, struct mt_err *err)
{
    if (nftw(path, remove_one, OPEN_MAX_N, FTW_PHYS | FTW_DEPTH) == 0 || errno == ENOENT)
        return MT_OK;
    return MT_FAIL_SYS(err, mt_rc_of_errno(errno), errno, "remove folder '%s'", path);
}

static _Thread_local int64_t bytes_seen; /* nftw hands nothing through */

static int count_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)path;
    (void)where;
    if (kind == FTW_F)
        bytes_seen += (int64_t)info->st_blocks * 512;
    return 0;
}

int64_t mt_tree_bytes(const char *path)
{
    bytes_seen = 0;
    (void)nftw(path, count_one, OPEN_MAX_N, FTW_PHYS);
    return bytes_seen;
}
