/* SPDX-License-Identifier: Apache-2.0 */
/* sim.c - simulated time, nodes, faults, and what must hold. */
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_internal.h"

#define TURN_BUDGET   64
#define LISTING_BYTES (256 * 1024)

/* ---- chance ---- */

/* splitmix64 (S. Vigna, public domain algorithm): one word of state. */
uint64_t sim_random(struct sim *sim)
{
    uint64_t z = (sim->rng += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

unsigned sim_below(struct sim *sim, unsigned n)
{
    return n == 0 ? 0 : (unsigned)(sim_random(sim) % n);
}

void sim_note(struct sim *sim, const char *format, ...)
{
    char line[512];
    va_list ap;

    va_start(ap, format);
    vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    sim->signature = sim->signature * 1099511628211u ^ sim->now_ms;
    for (const char *p = line; *p != '\0'; p++) {
        sim->signature = (sim->signature ^ (uint8_t)*p) * 1099511628211u;
    }
    if (sim->options.trace) {
        printf("[%7llu] %s\n", (unsigned long long)sim->now_ms, line);
    }
}

void sim_violation(struct sim *sim, const char *format, ...)
{
    va_list ap;

    sim->violations++;
    printf("seed %llu, %llu ms: ", (unsigned long long)sim->options.seed,
           (unsigned long long)sim->now_ms);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    printf("\n");
}

/* ---- a node's host ---- */

static uint64_t host_now(void *arg)
{
    const struct sim_node *n = arg;

    return n->sim->now_ms * 1000000u;
}

static void host_random(void *arg, void *buf, size_t len)
{
    struct sim_node *n = arg;
    uint8_t *p = buf;

    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)sim_random(n->sim);
    }
}

static void host_wake(void *arg, unsigned sched)
{
    (void)arg;
    (void)sched; /* every node turns until nothing is left */
}

static const struct hti_host_ops sim_host = {
    .now_ns = host_now,
    .random = host_random,
    .wake = host_wake,
    .pool_inline = true,
};

static void
node_log(ht_log_level level, const char *id, const char *text, void *arg)
{
    struct sim_node *n = arg;

    (void)level;
    sim_note(n->sim, "%s > %s %s", n->name, id, text);
}

static void node_start(struct sim *sim, unsigned i)
{
    struct sim_node *n = &sim->nodes[i];
    struct hti_rt_config rt = {
        .name = n->name,
        .scheds = 1,
        .single_threaded = true,
        .pool_threads = 1,
        .local_handle = HTI_LOCAL_HANDLE,
        .host = &sim_host,
        .host_arg = n,
    };
    struct hti_cluster_config config = {
        .name = n->name,
        .connection_string = n->address,
        .keys = sim->keys,
        .connect_ms = 5000,
        .handshake_ms = 5000,
        .heartbeat_ms = 1000,
        .silence_ms = 5000,
        .redial_min_ms = 100,
        .redial_max_ms = 5000,
        .hidden = n->hidden,
        .transitive = sim->transitive && !n->hidden,
        .encryption = HT_ENCRYPT_NONE,
        .outbox_bytes_max = sim->outbox_bytes_max,
        .calls_max = 65536,
        .frame_max = 16u << 20,
        .message_max = 64u << 20,
    };
    ht_err err;

    n->incarnation++;
    n->calls_started = 0;
    n->calls_ended = 0;
    n->casts = 0;
    n->monitors_count = 0;
    n->waits_count = 0;
    n->draining = false;
    n->frozen_ms = 0;
    n->tick_ms = sim->now_ms;
    n->timer_ms = UINT64_MAX;
    config.incarnation = n->incarnation;
    host_random(n, rt.instance, sizeof(rt.instance));
    hti_log_init(&rt.log, node_log, n, HT_LOG_DEBUG);
    err = hti_rt_new(&rt, &n->node);
    assert(err == HT_OK);
    err = hti_cluster_new(n->node, &config, &sim_cluster_io, n, &n->cluster);
    assert(err == HT_OK);
    hti_sched_enter(n->node, 0);
    sim_note(sim, "%s starts, incarnation %llu", n->name,
             (unsigned long long)n->incarnation);
    sim_work_start(n);
    hti_sched_leave(n->node);
}

bool sim_is_frozen(const struct sim *sim, unsigned node)
{
    return sim->nodes[node].frozen_ms > sim->now_ms;
}

static uint64_t node_next(const struct sim_node *n)
{
    uint64_t next = n->tick_ms < n->timer_ms ? n->tick_ms : n->timer_ms;

    return next < n->frozen_ms ? n->frozen_ms : next;
}

/* Run a node until it has nothing to do now. */
static bool node_turn(struct sim_node *n)
{
    struct hti_turn turn;
    bool worked = false;

    hti_sched_enter(n->node, 0);
    do {
        turn = hti_sched_turn(n->node, 0, TURN_BUDGET);
        worked = worked || turn.more;
    } while (turn.more);
    hti_sched_leave(n->node);
    n->timer_ms = turn.deadline_ns == UINT64_MAX
                      ? UINT64_MAX
                      : (turn.deadline_ns + 999999u) / 1000000u;
    return worked;
}

static void node_free(struct sim_node *n, bool tell_peers)
{
    if (n->node == NULL) {
        return;
    }
    sim_net_drop_node(n->sim, n->index, tell_peers);
    hti_cluster_stop(n->cluster);
    hti_rt_stop(n->node);
    for (unsigned i = 0; i < 1000 && !hti_rt_is_quiet(n->node); i++) {
        (void)node_turn(n);
    }
    if (!hti_rt_is_quiet(n->node) || !hti_cluster_is_quiet(n->cluster)) {
        sim_violation(n->sim, "%s does not end", n->name);
    }
    hti_cluster_free(n->cluster);
    hti_rt_free(n->node);
    n->node = NULL;
    n->cluster = NULL;
}

/* As a program ends: actors, and then links, have their last word. */
static void node_stop(struct sim_node *n)
{
    sim_note(n->sim, "%s stops", n->name);
    hti_rt_stop(n->node);
    for (unsigned i = 0; i < 1000 && !hti_rt_is_quiet(n->node); i++) {
        (void)node_turn(n);
        sim_net_flush(n->sim);
    }
    hti_cluster_stop(n->cluster);
    sim_net_flush(n->sim);
    node_free(n, true);
}

/* ---- time ---- */

static void settle(struct sim *sim)
{
    bool again;

    do {
        again = false;
        for (unsigned i = 0; i < sim->all_count; i++) {
            if (sim->nodes[i].node != NULL && !sim_is_frozen(sim, i)) {
                again = node_turn(&sim->nodes[i]) || again;
            }
        }
        sim_net_flush(sim);
    } while (again);
}

static uint64_t next_event(struct sim *sim)
{
    uint64_t next = sim_net_next(sim);

    for (unsigned i = 0; i < sim->all_count; i++) {
        const struct sim_node *n = &sim->nodes[i];
        if (n->node != NULL) {
            uint64_t at = node_next(n);
            next = at < next ? at : next;
        }
    }
    return next;
}

void sim_run(struct sim *sim, uint64_t for_ms)
{
    uint64_t until = sim->now_ms + for_ms;

    settle(sim);
    for (;;) {
        uint64_t next = next_event(sim);
        if (next > until) {
            break;
        }
        /* A deadline in the past is due now; time never goes back. */
        sim->now_ms = next > sim->now_ms ? next : sim->now_ms;
        for (unsigned i = 0; i < sim->all_count; i++) {
            struct sim_node *n = &sim->nodes[i];
            if (n->node != NULL && n->tick_ms <= sim->now_ms &&
                !sim_is_frozen(sim, i)) {
                n->tick_ms = UINT64_MAX;
                uint64_t at = hti_cluster_tick(n->cluster, sim->now_ms);
                n->tick_ms = at < n->tick_ms ? at : n->tick_ms;
            }
        }
        while (sim_net_step(sim)) {
            settle(sim);
        }
        settle(sim);
    }
    sim->now_ms = until;
    settle(sim);
}

uint64_t sim_now(const struct sim *sim)
{
    return sim->now_ms;
}

unsigned sim_nodes(const struct sim *sim)
{
    return sim->nodes_count;
}

/* ---- life ---- */

struct sim *sim_new(const struct sim_options *options)
{
    static const char cookie[] = "a cookie that all of them share, 0123456789";
    struct sim *sim = calloc(1, sizeof(*sim));
    ht_bytes bytes = {cookie, sizeof(cookie) - 1};
    ht_err err;

    assert(sim != NULL);
    sim->options = *options;
    sim->now_ms = 1000;
    sim->rng = options->seed;
    TAILQ_INIT(&sim->conns);
    TAILQ_INIT(&sim->dials);
    sim->nodes_count = options->nodes != 0
                           ? options->nodes
                           : 2 + sim_below(sim, SIM_NODES_MAX - 1);
    sim->latency_ms = 1 + sim_below(sim, 50);
    sim->mode = sim_below(sim, 2) ? HTI_MODE_COOKIE : HTI_MODE_NONE;
    sim->transitive = sim_below(sim, 3) == 0;
    sim->outbox_bytes_max = sim_below(sim, 2) ? 8u << 20 : 32u << 10;
    sim->all_count = sim->nodes_count + SIM_CLIENTS_MAX;
    err = hti_keyring_new(&bytes, 1, NULL, 0, "sim", HTI_KDF_FAST, &sim->keys);
    assert(err == HT_OK);
    for (unsigned i = 0; i < sim->all_count; i++) {
        struct sim_node *n = &sim->nodes[i];
        n->sim = sim;
        n->index = i;
        n->hidden = i >= sim->nodes_count;
        snprintf(n->name, sizeof(n->name), "%c%u@sim", n->hidden ? 'c' : 'n',
                 i);
        if (!n->hidden) {
            snprintf(n->address, sizeof(n->address), "sim:%u", i + 1);
            node_start(sim, i);
        }
    }
    return sim;
}

void sim_free(struct sim *sim)
{
    if (sim == NULL) {
        return;
    }
    for (unsigned i = 0; i < sim->all_count; i++) {
        node_free(&sim->nodes[i], true);
    }
    sim_net_free(sim);
    hti_keyring_unref(sim->keys);
    free(sim);
}

static void dial(struct sim *sim, unsigned from, unsigned to)
{
    struct sim_node *n = &sim->nodes[from];
    struct hti_target target = {
        .address = sim->nodes[to].address,
        .encryption = HT_ENCRYPT_NONE,
    };
    ht_err err;

    if (n->node != NULL) {
        err = hti_cluster_connect(n->cluster, &target, false, NULL, NULL);
        if (err != HT_OK) {
            sim_violation(sim, "%s cannot dial: %s", n->name, ht_errname(err));
        }
    }
}

/* Every pair has at least one side that keeps dialling; some have both, which
 * is how simultaneous connections come about.  Transitive nodes dial the first
 * one, hear of the others, and dial each other all at once. */
static void connect_node(struct sim *sim, unsigned i)
{
    if (sim->transitive) {
        if (i != 0) {
            dial(sim, i, 0);
        } else if (sim->nodes_count > 1) {
            dial(sim, 0, 1);
        }
        return;
    }
    for (unsigned j = 0; j < sim->nodes_count; j++) {
        if (i != j && (i < j || sim_below(sim, 2))) {
            dial(sim, i, j);
        }
    }
}

void sim_connect_all(struct sim *sim)
{
    for (unsigned i = 0; i < sim->nodes_count; i++) {
        connect_node(sim, i);
    }
}

/* ---- faults ---- */

void sim_crash(struct sim *sim, unsigned node)
{
    struct sim_node *n = &sim->nodes[node];

    if (n->node != NULL) {
        sim_note(sim, "%s crashes", n->name);
        node_free(n, sim_below(sim, 2) != 0);
    }
}

void sim_drain(struct sim *sim, unsigned node)
{
    struct sim_node *n = &sim->nodes[node];

    if (n->node != NULL && !n->draining && !sim_is_frozen(sim, node)) {
        sim_note(sim, "%s drains", n->name);
        n->draining = true;
        hti_rt_refuse(n->node);
    }
}

void sim_stop(struct sim *sim, unsigned node)
{
    if (sim->nodes[node].node != NULL) {
        sim->nodes[node].frozen_ms = 0;
        node_stop(&sim->nodes[node]);
    }
}

void sim_client(struct sim *sim)
{
    unsigned i = sim->nodes_count + sim_below(sim, SIM_CLIENTS_MAX);
    struct sim_node *n = &sim->nodes[i];
    struct hti_target target = {
        .address = sim->nodes[sim_below(sim, sim->nodes_count)].address,
        .encryption = HT_ENCRYPT_NONE,
    };

    if (n->node == NULL) {
        node_start(sim, i);
        if (hti_cluster_connect(n->cluster, &target, true, NULL, NULL) !=
            HT_OK) {
            sim_violation(sim, "%s cannot dial", n->name);
        }
    } else if (sim_below(sim, 2)) {
        node_stop(n);
    } else {
        sim_crash(sim, i);
    }
}

void sim_restart(struct sim *sim, unsigned node)
{
    if (sim->nodes[node].node == NULL) {
        node_start(sim, node);
        connect_node(sim, node);
    }
}

void sim_freeze(struct sim *sim, unsigned node, uint64_t for_ms)
{
    struct sim_node *n = &sim->nodes[node];

    if (n->node != NULL && !sim_is_frozen(sim, node)) {
        sim_note(sim, "%s stands still for %llu ms", n->name,
                 (unsigned long long)for_ms);
        n->frozen_ms = sim->now_ms + for_ms;
    }
}

void sim_cut(struct sim *sim)
{
    struct sim_conn *conn = sim_net_random(sim);

    if (conn != NULL) {
        sim_net_cut(sim, conn);
    }
}

void sim_silence(struct sim *sim)
{
    struct sim_conn *conn = sim_net_random(sim);

    if (conn != NULL) {
        sim_note(sim, "silence on conn %llu", (unsigned long long)conn->id);
        conn->silent = true;
    }
}

void sim_partition(struct sim *sim, unsigned a, unsigned b, bool on)
{
    struct sim_conn *conn;

    sim_note(sim, "partition %u %u %s", a, b, on ? "on" : "off");
    sim->partitioned[a][b] = sim->partitioned[b][a] = on;
    TAILQ_FOREACH (conn, &sim->conns, entry) {
        unsigned x = conn->end[0].node;
        unsigned y = conn->end[1].node;
        if (on && ((x == a && y == b) || (x == b && y == a))) {
            conn->silent = true;
        }
    }
}

void sim_heal(struct sim *sim)
{
    sim_note(sim, "heal");
    memset(sim->partitioned, 0, sizeof(sim->partitioned));
    for (unsigned i = 0; i < sim->all_count; i++) {
        sim->nodes[i].frozen_ms = 0;
    }
    for (unsigned i = 0; i < sim->all_count; i++) {
        if (sim->nodes[i].draining || sim->nodes[i].hidden) {
            sim_stop(sim, i);
        }
    }
    for (unsigned i = 0; i < sim->nodes_count; i++) {
        sim_restart(sim, i);
    }
}

void sim_act(struct sim *sim)
{
    struct sim_node *n = &sim->nodes[sim_below(sim, sim->all_count)];

    if (n->node != NULL && !sim_is_frozen(sim, n->index)) {
        hti_sched_enter(n->node, 0);
        sim_work_act(n);
        hti_sched_leave(n->node);
    }
}

/* ---- what must hold ---- */

struct listing {
    ht_node *node;
    char **lines;
    size_t count;
    size_t cap;
};

static void list_group(const char *scope,
                       const char *group,
                       const ht_ref *refs,
                       size_t count,
                       void *arg)
{
    struct listing *l = arg;

    for (size_t i = 0; i < count; i++) {
        char ref[320];
        char line[512];
        ht_ref_format(l->node, refs[i], ref, sizeof(ref));
        snprintf(line, sizeof(line), "%s/%s %s", scope, group, ref);
        if (l->count == l->cap) {
            l->cap = l->cap ? l->cap * 2 : 64;
            l->lines = realloc(l->lines, l->cap * sizeof(*l->lines));
            assert(l->lines != NULL);
        }
        l->lines[l->count++] = strdup(line);
    }
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_groups(struct sim_node *n, struct listing *l)
{
    memset(l, 0, sizeof(*l));
    l->node = n->node;
    ht_group_each(n->node, list_group, l);
    if (l->count > 0) {
        qsort(l->lines, l->count, sizeof(*l->lines), compare_lines);
    }
}

static void free_listing(struct listing *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->lines[i]);
    }
    free(l->lines);
}

static void print_listing(const char *name, const struct listing *l)
{
    for (size_t i = 0; i < l->count; i++) {
        printf("  %s sees %s\n", name, l->lines[i]);
    }
}

static bool same(struct sim *sim,
                 const struct sim_node *n,
                 const struct listing *a,
                 const struct listing *b)
{
    size_t i = 0;

    while (i < a->count && i < b->count &&
           strcmp(a->lines[i], b->lines[i]) == 0) {
        i++;
    }
    if (i < a->count || i < b->count) {
        if (sim->options.trace) {
            print_listing(sim->nodes[0].name, a);
            print_listing(n->name, b);
        }
        sim_violation(sim, "groups differ at %s and %s: %s, %s",
                      sim->nodes[0].name, n->name,
                      i < a->count ? a->lines[i] : "-",
                      i < b->count ? b->lines[i] : "-");
        return false;
    }
    return true;
}

static void count_links(const ht_peer_info *info, void *arg)
{
    unsigned *ready = arg;

    if (strcmp(info->state, "ready") == 0) {
        (*ready)++;
    }
}

bool sim_check_always(struct sim *sim)
{
    return sim->violations == 0;
}

bool sim_check_settled(struct sim *sim)
{
    struct listing first;

    list_groups(&sim->nodes[0], &first);
    for (unsigned i = 0; i < sim->nodes_count; i++) {
        struct sim_node *n = &sim->nodes[i];
        unsigned ready = 0;
        struct listing mine;
        list_groups(n, &mine);
        (void)same(sim, n, &first, &mine);
        free_listing(&mine);
        ht_peer_each(n->node, count_links, &ready);
        if (ready != sim->nodes_count - 1) {
            sim_violation(sim, "%s has %u ready links", n->name, ready);
        }
        if (n->calls_started != n->calls_ended) {
            sim_violation(sim, "%s: %llu calls started, %llu ended", n->name,
                          (unsigned long long)n->calls_started,
                          (unsigned long long)n->calls_ended);
        }
        sim_work_check(n);
    }
    free_listing(&first);
    {
        struct sim_conn *conn;
        unsigned live = 0;
        TAILQ_FOREACH (conn, &sim->conns, entry) {
            live += conn->end[0].link != NULL;
            live += conn->end[1].link != NULL;
        }
        if (live != sim->nodes_count * (sim->nodes_count - 1)) {
            sim_violation(sim, "%u ends of links are left", live);
        }
    }
    return sim->violations == 0;
}

uint64_t sim_signature(const struct sim *sim)
{
    return sim->signature;
}
