/* SPDX-License-Identifier: Apache-2.0 */
/* link.h - a WebSocket to a gateway, speaking hardtack.pb.v1.
 *
 * OpenSSL connects, with or without TLS; wslay has the frames.
 *
 * Thread: one.
 */
#ifndef CHAT_TERM_LINK_H
#define CHAT_TERM_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/gateway.pb-c.h"

struct link;

/* A message has come; it is lent. */
typedef void (*link_fn)(void *arg, const Hardtack__Gateway__Message *message);

/* Connect and upgrade; blocks for a few seconds at most.  ca: a PEM file for
 * TLS, "" is the system's, NULL: plain.  NULL: it does not work, error has
 * words. */
struct link *link_open(const char *place,
                       const char *ca,
                       link_fn fn,
                       void *arg,
                       char *error,
                       size_t error_len);
void link_close(struct link *link); /* NULL is fine */
/* To poll, for reading, and for writing if link_wants_write(). */
int link_fd(const struct link *link);
bool link_wants_write(const struct link *link);
/* Queue a message; copies. false: it is over. */
bool link_send(struct link *link, const Hardtack__Gateway__Message *message);
/* Read and write what can be; false: it is over. */
bool link_work(struct link *link);

#endif /* CHAT_TERM_LINK_H */
