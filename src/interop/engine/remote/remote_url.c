/* SPDX-License-Identifier: Apache-2.0 */
#include "base/attr.h"
#include "base/buf.h"
#include "engine/remote.h"

void mt_remote_url(struct mt_str base, struct mt_str path, struct mt_buf *out)
{
    static const struct mt_str versions[] = {MT_STR_INIT("/v1"), MT_STR_INIT("/v1beta"),
                                             MT_STR_INIT("/api")};

    while (base.len > 0 && base.at[base.len - 1] == '/')
        base.len--;
    for (size_t i = 0; i < MT_ARRAY_LEN(versions); i++) {
        struct mt_str version = versions[i];
        if (mt_str_ends(base, version) && mt_str_starts(path, version) &&
            path.len > version.len && path.at[version.len] == '/') {
            base.len -= version.len;
            break;
        }
    }
    mt_buf_add(out, base);
    mt_buf_add(out, path);
}
