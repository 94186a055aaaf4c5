/* SPDX-License-Identifier: Apache-2.0 */
/* node/node.h - a whole node: configuration, engines, ledger, gateway, from start to end.
 *
 * Thread rule: one node per process; mt_node_run blocks its thread until the node has ended. */
#ifndef MT_NODE_NODE_H
#define MT_NODE_NODE_H

#include "base/err.h"
#include "config/config.h"

struct mt_node_opts {
    const char *config_file; /* NULL: motet.yaml of the configuration folder, if any */
    const struct mt_config_flag *flags;
    size_t flags_n;
    char *const *environment;
    const char *program; /* argv[0], for the hint at the start; NULL = "motet" */
};

/** Start a node and serve until SIGINT, SIGTERM or a stop request. Says on standard error what
 * it does and where to point a client.
 *  @return MT_OK after an orderly end; MT_E_BUSY when a node already serves from this data
 * folder (the text says where); whatever the start failed with */
mt_rc mt_node_run(const struct mt_node_opts *opts, struct mt_err *err);

/** The configuration as mt_node_run would use it, with what is found around it: default models,
 *  keys in the environment. For `motet config show` and `motet doctor`. */
mt_rc mt_node_config(const struct mt_node_opts *opts, const struct mt_config **out,
                     struct mt_err *err);

#endif
