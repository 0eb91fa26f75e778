/* SPDX-License-Identifier: Apache-2.0 */
/* entry.h - an entry of the log in memory, and the entries that a member keeps
 * there: those that its followers may still need.
 *
 * An entry is counted: the storage's thread holds one while it writes it.
 * The cache belongs to the member's actor.
 */
#ifndef HTI_RAFT_ENTRY_H
#define HTI_RAFT_ENTRY_H

#include <hardtack/base.h>
#include <stdatomic.h>

#define HTI_ENTRY_COMMAND 1 /* the numbers of libraft */
#define HTI_ENTRY_BARRIER 2
#define HTI_ENTRY_CHANGE  3

struct hti_entry {
    _Atomic unsigned refs;
    uint8_t type;
    uint64_t term;
    size_t len;
    uint8_t data[];
};

/* Holding one reference, the caller's; the data is to be filled in.  NULL:
 * no memory. */
struct hti_entry *hti_entry_new(uint64_t term, uint8_t type, size_t len);
struct hti_entry *hti_entry_ref(struct hti_entry *entry);
void hti_entry_unref(struct hti_entry *entry); /* NULL is fine */

/* Entries first .. first + count - 1, with their bytes. */
struct hti_cache {
    struct hti_entry **ring;
    size_t cap; /* a power of two */
    uint64_t first;
    size_t count;
    uint64_t bytes;
};

void hti_cache_fini(struct hti_cache *cache);
/* Takes the reference. HT_ENOMEM: it is still the caller's. */
HT_MUSTUSE ht_err hti_cache_push(struct hti_cache *cache,
                                 struct hti_entry *entry);
/* Lent; NULL if it is not there. */
struct hti_entry *hti_cache_get(const struct hti_cache *cache, uint64_t index);
/* Forget index and all after it; all before it. */
void hti_cache_cut(struct hti_cache *cache, uint64_t index);
void hti_cache_trim(struct hti_cache *cache, uint64_t index);
/* Forget all; the next is first. */
void hti_cache_reset(struct hti_cache *cache, uint64_t first);

#endif /* HTI_RAFT_ENTRY_H */
