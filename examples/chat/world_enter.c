/* SPDX-License-Identifier: Apache-2.0 */
/* world_enter.c - a connection finds its user, which is started if there is
 * none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"
#include "world_internal.h"

/* ---- starting one -------------------------------------------------------- */

static const char *
guild_of(const struct world *w, const Chat__Entering *in, uint64_t *ret_version)
{
    const struct person *p = roster_find(w->roster, in->user);

    *ret_version = p != NULL ? p->guild_version : 0;
    return *ret_version != 0 ? p->guild : in->guild;
}

static ht_err
start(struct world *w, const Chat__Entering *in, struct local **ret)
{
    struct local *l = calloc(1, sizeof(*l));
    struct user_config config = {.world = w->self,
                                 .user = in->user,
                                 .since_ms = ref_now_ms(),
                                 .linger_ms = w->linger_ms};
    struct person p;
    uint32_t lost;
    ht_err err = HT_ENOMEM;

    config.guild = guild_of(w, in, &config.guild_version);
    if (l != NULL) {
        snprintf(l->user, sizeof(l->user), "%s", in->user);
        l->since_ms = config.since_ms;
        world_set_guild(w, l, config.guild);
        err = user_start(w->node, &config, &l->ref);
    }
    if (err == HT_OK) {
        err = ht_monitor(ht_current(), l->ref, &l->monitor);
    }
    if (err == HT_OK) {
        HASH_ADD_STR(w->locals, user, l);
        err = l->hh.tbl == NULL ? HT_ENOMEM : HT_OK;
    }
    if (err != HT_OK) {
        if (l != NULL && !ht_ref_is_none(l->ref)) {
            (void)ht_stop(w->node, l->ref, "no memory");
        }
        free(l);
        return err;
    }
    p = world_person(w, l, config.guild);
    p.guild_version = config.guild_version;
    if (roster_put(w->roster, &p, &lost) == HT_OK && lost == 0) {
        world_present(w, &p, false);
    }
    *ret = l;
    return HT_OK;
}

/* ---- visitors ------------------------------------------------------------ */

void world_visitor_free(struct world *w, struct visitor *v)
{
    TAILQ_REMOVE(&w->visitors, v, entry);
    w->visitors_count--;
    free(v);
}

void world_visitor_down(struct world *w, uint64_t monitor)
{
    struct visitor *v;
    Chat__Kicked out = CHAT__KICKED__INIT;
    ht_args block;

    TAILQ_FOREACH (v, &w->visitors, entry) {
        if (v->monitor == monitor) {
            out.reason = lend("its node is gone: attach again");
            block = event_block("Ended", &out.base);
            if (ht_args_cast(w->node, v->client, "HtDeliver", &block) !=
                HT_OK) {
                (void)ht_stop(w->node, v->client, "too slow");
            }
            world_visitor_free(w, v);
            return;
        }
    }
}

/* The client is told when the user's node goes; without memory it finds out
 * when it speaks. */
static void visit(struct world *w, ht_ref user, ht_ref client)
{
    struct visitor *v = calloc(1, sizeof(*v)), *oldest;

    if (v == NULL) {
        return;
    }
    v->client = client;
    if (ht_monitor(ht_current(), user, &v->monitor) != HT_OK) {
        free(v);
        return;
    }
    TAILQ_INSERT_TAIL(&w->visitors, v, entry);
    if (++w->visitors_count > VISITORS_MAX) {
        oldest = TAILQ_FIRST(&w->visitors);
        (void)ht_demonitor(ht_current(), oldest->monitor);
        world_visitor_free(w, oldest);
    }
}

/* ---- entering ------------------------------------------------------------ */

/* A connection on its way to its user. */
struct entrance {
    struct world *world;
    Chat__Attached_Closure reply;
    void *call;
    Chat__Entering *in; /* a copy */
    ht_ref user;
    bool created;
};

static void entrance_free(struct entrance *e)
{
    if (e != NULL) {
        if (e->in != NULL) {
            chat__entering__free_unpacked(e->in, NULL);
        }
        free(e);
    }
}

static struct entrance *entrance_new(struct world *w,
                                     const Chat__Entering *in,
                                     Chat__Attached_Closure reply,
                                     void *call)
{
    struct entrance *e = calloc(1, sizeof(*e));

    if (e != NULL) {
        *e = (struct entrance){.world = w, .reply = reply, .call = call};
        e->in = (Chat__Entering *)wire_copy(&in->base);
        if (e->in == NULL) {
            entrance_free(e);
            e = NULL;
        }
    }
    return e;
}

static void refuse(struct entrance *e, ht_err err, const char *reason)
{
    ht_fail(e->call, err, reason);
    entrance_free(e);
}

static void on_entered(const Chat__Attached *in, void *arg)
{
    struct entrance *e = arg;
    const char *reason = "";
    ht_err err = ht_stub_error(&reason);
    Chat__Attached out;

    if (in == NULL) {
        refuse(e, err == HT_EDENIED ? HT_EDENIED : HT_EOVERLOAD,
               "your user cannot be reached just now: try again");
        return;
    }
    if (world_local(e->world, e->in->user) == NULL) {
        visit(e->world, e->user, ref_get(e->world->node, e->in->client));
    }
    out = *in;
    out.created = e->created;
    e->reply(&out, e->call);
    entrance_free(e);
}

static void enter(struct entrance *e, ht_ref user)
{
    ht_stub *stub = NULL;

    e->user = user;
    if (ht_stub_new(e->world->node, user, &chat__user__descriptor, &stub) !=
        HT_OK) {
        refuse(e, HT_EOVERLOAD, ht_strerror(HT_ENOMEM));
        return;
    }
    chat__user__enter(ht_stub_service(stub), e->in, on_entered, e);
    ht_stub_free(stub);
}

static void start_and_enter(struct entrance *e)
{
    struct local *l = world_local(e->world, e->in->user);

    /* Two connections may have asked for leave. */
    if (l == NULL) {
        ht_err err = HASH_COUNT(e->world->locals) >= LOCALS_MAX
                         ? HT_EBUSY
                         : start(e->world, e->in, &l);

        if (err != HT_OK) {
            refuse(e, HT_EOVERLOAD,
                   "this world is full: try again, or elsewhere");
            return;
        }
        e->created = true;
    }
    enter(e, l->ref);
}

static void on_claimed(const Chat__Claimed *in, void *arg)
{
    struct entrance *e = arg;
    const char *reason = "";

    (void)ht_stub_error(&reason);
    if (in == NULL) {
        refuse(e, HT_EOVERLOAD,
               reason[0] != '\0' ? reason
                                 : "the worlds do not agree: try again");
    } else if (in->ref.len == 0) {
        start_and_enter(e);
    } else {
        enter(e, ref_get(e->world->node, in->ref));
    }
}

/* A claim of another world that it has not made use of yet. */
static bool is_claimed(struct world *w, const char *user, uint32_t by)
{
    struct claim *c;

    HASH_FIND_STR(w->claims, user, c);
    return c != NULL && c->world != by && c->until_ms > ref_now_ms();
}

static void ask_oldest(struct world *w, struct entrance *e)
{
    struct neighbour *oldest = world_named(w, order_oldest(w->order));
    Chat__Claiming out = CHAT__CLAIMING__INIT;
    ht_stub *stub = NULL;

    if (oldest == NULL) {
        if (is_claimed(w, e->in->user, w->who.world)) {
            refuse(e, HT_EOVERLOAD, "you are entering elsewhere: try again");
        } else {
            start_and_enter(e);
        }
        return;
    }
    if (ht_stub_new(w->node, oldest->ref, &chat__world__descriptor, &stub) !=
        HT_OK) {
        refuse(e, HT_EOVERLOAD, ht_strerror(HT_ENOMEM));
        return;
    }
    out.user = e->in->user;
    chat__world__claim(ht_stub_service(stub), &out, on_claimed, e);
    ht_stub_free(stub);
}

void world__enter(Chat__World_Service *self,
                  const Chat__Entering *in,
                  Chat__Attached_Closure reply,
                  void *call)
{
    struct world *w = (struct world *)self;
    const struct person *p = roster_find(w->roster, in->user);
    struct entrance *e;

    if (!ht_ref_equal(ht_service_from(), ht_whereis(w->node, DOOR_NAME))) {
        ht_fail(call, HT_EDENIED, "only the door lets in");
        return;
    }
    if (!order_is_open(w->order)) {
        ht_fail(call, HT_EOVERLOAD, "the worlds do not agree yet: try again");
        return;
    }
    e = entrance_new(w, in, reply, call);
    if (e == NULL) {
        ht_fail(call, HT_EOVERLOAD, ht_strerror(HT_ENOMEM));
    } else if (p != NULL && p->present) {
        enter(e, p->ref);
    } else {
        ask_oldest(w, e);
    }
}

/* ---- claims: only at the oldest ------------------------------------------ */

void world_unclaim(struct world *w, const char *user, uint32_t by)
{
    struct claim *c;

    HASH_FIND_STR(w->claims, user, c);
    if (c != NULL && c->world == by) {
        HASH_DEL(w->claims, c);
        free(c);
    }
}

/* All last as long, so who claimed first is first. */
void world_expire_claims(struct world *w, uint64_t now_ms)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each leaves the table */
    while (w->claims != NULL && w->claims->until_ms <= now_ms) {
        struct claim *c = w->claims;

        HASH_DEL(w->claims, c);
        free(c);
    }
}

/* Again, or over a claim that nobody made use of, is anew. */
static ht_err claim(struct world *w, const char *user, uint32_t by)
{
    struct claim *c;

    HASH_FIND_STR(w->claims, user, c);
    if (c != NULL) {
        world_unclaim(w, user, c->world);
    }
    if (HASH_COUNT(w->claims) >= CLAIMS_MAX) {
        return HT_EBUSY;
    }
    c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return HT_ENOMEM;
    }
    snprintf(c->user, sizeof(c->user), "%s", user);
    c->world = by;
    c->until_ms = ref_now_ms() + CLAIM_MS;
    HASH_ADD_STR(w->claims, user, c);
    if (c->hh.tbl == NULL) {
        free(c);
        return HT_ENOMEM;
    }
    return HT_OK;
}

void world__claim(Chat__World_Service *self,
                  const Chat__Claiming *in,
                  Chat__Claimed_Closure reply,
                  void *call)
{
    struct world *w = (struct world *)self;
    struct neighbour *n = world_neighbour(w, ht_service_from());
    const struct person *p = roster_find(w->roster, in->user);
    Chat__Claimed out = CHAT__CLAIMED__INIT;
    ht_args ref = HT_ARGS_INIT;

    if (n == NULL || !text_is_name(in->user) ||
        order_oldest(w->order) != w->who.world) {
        ht_fail(call, HT_EDENIED, "the worlds do not agree: try again");
        return;
    }
    if (p != NULL && p->present && p->world != n->who.world) {
        out.ref = ref_put(w->node, p->ref, &ref);
    } else if (is_claimed(w, in->user, n->who.world) ||
               claim(w, in->user, n->who.world) != HT_OK) {
        ht_fail(call, HT_EOVERLOAD, "you are entering elsewhere: try again");
        return;
    }
    reply(&out, call);
    ht_args_fini(&ref);
}
