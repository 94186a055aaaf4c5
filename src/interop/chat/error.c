/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of errors: their status, their code, and where they come from. */
#include "chat/answer.h"

#include "base/assert.h"

static const struct kind {
    int http_status;
    const char *code;
} kinds[MT_CHAT_ERR_COUNT] = {
    [MT_CHAT_ERR_INVALID] = {400, "invalid_request"},
    [MT_CHAT_ERR_UNSUPPORTED] = {400, "unsupported_field"},
    [MT_CHAT_ERR_CONTEXT] = {400, "context_length_exceeded"},
    [MT_CHAT_ERR_AUTH] = {401, "invalid_api_key"},
    [MT_CHAT_ERR_BUDGET] = {402, "budget_exceeded"},
    [MT_CHAT_ERR_PERMISSION] = {403, "permission_denied"},
    [MT_CHAT_ERR_NOT_FOUND] = {404, "not_found"},
    [MT_CHAT_ERR_TOO_LARGE] = {413, "request_too_large"},
    [MT_CHAT_ERR_RATE_LIMIT] = {429, "rate_limit_exceeded"},
    [MT_CHAT_ERR_CANCELED] = {499, "canceled"},
    [MT_CHAT_ERR_INTERNAL] = {500, "internal_error"},
    [MT_CHAT_ERR_UPSTREAM] = {502, "upstream_error"},
    [MT_CHAT_ERR_OVERLOADED] = {503, "overloaded"},
    [MT_CHAT_ERR_TIMEOUT] = {504, "timeout"},
};

int mt_chat_error_status(enum mt_chat_error_kind kind)
{
    MT_ASSERT((unsigned)kind < MT_CHAT_ERR_COUNT);
    return kinds[kind].http_status;
}

const char *mt_chat_error_code(enum mt_chat_error_kind kind)
{
    MT_ASSERT((unsigned)kind < MT_CHAT_ERR_COUNT);
    return kinds[kind].code;
}

enum mt_chat_error_kind mt_chat_error_kind_of(mt_rc rc)
{
    switch (rc) {
    case MT_E_INVALID:
        return MT_CHAT_ERR_INVALID;
    case MT_E_UNSUPPORTED:
        return MT_CHAT_ERR_UNSUPPORTED;
    case MT_E_UNAUTHORIZED:
        return MT_CHAT_ERR_AUTH;
    case MT_E_DENIED:
        return MT_CHAT_ERR_PERMISSION;
    case MT_E_NOTFOUND:
        return MT_CHAT_ERR_NOT_FOUND;
    case MT_E_TOOBIG:
        return MT_CHAT_ERR_TOO_LARGE;
    case MT_E_RATE_LIMITED:
        return MT_CHAT_ERR_RATE_LIMIT;
    case MT_E_BUDGET:
        return MT_CHAT_ERR_BUDGET;
    case MT_E_BUSY:
        return MT_CHAT_ERR_OVERLOADED;
    case MT_E_TIMEOUT:
        return MT_CHAT_ERR_TIMEOUT;
    case MT_E_CANCELED:
        return MT_CHAT_ERR_CANCELED;
    case MT_E_UPSTREAM:
        return MT_CHAT_ERR_UPSTREAM;
    case MT_OK:
    case MT_E_EXISTS:
    case MT_E_CORRUPT:
    case MT_E_IO:
    case MT_E_NOMEM:
        return MT_CHAT_ERR_INTERNAL;
    }
    return MT_CHAT_ERR_INTERNAL;
}

enum mt_chat_error_kind mt_chat_error_kind_of_status(int http_status)
{
    static const struct {
        int http_status;
        enum mt_chat_error_kind kind;
    } rows[] = {
        {401, MT_CHAT_ERR_AUTH},       {402, MT_CHAT_ERR_BUDGET},
        {403, MT_CHAT_ERR_PERMISSION}, {404, MT_CHAT_ERR_NOT_FOUND},
        {408, MT_CHAT_ERR_TIMEOUT},    {410, MT_CHAT_ERR_NOT_FOUND},
        {413, MT_CHAT_ERR_TOO_LARGE},  {429, MT_CHAT_ERR_RATE_LIMIT},
        {499, MT_CHAT_ERR_CANCELED},   {503, MT_CHAT_ERR_OVERLOADED},
        {504, MT_CHAT_ERR_TIMEOUT},    {524, MT_CHAT_ERR_TIMEOUT},
        {529, MT_CHAT_ERR_OVERLOADED},
    };
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        if (rows[i].http_status == http_status)
            return rows[i].kind;
    }
    return http_status >= 400 && http_status < 500 ? MT_CHAT_ERR_INVALID : MT_CHAT_ERR_UPSTREAM;
}
