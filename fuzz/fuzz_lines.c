/* SPDX-License-Identifier: Apache-2.0 */
/* Any file is prompts and answers that fit into the context, or is refused with its line. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "data_file.h"
#include "train/vocab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CONTEXT = 128 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mt_data_file file = {0};
    struct mt_err err = {0};
    int32_t tokens[CONTEXT];
    char path[64];
    int fd = memfd_create("lines", MFD_CLOEXEC);

    MT_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (mt_data_file_read(path, CONTEXT, &file, &err) == MT_OK) {
        MT_ASSERT(file.pairs_n > 0);
        for (size_t i = 0; i < file.pairs_n; i++)
            MT_ASSERT(mt_vocab_prompt(file.pairs[i].prompt, tokens, CONTEXT) > 0);
    } else {
        MT_ASSERT(err.text[0] != '\0');
    }
    mt_data_file_fini(&file);
    (void)close(fd);
    return 0;
}
