/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/assert.h"
#include "curriculum/curriculum.h"

void mt_wilson(uint64_t right_n, uint64_t n, double *low, double *high)
{
    const double z = 1.959963984540054; /* 97.5 % of a normal lies below */

    MT_ASSERT(right_n <= n);
    if (n == 0) {
        *low = 0;
        *high = 1;
        return;
    }
    double size = (double)n;
    double share = (double)right_n / size;
    double scale = 1 + z * z / size;
    double middle = (share + z * z / (2 * size)) / scale;
    double half = z * sqrt(share * (1 - share) / size + z * z / (4 * size * size)) / scale;
    /* exact at the ends, where rounding would leave a hair */
    *low = right_n == 0 ? 0 : middle - half;
    *high = right_n == n ? 1 : middle + half;
}
