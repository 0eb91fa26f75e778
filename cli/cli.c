/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct command cli_commands[] = {
    {"start", "run a node, until SIGTERM", cmd_start},
    {"demo", "show three nodes at work, and one of them dying", cmd_demo},
    {"cookie", "make or check a cluster's cookie", cmd_cookie},
    {"cert", "make a certificate authority and certificates of nodes",
     cmd_cert},
    {"token", "make, look into, and make the key of login tokens", cmd_token},
    {"ping", "tell whether a node answers, and how fast", cmd_ping},
    {"status", "a node in one page", cmd_status},
    {"nodes", "the nodes that a node is connected to, or dials", cmd_nodes},
    {"groups", "process groups and their members", cmd_groups},
    {"actors", "the actors of a node", cmd_actors},
    {"top", "a node and its peers, live", cmd_top},
    {"connect", "connect a node to another", cmd_connect},
    {"disconnect", "disconnect a node from another", cmd_disconnect},
    {"call", "call an actor and print what it answers", cmd_call},
    {"cast", "send an actor a message", cmd_cast},
    {"kv", "the replicated key-value store", cmd_kv},
    {"raft", "the members of a replicated group, and their directories",
     cmd_raft},
    {NULL, NULL, NULL},
};

int cli_fail(const char *format, ...)
{
    va_list args;

    fputs("hardtack: ", stderr);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return EXIT_FAILED;
}

ht_err cli_err_named(const char *name)
{
    static const struct {
        const char *name;
        ht_err err;
    } names[] = {
#define ERR_NAME(name, value, text) {#name, name},
        HT_ERR_LIST(ERR_NAME)
#undef ERR_NAME
    };

    if (name[0] == '\0') {
        return HT_OK;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i].name, name) == 0) {
            return names[i].err;
        }
    }
    return HT_EPROTO;
}

const char *cli_default_socket(char *buf, size_t len)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");

    if (runtime != NULL && runtime[0] == '/') {
        snprintf(buf, len, "%s/hardtack.sock", runtime);
    } else {
        snprintf(buf, len, "/run/hardtack/hardtack.sock");
    }
    return buf;
}

const char *cli_absolute(const char *path, char *buf, size_t len)
{
    char directory[PATH_MAX];

    if (path[0] == '/' || getcwd(directory, sizeof(directory)) == NULL) {
        snprintf(buf, len, "%s", path);
    } else {
        snprintf(buf, len, "%s/%s", directory, path);
    }
    return buf;
}
