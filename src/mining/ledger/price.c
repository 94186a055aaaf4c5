/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/price.h"

__extension__ typedef __int128 wide;

static int64_t clamp(int64_t value, int64_t max)
{
    if (value < 0)
        return 0;
    return value < max ? value : max;
}

static wide part(int64_t tokens_n, int64_t usd_micro_per_million)
{
    return (wide)tokens_n * clamp(usd_micro_per_million, INT64_MAX);
}

int64_t mt_ledger_add(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* micro-USD per million tokens is pico-USD per token: summed in pico, rounded to nano. Five
 * products of 126 bits would not fit 127, but input parts share one whole, so three do. */
int64_t mt_ledger_cost(const struct mt_ledger_price *price,
                       const struct mt_ledger_tokens *tokens)
{
    int64_t input_n = clamp(tokens->input_n, INT64_MAX / 4);
    int64_t cached_n = clamp(tokens->cached_n, input_n);
    int64_t written_n = clamp(tokens->cache_write_n, input_n - cached_n);
    int64_t output_n = clamp(tokens->output_n, INT64_MAX / 4);
    int64_t cached =
        price->cached_usd_micro > 0 ? price->cached_usd_micro : price->input_usd_micro;
    int64_t written = price->cache_write_usd_micro > 0 ? price->cache_write_usd_micro
                                                       : price->input_usd_micro;
    wide pico = part(input_n - cached_n - written_n, price->input_usd_micro) +
                part(cached_n, cached) + part(written_n, written) +
                part(output_n, price->output_usd_micro) +
                (wide)clamp(price->request_usd_micro, INT64_MAX) * 1000000;
    wide nano = (pico + 999) / 1000;

    return nano > INT64_MAX ? INT64_MAX : (int64_t)nano;
}
