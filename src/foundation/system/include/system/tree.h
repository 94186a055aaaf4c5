/* SPDX-License-Identifier: Apache-2.0 */
/* system/tree.h - a folder with all that is in it. Links are not followed. Blocks. Any thread.
 */
#ifndef MT_SYSTEM_TREE_H
#define MT_SYSTEM_TREE_H

#include <stdint.h>

#include "base/err.h"

/** Remove; one that is not there is fine.
 *  @return MT_OK, MT_E_DENIED, MT_E_IO; what could be removed is gone */
mt_rc mt_tree_remove(const char *path, struct mt_err *err);

/** Bytes that its files have on the disk. What goes away while it is looked at does not count;
 *  0 when it is not there. */
int64_t mt_tree_bytes(const char *path);

#endif
