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

/* ---- books ---- */

/* A monitor fires once: whoever is not in the book has fired, or never was. */
static void book_monitor(struct sim_node *n, uint64_t id, ht_ref ref)
{
    n->monitors[n->monitors_count++] = (struct sim_monitor){id, ref};
}

static void book_down(struct sim_node *n, uint64_t id, ht_ref ref)
{
    for (size_t i = 0; i < n->monitors_count; i++) {
        if (n->monitors[i].id == id) {
            if (!ht_ref_equal(n->monitors[i].ref, ref)) {
                sim_violation(n->sim, "%s: a monitor fires for another actor",
                              n->name);
            }
            n->monitors[i] = n->monitors[--n->monitors_count];
            return;
        }
    }
    sim_violation(n->sim, "%s: monitor %llu fires again", n->name,
                  (unsigned long long)id);
}

/* To ask again for the same one, before one is told, asks once. */
static void book_wait(struct sim_node *n, ht_ref ref)
{
    for (size_t i = 0; i < n->waits_count; i++) {
        if (ht_ref_equal(n->waits[i], ref)) {
            return;
        }
    }
    n->waits[n->waits_count++] = ref;
}

static void book_writable(struct sim_node *n, ht_ref ref)
{
    for (size_t i = 0; i < n->waits_count; i++) {
        if (ht_ref_equal(n->waits[i], ref)) {
            n->waits[i] = n->waits[--n->waits_count];
            return;
        }
    }
    sim_violation(n->sim, "%s is told to go on, and did not wait", n->name);
}

static bool is_alive(struct sim_node *n, ht_ref ref)
{
    const char *name = ht_ref_node_name(n->node, ref);

    for (unsigned i = 0; i < n->sim->nodes_count; i++) {
        struct sim_node *at = &n->sim->nodes[i];

        if (strcmp(at->name, name) == 0) {
            return ht_is_alive(at->node, (ht_ref){HTI_LOCAL_HANDLE, ref.pid}) &&
                   ht_is_alive(n->node, ref);
        }
    }
    return false;
}

void sim_work_check(struct sim_node *n)
{
    if (n->waits_count != 0) {
        sim_violation(n->sim, "%s was refused and never told to go on",
                      n->name);
    }
    for (size_t i = 0; i < n->monitors_count; i++) {
        if (!is_alive(n, n->monitors[i].ref)) {
            sim_violation(n->sim, "%s: monitor %llu never fired", n->name,
                          (unsigned long long)n->monitors[i].id);
        }
    }
}

/* ---- what it is told to do ---- */

/* Numbers that only grow, whatever is lost: order is checked, not delivery.
 * Some are large, so that they travel in pieces. */
static void client_cast(ht_actor *self, struct sim_node *n)
{
    const unsigned len_max = 300 * 1024;
    size_t len = sizeof(struct numbered);
    struct numbered m = {.node = n->index, .incarnation = n->incarnation};
    uint8_t *payload;
    ht_ref to;

    if (!pick(n, &to)) {
        return;
    }
    /* More than a small outbox takes: whoever is refused asks to be told. */
    if (sim_below(n->sim, n->sim->outbox_bytes_max < len_max ? 5 : 20) == 0) {
        len += sim_below(n->sim, len_max);
    }
    payload = calloc(1, len);
    assert(payload != NULL);
    for (unsigned i = sim_below(n->sim, 8) + 1; i > 0; i--) {
        m.seq = ++n->casts;
        memcpy(payload, &m, sizeof(m));
        ht_err err = ht_cast(n->node, to, "number", payload, len);
        if (err == HT_EBUSY && n->waits_count < SIM_WAITS_MAX &&
            ht_notify_writable(self, to) == HT_OK) {
            book_wait(n, to);
        }
        if (err != HT_OK) {
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
        client_cast(self, n);
    } else if (strcmp(what, "monitor") == 0) {
        uint64_t monitor;
        ht_ref to;
        if (n->monitors_count < SIM_MONITORS_MAX && pick(n, &to)) {
            if (ht_monitor(self, to, &monitor) == HT_OK) {
                book_monitor(n, monitor, to);
            } else {
                sim_note(n->sim, "%s > cannot monitor", n->name);
            }
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
        book_down(n, event->u.down.monitor, event->u.down.ref);
    } else if (event->kind == HT_EVENT_WRITABLE) {
        sim_note(n->sim, "%s > writable", n->name);
        book_writable(n, event->u.writable.ref);
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
    for (unsigned i = n->hidden ? 0 : sim_below(n->sim, 4); i > 0; i--) {
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

    if (what < 3 && !n->hidden && !n->draining) {
        spawn_worker(n);
    } else if (what < 5) {
        disturb(n, what == 3);
    } else {
        unsigned i = what < 12 ? 0 : what < 17 ? 1 : what < 19 ? 2 : 3;
        (void)!ht_cast(n->node, n->client, orders[i], NULL, 0);
    }
}
