/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/dedupe.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"

struct seen {
    UT_hash_handle hh;
    TAILQ_ENTRY(seen) entry; /* while answered, in the order of the answers */
    struct gw_frame *answer; /* NULL: under way */
    size_t len;
    char msg_id[];
};

struct gw_dedupe {
    struct seen *table;
    TAILQ_HEAD(seen_list, seen) answered;
    size_t count; /* of answered */
    size_t bytes;
};

struct gw_dedupe *gw_dedupe_new(void)
{
    struct gw_dedupe *dedupe = calloc(1, sizeof(*dedupe));

    if (dedupe != NULL) {
        TAILQ_INIT(&dedupe->answered);
    }
    return dedupe;
}

static void drop(struct gw_dedupe *dedupe, struct seen *seen)
{
    if (seen->answer != NULL) {
        TAILQ_REMOVE(&dedupe->answered, seen, entry);
        dedupe->count--;
        dedupe->bytes -= seen->len;
        gw_frame_unref(seen->answer);
    }
    HASH_DEL(dedupe->table, seen);
    free(seen);
}

void gw_dedupe_free(struct gw_dedupe *dedupe)
{
    struct seen *seen;
    struct seen *next;

    if (dedupe == NULL) {
        return;
    }
    HASH_ITER(hh, dedupe->table, seen, next)
    {
        drop(dedupe, seen);
    }
    free(dedupe);
}

static struct seen *find(struct gw_dedupe *dedupe, const char *msg_id)
{
    struct seen *seen;

    HASH_FIND(hh, dedupe->table, msg_id, strlen(msg_id), seen);
    return seen;
}

ht_err gw_dedupe_note(struct gw_dedupe *dedupe,
                      const char *msg_id,
                      enum gw_seen *ret_seen,
                      struct gw_frame **ret_answer)
{
    struct seen *seen = find(dedupe, msg_id);
    size_t len = strlen(msg_id);

    if (seen != NULL) {
        *ret_seen = seen->answer != NULL ? GW_SEEN_ANSWERED : GW_SEEN_UNDERWAY;
        *ret_answer = seen->answer;
        return HT_OK;
    }
    seen = calloc(1, sizeof(*seen) + len + 1);
    if (seen == NULL) {
        return HT_ENOMEM;
    }
    memcpy(seen->msg_id, msg_id, len);
    HASH_ADD(hh, dedupe->table, msg_id[0], len, seen);
    if (!hti_in_table(&seen->hh)) {
        free(seen);
        return HT_ENOMEM;
    }
    *ret_seen = GW_SEEN_NEVER;
    return HT_OK;
}

void gw_dedupe_answer(struct gw_dedupe *dedupe,
                      const char *msg_id,
                      struct gw_frame *answer,
                      size_t len)
{
    struct seen *seen = find(dedupe, msg_id);

    if (seen == NULL || seen->answer != NULL) {
        return;
    }
    seen->answer = gw_frame_ref(answer);
    seen->len = len;
    TAILQ_INSERT_TAIL(&dedupe->answered, seen, entry);
    dedupe->count++;
    dedupe->bytes += len;
    while (dedupe->count > GW_DEDUPE_IDS_MAX ||
           (dedupe->bytes > GW_DEDUPE_BYTES_MAX && dedupe->count > 1)) {
        drop(dedupe, TAILQ_FIRST(&dedupe->answered));
    }
}

void gw_dedupe_forget(struct gw_dedupe *dedupe, const char *msg_id)
{
    struct seen *seen = find(dedupe, msg_id);

    if (seen != NULL) {
        drop(dedupe, seen);
    }
}
