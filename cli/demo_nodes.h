/* SPDX-License-Identifier: Apache-2.0 */
/* demo_nodes.h - the processes of `hardtack demo`: this very program with
 * `start`, in a private directory that is removed at the end.
 *
 * A process dies with the demo, however the demo ends.  Every wait has a limit
 * and gives up at SIGINT or SIGTERM.
 */
#ifndef CLI_DEMO_NODES_H
#define CLI_DEMO_NODES_H

#include <sys/types.h>

#include "cli/client.h"
#include "proto/admin/admin.pb-c.h"

#define DEMO_NODES   3
#define DEMO_WAIT_MS 15000

struct demo_node {
    const char *name; /* before the @ */
    pid_t pid;        /* 0: not running */
    int port;
    char socket[128]; /* unix:PATH */
    struct client client;
    bool connected;
    const char *const *more; /* arguments of its own, ends with NULL; or NULL */
};

struct demo {
    char directory[64];
    char program[4096];
    char plugin[4096 + 128]; /* "": none */
    struct demo_node nodes[DEMO_NODES];
    unsigned passed, failed; /* checks */
};

/* Make the directory.  These return an exit code; an error has been told. */
int demo_init(struct demo *demo);
/* The actors that every node loads; plugin NULL: beside the program. */
int demo_find_plugin(struct demo *demo, const char *plugin);
/* End what still runs, remove the directory. Safe after a failed init. */
void demo_fini(struct demo *demo);

/* Run this program with arguments (ends with NULL) and wait for its end. */
int demo_run(struct demo *demo, const char *const *arguments);
/* Start node i, dialling the nodes of the bits in connect; port 0: any. */
int demo_start(struct demo *demo, size_t i, int port, unsigned connect);
/* Kill node i at once, and reap it. */
int demo_kill(struct demo *demo, size_t i);
/* SIGTERM, and wait for an orderly end. */
int demo_stop(struct demo *demo, size_t i);

void demo_heading(const char *text);
/* Say what happened, and count whether it is what should; returns ok. */
bool demo_check(struct demo *demo, bool ok, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Look again and again until fn is true, or false after DEMO_WAIT_MS. */
bool demo_wait(struct demo *demo,
               bool (*fn)(struct demo *demo, void *arg),
               void *arg);
bool demo_interrupted(void);
double demo_now_ms(void);
/* Show the end of a node's log. */
void demo_show_log(const struct demo *demo, size_t i);

/* `hardtack demo kv`; returns an exit code. */
int demo_kv(void);

#endif /* CLI_DEMO_NODES_H */
