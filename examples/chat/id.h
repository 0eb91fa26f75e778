/* SPDX-License-Identifier: Apache-2.0 */
/* id.h - the ids of messages, which all worlds agree on.
 *
 * An epoch is begun by one world, which numbers the messages of it: so an id is
 * the epoch, that world, a number, in this order.  As a text, for clients:
 * "1764172800.5f2a90c1.17".  Pure.
 */
#ifndef CHAT_ID_H
#define CHAT_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_TEXT_MAX 52

struct id {
    uint64_t epoch;
    uint32_t world;
    uint64_t number;
};

/* <0, 0, >0. Zero is before every id. */
int id_compare(struct id a, struct id b);
/* The same but for the number. */
int id_compare_epoch(struct id a, struct id b);
bool id_is_none(struct id id);
/* Returns buf. */
const char *id_format(struct id id, char buf[ID_TEXT_MAX]);
/* "" is none. false: it is no id. */
bool id_parse(const char *text, struct id *ret_id);

#endif /* CHAT_ID_H */
