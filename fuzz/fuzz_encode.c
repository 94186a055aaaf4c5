/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that carry bytes: what is accepted is written back to the same text. */
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "crypto/encode.h"
#include "crypto/id.h"
#include "crypto/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mt_str without_padding(struct mt_str text)
{
    while (text.len > 0 && text.at[text.len - 1] == '=')
        text.len--;
    return text;
}

static void check_base64(struct mt_str text, enum mt_base64 alphabet)
{
    struct mt_buf bytes = MT_BUF_INIT(1 << 20);
    struct mt_buf again = MT_BUF_INIT(1 << 21);

    if (mt_base64_decode(text, alphabet, &bytes, NULL) == MT_OK) {
        mt_base64_add(&again, mt_buf_str(&bytes), alphabet);
        MT_ASSERT(mt_str_eq(without_padding(mt_buf_str(&again)), without_padding(text)));
    } else {
        MT_ASSERT(bytes.len == 0);
    }
    mt_buf_fini(&bytes);
    mt_buf_fini(&again);
}

static void check_hex(struct mt_str text)
{
    struct mt_buf bytes = MT_BUF_INIT(1 << 20);
    struct mt_buf again = MT_BUF_INIT(1 << 21);

    if (mt_hex_decode(text, &bytes, NULL) == MT_OK) {
        mt_hex_add(&again, mt_buf_str(&bytes));
        MT_ASSERT(mt_str_ieq(mt_buf_str(&again), text));
    }
    mt_buf_fini(&bytes);
    mt_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mt_str text = {(const char *)data, size};
    struct mt_digest digest;

    check_base64(text, MT_BASE64_STANDARD);
    check_base64(text, MT_BASE64_URL);
    check_hex(text);
    if (mt_id_is_valid(text)) {
        struct mt_id floor = mt_id_floor(mt_id_wall_ms(text));
        MT_ASSERT(memcmp(floor.text, data, 10) == 0);
    }
    (void)mt_key_stored_parse(text, &digest, NULL);
    return 0;
}
