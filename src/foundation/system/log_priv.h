/* SPDX-License-Identifier: Apache-2.0 */
/* Pure: one event as one line of text. */
#ifndef MT_SYSTEM_LOG_PRIV_H
#define MT_SYSTEM_LOG_PRIV_H

#include "system/log.h"

enum { MT_LOG_LINE_MAX = 8192 };

/** A line under way on the stack; what does not fit is cut, the line stays well formed. */
struct mt_log_line {
    char at[MT_LOG_LINE_MAX];
    size_t len;
    enum mt_log_format format;
};

void mt_log__begin(struct mt_log_line *line, enum mt_log_format format, int64_t wall_ms,
                   enum mt_log_level level, const char *module, const char *event);
void mt_log__field(struct mt_log_line *line, const struct mt_log_field *field);
void mt_log__end(struct mt_log_line *line);

#endif
