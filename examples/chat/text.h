/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - what names and messages may look like; whoever takes them from a
 * client asks here.  protobuf has seen to it that they are UTF-8.  Pure. */
#ifndef CHAT_TEXT_H
#define CHAT_TEXT_H

#include <stdbool.h>

#define NAME_BYTES_MAX 32
#define TEXT_BYTES_MAX 500
#define KEY_BYTES_MAX  40

/* Of users and guilds: letters, digits, - and _ of ASCII, and whatever is not
 * ASCII; so it can be part of an actor's name and a channel's. */
bool text_is_name(const char *name);
/* Not empty, not too long, no control characters but line feeds and tabs. */
bool text_is_message(const char *text);
bool text_is_key(const char *key);

#endif /* CHAT_TEXT_H */
