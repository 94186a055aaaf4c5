/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/digest.h"
#include "crypto/encode.h"
#include "crypto/id.h"
#include "crypto/key.h"
#include "crypto/secret.h"

static void sha256_gives_the_published_digests(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } rows[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_str text = mt_str_of(rows[i].text);
        struct mt_digest whole = mt_sha256(text);
        struct mt_digest back;
        struct mt_sha256 sha;
        char hex[MT_DIGEST_HEX + 1];

        mt_digest_hex(&whole, hex);
        assert_string_equal(hex, rows[i].hex);
        assert_true(mt_digest_from_hex(mt_str_of(hex), &back));
        assert_true(mt_digest_eq(&whole, &back));
        mt_sha256_begin(&sha);
        for (size_t at = 0; at < text.len; at += 5)
            mt_sha256_add(&sha, mt_str_sub(text, at, at + 5));
        back = mt_sha256_end(&sha);
        assert_true(mt_digest_eq(&whole, &back));
        back.at[31] ^= 1;
        assert_false(mt_digest_eq(&whole, &back));
    }
}

static void digest_from_hex_refuses_other_texts(void **state)
{
    (void)state;
    struct mt_digest digest = {{7}};
    char hex[MT_DIGEST_HEX + 2];

    memset(hex, 'a', sizeof hex);
    assert_false(mt_digest_from_hex((struct mt_str){hex, 63}, &digest));
    assert_false(mt_digest_from_hex((struct mt_str){hex, 65}, &digest));
    hex[10] = 'g';
    assert_false(mt_digest_from_hex((struct mt_str){hex, 64}, &digest));
    hex[10] = '\0';
    assert_false(mt_digest_from_hex((struct mt_str){hex, 64}, &digest));
    assert_false(mt_digest_from_hex(MT_STR(""), &digest));
    assert_int_equal(digest.at[0], 7);
}

static void checksum_sees_every_bit_and_the_seed(void **state)
{
    (void)state;
    char bytes[40] = {0};
    uint64_t sum = mt_checksum((struct mt_str){bytes, sizeof bytes}, 1);

    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] = (char)(1 << bit % 8);
        assert_true(mt_checksum((struct mt_str){bytes, sizeof bytes}, 1) != sum);
        bytes[bit / 8] = 0;
    }
    assert_true(mt_checksum((struct mt_str){bytes, sizeof bytes}, 2) != sum);
    assert_true(mt_checksum((struct mt_str){bytes, sizeof bytes}, 1) == sum);
    assert_true(mt_checksum((struct mt_str){NULL, 0}, 1) != sum);
}

static void base64_reads_what_it_writes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *standard, *url;
    } rows[] = {
        {"", 0, "", ""},
        {"f", 1, "Zg==", "Zg"},
        {"fo", 2, "Zm8=", "Zm8"},
        {"foo", 3, "Zm9v", "Zm9v"},
        {"foob", 4, "Zm9vYg==", "Zm9vYg"},
        {"fooba", 5, "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", 6, "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xbf\x00", 4, "+/+/AA==", "-_-_AA"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_buf text = MT_BUF_INIT(100);
        struct mt_buf back = MT_BUF_INIT(100);
        struct mt_str bytes = {rows[i].bytes, rows[i].len};

        mt_base64_add(&text, bytes, MT_BASE64_STANDARD);
        assert_string_equal(mt_buf_cstr(&text), rows[i].standard);
        assert_int_equal(mt_base64_decode(mt_buf_str(&text), MT_BASE64_STANDARD, &back, NULL),
                         MT_OK);
        assert_true(mt_str_eq(mt_buf_str(&back), bytes));
        mt_buf_clear(&text);
        mt_buf_clear(&back);
        mt_base64_add(&text, bytes, MT_BASE64_URL);
        assert_string_equal(mt_buf_cstr(&text), rows[i].url);
        assert_int_equal(mt_base64_decode(mt_buf_str(&text), MT_BASE64_URL, &back, NULL),
                         MT_OK);
        assert_true(mt_str_eq(mt_buf_str(&back), bytes));
        mt_buf_fini(&text);
        mt_buf_fini(&back);
    }
    assert_int_equal(mt_alloc_live, 0);
}

static void base64_refuses_malformed_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum mt_base64 alphabet;
        mt_rc rc;
    } rows[] = {
        {"Zg", MT_BASE64_STANDARD, MT_OK}, /* padding may be missing */
        {"Zg==", MT_BASE64_URL, MT_OK},
        {"Zg=", MT_BASE64_STANDARD, MT_E_INVALID},
        {"Z", MT_BASE64_STANDARD, MT_E_INVALID},
        {"Zm9vY", MT_BASE64_STANDARD, MT_E_INVALID},
        {"====", MT_BASE64_STANDARD, MT_E_INVALID},
        {"==", MT_BASE64_STANDARD, MT_E_INVALID},
        {"=", MT_BASE64_STANDARD, MT_E_INVALID},
        {"Z===", MT_BASE64_STANDARD, MT_E_INVALID},
        {"Zh==", MT_BASE64_STANDARD, MT_E_INVALID}, /* unused bits */
        {"Zm9=", MT_BASE64_STANDARD, MT_E_INVALID},
        {"Zm9v\n", MT_BASE64_STANDARD, MT_E_INVALID},
        {"Zm 9v", MT_BASE64_STANDARD, MT_E_INVALID},
        {"-_-_", MT_BASE64_STANDARD, MT_E_INVALID},
        {"+/+/", MT_BASE64_URL, MT_E_INVALID},
        {"Zm=v", MT_BASE64_STANDARD, MT_E_INVALID},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_buf out = MT_BUF_INIT(100);
        mt_buf_add_cstr(&out, "kept");
        mt_rc rc = mt_base64_decode(mt_str_of(rows[i].text), rows[i].alphabet, &out, NULL);
        mt_check_row(rows[i].text, rc == rows[i].rc);
        mt_check_row(rows[i].text, rc == MT_OK || strcmp(mt_buf_cstr(&out), "kept") == 0);
        mt_buf_fini(&out);
    }
}

static void hex_reads_what_it_writes_and_no_more(void **state)
{
    (void)state;
    struct mt_buf text = MT_BUF_INIT(100);
    struct mt_buf back = MT_BUF_INIT(4);
    struct mt_err err = {0};

    mt_hex_add(&text, (struct mt_str){"\x00\xff\x1a", 3});
    assert_string_equal(mt_buf_cstr(&text), "00ff1a");
    assert_int_equal(mt_hex_decode(MT_STR("00FF1a"), &back, NULL), MT_OK);
    assert_int_equal(back.len, 3);
    assert_int_equal(mt_hex_decode(MT_STR("0"), &back, &err), MT_E_INVALID);
    assert_int_equal(mt_hex_decode(MT_STR("0g"), &back, &err), MT_E_INVALID);
    assert_string_equal(err.text, "hexadecimal: no digit at position 1");
    assert_int_equal(back.len, 3);
    assert_int_equal(mt_hex_decode(MT_STR("0011"), &back, &err), MT_E_TOOBIG);
    mt_buf_fini(&text);
    mt_buf_fini(&back);
}

static void secret_is_replaced_viewed_and_ended(void **state)
{
    (void)state;
    struct mt_secret secret = {0};

    assert_true(mt_secret_is_empty(&secret));
    assert_int_equal(mt_secret_view(&secret).len, 0);
    assert_int_equal(mt_secret_set(&secret, MT_STR("first"), NULL), MT_OK);
    assert_int_equal(mt_secret_set(&secret, mt_str_sub(mt_secret_view(&secret), 1, 4), NULL),
                     MT_OK); /* from a view of itself */
    assert_true(mt_secret_eq(mt_secret_view(&secret), MT_STR("irs")));
    assert_false(mt_secret_eq(mt_secret_view(&secret), MT_STR("irx")));
    assert_false(mt_secret_eq(mt_secret_view(&secret), MT_STR("irs ")));
    assert_int_equal(mt_secret_view(&secret).at[3], '\0');
    mt_alloc_fail_after = 0;
    assert_int_equal(mt_secret_set(&secret, MT_STR("new"), NULL), MT_E_NOMEM);
    mt_alloc_fail_after = -1;
    assert_true(mt_secret_eq(mt_secret_view(&secret), MT_STR("irs")));
    assert_int_equal(mt_secret_set(&secret, (struct mt_str){"", MT_SECRET_MAX + 1}, NULL),
                     MT_E_TOOBIG);
    assert_int_equal(mt_secret_set(&secret, MT_STR(""), NULL), MT_OK);
    assert_true(mt_secret_is_empty(&secret));
    mt_secret_fini(&secret);
    assert_int_equal(mt_alloc_live, 0);
}

static void key_has_a_fixed_form_and_a_digest_at_rest(void **state)
{
    (void)state;
    uint8_t entropy[MT_KEY_ENTROPY];
    struct mt_secret key = {0};
    char stored[MT_KEY_STORED_LEN + 1];
    struct mt_digest digest;

    memset(entropy, 0xff, sizeof entropy);
    assert_int_equal(mt_key_make(entropy, &key, NULL), MT_OK);
    assert_true(mt_str_eq(mt_secret_view(&key),
                          MT_STR("mk-zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzg")));
    assert_int_equal(mt_secret_view(&key).len, MT_KEY_LEN);
    memset(entropy, 0, sizeof entropy);
    entropy[0] = 0x08; /* 00001 000 */
    entropy[31] = 1;
    assert_int_equal(mt_key_make(entropy, &key, NULL), MT_OK);
    assert_true(mt_str_eq(mt_secret_view(&key),
                          MT_STR("mk-100000000000000000000000000000000000000000000000000g")));
    mt_key_stored(mt_secret_view(&key), stored);
    assert_int_equal(mt_key_stored_parse(mt_str_of(stored), &digest, NULL), MT_OK);
    struct mt_digest asked = mt_key_digest(mt_secret_view(&key));
    assert_true(mt_digest_eq(&asked, &digest));
    stored[0] = 'S';
    assert_int_equal(mt_key_stored_parse(mt_str_of(stored), &digest, NULL), MT_E_INVALID);
    assert_int_equal(mt_key_stored_parse(MT_STR("sha256:abc"), &digest, NULL), MT_E_INVALID);
    mt_secret_fini(&key);
}

static void fill_with(void *arg, void *to, size_t n)
{
    memset(to, *(int *)arg, n);
}

static void ids_grow_whatever_the_clock_does(void **state)
{
    (void)state;
    static const int64_t clock[] = {0, 0, 5, 5, 5, 4, -3, 1000, 1, 281474976710655, INT64_MAX};
    int byte = 0xff;
    struct mt_id_gen gen;
    struct mt_id last = {{0}};

    mt_id_gen_init(&gen, fill_with, &byte);
    for (size_t i = 0; i < MT_ARRAY_LEN(clock) * 50; i++) {
        struct mt_id id = mt_id_next(&gen, clock[i / 50]);
        assert_true(mt_id_is_valid(mt_id_str(&id)));
        assert_true(strcmp(id.text, last.text) > 0);
        last = id;
    }
}

static void id_carries_its_time(void **state)
{
    (void)state;
    int byte = 0;
    struct mt_id_gen gen;

    mt_id_gen_init(&gen, fill_with, &byte);
    struct mt_id id = mt_id_next(&gen, 1469918176385);
    assert_string_equal(id.text, "01ARYZ6S410000000000000000");
    assert_int_equal(mt_id_wall_ms(mt_id_str(&id)), 1469918176385);
    struct mt_id floor = mt_id_floor(1469918176385);
    assert_true(strcmp(id.text, floor.text) >= 0);
    floor = mt_id_floor(1469918176386);
    assert_true(strcmp(id.text, floor.text) < 0);
    assert_false(mt_id_is_valid(MT_STR("81ARYZ6S410000000000000000")));
    assert_false(mt_id_is_valid(MT_STR("01ARYZ6S41000000000000000I")));
    assert_false(mt_id_is_valid(MT_STR("01ARYZ6S41000000000000000")));
    assert_false(mt_id_is_valid((struct mt_str){"01ARYZ6S4100000000000000\0", 26}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_published_digests),
        cmocka_unit_test(digest_from_hex_refuses_other_texts),
        cmocka_unit_test(checksum_sees_every_bit_and_the_seed),
        cmocka_unit_test(base64_reads_what_it_writes),
        cmocka_unit_test(base64_refuses_malformed_text),
        cmocka_unit_test(hex_reads_what_it_writes_and_no_more),
        cmocka_unit_test(secret_is_replaced_viewed_and_ended),
        cmocka_unit_test(key_has_a_fixed_form_and_a_digest_at_rest),
        cmocka_unit_test(ids_grow_whatever_the_clock_does),
        cmocka_unit_test(id_carries_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
