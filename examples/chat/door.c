/* SPDX-License-Identifier: Apache-2.0 */
#include "door.h"

#include <hardtack/client.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/chat/world.pb-c.h"
#include "ref.h"
#include "text.h"
#include "wire.h"

#define WAITING_MAX 4096

struct door {
    Chat__Door_Service service; /* the first member */
    ht_node *node;
    ht_stub *world;
    size_t waiting;
};

/* A connection that waits at the door. */
struct arrival {
    struct door *door;
    ht_ref client;
    Chat__Attaching *in; /* a copy */
    Chat__Attached_Closure reply;
    void *call;
    Chat__Attached *out; /* a copy, when the user has answered */
};

static void arrival_free(struct arrival *a)
{
    a->door->waiting--;
    if (a->in != NULL) {
        chat__attaching__free_unpacked(a->in, NULL);
    }
    if (a->out != NULL) {
        chat__attached__free_unpacked(a->out, NULL);
    }
    free(a);
}

static void turn_away(struct arrival *a, ht_err err, const char *reason)
{
    ht_fail(a->call, err, reason);
    arrival_free(a);
}

static void on_places(const Chat__Places *places, void *arg)
{
    struct arrival *a = arg;
    Chat__Attached out = *a->out;

    out.places = (Chat__Places *)(uintptr_t)places;
    a->reply(&out, a->call);
    arrival_free(a);
}

static void on_entered(const Chat__Attached *out, void *arg)
{
    struct arrival *a = arg;
    const Hardtack__Empty none = HARDTACK__EMPTY__INIT;
    const char *reason = "";
    ht_err err = ht_stub_error(&reason);

    if (out == NULL) {
        turn_away(a, err, reason);
        return;
    }
    a->out = (Chat__Attached *)wire_copy(&out->base);
    if (a->out == NULL) {
        turn_away(a, HT_EOVERLOAD, ht_strerror(HT_ENOMEM));
        return;
    }
    chat__world__where(ht_stub_service(a->door->world), &none, on_places, a);
}

/* "guild=red" says that the user begins in that guild. */
static const char *guild_of(const Hardtack__Client__Identity *who)
{
    for (size_t i = 0; i < who->n_claims; i++) {
        if (strncmp(who->claims[i], "guild=", 6) == 0 &&
            text_is_name(who->claims[i] + 6)) {
            return who->claims[i] + 6;
        }
    }
    return "";
}

static void on_who(const Hardtack__Client__Identity *who, void *arg)
{
    struct arrival *a = arg;
    Chat__Entering in = CHAT__ENTERING__INIT;
    ht_args client;

    if (who == NULL) {
        turn_away(a, HT_EDENIED, "only a gateway's client can attach");
    } else if (!text_is_name(who->user)) {
        turn_away(a, HT_EDENIED,
                  who->user[0] == '\0' ? "log in first"
                                       : "your name is none for the chat");
    } else {
        in.user = who->user;
        in.guild = (char *)(uintptr_t)guild_of(who);
        in.client = ref_put(a->door->node, a->client, &client);
        in.from = a->in;
        chat__world__enter(ht_stub_service(a->door->world), &in, on_entered, a);
        ht_args_fini(&client);
    }
}

static void ask_who(struct arrival *a)
{
    const Hardtack__Empty none = HARDTACK__EMPTY__INIT;
    ht_stub *stub = NULL;

    if (ht_stub_new(a->door->node, a->client,
                    &hardtack__client__client__descriptor, &stub) != HT_OK) {
        turn_away(a, HT_EDENIED, "only a gateway's client can attach");
        return;
    }
    hardtack__client__client__ht_who(ht_stub_service(stub), &none, on_who, a);
    ht_stub_free(stub);
}

static void door__attach(Chat__Door_Service *self,
                         const Chat__Attaching *in,
                         Chat__Attached_Closure reply,
                         void *call)
{
    struct door *d = (struct door *)self;
    struct arrival *a = d->waiting < WAITING_MAX ? calloc(1, sizeof(*a)) : NULL;

    if (a == NULL) {
        ht_fail(call, HT_EOVERLOAD, "too many are at the door: try again");
        return;
    }
    d->waiting++;
    *a = (struct arrival){.door = d,
                          .client = ht_service_from(),
                          .in = (Chat__Attaching *)wire_copy(&in->base),
                          .reply = reply,
                          .call = call};
    if (a->in == NULL) {
        turn_away(a, HT_EOVERLOAD, ht_strerror(HT_ENOMEM));
    } else {
        ask_who(a);
    }
}

/* ---- where else ---------------------------------------------------------- */

struct asked {
    Chat__Places_Closure reply;
    void *call;
};

static void on_where(const Chat__Places *out, void *arg)
{
    struct asked *a = arg;
    const char *reason = "";
    ht_err err = ht_stub_error(&reason);

    if (out != NULL) {
        a->reply(out, a->call);
    } else {
        ht_fail(a->call, err, reason);
    }
    free(a);
}

static void door__where(Chat__Door_Service *self,
                        const Hardtack__Empty *in,
                        Chat__Places_Closure reply,
                        void *call)
{
    struct door *d = (struct door *)self;
    struct asked *a = malloc(sizeof(*a));

    if (a == NULL) {
        ht_fail(call, HT_EOVERLOAD, ht_strerror(HT_ENOMEM));
        return;
    }
    *a = (struct asked){reply, call};
    chat__world__where(ht_stub_service(d->world), in, on_where, a);
}

/* ---- the actor ----------------------------------------------------------- */

static void door_free(struct door *d)
{
    ht_stub_free(d->world);
    free(d);
}

static void on_end(ht_actor *self, const ht_exit *why)
{
    (void)why;
    door_free(ht_state(self));
}

static const ht_behavior behavior = {.terminate = on_end};

ht_err door_start(ht_node *node, ht_ref world)
{
    const Chat__Door_Service service = CHAT__DOOR__INIT(door__);
    const ht_spawn_opts opts = {.name = DOOR_NAME};
    struct door *d = calloc(1, sizeof(*d));
    ht_ref ref = {0, 0};
    ht_err err;

    if (d == NULL) {
        return HT_ENOMEM;
    }
    d->service = service;
    d->node = node;
    err = ht_stub_new(node, world, &chat__world__descriptor, &d->world);
    if (err == HT_OK) {
        ht_stub_set_timeout(d->world, 12000);
        err = ht_spawn_service_opts(node, &d->service.base, &behavior, d, &opts,
                                    &ref);
    }
    if (err != HT_OK) {
        door_free(d);
    }
    return err;
}
