/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MT_CLI_PROBE_H
#define MT_CLI_PROBE_H

#include "cli.h"

struct mt_config_endpoint;

/** Ask an endpoint for its models, as its dialect does, within 10 seconds.
 *  @return MT_OK with its status; MT_E_UPSTREAM (cannot be reached), MT_E_TIMEOUT, MT_E_NOMEM
 */
mt_rc probe_endpoint(const struct mt_config_endpoint *endpoint, int *status,
                     struct mt_err *err);

#endif
