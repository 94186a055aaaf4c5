// SPDX-License-Identifier: Apache-2.0
// The door to simdjson: only its first stage is used (UTF-8 validation and the positions of
// tokens, some gigabytes a second); the tree is ours. No exception leaves or is raised here.
#include "json_priv.h"

#include <memory>
#include <simdjson.h>

using parser_t = simdjson::internal::dom_parser_implementation;

// The second stage, which would need depth, is never run.
static constexpr size_t no_depth = 1;
static constexpr size_t capacity_step = 1024;

static parser_t *parser_of(const struct mt_wire__index *index)
{
    return static_cast<parser_t *>(index->parser);
}

void mt_wire__index_fini(struct mt_wire__index *index)
{
    delete parser_of(index);
    *index = {};
}

static bool ensure_capacity(struct mt_wire__index *index, size_t need)
{
    if (index->parser != nullptr && need <= index->capacity)
        return true;
    mt_wire__index_fini(index); // the old positions are of no use: no need to hold both
    size_t capacity = (need + capacity_step - 1) / capacity_step * capacity_step;
    const simdjson::implementation *simd = simdjson::get_active_implementation();
    std::unique_ptr<parser_t> parser;
    if (simd->create_dom_parser_implementation(capacity, no_depth, parser) != simdjson::SUCCESS)
        return false;
    index->parser = parser.release();
    index->capacity = capacity;
    return true;
}

enum mt_wire__index_rc mt_wire__index_build(struct mt_wire__index *index, struct mt_str text)
{
    if (!ensure_capacity(index, text.len))
        return MT_WIRE__INDEX_NOMEM;
    parser_t *parser = parser_of(index);
    const uint8_t *bytes = reinterpret_cast<const uint8_t *>(text.at);
    if (parser->stage1(bytes, text.len, simdjson::stage1_mode::regular) != simdjson::SUCCESS)
        return MT_WIRE__INDEX_BAD;
    index->at = parser->structural_indexes.get();
    index->n = parser->n_structural_indexes;
    return MT_WIRE__INDEX_OK;
}

bool mt_wire__is_utf8(struct mt_str text)
{
    return text.len == 0 || simdjson::validate_utf8(text.at, text.len);
}
