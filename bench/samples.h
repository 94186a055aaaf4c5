/* SPDX-License-Identifier: Apache-2.0 */
/* samples.h - every measured time, kept exactly; percentiles are read off at the end. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed is empty. A sample is in tenths of a microsecond: 9 us at c=1 still has two
 * digits, and 32 bits reach seven minutes. */
struct samples {
    uint32_t *at; /* owned */
    size_t n;
    size_t cap;
    uint64_t sum;
};

/** Add one; exits the program when memory is out. Negative counts as 0. */
void samples_add(struct samples *s, int64_t ns);

/** Sort, so that samples_us() may be called. */
void samples_sort(struct samples *s);

/** @param ppm position: 500000 is the median. @return microseconds, 0 when empty */
double samples_us(const struct samples *s, unsigned ppm);

double samples_mean_us(const struct samples *s);

void samples_fini(struct samples *s);

#endif
