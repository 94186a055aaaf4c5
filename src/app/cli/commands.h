/* SPDX-License-Identifier: Apache-2.0 */
/* Every command there is; each stands in cmd_NAME.c. */
#ifndef MT_CLI_COMMANDS_H
#define MT_CLI_COMMANDS_H

struct cli_cmd;

extern const struct cli_cmd cli_cmd_up;
extern const struct cli_cmd cli_cmd_run;
extern const struct cli_cmd cli_cmd_ask;
extern const struct cli_cmd cli_cmd_ls;
extern const struct cli_cmd cli_cmd_ps;
extern const struct cli_cmd cli_cmd_show;
extern const struct cli_cmd cli_cmd_stop;
extern const struct cli_cmd cli_cmd_reload;
extern const struct cli_cmd cli_cmd_config;
extern const struct cli_cmd cli_cmd_key;
extern const struct cli_cmd cli_cmd_usage;
extern const struct cli_cmd cli_cmd_explain;
extern const struct cli_cmd cli_cmd_routes;
extern const struct cli_cmd cli_cmd_doctor;
extern const struct cli_cmd cli_cmd_train;
extern const struct cli_cmd cli_cmd_completion;
extern const struct cli_cmd cli_cmd_version;
extern const struct cli_cmd cli_cmd_help;

#endif
