/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is a configuration or is refused with words; one that is taken can be shown, and
 * what is shown is never longer than it may be. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SHOWN_MAX = 4 << 20 };

static void show(const struct mt_config *config, enum mt_config_format format)
{
    struct mt_buf out = MT_BUF_INIT(SHOWN_MAX);
    struct mt_err err = {0};
    mt_rc rc = mt_config_show(config, format, true, &out, &err);

    MT_ASSERT(rc == MT_OK || rc == MT_E_TOOBIG);
    mt_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *const environment[] = {NULL};
    const struct mt_config *config = NULL;
    struct mt_err err = {0};
    char path[64];
    int fd = memfd_create("yaml", MFD_CLOEXEC);

    MT_ASSERT(fd >= 0 && setenv("HOME", "/nonexistent", 1) == 0);
    MT_ASSERT(write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (mt_config_load(path, environment, NULL, 0, &config, &err) == MT_OK) {
        show(config, MT_CONFIG_YAML);
        show(config, MT_CONFIG_JSON);
        mt_config_unref(config);
    } else {
        MT_ASSERT(err.text[0] != '\0');
    }
    (void)close(fd);
    return 0;
}
