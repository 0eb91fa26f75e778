/* SPDX-License-Identifier: Apache-2.0 */
/* world_users.c - who is there: presence, guilds, kicks, private
 * messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world_internal.h"

#define PRESENCE_MAX 200 /* people in one message */

struct local *world_local(struct world *w, const char *user)
{
    struct local *l;

    HASH_FIND_STR(w->locals, user, l);
    return l;
}

/* ---- telling other worlds ------------------------------------------------ */

struct resident_box {
    Chat__Resident out;
    ht_args ref;
};

static void fill(struct world *w,
                 struct resident_box *box,
                 const struct person *p,
                 bool gone)
{
    chat__resident__init(&box->out);
    box->out.user = lend(p->user);
    box->out.gone = gone;
    box->out.away = p->away;
    box->out.guild = lend(p->guild);
    box->out.guild_version = p->guild_version;
    box->out.since_ms = p->since_ms;
    box->out.ref = ref_put(w->node, p->ref, &box->ref);
}

static void
send_presence(struct world *w, struct neighbour *n, const Chat__Presence *out)
{
    if (ref_cast(w->node, n->ref, "Present", &out->base) != HT_OK) {
        n->behind = true;
    }
}

/* One of ours has changed. */
void world_present(struct world *w, const struct person *p, bool gone)
{
    struct resident_box box;
    Chat__Resident *one = &box.out;
    Chat__Presence out = CHAT__PRESENCE__INIT;

    fill(w, &box, p, gone);
    out.people = &one;
    out.n_people = 1;
    for (size_t i = 0; i < w->neighbours_count; i++) {
        send_presence(w, &w->neighbours[i], &out);
    }
    ht_args_fini(&box.ref);
}

void world_present_all(struct world *w, struct neighbour *n)
{
    struct resident_box boxes[PRESENCE_MAX];
    Chat__Resident *people[PRESENCE_MAX];
    Chat__Presence out = CHAT__PRESENCE__INIT;
    const struct person *p = roster_next(w->roster, NULL);

    n->behind = false;
    out.all = true;
    out.people = people;
    do {
        out.n_people = 0;
        for (; p != NULL && out.n_people < PRESENCE_MAX;
             p = roster_next(w->roster, p)) {
            if (p->world == w->who.world) {
                fill(w, &boxes[out.n_people], p, false);
                people[out.n_people] = &boxes[out.n_people].out;
                out.n_people++;
            }
        }
        send_presence(w, n, &out);
        for (size_t i = 0; i < out.n_people; i++) {
            ht_args_fini(&boxes[i].ref);
        }
        out.all = false;
    } while (p != NULL && !n->behind);
}

/* ---- what other worlds tell ---------------------------------------------- */

static void let_go(struct world *w, const char *user)
{
    struct local *l = world_local(w, user);
    Chat__Kicking out = CHAT__KICKING__INIT;

    if (l != NULL) {
        out.user = l->user;
        out.reason = lend("you are connected from elsewhere");
        if (ref_cast(w->node, l->ref, "Leave", &out.base) != HT_OK) {
            (void)ht_stop(w->node, l->ref, out.reason);
        }
    }
}

static void note(struct world *w, uint32_t world, const Chat__Resident *in)
{
    struct person said = {
        .world = world,
        .away = in->away,
        .since_ms = in->since_ms,
        .guild_version = in->guild_version,
        .ref = ref_get(w->node, in->ref),
    };
    uint32_t lost = 0;

    if (!text_is_name(in->user) || strlen(in->guild) > NAME_BYTES_MAX) {
        return;
    }
    snprintf(said.user, sizeof(said.user), "%s", in->user);
    snprintf(said.guild, sizeof(said.guild), "%s", in->guild);
    if (!in->gone && !ht_ref_is_none(said.ref) &&
        roster_put(w->roster, &said, &lost) == HT_OK && lost == w->who.world) {
        let_go(w, in->user);
    }
    if (in->gone) {
        roster_leave(w->roster, in->user, world);
    }
    world_unclaim(w, in->user, world);
}

void world__present(Chat__World_Service *self,
                    const Chat__Presence *in,
                    Hardtack__None_Closure reply,
                    void *call)
{
    struct world *w = (struct world *)self;
    struct neighbour *n = world_neighbour(w, ht_service_from());

    (void)reply;
    (void)call;
    if (n == NULL) {
        return;
    }
    if (in->all) {
        roster_leave_all(w->roster, n->who.world);
    }
    for (size_t i = 0; i < in->n_people; i++) {
        note(w, n->who.world, in->people[i]);
    }
}

/* ---- users of this world ------------------------------------------------- */

struct person
world_person(const struct world *w, const struct local *l, const char *guild)
{
    struct person p = {
        .world = w->who.world, .since_ms = l->since_ms, .ref = l->ref};

    snprintf(p.user, sizeof(p.user), "%s", l->user);
    snprintf(p.guild, sizeof(p.guild), "%s", guild);
    return p;
}

void world_local_gone(struct world *w, struct local *l)
{
    struct person p = world_person(w, l, "");

    roster_leave(w->roster, l->user, w->who.world);
    world_present(w, &p, true);
    (void)ht_demonitor(ht_current(), l->monitor);
    HASH_DEL(w->locals, l);
    free(l);
}

void world_set_guild(struct world *w, struct local *l, const char *guild)
{
    char channel[sizeof(l->guild)] = "";

    if (guild[0] != '\0') {
        snprintf(channel, sizeof(channel), "guild:%s", guild);
    }
    if (strcmp(channel, l->guild) != 0) {
        snprintf(l->guild, sizeof(l->guild), "%s", channel);
        if (channel[0] != '\0' && l->following) {
            world_replay_channel(w, l, channel);
        }
    }
}

void world__changed(Chat__World_Service *self,
                    const Chat__Resident *in,
                    Hardtack__None_Closure reply,
                    void *call)
{
    struct world *w = (struct world *)self;
    struct local *l = world_local(w, in->user);
    struct person p;
    uint32_t lost;

    (void)reply;
    (void)call;
    if (l == NULL || !ht_ref_equal(l->ref, ht_service_from())) {
        return;
    }
    if (in->gone) {
        world_local_gone(w, l);
        return;
    }
    p = world_person(w, l, in->guild);
    p.away = in->away;
    p.guild_version = in->guild_version;
    l->following = l->following && !in->away;
    world_set_guild(w, l, in->guild);
    if (roster_put(w->roster, &p, &lost) == HT_OK && lost == 0) {
        world_present(w, &p, false);
    }
}

/* ---- who is there -------------------------------------------------------- */

void world__who(Chat__World_Service *self,
                const Hardtack__Empty *in,
                Chat__Crowd_Closure reply,
                void *call)
{
    struct world *w = (struct world *)self;
    static _Thread_local Chat__Person people[CROWD_MAX];
    static _Thread_local Chat__Person *pointers[CROWD_MAX];
    static _Thread_local char nodes[CROWD_MAX][300];
    Chat__Crowd out = CHAT__CROWD__INIT;
    const struct person *p = NULL;

    (void)in;
    out.count = (uint32_t)roster_count(w->roster);
    out.people = pointers;
    while (out.n_people < CROWD_MAX &&
           (p = roster_next(w->roster, p)) != NULL) {
        size_t i = out.n_people++;

        chat__person__init(&people[i]);
        snprintf(nodes[i], sizeof(nodes[i]), "%s",
                 ht_ref_node_name(w->node, p->ref));
        people[i].user = lend(p->user);
        people[i].guild = lend(p->guild);
        people[i].away = p->away;
        people[i].node = nodes[i];
        pointers[i] = &people[i];
    }
    reply(&out, call);
}

void world_tell_count(struct world *w)
{
    Chat__Count out = CHAT__COUNT__INIT;

    if (w->told == roster_changes(w->roster)) {
        return;
    }
    w->told = roster_changes(w->roster);
    out.count = (uint32_t)roster_count(w->roster);
    for (struct local *l = w->locals; l != NULL; l = l->hh.next) {
        if (l->following) {
            world_hear(w, l, "Online", &out.base);
        }
    }
}

/* ---- to a user, wherever ------------------------------------------------- */

struct forwarded {
    Chat__Said_Closure reply;
    void *call;
};

static void on_received(const Chat__Said *out, void *arg)
{
    struct forwarded *f = arg;
    const char *reason = "";
    ht_err err = ht_stub_error(&reason);

    if (out != NULL) {
        f->reply(out, f->call);
    } else {
        ht_fail(f->call, err == HT_ENOPROC ? HT_EFAILED : HT_EOVERLOAD,
                "cannot be reached just now: try again");
    }
    free(f);
}

void world__tell(Chat__World_Service *self,
                 const Chat__Letter *in,
                 Chat__Said_Closure reply,
                 void *call)
{
    struct world *w = (struct world *)self;
    struct local *l = world_local(w, in->from);
    const struct person *p = roster_find(w->roster, in->to);
    struct forwarded *f;
    ht_stub *stub = NULL;

    if (l == NULL || !ht_ref_equal(l->ref, ht_service_from())) {
        ht_fail(call, HT_EDENIED, "only users speak");
        return;
    }
    if (p == NULL || !p->present) {
        ht_fail(call, HT_EFAILED, "nobody of that name is here");
        return;
    }
    f = malloc(sizeof(*f));
    if (f == NULL ||
        ht_stub_new(w->node, p->ref, &chat__user__descriptor, &stub) != HT_OK) {
        free(f);
        ht_fail(call, HT_EOVERLOAD, ht_strerror(HT_ENOMEM));
        return;
    }
    *f = (struct forwarded){reply, call};
    chat__user__receive(ht_stub_service(stub), in, on_received, f);
    ht_stub_free(stub);
}

void world__kick(Chat__World_Service *self,
                 const Chat__Kicking *in,
                 Hardtack__Empty_Closure reply,
                 void *call)
{
    struct world *w = (struct world *)self;
    const struct person *p = roster_find(w->roster, in->user);
    Hardtack__Empty out = HARDTACK__EMPTY__INIT;

    if (p == NULL || !p->present) {
        ht_fail(call, HT_EFAILED, "nobody of that name is here");
    } else if (ref_cast(w->node, p->ref, "Leave", &in->base) != HT_OK) {
        ht_fail(call, HT_EOVERLOAD, "cannot be reached just now: try again");
    } else {
        reply(&out, call);
    }
}
