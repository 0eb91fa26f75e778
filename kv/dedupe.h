/* SPDX-License-Identifier: Apache-2.0 */
/* dedupe.h - what was answered to requests that had a request id, so that one
 * that is sent again is answered again and not done again.
 *
 * Part of the replicated state: every member remembers the same.  Bounded: so
 * many requests a client, so many bytes of answers (those of the client that
 * wrote longest ago are forgotten, but not that there were any), so many
 * clients (those that wrote last).  A client that was forgotten is new when it
 * comes back.
 *
 * Thread: one.
 */
#ifndef HTI_KV_DEDUPE_H
#define HTI_KV_DEDUPE_H

#include <sys/queue.h>

#include <hardtack/base.h>

#include "base/table.h"
#include "kv/limits.h"

struct hti_kv_remembered {
    TAILQ_ENTRY(hti_kv_remembered) link;
    uint64_t sequence;
    size_t len;
    uint8_t answer[];
};
TAILQ_HEAD(hti_kv_remembers, hti_kv_remembered);

struct hti_kv_client {
    UT_hash_handle hh;
    struct hti_kv_remembers answers; /* in the order they were given */
    size_t count;
    size_t bytes;
    uint64_t forgotten; /* the greatest sequence that is not remembered more */
    char name[HTI_KV_CLIENT_MAX + 1];
};

struct hti_kv_dedupe {
    struct hti_kv_client *clients; /* the one that wrote longest ago first */
    size_t count;
    size_t bytes;
};

void hti_kv_dedupe_fini(struct hti_kv_dedupe *dedupe);

enum hti_kv_seen {
    HTI_KV_NEW,
    HTI_KV_AGAIN,     /* *ret_answer is what it was answered, lent */
    HTI_KV_FORGOTTEN, /* it may have been done */
};
enum hti_kv_seen hti_kv_dedupe_find(const struct hti_kv_dedupe *dedupe,
                                    const char *client,
                                    uint64_t sequence,
                                    ht_bytes *ret_answer);
/* Copies.  settled: what was answered to the client before is forgotten, and
 * sequences below are not new any more.  HT_ENOMEM. */
HT_MUSTUSE ht_err hti_kv_dedupe_add(struct hti_kv_dedupe *dedupe,
                                    const char *client,
                                    uint64_t sequence,
                                    bool settled,
                                    ht_bytes answer);
/* For a snapshot: make the client, as the one that wrote last.  NULL: no
 * memory. */
struct hti_kv_client *hti_kv_dedupe_client(struct hti_kv_dedupe *dedupe,
                                           const char *client);

#endif /* HTI_KV_DEDUPE_H */
