/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h - what the commands of `hardtack` share: exit codes, messages for
 * people, and the table of commands.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <argp.h>

#include <hardtack.h>

enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
};

/* One command: argv[0] is "hardtack COMMAND". Returns an exit code. */
struct command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
};
extern const struct command cli_commands[]; /* ends with a NULL name */

int cmd_start(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_cookie(int argc, char **argv);
int cmd_cert(int argc, char **argv);
int cmd_token(int argc, char **argv);
int cmd_ping(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_nodes(int argc, char **argv);
int cmd_groups(int argc, char **argv);
int cmd_actors(int argc, char **argv);
int cmd_connect(int argc, char **argv);
int cmd_disconnect(int argc, char **argv);
int cmd_call(int argc, char **argv);
int cmd_cast(int argc, char **argv);
int cmd_kv(int argc, char **argv);
int cmd_raft(int argc, char **argv);
int cmd_top(int argc, char **argv);

/* "hardtack: " and a line to stderr; returns EXIT_FAILED. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The value of an ht_errname(), for errors that came as text; HT_EPROTO if it
 * is none. */
ht_err cli_err_named(const char *name);

/* Where the administration socket is unless told otherwise:
 * $XDG_RUNTIME_DIR/hardtack.sock, or /run/hardtack/hardtack.sock. */
const char *cli_default_socket(char *buf, size_t len);

/* path, behind the working directory if it is relative; returns buf. */
const char *cli_absolute(const char *path, char *buf, size_t len);

#endif /* CLI_CLI_H */
