/* SPDX-License-Identifier: Apache-2.0 */
/* Stored Responses: three lines of input are a record, the body that goes on from it, and the
 * response to that. A record comes from disk, bodies from clients, responses from providers. */
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "chat/responses.h"

enum { MEMORY_MAX = 1 << 22 };

struct part {
    struct mt_buf text;
    struct mt_json_doc *doc;
    const struct mt_json *root; /* NULL: no JSON */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void part_read(struct part *part)
{
    if (mt_json_parse(part->doc, mt_buf_str(&part->text), &part->root, NULL) != MT_OK)
        part->root = NULL;
}

static void part_init(struct part *part)
{
    *part = (struct part){.root = NULL};
    mt_buf_init(&part->text, MEMORY_MAX);
    MT_ASSERT(mt_json_doc_new(&part->doc, NULL) == MT_OK);
}

static void part_fini(struct part *part)
{
    mt_json_doc_free(part->doc);
    mt_buf_fini(&part->text);
}

/* The next line of *rest. */
static void part_take(struct part *part, struct mt_str *rest)
{
    const char *end = rest->len > 0 ? memchr(rest->at, '\n', rest->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - rest->at) : rest->len;

    part_init(part);
    mt_buf_add(&part->text, (struct mt_str){rest->at, len});
    part_read(part);
    if (end != NULL)
        len++;
    rest->at += len;
    rest->len -= len;
}

static void pages(const struct mt_json *record)
{
    for (size_t limit_n = 0; limit_n < 3; limit_n++) {
        struct part page;
        struct mt_responses_page ask = {.after = MT_STR("msg_1"), .limit_n = limit_n};

        part_init(&page);
        if (limit_n == 2)
            ask.after = (struct mt_str){NULL, 0};
        if (mt_responses_input_items(record, &ask, &page.text, NULL) == MT_OK) {
            part_read(&page);
            MT_ASSERT(page.root != NULL);
        }
        part_fini(&page);
    }
}

/* What goes on from record is JSON; with the response to it, it makes a record again. */
static void go_on(const struct part *record, const struct part *body,
                  const struct mt_json *response)
{
    struct part expanded;
    struct part kept;

    part_init(&expanded);
    part_init(&kept);
    if (mt_responses_expand(record->root, body->root, mt_buf_str(&body->text), &expanded.text,
                            NULL) == MT_OK) {
        part_read(&expanded);
        MT_ASSERT(expanded.root != NULL);
        if (response != NULL &&
            mt_responses_record(expanded.root, response, &kept.text, NULL) == MT_OK) {
            part_read(&kept);
            MT_ASSERT(kept.root != NULL);
            pages(kept.root);
        }
    }
    part_fini(&kept);
    part_fini(&expanded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mt_str rest = {(const char *)data, size};
    struct part record;
    struct part body;
    struct part response;

    part_take(&record, &rest);
    part_take(&body, &rest);
    part_take(&response, &rest);
    if (record.root != NULL)
        pages(record.root);
    if (record.root != NULL && body.root != NULL)
        go_on(&record, &body, response.root);
    part_fini(&response);
    part_fini(&body);
    part_fini(&record);
    MT_ASSERT(mt_alloc_live == 0);
    return 0;
}
