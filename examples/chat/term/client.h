/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - the chat over whichever gateway can be reached: logs in, attaches,
 * says, and hears everything once, also when its node goes.
 *
 * Thread: one, which drives it with client_fd(), client_wait_ms() and
 * client_work().
 */
#ifndef CHAT_TERM_CLIENT_H
#define CHAT_TERM_CLIENT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "examples/chat/chat.pb-c.h"

struct client;

struct client_config {
    const char *place; /* HOST:PORT of a gateway */
    const char *ca;    /* as link_open() */
    const char *user, *password;
};

struct client_calls {
    void (*message)(void *arg, const Chat__Message *message);
    /* A line about the connection, an answer, or what went wrong. */
    void (*line)(void *arg, const char *text);
    /* It ends: another login, or a wrong password. */
    void (*over)(void *arg, const char *why);
};

/* Borrows everything. NULL: no memory. */
struct client *client_new(const struct client_config *config,
                          const struct client_calls *calls,
                          void *arg);
void client_free(struct client *client);
/* What to poll for; fd -1: nothing now. */
struct pollfd client_poll(const struct client *client);
/* Until client_work() has something to do by itself. */
int client_wait_ms(const struct client *client, uint64_t now_ms);
void client_work(struct client *client, uint64_t now_ms);
/* Whether everything that was said was answered. */
bool client_is_idle(const struct client *client);

/* channel: "normal", "guild", "world", or "@NAME" for a private one. */
void client_say(struct client *client, const char *channel, const char *text);
void client_join(struct client *client, const char *guild);
void client_who(struct client *client);

#endif /* CHAT_TERM_CLIENT_H */
