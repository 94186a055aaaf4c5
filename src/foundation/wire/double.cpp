// SPDX-License-Identifier: Apache-2.0
// Doubles to digits and back through <charconv>, which C has no counterpart of.
#include "json_priv.h"

#include <charconv>

enum mt_wire__double_rc mt_wire__double_read(struct mt_str text, double *out)
{
    double value = 0;
    const char *end = text.at + text.len;
    std::from_chars_result got = std::from_chars(text.at, end, value);

    if (got.ec == std::errc::result_out_of_range)
        return MT_WIRE__DOUBLE_RANGE;
    if (got.ec != std::errc() || got.ptr != end)
        return MT_WIRE__DOUBLE_BAD;
    *out = value;
    return MT_WIRE__DOUBLE_OK;
}

size_t mt_wire__double_write(double value, char out[MT_WIRE__DOUBLE_MAX])
{
    // 24 characters are the most a double needs, so this cannot fail
    return static_cast<size_t>(std::to_chars(out, out + MT_WIRE__DOUBLE_MAX, value).ptr - out);
}

size_t mt_wire__float_write(float value, char out[MT_WIRE__DOUBLE_MAX])
{
    return static_cast<size_t>(std::to_chars(out, out + MT_WIRE__DOUBLE_MAX, value).ptr - out);
}
