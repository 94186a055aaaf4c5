/* SPDX-License-Identifier: Apache-2.0 */
/* ledger/price.h - what a number of tokens costs.
 *
 * Money is counted in nano-USD (1 USD = 1,000,000,000) as int64_t, in names `usd_nano`. Prices
 * are given in micro-USD per million tokens; one token of a model at 0.05 USD per million costs
 * 50 nano-USD, which micro-USD would round to nothing. int64_t holds 9.2 billion USD.
 * Pure, any thread. */
#ifndef MT_LEDGER_PRICE_H
#define MT_LEDGER_PRICE_H

#include <stdint.h>

#define MT_USD_NANO ((int64_t)1000000000)

/** Zero value: free. A zero cached or cache-write price means "as input". */
struct mt_ledger_price {
    int64_t input_usd_micro;  /* per million prompt tokens */
    int64_t output_usd_micro; /* per million answer tokens, reasoning included */
    int64_t cached_usd_micro; /* per million prompt tokens read from the upstream's cache */
    int64_t cache_write_usd_micro; /* per million prompt tokens written to it */
    int64_t request_usd_micro;     /* per request */
};

struct mt_ledger_tokens {
    int64_t input_n;       /* all of the prompt: those cached and written are among them */
    int64_t output_n;      /* all of the answer: reasoning is among them */
    int64_t cached_n;      /* of input_n */
    int64_t cache_write_n; /* of input_n */
    int64_t reasoning_n;   /* of output_n */
};

/** Cost [nano-USD], rounded up once at the sum, at most INT64_MAX. Negative counts and prices
 *  count as 0; parts larger than their whole are cut to it. */
int64_t mt_ledger_cost(const struct mt_ledger_price *price,
                       const struct mt_ledger_tokens *tokens);

/** a + b for amounts that are not negative, at most INT64_MAX. */
int64_t mt_ledger_add(int64_t a, int64_t b);

#endif
