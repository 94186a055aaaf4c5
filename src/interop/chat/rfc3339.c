/* SPDX-License-Identifier: Apache-2.0 */
/* Time stamps in text, UTC. The calendar is computed here: gmtime_r asks the C library for zone
 * data, and pure modules ask nobody. */
#include "chat/models.h"

/* Civil date of a day counted from 1970-01-01; the era is 400 years from 1 March 0000. */
static void civil(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t of_era = z - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t from_march = (5 * of_year + 2) / 153;

    *day = (int)(of_year - (153 * from_march + 2) / 5 + 1);
    *month = (int)(from_march < 10 ? from_march + 3 : from_march - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

void mt_rfc3339(int64_t s, int64_t ns, struct mt_buf *out)
{
    const int64_t last_s = 253402300799; /* 9999-12-31T23:59:59Z, the last that has a form */
    int64_t at_s = s < 0 ? 0 : s > last_s ? last_s : s;
    int64_t of_day = at_s % 86400;
    int64_t year = 0;
    int month = 0;
    int day = 0;

    civil(at_s / 86400, &year, &month, &day);
    mt_buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", (int)year, month, day,
                (int)(of_day / 3600), (int)(of_day / 60 % 60), (int)(of_day % 60),
                (int)(ns < 0 || ns > 999999999 ? 0 : ns));
}
