/* SPDX-License-Identifier: Apache-2.0 */
/* letters.h - the private messages that a user wrote and got lately.
 *
 * They are with the user's actor only, so their ids are its own: a number after
 * a name that is drawn when it begins.  A later actor of the same user knows
 * none of an earlier one's.
 *
 * Bounded: the oldest is forgotten.  Pure, but for memory.
 */
#ifndef CHAT_LETTERS_H
#define CHAT_LETTERS_H

#include <hardtack/base.h>

#include "examples/chat/chat.pb-c.h"
#include "id.h"
#include "text.h"

#define LETTERS_MAX 50

struct letter {
    uint64_t number; /* 0: none */
    uint64_t time_ms;
    char from[NAME_BYTES_MAX + 1], to[NAME_BYTES_MAX + 1];
    char key[KEY_BYTES_MAX + 1];
    char text[TEXT_BYTES_MAX + 1];
};

struct letters {
    uint64_t began_ms;
    uint32_t name; /* drawn */
    uint64_t count;
    struct letter *ring[LETTERS_MAX];
};

void letters_init(struct letters *letters, uint64_t now_ms, uint32_t drawn);
void letters_fini(struct letters *letters);
/* Copies; *ret_new: it was not there.  The letter is lent.  NULL: no memory. */
const struct letter *letters_add(struct letters *letters,
                                 const Chat__Letter *in,
                                 uint64_t now_ms,
                                 bool *ret_new);
/* Those after the one with that id, the oldest first; all of them if the id is
 * not one of these.  Writes at most LETTERS_MAX, returns how many. *ret_gap:
 * older ones are missing. */
size_t letters_after(const struct letters *letters,
                     const char *id,
                     const struct letter *ret[LETTERS_MAX],
                     bool *ret_gap);
/* As a client hears it; strings are lent, id is a buffer. */
Chat__Message letters_message(const struct letters *letters,
                              const struct letter *letter,
                              char id[ID_TEXT_MAX]);

#endif /* CHAT_LETTERS_H */
