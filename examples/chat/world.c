/* SPDX-License-Identifier: Apache-2.0 */
/* world.c - the world's actor: its life, its neighbours, the time. */
#include "world.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"
#include "world_internal.h"

#define TICK_MS 250

static const struct history_limits limits = {
    .channel_entries_max = 200,
    .entries_max = 4096,
    .bytes_max = 1024 * 1024,
    .keys_max = 16384,
};

/* ---- neighbours ---------------------------------------------------------- */

struct neighbour *world_neighbour(struct world *w, ht_ref ref)
{
    for (size_t i = 0; i < w->neighbours_count; i++) {
        if (ht_ref_equal(w->neighbours[i].ref, ref)) {
            return &w->neighbours[i];
        }
    }
    return NULL;
}

struct neighbour *world_named(struct world *w, uint32_t name)
{
    for (size_t i = 0; i < w->neighbours_count; i++) {
        if (w->neighbours[i].who.world == name) {
            return &w->neighbours[i];
        }
    }
    return NULL;
}

static void view(struct world *w)
{
    struct order_world worlds[ORDER_WORLDS_MAX];

    for (size_t i = 0; i < w->neighbours_count; i++) {
        worlds[i] = w->neighbours[i].who;
    }
    order_view(w->order, worlds, w->neighbours_count, ref_now_ms());
}

static void greet(struct world *w, ht_ref to, bool again)
{
    Chat__Greeting out = CHAT__GREETING__INIT;

    out.world = w->who.world;
    out.born_ms = w->who.born_ms;
    out.gateway = w->gateway;
    out.again = again;
    if (ref_cast(w->node, to, "Hello", &out.base) != HT_OK) {
        ht_node_log(w->node, HT_LOG_DEBUG, "CHAT-WORLD-UNGREETED",
                    "again=\"in a second\"");
    }
}

static void
become_neighbours(struct world *w, ht_ref ref, const Chat__Greeting *in)
{
    struct neighbour *n = &w->neighbours[w->neighbours_count];

    *n = (struct neighbour){
        .who = {.world = in->world, .born_ms = in->born_ms},
        .ref = ref,
    };
    if (ht_monitor(ht_current(), ref, &n->monitor) != HT_OK) {
        return; /* it greets again */
    }
    w->neighbours_count++;
    ht_node_log(w->node, HT_LOG_INFO, "CHAT-WORLD-UP", "world=%08x node=%s",
                in->world, ht_ref_node_name(w->node, ref));
    world_present_all(w, n);
    view(w);
}

static void world__hello(Chat__World_Service *self,
                         const Chat__Greeting *in,
                         Hardtack__None_Closure reply,
                         void *call)
{
    struct world *w = (struct world *)self;
    ht_ref from = ht_service_from();
    struct neighbour *n = world_neighbour(w, from);

    (void)reply;
    (void)call;
    if (ht_ref_equal(from, w->self) || !ref_is_world(w->node, from)) {
        return;
    }
    if (n == NULL && (in->world == w->who.world || in->world == 0 ||
                      world_named(w, in->world) != NULL ||
                      w->neighbours_count == ORDER_WORLDS_MAX)) {
        ht_node_log(w->node, HT_LOG_WARN, "CHAT-WORLD-REFUSED",
                    "world=%08x node=%s", in->world,
                    ht_ref_node_name(w->node, from));
        return;
    }
    if (n == NULL) {
        become_neighbours(w, from, in);
        n = world_neighbour(w, from);
    }
    if (n != NULL) {
        snprintf(n->gateway, sizeof(n->gateway), "%s", in->gateway);
    }
    if (in->again) {
        greet(w, from, false);
    }
}

static void neighbour_down(struct world *w, struct neighbour *n)
{
    uint32_t name = n->who.world;

    ht_node_log(w->node, HT_LOG_INFO, "CHAT-WORLD-DOWN", "world=%08x", name);
    *n = w->neighbours[--w->neighbours_count];
    roster_leave_all(w->roster, name);
    view(w);
}

static void world__order(Chat__World_Service *self,
                         const Chat__Step *in,
                         Hardtack__None_Closure reply,
                         void *call)
{
    struct world *w = (struct world *)self;
    struct neighbour *n = world_neighbour(w, ht_service_from());

    (void)reply;
    (void)call;
    if (n != NULL && wire_step_is_whole(in)) {
        order_receive(w->order, n->who.world, in, ref_now_ms());
    }
}

static void world__where(Chat__World_Service *self,
                         const Hardtack__Empty *in,
                         Chat__Places_Closure reply,
                         void *call)
{
    struct world *w = (struct world *)self;
    Chat__Places out = CHAT__PLACES__INIT;
    char *gateways[ORDER_WORLDS_MAX + 1];

    (void)in;
    out.gateways = gateways;
    if (w->gateway[0] != '\0') {
        gateways[out.n_gateways++] = w->gateway;
    }
    for (size_t i = 0; i < w->neighbours_count; i++) {
        if (w->neighbours[i].gateway[0] != '\0') {
            gateways[out.n_gateways++] = w->neighbours[i].gateway;
        }
    }
    reply(&out, call);
}

static void world__gateway(Chat__World_Service *self,
                           const Chat__Place *in,
                           Hardtack__Empty_Closure reply,
                           void *call)
{
    struct world *w = (struct world *)self;
    Hardtack__Empty out = HARDTACK__EMPTY__INIT;

    if (strlen(in->gateway) >= sizeof(w->gateway)) {
        ht_fail(call, HT_EARGS, "gateway: too long");
        return;
    }
    snprintf(w->gateway, sizeof(w->gateway), "%s", in->gateway);
    for (size_t i = 0; i < w->neighbours_count; i++) {
        greet(w, w->neighbours[i].ref, false);
    }
    reply(&out, call);
}

/* ---- time ---------------------------------------------------------------- */

static void greet_strangers(struct world *w)
{
    ht_ref worlds[ORDER_WORLDS_MAX + 1];
    size_t count = ht_group_members(w->node, NULL, WORLDS_GROUP, worlds,
                                    ORDER_WORLDS_MAX + 1);

    for (size_t i = 0; i < count && i <= ORDER_WORLDS_MAX; i++) {
        if (!ht_ref_equal(worlds[i], w->self) &&
            world_neighbour(w, worlds[i]) == NULL) {
            greet(w, worlds[i], true);
        }
    }
}

static void tick(struct world *w)
{
    uint64_t now_ms = ref_now_ms();

    order_tick(w->order, now_ms);
    if (w->ticks++ % 4 != 0) {
        return;
    }
    greet_strangers(w);
    world_expire_claims(w, now_ms);
    world_tell_count(w);
    for (size_t i = 0; i < w->neighbours_count; i++) {
        if (w->neighbours[i].behind) {
            world_present_all(w, &w->neighbours[i]);
        }
    }
}

static void down(struct world *w, uint64_t monitor)
{
    for (size_t i = 0; i < w->neighbours_count; i++) {
        if (w->neighbours[i].monitor == monitor) {
            neighbour_down(w, &w->neighbours[i]);
            return;
        }
    }
    for (struct local *l = w->locals; l != NULL; l = l->hh.next) {
        if (l->monitor == monitor) {
            world_local_gone(w, l);
            return;
        }
    }
    world_visitor_down(w, monitor);
}

static ht_err on_event(ht_actor *self, const ht_event *event)
{
    struct world *w = ht_state(self);

    if (event->kind == HT_EVENT_TIMER) {
        tick(w);
    } else if (event->kind == HT_EVENT_DOWN) {
        down(w, event->u.down.monitor);
    } else if (event->kind == HT_EVENT_GROUP && event->u.group.joined) {
        greet_strangers(w);
    }
    return HT_OK;
}

/* ---- the actor ----------------------------------------------------------- */

static void world_free(struct world *w)
{
    struct local *l = w->locals, *next;
    struct claim *c = w->claims, *after;
    struct visitor *v = TAILQ_FIRST(&w->visitors), *behind;

    HASH_CLEAR(hh, w->locals);
    for (; l != NULL; l = next) {
        next = l->hh.next;
        free(l);
    }
    HASH_CLEAR(hh, w->claims);
    for (; c != NULL; c = after) {
        after = c->hh.next;
        free(c);
    }
    for (; v != NULL; v = behind) {
        behind = TAILQ_NEXT(v, entry);
        free(v);
    }
    order_free(w->order);
    history_free(w->history);
    roster_free(w->roster);
    free(w);
}

static ht_err on_init(ht_actor *self, void *arg)
{
    struct world *w = arg;
    uint64_t timer;
    ht_err err;

    ht_set_state(self, w);
    w->self = ht_self(self);
    err = ht_group_monitor(self, HT_SCOPE_DEFAULT, WORLDS_GROUP);
    if (err == HT_OK) {
        err = ht_timer_start(self, TICK_MS, TICK_MS, NULL, &timer);
    }
    if (err == HT_OK) {
        order_view(w->order, NULL, 0, ref_now_ms());
    }
    return err;
}

static void on_end(ht_actor *self, const ht_exit *why)
{
    (void)why;
    world_free(ht_state(self));
}

static const ht_behavior behavior = {
    .init = on_init, .on_event = on_event, .terminate = on_end};

static struct world *world_new(ht_node *node, const struct world_config *config)
{
    const Chat__World_Service service = CHAT__WORLD__INIT(world__);
    struct world *w = calloc(1, sizeof(*w));

    if (w == NULL) {
        return NULL;
    }
    w->service = service;
    w->node = node;
    w->linger_ms = config->linger_ms;
    w->who = (struct order_world){.world = randombytes_random() | 1,
                                  .born_ms = ref_now_ms()};
    snprintf(w->gateway, sizeof(w->gateway), "%s", config->gateway);
    TAILQ_INIT(&w->visitors);
    w->roster = roster_new();
    w->history = history_new(&limits);
    if (w->history != NULL) {
        w->order = order_new(w->who, w->history, &world_order_calls, w);
    }
    if (w->roster == NULL || w->order == NULL) {
        world_free(w);
        return NULL;
    }
    return w;
}

ht_err
world_start(ht_node *node, const struct world_config *config, ht_ref *ret_ref)
{
    const ht_spawn_opts opts = {
        .name = WORLD_NAME,
        .mailbox_messages_max = 65536,
        .mailbox_bytes_max = 32 * 1024 * 1024,
    };
    struct world *w = world_new(node, config);
    ht_err err;

    if (w == NULL) {
        return HT_ENOMEM;
    }
    err = ht_spawn_service_opts(node, &w->service.base, &behavior, w, &opts,
                                ret_ref);
    if (err != HT_OK) {
        world_free(w);
        return err;
    }
    return ht_group_join(node, WORLDS_GROUP, *ret_ref);
}
