/* SPDX-License-Identifier: Apache-2.0 */
/* The state machine of the simulation's own: a list of numbered commands, of
 * which the state is the count and a hash.  Every command and read is checked
 * against real time: its place in the log is after all that was answered before
 * it began. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/raft_internal.h"

enum fate {
    OPEN,
    DONE,
    NEVER,
};

struct command {
    enum fate fate;
    uint64_t index; /* where it was applied; 0: nowhere yet */
};

struct list_app {
    struct command *commands; /* by number, from 1 */
    size_t count;
    size_t cap;
    uint64_t seen; /* the highest index that any answer showed */
    unsigned long acknowledged;
    unsigned long reads;
};

struct list_machine {
    struct list_app *app;
    uint64_t index; /* of the last applied */
    uint64_t count;
    uint64_t hash;
    uint8_t filling[24];
    size_t filled;
};

struct list_cursor {
    uint8_t state[24];
    size_t at;
};

struct asked {
    struct list_app *app;
    struct rsim *sim;
    unsigned member;
    uint64_t number;
    uint64_t seen; /* when it began */
};

static ht_err list_apply(void *machine,
                         uint64_t index,
                         uint64_t time_ms,
                         ht_bytes command,
                         ht_bytes *ret_result)
{
    struct list_machine *m = machine;
    uint64_t number;

    (void)ret_result;
    memcpy(&number, command.data, 8);
    m->index = index;
    m->count++;
    m->hash = (m->hash ^ number ^ time_ms) * 1099511628211u;
    if (number > 0 && number <= m->app->count) {
        struct command *c = &m->app->commands[number - 1];

        if (c->fate == NEVER || (c->index != 0 && c->index != index)) {
            fprintf(stderr, "command %" PRIu64 " was done %s\n", number,
                    c->fate == NEVER ? "after all" : "twice");
            abort();
        }
        c->index = index;
    }
    return HT_OK;
}

static ht_err list_open(void *machine, void **ret_cursor)
{
    struct list_machine *m = machine;
    struct list_cursor *cursor = calloc(1, sizeof(*cursor));

    if (cursor == NULL) {
        abort();
    }
    memcpy(cursor->state, &m->index, 8);
    memcpy(cursor->state + 8, &m->count, 8);
    memcpy(cursor->state + 16, &m->hash, 8);
    *ret_cursor = cursor;
    return HT_OK;
}

/* The state, then bytes that make the snapshot some pieces long. */
static ht_err
list_read(void *machine, void *cursor, void *buf, size_t cap, size_t *ret_len)
{
    struct list_cursor *c = cursor;
    uint8_t *to = buf;
    size_t n = 0;

    (void)machine;
    for (; n < 300 && n < cap && c->at < 2000; n++, c->at++) {
        to[n] = c->at < 24 ? c->state[c->at] : (uint8_t)(c->at * 7);
    }
    *ret_len = n;
    return HT_OK;
}

static void list_close(void *machine, void *cursor)
{
    (void)machine;
    free(cursor);
}

static ht_err list_restore(void *machine, ht_raft_restore what, ht_bytes piece)
{
    struct list_machine *m = machine;
    const uint8_t *bytes = piece.data;

    switch (what) {
    case HT_RAFT_RESTORE_BEGIN:
        m->index = m->count = m->hash = 0;
        m->filled = 0;
        break;
    case HT_RAFT_RESTORE_DATA:
        for (size_t i = 0; i < piece.len; i++, m->filled++) {
            if (m->filled < 24) {
                m->filling[m->filled] = bytes[i];
            } else if (bytes[i] != (uint8_t)(m->filled * 7)) {
                abort();
            }
        }
        break;
    case HT_RAFT_RESTORE_END:
        if (m->filled != 0 && m->filled != 2000) {
            abort();
        }
        if (m->filled != 0) {
            memcpy(&m->index, m->filling, 8);
            memcpy(&m->count, m->filling + 8, 8);
            memcpy(&m->hash, m->filling + 16, 8);
        }
        break;
    }
    return HT_OK;
}

static void *machine_new(void *app, unsigned member)
{
    struct list_machine *m = calloc(1, sizeof(*m));

    (void)member;
    if (m == NULL) {
        abort();
    }
    m->app = app;
    return m;
}

static void machine_free(void *app, void *machine)
{
    (void)app;
    free(machine);
}

static void on_done(void *arg, ht_err err, ht_bytes result, uint64_t index)
{
    struct asked *asked = arg;
    struct list_app *app = asked->app;
    struct command *c = &app->commands[asked->number - 1];

    (void)result;
    if (err == HT_OK) {
        if (index <= asked->seen || c->index != index) {
            rsim_breach(asked->sim,
                        "command %" PRIu64 " answered at %" PRIu64
                        ", applied at %" PRIu64 ", begun after %" PRIu64,
                        asked->number, index, c->index, asked->seen);
        }
        c->fate = DONE;
        app->acknowledged++;
        if (index > app->seen) {
            app->seen = index;
        }
    } else if (err == HT_ECANCELLED || err == HT_ENOSPC) {
        if (c->index != 0) {
            rsim_breach(asked->sim, "command %" PRIu64 " was done and denied",
                        asked->number);
        }
        c->fate = NEVER;
    }
    free(asked);
}

static void on_ready(void *arg, ht_err err)
{
    struct asked *asked = arg;

    if (err == HT_OK) {
        const struct list_machine *m = rsim_machine(asked->sim, asked->member);

        if (m->index < asked->seen) {
            rsim_breach(asked->sim,
                        "%u: a read shows %" PRIu64 ", and %" PRIu64
                        " was answered before it",
                        asked->member, m->index, asked->seen);
        }
        asked->app->reads++;
        if (m->index > asked->app->seen) {
            asked->app->seen = m->index;
        }
    }
    free(asked);
}

static struct asked *
ask(struct list_app *app, struct rsim *sim, unsigned member)
{
    struct asked *asked = calloc(1, sizeof(*asked));

    if (asked == NULL) {
        abort();
    }
    *asked = (struct asked){app, sim, member, 0, app->seen};
    return asked;
}

static void propose(struct list_app *app, struct rsim *sim, unsigned member)
{
    struct asked *asked = ask(app, sim, member);
    uint8_t command[600] = {0};
    size_t len = 8 + (size_t)(rsim_random(sim, 10) == 0 ? rsim_random(sim, 592)
                                                        : rsim_random(sim, 40));

    if (app->count == app->cap) {
        app->cap = app->cap != 0 ? app->cap * 2 : 1024;
        app->commands =
            realloc(app->commands, app->cap * sizeof(struct command));
        if (app->commands == NULL) {
            abort();
        }
    }
    app->commands[app->count++] = (struct command){OPEN, 0};
    asked->number = app->count;
    memcpy(command, &asked->number, 8);
    if (rsim_propose(sim, member, (ht_bytes){command, len}, on_done, asked) !=
        HT_OK) {
        app->count--;
        free(asked);
    }
}

static void list_act(void *app_arg, struct rsim *sim, unsigned member)
{
    struct list_app *app = app_arg;
    struct asked *asked;

    if (rsim_random(sim, 4) == 0) {
        asked = ask(app, sim, member);
        if (rsim_read(sim, member, on_ready, asked) != HT_OK) {
            free(asked);
        }
        return;
    }
    for (uint64_t n = rsim_random(sim, 4); n > 0; n--) {
        propose(app, sim, member);
    }
}

/* All members that are in agree (the simulation saw to that they applied the
 * same), and nothing that was answered is missing. */
static bool list_settled(void *app_arg, struct rsim *sim)
{
    struct list_app *app = app_arg;
    const struct list_machine *newest = NULL;

    for (unsigned i = 0; i < rsim_members(sim); i++) {
        const struct list_machine *m = rsim_machine(sim, i);

        if (m != NULL && (newest == NULL || m->index > newest->index)) {
            newest = m;
        }
    }
    for (unsigned i = 0; i < rsim_members(sim); i++) {
        const struct list_machine *m = rsim_machine(sim, i);

        if (m != NULL && m->index == newest->index &&
            (m->count != newest->count || m->hash != newest->hash)) {
            printf("%u has another state\n", i);
            return false;
        }
    }
    for (size_t i = 0; i < app->count; i++) {
        if (app->commands[i].fate == DONE &&
            app->commands[i].index > newest->index) {
            printf("command %zu was lost\n", i + 1);
            return false;
        }
    }
    if (app->acknowledged == 0 || app->reads == 0) {
        printf("%lu commands and %lu reads were answered\n", app->acknowledged,
               app->reads);
        return false;
    }
    return true;
}

static const ht_raft_machine list_table = {.apply = list_apply,
                                           .snapshot_open = list_open,
                                           .snapshot_read = list_read,
                                           .snapshot_close = list_close,
                                           .restore = list_restore};

const struct rsim_app rsim_list_app = {.table = &list_table,
                                       .machine_new = machine_new,
                                       .machine_free = machine_free,
                                       .act = list_act,
                                       .settled = list_settled};

void *rsim_list_new(void)
{
    struct list_app *app = calloc(1, sizeof(*app));

    if (app == NULL) {
        abort();
    }
    return app;
}

void rsim_list_free(void *app_arg)
{
    struct list_app *app = app_arg;

    if (app != NULL) {
        free(app->commands);
    }
    free(app);
}
