/* SPDX-License-Identifier: Apache-2.0 */
/* signature.h - whose signature is it?
 *
 * Makers of models sign reasoning so that it can be handed back to them, and refuse what others
 * signed. A conversation may meet several makers, so inside motet a signature is "MAKER:BYTES".
 * On a dialect's own wire its own maker's signatures stand bare; others keep their tag, go out
 * to the client, come back, and reach their maker alone. Signatures are base64: no colon. */
#ifndef MT_CHAT_SIGNATURE_H
#define MT_CHAT_SIGNATURE_H

#include "base/arena.h"
#include "base/str.h"

/** From a wire of maker ("anthropic"): tagged, unless it has a tag. at == NULL: no memory. */
struct mt_str mt_chat__signature_in(const char *maker, struct mt_str wire,
                                    struct mt_arena *arena);

/** To a client over a wire of maker: bare when it is maker's own. */
struct mt_str mt_chat__signature_out(const char *maker, struct mt_str signature);

/** To maker itself: the bare signature, or empty when another made it. */
struct mt_str mt_chat__signature_for(const char *maker, struct mt_str signature);

#endif
