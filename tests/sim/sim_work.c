/* SPDX-License-Identifier: Apache-2.0 */
/* sim_work.c - what the simulated nodes do all day: actors come and go, join
 * groups, are called, cast to and monitored; and the books that must balance.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_internal.h"

#define GROUPS      3
#define SENDERS_MAX 64

static void group_name(unsigned i, char buf[16])
{
    snprintf(buf, 16, "group%u", i);
}

/* ---- workers: members of groups ---- */

/* Casts carry who sent them and a number that grows: per sender and target they
 * arrive in the order sent, or not at all. */
struct numbered {
    uint32_t node;
    uint32_t pad;
    uint64_t incarnation;
    uint64_t seq;
};

struct sender {
    uint32_t node;
    uint64_t incarnation;
    uint64_t last;
};

struct worker {
    struct sim_node *n;
    struct sender senders[SENDERS_MAX];
    size_t senders_count;
};

static ht_err worker_init(ht_actor *self, void *arg)
{
    struct worker *w = calloc(1, sizeof(*w));

    assert(w != NULL);
    w->n = arg;
    ht_set_state(self, w);
    return HT_OK;
}

static void worker_terminate(ht_actor *self, const ht_exit *why)
{
    (void)why;
    free(ht_state(self));
}

static void check_order(struct worker *w, const struct numbered *m)
{
    struct sender *s = NULL;

    for (size_t i = 0; i < w->senders_count; i++) {
        if (w->senders[i].node == m->node &&
            w->senders[i].incarnation == m->incarnation) {
            s = &w->senders[i];
        }
    }
    if (s == NULL) {
        if (w->senders_count == SENDERS_MAX) {
            return;
        }
        s = &w->senders[w->senders_count++];
        s->node = m->node;
        s->incarnation = m->incarnation;
        s->last = 0;
    }
    if (m->seq <= s->last) {
        sim_violation(w->n->sim, "%s got %llu after %llu from node %u",
                      w->n->name, (unsigned long long)m->seq,
                      (unsigned long long)s->last, m->node);
    }
    s->last = m->seq;
}

static ht_err worker_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct worker *w = ht_state(self);
    ht_bytes args = ht_msg_args(msg);

    if (strcmp(ht_msg_variant(msg), "number") == 0) {
        struct numbered m;
        if (args.len < sizeof(m)) {
            return HT_EARGS;
        }
        memcpy(&m, args.data, sizeof(m));
        check_order(w, &m);
        return HT_OK;
    }
    if (strcmp(ht_msg_variant(msg), "echo") == 0) {
        return ht_reply_ok(self, call, args.data, args.len);
    }
    if (strcmp(ht_msg_variant(msg), "refuse") == 0) {
        return ht_reply_error(self, call, HT_EFAILED, "as asked");
    }
    if (strcmp(ht_msg_variant(msg), "never") == 0) {
        return HT_OK;
    }
    return HT_ENOVARIANT;
}

static const ht_behavior worker = {
    .init = worker_init,
    .handle = worker_handle,
    .terminate = worker_terminate,
};

static void spawn_worker(struct sim_node *n)
{
    char group[16];
    ht_ref ref;

    if (ht_spawn(n->node, &worker, n, NULL, &ref) == HT_OK) {
        group_name(sim_below(n->sim, GROUPS), group);
        if (ht_group_join(n->node, group, ref) != HT_OK) {
            sim_violation(n->sim, "%s: a new worker cannot join", n->name);
        }
    }
}

/* ---- the client: one a node, does what its node is told ---- */

static void client_replied(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct sim_node *n = arg;

    (void)self;
    n->calls_ended++;
    sim_note(n->sim, "%s > reply %s", n->name, ht_errname(reply->err));
}

static bool pick(struct sim_node *n, ht_ref *ret)
{
    char group[16];

    group_name(sim_below(n->sim, GROUPS), group);
    return ht_group_pick(n->node, NULL, group, false, ret) == HT_OK;
}

static void client_call(ht_actor *self, struct sim_node *n)
{
    static const char *const variants[] = {"echo", "echo", "refuse", "never",
                                           "nonsense"};
    char payload[200] = {0};
    ht_ref to;

    if (pick(n, &to) &&
        ht_call_async(self, to, variants[sim_below(n->sim, 5)], payload,
                      sim_below(n->sim, sizeof(payload)),
                      200 + sim_below(n->sim, 3000), client_replied, n,
                      NULL) == HT_OK) {
        n->calls_started++;
    }
}

/* Numbers that only grow, whatever is lost: order is checked, not delivery.
 * Some are large, so that they travel in pieces. */
static void client_cast(struct sim_node *n)
{
    size_t len = sizeof(struct numbered);
    struct numbered m = {.node = n->index, .incarnation = n->incarnation};
    uint8_t *payload;
    ht_ref to;

    if (!pick(n, &to)) {
        return;
    }
    if (sim_below(n->sim, 20) == 0) {
        len += sim_below(n->sim, 300 * 1024);
    }
    payload = calloc(1, len);
    assert(payload != NULL);
    for (unsigned i = sim_below(n->sim, 8) + 1; i > 0; i--) {
        m.seq = ++n->casts;
        memcpy(payload, &m, sizeof(m));
        if (ht_cast(n->node, to, "number", payload, len) != HT_OK) {
            break;
        }
    }
    free(payload);
}

static ht_err client_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct sim_node *n = ht_state(self);
    const char *what = ht_msg_variant(msg);

    (void)call;
    if (strcmp(what, "call") == 0) {
        client_call(self, n);
    } else if (strcmp(what, "cast") == 0) {
        client_cast(n);
    } else if (strcmp(what, "monitor") == 0) {
        uint64_t monitor;
        ht_ref to;
        if (pick(n, &to) && ht_monitor(self, to, &monitor) != HT_OK) {
            sim_note(n->sim, "%s > cannot monitor", n->name);
        }
    } else if (strcmp(what, "stop") == 0) {
        ht_ref to;
        if (pick(n, &to)) {
            (void)ht_stop(n->node, to, "the simulator says so");
        }
    }
    return HT_OK;
}

static ht_err client_event(ht_actor *self, const ht_event *event)
{
    struct sim_node *n = ht_state(self);

    if (event->kind == HT_EVENT_DOWN) {
        sim_note(n->sim, "%s > down %s", n->name,
                 ht_exit_name(event->u.down.why.kind));
    }
    return HT_OK;
}

static ht_err client_init(ht_actor *self, void *arg)
{
    ht_set_state(self, arg);
    return HT_OK;
}

static const ht_behavior client = {
    .init = client_init,
    .handle = client_handle,
    .on_event = client_event,
};

void sim_work_start(struct sim_node *n)
{
    ht_spawn_opts opts = {.name = "client"};

    if (ht_spawn(n->node, &client, n, &opts, &n->client) != HT_OK) {
        sim_violation(n->sim, "%s: no client", n->name);
    }
    for (unsigned i = sim_below(n->sim, 4); i > 0; i--) {
        spawn_worker(n);
    }
}

/* End, or move to another group, a local member. */
static void disturb(struct sim_node *n, bool leave)
{
    char group[16];
    ht_ref refs[32];
    size_t count;

    group_name(sim_below(n->sim, GROUPS), group);
    count = ht_group_local_members(n->node, NULL, group, refs, 32);
    if (count == 0) {
        return;
    }
    count = count > 32 ? 32 : count;
    if (!leave) {
        (void)ht_kill(n->node, refs[sim_below(n->sim, (unsigned)count)]);
    } else {
        ht_ref ref = refs[sim_below(n->sim, (unsigned)count)];
        (void)ht_group_leave(n->node, group, ref);
        group_name(sim_below(n->sim, GROUPS), group);
        (void)!ht_group_join(n->node, group, ref);
    }
}

void sim_work_act(struct sim_node *n)
{
    static const char *const orders[] = {"call", "cast", "monitor", "stop"};
    unsigned what = sim_below(n->sim, 20);

    if (what < 3) {
        spawn_worker(n);
    } else if (what < 5) {
        disturb(n, what == 3);
    } else {
        unsigned i = what < 12 ? 0 : what < 17 ? 1 : what < 19 ? 2 : 3;
        (void)!ht_cast(n->node, n->client, orders[i], NULL, 0);
    }
}
