/* SPDX-License-Identifier: Apache-2.0 */
/* Damage of every kind: whatever is found in the file, opening works, every record that is
 * whole comes back in its order, and what is not is counted. */
#include "ledger_support.h"

#include <fcntl.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "journal_priv.h"
#include "system/env.h"
#include "system/file.h"

enum { AREA = 128 * 1024, RECORDS = 5, FILE_MAX = 1024 * 1024 };

static struct mt_journal *open_journal(const char *name)
{
    struct mt_journal *journal = NULL;
    struct mt_err err = {0};

    if (mt_journal__open(in_test_dir(name), AREA, &journal, &err) != MT_OK)
        fail_msg("%s", err.text);
    return journal;
}

static struct mt_journal *open_empty(void)
{
    struct mt_journal *journal = open_journal("ledger.journal");

    assert_int_equal(mt_journal__restart(journal, 0, NULL), MT_OK);
    return journal;
}

/* A record whose body tells its number, of a length that differs. */
static mt_rc append_numbered(struct mt_journal *journal, int number)
{
    char body[256];
    uint64_t seq;

    memset(body, 'a' + number % 26, sizeof body);
    snprintf(body, sizeof body, "%d", number);
    struct mt_journal_new record = {.kind = MT_JOURNAL_SETTLED,
                                    .body = {body, 20 + (size_t)number % 200}};
    return mt_journal__append(journal, &record, &seq, NULL);
}

/* The numbers found, as bits; they must come in order. */
static unsigned found_in(struct mt_journal *journal, uint64_t *damaged)
{
    struct mt_journal_cursor cursor = mt_journal__recover(journal);
    struct mt_journal_record record;
    unsigned found = 0;
    int last = -1;

    while (mt_journal__next(journal, &cursor, &record)) {
        int number = atoi(record.body.at);
        assert_true(number > last && number < 32);
        found |= 1u << number;
        last = number;
    }
    *damaged = cursor.damaged;
    return found;
}

static void write_journal(const char *name, const struct mt_buf *bytes, size_t n)
{
    FILE *out = fopen(in_test_dir(name), "wb");

    assert_non_null(out);
    assert_int_equal(fwrite(bytes->at, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

/* A file with RECORDS records, their end, and the bytes of it. */
static size_t make_file(struct mt_buf *bytes)
{
    struct mt_journal *journal = open_empty();

    for (int i = 0; i < RECORDS; i++)
        assert_int_equal(append_numbered(journal, i), MT_OK);
    size_t n = (size_t)mt_journal__state(journal).backlog_bytes;
    mt_journal__close(journal);
    assert_int_equal(mt_file_read(in_test_dir("ledger.journal"), FILE_MAX, bytes, NULL), MT_OK);
    return 4096 + n;
}

static void a_damaged_byte_costs_at_most_its_record(void **state)
{
    (void)state;
    struct mt_buf bytes = MT_BUF_INIT(FILE_MAX);
    size_t end = make_file(&bytes);
    const unsigned all = (1u << RECORDS) - 1;

    for (size_t at = 4096; at < end; at++) {
        uint64_t damaged;
        bytes.at[at] ^= 0x21;
        write_journal("copy.journal", &bytes, bytes.len);
        struct mt_journal *journal = open_journal("copy.journal");
        unsigned found = found_in(journal, &damaged);
        unsigned lost = all & ~found;
        assert_true((found & ~all) == 0 && (lost & (lost - 1)) == 0); /* one at most */
        assert_true(lost == 0 || lost == 1u << (RECORDS - 1) || damaged > 0);
        assert_int_equal(mt_journal__restart(journal, 100, NULL), MT_OK);
        mt_journal__close(journal);
        bytes.at[at] ^= 0x21;
    }
    mt_buf_fini(&bytes);
}

/* Bytes, runs of zeros and moved blocks, anywhere in the file. */
static void damage(struct mt_env_sim *chance, struct mt_buf *bytes, size_t end)
{
    for (uint64_t n = 1 + mt_env_sim_below(chance, 12); n > 0; n--) {
        size_t at = mt_env_sim_below(chance, end);
        size_t from = mt_env_sim_below(chance, end) / 64 * 64;
        size_t run = 1 + mt_env_sim_below(chance, 200);
        switch (mt_env_sim_below(chance, 3)) {
        case 0:
            bytes->at[at] = (char)mt_env_sim_below(chance, 256);
            break;
        case 1:
            memset(bytes->at + at, 0, run);
            break;
        default:
            memmove(bytes->at + at / 64 * 64, bytes->at + from, run);
            break;
        }
    }
}

static void no_damage_makes_opening_fail(void **state)
{
    (void)state;
    struct mt_buf bytes = MT_BUF_INIT(FILE_MAX);
    size_t end = make_file(&bytes);
    struct mt_buf copy = MT_BUF_INIT(FILE_MAX);
    struct mt_env_sim chance;

    mt_env_sim_init(&chance, 9);
    for (int i = 0; i < 300; i++) {
        uint64_t damaged;
        mt_buf_clear(&copy);
        mt_buf_add(&copy, mt_buf_str(&bytes));
        damage(&chance, &copy, end);
        write_journal("copy.journal", &copy, copy.len);
        struct mt_journal *journal = open_journal("copy.journal");
        assert_true(found_in(journal, &damaged) < 1u << RECORDS);
        assert_int_equal(mt_journal__restart(journal, 100, NULL), MT_OK);
        assert_int_equal(append_numbered(journal, 3), MT_OK);
        mt_journal__close(journal);
        journal = open_journal("copy.journal");
        assert_int_equal(found_in(journal, &damaged), 1u << 3);
        mt_journal__close(journal);
    }
    mt_buf_fini(&copy);
    mt_buf_fini(&bytes);
}

static void a_second_process_is_told_busy(void **state)
{
    (void)state;
    struct mt_journal *journal = open_journal("ledger.journal");
    struct mt_journal *second = NULL;

    assert_int_equal(mt_journal__open(in_test_dir("ledger.journal"), AREA, &second, NULL),
                     MT_E_BUSY);
    assert_null(second);
    mt_journal__close(journal);
}

static void a_file_cut_anywhere_keeps_what_is_whole(void **state)
{
    (void)state;
    struct mt_buf bytes = MT_BUF_INIT(FILE_MAX);
    size_t end = make_file(&bytes);
    unsigned last = 0;

    for (size_t n = 0; n <= end; n++) {
        uint64_t damaged;
        if (n > 100 && n < 4090)
            continue; /* zeros */
        write_journal("copy.journal", &bytes, n);
        struct mt_journal *journal = open_journal("copy.journal");
        unsigned found = found_in(journal, &damaged);
        assert_true((found & (found + 1)) == 0); /* the first ones */
        assert_true(found >= last);
        last = found;
        mt_journal__close(journal);
    }
    assert_int_equal(last, (1u << RECORDS) - 1);
    mt_buf_fini(&bytes);
}

static void a_damaged_head_loses_nothing(void **state)
{
    (void)state;
    struct mt_buf bytes = MT_BUF_INIT(FILE_MAX);
    uint64_t damaged;

    (void)make_file(&bytes);
    memset(bytes.at, 'x', 4096);
    write_journal("copy.journal", &bytes, bytes.len);
    struct mt_journal *journal = open_journal("copy.journal");
    assert_int_equal(found_in(journal, &damaged), (1u << RECORDS) - 1);
    assert_int_equal(mt_journal__restart(journal, 100, NULL), MT_OK);
    assert_int_equal(append_numbered(journal, 1), MT_OK);
    mt_journal__close(journal);
    journal = open_journal("copy.journal");
    assert_int_equal(found_in(journal, &damaged), 2); /* what was given up stays so */
    mt_journal__close(journal);
    mt_buf_fini(&bytes);
}

static void a_full_ring_refuses_until_it_is_drained_and_synced(void **state)
{
    (void)state;
    struct mt_journal *journal = open_empty();
    uint64_t synced;

    for (int lap = 0; lap < 20; lap++) {
        int n = 0;
        while (append_numbered(journal, n) == MT_OK)
            n++;
        assert_true(n > 100);
        struct mt_journal_cursor cursor = mt_journal__pending(journal);
        struct mt_journal_record record;
        for (int i = 0; i < n; i++) {
            assert_true(mt_journal__next(journal, &cursor, &record));
            assert_int_equal(atoi(record.body.at), i);
        }
        assert_false(mt_journal__next(journal, &cursor, &record));
        assert_int_equal(cursor.damaged, 0);
        mt_journal__drained(journal, &cursor);
        assert_int_equal(append_numbered(journal, 0), MT_E_BUSY); /* the slot is not on disk */
        assert_int_equal(mt_journal__sync(journal, &synced, NULL), MT_OK);
    }
    mt_journal__close(journal);
    uint64_t damaged;
    journal = open_journal("ledger.journal");
    assert_int_equal(found_in(journal, &damaged), 0);
    mt_journal__close(journal);
    assert_int_equal(mt_alloc_live, 0);
}

static void every_reservation_can_settle_in_a_full_ring(void **state)
{
    (void)state;
    static const char body[700];
    struct mt_journal *journal = open_empty();
    struct mt_journal_new reserve = {.kind = MT_JOURNAL_RESERVED, .body = {body, 300}};
    uint64_t refs[1000];
    uint64_t seq;
    size_t n = 0;

    while (mt_journal__append(journal, &reserve, &refs[n], NULL) == MT_OK)
        n++;
    assert_true(n > 50 && n < 1000);
    while (append_numbered(journal, 1) == MT_OK)
        continue;
    for (size_t i = 0; i < n; i++) {
        static const char large[6000];
        struct mt_journal_new settle = {.kind = MT_JOURNAL_SETTLED,
                                        .ref = refs[i],
                                        .body = {large, sizeof large},
                                        .small = {body, sizeof body}};
        assert_int_equal(mt_journal__append(journal, &settle, &seq, NULL), MT_OK);
    }
    struct mt_journal_state found = mt_journal__state(journal);
    assert_int_equal(found.open_n, 0);
    assert_true(found.small_n > 0 && found.busy_n == 2);
    mt_journal__close(journal);
}

static void open_says_what_is_wrong(void **state)
{
    (void)state;
    struct mt_journal *journal = NULL;
    struct mt_err err = {0};

    assert_int_equal(mt_journal__open("/nonexistent/j", AREA, &journal, &err), MT_E_NOTFOUND);
    assert_int_equal(mt_journal__open("/dev/full", AREA, &journal, &err), MT_E_IO);
    assert_non_null(strstr(err.text, "disk full"));
    mt_alloc_fail_after = 0;
    assert_int_equal(mt_journal__open(in_test_dir("ledger.journal"), AREA, &journal, &err),
                     MT_E_NOMEM);
    mt_alloc_fail_after = -1;
    assert_null(journal);
}

int main(void)
{
#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, set_up_dir, tear_down_dir)
    const struct CMUnitTest tests[] = {
        IN_DIR(a_damaged_byte_costs_at_most_its_record),
        IN_DIR(no_damage_makes_opening_fail),
        IN_DIR(a_second_process_is_told_busy),
        IN_DIR(a_file_cut_anywhere_keeps_what_is_whole),
        IN_DIR(a_damaged_head_loses_nothing),
        IN_DIR(a_full_ring_refuses_until_it_is_drained_and_synced),
        IN_DIR(every_reservation_can_settle_in_a_full_ring),
        IN_DIR(open_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
