/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - uthash as Hardtack uses it: running out of memory is an answer, and
 * the hash is keyed, so that a peer cannot choose names that collide.
 *
 * After HASH_ADD*, ask `hti_in_table(&entry->hh)`: an entry that did not fit
 * is not in.  Iteration is in the order of insertion, whatever the key.
 */
#ifndef HTI_BASE_TABLE_H
#define HTI_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

/* SipHash-2-4 under a key drawn once a process. */
unsigned hti_hash(const void *key, size_t len);

#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(keyptr, keylen, hashv)                                   \
    ((hashv) = hti_hash((keyptr), (keylen)))
#include <uthash.h>

static inline bool hti_in_table(const struct UT_hash_handle *hh)
{
    return hh->tbl != NULL;
}

#endif /* HTI_BASE_TABLE_H */
