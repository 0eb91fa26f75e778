/* SPDX-License-Identifier: Apache-2.0 */
/* world_internal.h - what the parts of a world share. */
#ifndef CHAT_WORLD_INTERNAL_H
#define CHAT_WORLD_INTERNAL_H

#include "event.h"
#include "examples/chat/world.pb-c.h"
#include "history.h"
#include "order.h"
#include "ref.h"
#include "roster.h"
#include "user.h"
#include "world.h"

#define GATEWAY_MAX  256
#define LOCALS_MAX   20000
#define CLAIMS_MAX   4096
#define CLAIM_MS     10000
#define VISITORS_MAX 8192
#define SAY_MS       10000 /* until a message is ordered */
#define CROWD_MAX    500   /* of Crowd.people */

/* Another world. */
struct neighbour {
    struct order_world who;
    ht_ref ref;
    uint64_t monitor;
    bool behind; /* it has not got all that it should know of our users */
    char gateway[GATEWAY_MAX];
};

/* A user who lives here. */
struct local {
    UT_hash_handle hh;
    ht_ref ref;
    uint64_t monitor;
    uint64_t since_ms;
    bool following;                  /* gets what is said */
    struct id last;                  /* has everything up to this */
    char guild[NAME_BYTES_MAX + 16]; /* its channel; "": none */
    char user[NAME_BYTES_MAX + 1];
};

/* A user who is being started by another world: only by the oldest. */
struct claim {
    UT_hash_handle hh;
    uint32_t world;
    uint64_t until_ms;
    char user[NAME_BYTES_MAX + 1];
};

/* A connection of this node whose user lives elsewhere. */
struct visitor {
    TAILQ_ENTRY(visitor) entry;
    uint64_t monitor; /* of the user */
    ht_ref client;
};

struct world {
    Chat__World_Service service; /* the first member */
    ht_node *node;
    ht_ref self;
    struct order_world who;
    uint32_t linger_ms;
    char gateway[GATEWAY_MAX];
    struct history *history;
    struct order *order;
    struct roster *roster;
    struct neighbour neighbours[ORDER_WORLDS_MAX];
    size_t neighbours_count;
    struct local *locals;
    struct claim *claims;
    TAILQ_HEAD(, visitor) visitors;
    size_t visitors_count;
    uint64_t told; /* roster_changes() when users were told last */
    uint64_t ticks;
};

static inline char *lend(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* NULL: it is none. */
struct neighbour *world_neighbour(struct world *world, ht_ref ref);
struct neighbour *world_named(struct world *world, uint32_t name);

/* world_users.c */
struct local *world_local(struct world *world, const char *user);
void world_local_gone(struct world *world, struct local *local);

/* world_enter.c */
void world_visitor_down(struct world *world, uint64_t monitor);
void world_visitor_free(struct world *world, struct visitor *visitor);
/* That world has made use of its claim. */
void world_unclaim(struct world *world, const char *user, uint32_t by);
void world_expire_claims(struct world *world, uint64_t now_ms);
/* A user of this world as the roster has it. */
struct person world_person(const struct world *world,
                           const struct local *local,
                           const char *guild);
/* Tell the neighbours. */
void world_present(struct world *world, const struct person *person, bool gone);
void world_set_guild(struct world *world,
                     struct local *local,
                     const char *guild);
/* Who is here, all of it, to one neighbour. */
void world_present_all(struct world *world, struct neighbour *to);
void world_tell_count(struct world *world);

/* world_says.c */
extern const struct order_calls world_order_calls;
/* To one user's client, by the user. */
void world_hear(struct world *world,
                struct local *local,
                const char *method,
                const ProtobufCMessage *message);
/* What was said in a channel, to somebody who is new in it. */
void world_replay_channel(struct world *world,
                          struct local *local,
                          const char *channel);

void world__enter(Chat__World_Service *self,
                  const Chat__Entering *in,
                  Chat__Attached_Closure reply,
                  void *call);
void world__claim(Chat__World_Service *self,
                  const Chat__Claiming *in,
                  Chat__Claimed_Closure reply,
                  void *call);
void world__present(Chat__World_Service *self,
                    const Chat__Presence *in,
                    Hardtack__None_Closure reply,
                    void *call);
void world__changed(Chat__World_Service *self,
                    const Chat__Resident *in,
                    Hardtack__None_Closure reply,
                    void *call);
void world__who(Chat__World_Service *self,
                const Hardtack__Empty *in,
                Chat__Crowd_Closure reply,
                void *call);
void world__kick(Chat__World_Service *self,
                 const Chat__Kicking *in,
                 Hardtack__Empty_Closure reply,
                 void *call);
void world__publish(Chat__World_Service *self,
                    const Chat__Entry *in,
                    Chat__Said_Closure reply,
                    void *call);
void world__broadcast(Chat__World_Service *self,
                      const Chat__Saying *in,
                      Chat__Said_Closure reply,
                      void *call);
void world__follow(Chat__World_Service *self,
                   const Chat__Following *in,
                   Hardtack__None_Closure reply,
                   void *call);
void world__tell(Chat__World_Service *self,
                 const Chat__Letter *in,
                 Chat__Said_Closure reply,
                 void *call);

#endif /* CHAT_WORLD_INTERNAL_H */
