/* SPDX-License-Identifier: Apache-2.0 */
/* Lines typed by a person: editing and history on a terminal (libedit), plain reading else. */
#ifndef MT_CLI_LINE_H
#define MT_CLI_LINE_H

#include "cli.h"

struct line; /* opaque */

mt_rc line_open(struct cli *cli, struct line **out, struct mt_err *err);
void line_close(struct line *line); /* NULL is allowed */

/** One line without its end, appended to out; up-arrow brings the ones before back.
 *  @return MT_OK, MT_E_NOTFOUND (end of input), MT_E_CANCELED (Ctrl-C), MT_E_TOOBIG, MT_E_NOMEM
 */
mt_rc line_read(struct line *line, const char *prompt, struct mt_buf *out, struct mt_err *err);

#endif
