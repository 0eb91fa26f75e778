/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - between what the history and the order hold and the messages of
 * world.proto.  Pure. */
#ifndef CHAT_WIRE_H
#define CHAT_WIRE_H

#include "examples/chat/world.pb-c.h"
#include "history.h"
#include "id.h"

/* NULL is none. */
struct id wire_id(const Chat__Id *id);
Chat__Id wire_put_id(struct id id);
/* A deep copy; NULL: no memory. */
ProtobufCMessage *wire_copy(const ProtobufCMessage *message);
/* Whether everything is there that the fields of a decoded one promise. */
bool wire_step_is_whole(const Chat__Step *step);

/* A message being built: its strings are lent, the rest is freed by
 * wire_step_fini().  most: how many there may be.  HT_ENOMEM. */
HT_MUSTUSE ht_err wire_add_entry(Chat__Step *step,
                                 const struct entry *entry,
                                 size_t most);
HT_MUSTUSE ht_err wire_add_forgotten(Chat__Step *step,
                                     const char *channel,
                                     struct id id,
                                     size_t most);
void wire_step_fini(Chat__Step *step);

#endif /* CHAT_WIRE_H */
