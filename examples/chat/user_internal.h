/* SPDX-License-Identifier: Apache-2.0 */
/* user_internal.h - what user.c and its parts share. */
#ifndef CHAT_USER_INTERNAL_H
#define CHAT_USER_INTERNAL_H

#include "examples/chat/chat.pb-c.h"
#include "examples/chat/world.pb-c.h"
#include "letters.h"
#include "rate.h"
#include "ref.h"
#include "text.h"
#include "user.h"

enum rates { RATE_NORMAL, RATE_GUILD, RATE_WORLD, RATE_PRIVATE, RATE_GUILDS };
#define RATES 5

struct user {
    Chat__User_Service service; /* the first member */
    ht_node *node;
    ht_ref self;
    ht_ref world;
    ht_stub *world_stub;
    ht_ref client; /* none: away */
    uint64_t client_monitor;
    uint64_t linger; /* the timer; 0: none */
    uint32_t linger_ms;
    uint64_t since_ms;
    uint64_t turn;
    bool in_turn;
    uint64_t keys; /* made for messages without one */
    struct rate rates[RATES];
    struct letters letters;
    uint64_t guild_version;
    char guild[NAME_BYTES_MAX + 1];
    char name[NAME_BYTES_MAX + 1];
};

/* Tell the client, if there is one. */
void user_tell(struct user *user,
               const char *method,
               const ProtobufCMessage *message);
/* The client has gone, or is let go: method, if not NULL, is what it is told,
 * before its connection is closed. */
void user_detach(struct user *user, const char *method, const char *reason);
/* The world is told how the user is now. */
void user_changed(struct user *user, bool gone);
/* Whether the connection of the user speaks; else the call is answered. */
bool user_is_asked(struct user *user, void *call);

void user__say(Chat__User_Service *self,
               const Chat__Saying *in,
               Chat__Said_Closure reply,
               void *call);
void user__tell(Chat__User_Service *self,
                const Chat__Telling *in,
                Chat__Said_Closure reply,
                void *call);
void user__receive(Chat__User_Service *self,
                   const Chat__Letter *in,
                   Chat__Said_Closure reply,
                   void *call);
void user__online(Chat__User_Service *self,
                  const Hardtack__Empty *in,
                  Chat__Crowd_Closure reply,
                  void *call);
void user__join_guild(Chat__User_Service *self,
                      const Chat__Guild *in,
                      Chat__Guild_Closure reply,
                      void *call);

#endif /* CHAT_USER_INTERNAL_H */
