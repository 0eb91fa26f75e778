/* SPDX-License-Identifier: Apache-2.0 */
#include "user.h"

#include <hardtack/client.pb-c.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"
#include "user_internal.h"

static char *lend(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* ---- the connection ------------------------------------------------------ */

/* It does not take what it is sent.  It comes back for it. */
static void give_up_client(struct user *u)
{
    (void)ht_stop(u->node, u->client, "too slow");
}

void user_tell(struct user *u,
               const char *method,
               const ProtobufCMessage *message)
{
    ht_args block;

    if (ht_ref_is_none(u->client)) {
        return;
    }
    block = event_block(method, message);
    if (ht_args_cast(u->node, u->client, "HtDeliver", &block) != HT_OK) {
        give_up_client(u);
    }
}

static void close_client(struct user *u, const char *method, const char *reason)
{
    Chat__Kicked kicked = CHAT__KICKED__INIT;
    Hardtack__Client__Closing closing = HARDTACK__CLIENT__CLOSING__INIT;

    kicked.reason = closing.reason = lend(reason);
    user_tell(u, method, &kicked.base);
    if (ref_cast(u->node, u->client, "HtClose", &closing.base) != HT_OK) {
        give_up_client(u);
    }
}

void user_detach(struct user *u, const char *method, const char *reason)
{
    if (ht_ref_is_none(u->client)) {
        return;
    }
    if (u->client_monitor != 0) {
        (void)ht_demonitor(ht_current(), u->client_monitor);
    }
    if (method != NULL) {
        close_client(u, method, reason);
    }
    u->client = (ht_ref){0, 0};
    u->client_monitor = 0;
    u->in_turn = false;
}

void user_changed(struct user *u, bool gone)
{
    Chat__Resident r = CHAT__RESIDENT__INIT;

    r.user = u->name;
    r.gone = gone;
    r.away = ht_ref_is_none(u->client);
    r.guild = u->guild;
    r.guild_version = u->guild_version;
    r.since_ms = u->since_ms;
    /* It gets it with the next change, or sees our end. */
    if (ref_cast(u->node, u->world, "Changed", &r.base) != HT_OK) {
        ht_node_log(u->node, HT_LOG_WARN, "CHAT-USER-UNTOLD", "user=%s",
                    u->name);
    }
}

static void start_linger(struct user *u)
{
    if (u->linger == 0 && ht_timer_start(ht_current(), u->linger_ms, 0, NULL,
                                         &u->linger) != HT_OK) {
        (void)ht_stop(u->node, u->self, "no memory");
    }
}

static void stop_linger(struct user *u)
{
    if (u->linger != 0) {
        (void)ht_timer_cancel(ht_current(), u->linger);
        u->linger = 0;
    }
}

/* ---- entering ------------------------------------------------------------ */

static bool follow(struct user *u, Chat__Attaching *from)
{
    Chat__Following in = CHAT__FOLLOWING__INIT;

    u->turn++;
    u->in_turn = false;
    in.user = u->name;
    in.turn = u->turn;
    in.from = from;
    return ref_cast(u->node, u->world, "Follow", &in.base) == HT_OK;
}

/* Private messages that the client does not have. */
static void tell_letters(struct user *u, const char *last)
{
    const struct letter *letters[LETTERS_MAX];
    Chat__Message messages[LETTERS_MAX], *pointers[LETTERS_MAX];
    char ids[LETTERS_MAX][ID_TEXT_MAX];
    Chat__Missed missed = CHAT__MISSED__INIT;
    bool gap;

    missed.n_messages = letters_after(&u->letters, last, letters, &gap);
    missed.messages = pointers;
    missed.gap = gap;
    for (size_t i = 0; i < missed.n_messages; i++) {
        messages[i] = letters_message(&u->letters, letters[i], ids[i]);
        pointers[i] = &messages[i];
    }
    if (missed.n_messages > 0) {
        user_tell(u, "Missed", &missed.base);
    }
}

static void attach(struct user *u, ht_ref client)
{
    if (!ht_ref_equal(client, u->client)) {
        user_detach(u, "Kicked", "you are connected from elsewhere");
        u->client = client;
        if (ht_monitor(ht_current(), client, &u->client_monitor) != HT_OK) {
            u->client_monitor = 0;
            give_up_client(u);
        }
    }
    stop_linger(u);
}

static void user__enter(Chat__User_Service *self,
                        const Chat__Entering *in,
                        Chat__Attached_Closure reply,
                        void *call)
{
    struct user *u = (struct user *)self;
    ht_ref client = ref_get(u->node, in->client);
    Chat__Attached out = CHAT__ATTACHED__INIT;
    Chat__Attaching from = CHAT__ATTACHING__INIT;
    char actor[sizeof(USER_PREFIX) + NAME_BYTES_MAX];

    if (!ref_is_world(u->node, ht_service_from()) || ht_ref_is_none(client)) {
        ht_fail(call, HT_EDENIED, "only worlds bring connections");
        return;
    }
    attach(u, client);
    if (in->from != NULL) {
        from = *in->from;
    }
    if (!follow(u, &from)) {
        user_detach(u, "Ended", "the world is overloaded");
        ht_fail(call, HT_EOVERLOAD, "the world is overloaded");
        return;
    }
    snprintf(actor, sizeof(actor), USER_PREFIX "%s", u->name);
    out.user = u->name;
    out.actor = actor;
    out.guild = u->guild;
    out.node = lend(ht_node_name(u->node));
    reply(&out, call);
    tell_letters(u, from.last_private);
    user_changed(u, false);
}

static void user__turn(Chat__User_Service *self,
                       const Chat__Turning *in,
                       Hardtack__None_Closure reply,
                       void *call)
{
    struct user *u = (struct user *)self;

    (void)reply;
    (void)call;
    if (ht_ref_equal(ht_service_from(), u->world)) {
        u->in_turn = in->turn == u->turn;
    }
}

static void user__hear(Chat__User_Service *self,
                       const Chat__Heard *in,
                       Hardtack__None_Closure reply,
                       void *call)
{
    struct user *u = (struct user *)self;

    (void)reply;
    (void)call;
    if (!u->in_turn || ht_ref_is_none(u->client) ||
        !ht_ref_equal(ht_service_from(), u->world)) {
        return;
    }
    if (ht_cast(u->node, u->client, "HtDeliver", in->delivery.data,
                in->delivery.len) != HT_OK) {
        give_up_client(u);
    }
}

static void user__leave(Chat__User_Service *self,
                        const Chat__Kicking *in,
                        Hardtack__None_Closure reply,
                        void *call)
{
    struct user *u = (struct user *)self;

    (void)reply;
    (void)call;
    if (ref_is_world(u->node, ht_service_from())) {
        user_detach(u, "Kicked", in->reason);
        user_changed(u, true);
        (void)ht_stop(u->node, u->self, NULL);
    }
}

bool user_is_asked(struct user *u, void *call)
{
    if (!ht_ref_is_none(u->client) &&
        ht_ref_equal(ht_service_from(), u->client)) {
        return true;
    }
    ht_fail(call, HT_EDENIED, "this is not your user: attach first");
    return false;
}

/* ---- the actor ----------------------------------------------------------- */

static ht_err on_event(ht_actor *self, const ht_event *event)
{
    struct user *u = ht_state(self);

    if (event->kind == HT_EVENT_DOWN &&
        event->u.down.monitor == u->client_monitor) {
        u->client_monitor = 0;
        user_detach(u, NULL, "");
        start_linger(u);
        user_changed(u, false);
    } else if (event->kind == HT_EVENT_TIMER &&
               event->u.timer.timer == u->linger) {
        u->linger = 0;
        user_changed(u, true);
        return ht_stop(u->node, u->self, NULL);
    }
    return HT_OK;
}

static void user_free(struct user *u)
{
    ht_stub_free(u->world_stub);
    letters_fini(&u->letters);
    free(u);
}

static ht_err on_init(ht_actor *self, void *arg)
{
    struct user *u = arg;

    ht_set_state(self, u);
    u->self = ht_self(self);
    start_linger(u);
    return HT_OK;
}

static void on_end(ht_actor *self, const ht_exit *why)
{
    struct user *u = ht_state(self);

    (void)why;
    user_detach(u, "Ended", "attach again");
    user_free(u);
}

static const ht_behavior behavior = {
    .init = on_init, .on_event = on_event, .terminate = on_end};

static const struct rate rates[RATES] = {
    [RATE_NORMAL] = {.burst = 10, .interval_ms = 200},
    [RATE_GUILD] = {.burst = 10, .interval_ms = 200},
    [RATE_WORLD] = {.burst = 2, .interval_ms = 10000},
    [RATE_PRIVATE] = {.burst = 10, .interval_ms = 500},
    [RATE_GUILDS] = {.burst = 3, .interval_ms = 10000},
};

static struct user *user_new(ht_node *node, const struct user_config *config)
{
    const Chat__User_Service service = CHAT__USER__INIT(user__);
    struct user *u = calloc(1, sizeof(*u));

    if (u == NULL) {
        return NULL;
    }
    u->service = service;
    u->node = node;
    u->world = config->world;
    u->linger_ms = config->linger_ms;
    u->since_ms = config->since_ms;
    u->guild_version = config->guild_version;
    memcpy(u->rates, rates, sizeof(rates));
    snprintf(u->name, sizeof(u->name), "%s", config->user);
    snprintf(u->guild, sizeof(u->guild), "%s", config->guild);
    letters_init(&u->letters, config->since_ms, randombytes_random());
    return u;
}

ht_err
user_start(ht_node *node, const struct user_config *config, ht_ref *ret_ref)
{
    struct user *u = user_new(node, config);
    char name[sizeof(USER_PREFIX) + NAME_BYTES_MAX];
    ht_spawn_opts opts = {.name = name};
    ht_err err;

    if (u == NULL) {
        return HT_ENOMEM;
    }
    snprintf(name, sizeof(name), USER_PREFIX "%s", config->user);
    err = ht_stub_new(node, config->world, &chat__world__descriptor,
                      &u->world_stub);
    if (err == HT_OK) {
        ht_stub_set_timeout(u->world_stub, 15000);
        err = ht_spawn_service_opts(node, &u->service.base, &behavior, u, &opts,
                                    ret_ref);
    }
    if (err != HT_OK) {
        user_free(u);
    }
    return err;
}
