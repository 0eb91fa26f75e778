/* SPDX-License-Identifier: Apache-2.0 */
/* dedupe.h - the msg_ids that a client used, and what they were answered, so
 * that a message that comes again is answered again and not delivered again.
 *
 * Bounded: what is oldest and answered is forgotten first, and is new when it
 * comes again.  What is under way is never forgotten; the limit on a client's
 * calls bounds it.
 *
 * Thread: one.
 */
#ifndef GW_DEDUPE_H
#define GW_DEDUPE_H

#include "gateway/gateway_internal.h"

#define GW_DEDUPE_IDS_MAX   128
#define GW_DEDUPE_BYTES_MAX (32u << 10) /* of answers */

enum gw_seen {
    GW_SEEN_NEVER,    /* now it was: tell what becomes of it */
    GW_SEEN_UNDERWAY, /* its answer will come */
    GW_SEEN_ANSWERED,
};

struct gw_dedupe *gw_dedupe_new(void); /* NULL: no memory */
void gw_dedupe_free(struct gw_dedupe *dedupe);

/* Note a msg_id.  *ret_seen is written on success, *ret_answer (lent) only with
 * GW_SEEN_ANSWERED. HT_ENOMEM. */
HT_MUSTUSE ht_err gw_dedupe_note(struct gw_dedupe *dedupe,
                                 const char *msg_id,
                                 enum gw_seen *ret_seen,
                                 struct gw_frame **ret_answer);
/* It was answered with this; len is what it counts for. References answer. */
void gw_dedupe_answer(struct gw_dedupe *dedupe,
                      const char *msg_id,
                      struct gw_frame *answer,
                      size_t len);
/* It was not delivered: when it comes again it is new. */
void gw_dedupe_forget(struct gw_dedupe *dedupe, const char *msg_id);

#endif /* GW_DEDUPE_H */
