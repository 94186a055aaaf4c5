/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MT_NODE_PRIV_H
#define MT_NODE_PRIV_H

#include "base/alloc.h"
#include "node/node.h"

struct mt_http_client;
struct mt_loop;

/* defaults.c: the lab's models, when the file names no local model; and a default model. */
mt_rc node_default_models(const struct mt_config *config, const struct mt_config **out,
                          struct mt_err *err);

/* discover.c: endpoints whose keys stand in the environment, and a running Ollama. Endpoints
 * that the file configures (by name) are left alone. client may be NULL: then nobody is asked,
 * and the Ollama that before (or NULL) has found is still there. */
mt_rc node_discover(const struct mt_config *config, char *const *environment,
                    struct mt_loop *loop, struct mt_http_client *client,
                    const struct mt_config *before, const struct mt_config **out,
                    struct mt_err *err);

#endif
