/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - uthash as the chat uses it: running out of memory is an answer
 * (hh.tbl is NULL after HASH_ADD), and the hash is keyed, since clients choose
 * names and keys and could choose ones that collide. */
#ifndef CHAT_TABLE_H
#define CHAT_TABLE_H

#include <stddef.h>

/* SipHash under a key drawn once a process. */
unsigned table_hash(const void *key, size_t len);

#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(keyptr, keylen, hashv)                                   \
    ((hashv) = table_hash((keyptr), (keylen)))
#include <uthash.h>

#endif /* CHAT_TABLE_H */
