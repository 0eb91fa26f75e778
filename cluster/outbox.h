/* SPDX-License-Identifier: Apache-2.0 */
/* outbox.h - the frames that wait to be written to one connection.
 *
 * Any thread pushes; the connection's loop pops.  The queue is lock-free, the
 * limit is an atomic credit.  An outbox belongs to one connection and dies with
 * it, so an old frame never reaches a new connection.  It is reference-counted;
 * a sender holds a reference while it pushes, or has entered it.
 *
 * A large frame is sent in pieces, round robin among lanes, when the peer takes
 * fragments; frames of one lane keep their order.
 */
#ifndef HTI_CLUSTER_OUTBOX_H
#define HTI_CLUSTER_OUTBOX_H

#include "proto/envelope.h"

#define HTI_FRAGMENT_BYTES ((size_t)64 * 1024)
/* A few writes' worth, and small beside a processor's cache. */
#define HTI_OUTBOX_BATCH_BYTES ((size_t)128 * 1024)
/* Large frames in progress at once; lanes that are equal modulo this share. */
#define HTI_OUTBOX_LANES 16

struct hti_outbox;

/* on_busy is called when the queue turns from empty to busy: in the pushing
 * thread. */
ht_err hti_outbox_new(size_t bytes_max,
                      void (*on_busy)(void *arg),
                      void *arg,
                      struct hti_outbox **ret_outbox);
struct hti_outbox *hti_outbox_ref(struct hti_outbox *outbox);
struct hti_outbox *hti_outbox_unref(struct hti_outbox *outbox);

/* Takes *frame on success.  HT_EBUSY: no credit (counted; a frame is always
 * taken by an empty outbox, however large); HT_ENOCONN: closed.
 * urgent: control frames, which may go eight times over the limit; refused even
 * so, the connection is to be closed, since its peer does not read. */
ht_err hti_outbox_push(struct hti_outbox *outbox,
                       struct hti_frame **frame,
                       bool urgent);
/* For who has no reference: between the two it is neither freed nor closed, so
 * enter it where its owner cannot let go of it meanwhile, and do not stay.
 * hti_outbox_push_inside() is hti_outbox_push() there; on_busy may be called by
 * the leaving. */
void hti_outbox_enter(struct hti_outbox *outbox);
ht_err hti_outbox_push_inside(struct hti_outbox *outbox,
                              struct hti_frame **frame,
                              bool urgent);
void hti_outbox_leave(struct hti_outbox *outbox);
/* No push succeeds, and no on_busy runs, after this returns; it waits for those
 * that are inside, so not from on_busy.  What is queued can still be popped;
 * the last unref frees it. */
void hti_outbox_close(struct hti_outbox *outbox);

/* ---- the connection's loop ---- */

/* Bytes to write next, in order: head, then data.  Then release it, in the
 * order popped, when they are written or copied; that frees the frame when its
 * last piece is released, and settling gives back the credit of what was. */
struct hti_slice {
    uint8_t head[HTI_FRAGMENT_HEAD_MAX];
    size_t head_len;
    const uint8_t *data;
    size_t len;
    struct hti_frame *frame; /* private */
};
/* False: nothing to write now.  A frame on a lane with a large one in progress
 * waits for it. */
bool hti_outbox_pop(struct hti_outbox *outbox, struct hti_slice *ret);
void hti_outbox_release(struct hti_outbox *outbox, struct hti_slice *slice);
void hti_outbox_settle(struct hti_outbox *outbox);
/* From now on payloads above whole_max go in pieces of HTI_FRAGMENT_BYTES;
 * those begun and not finished have no more than unfinished_max bytes together,
 * or are one. */
void hti_outbox_fragment(struct hti_outbox *outbox,
                         uint64_t whole_max,
                         uint64_t unfinished_max);
/* Before the loop waits: false if there is something to pop after all; true
 * arms on_busy for the next push. */
bool hti_outbox_sleep(struct hti_outbox *outbox);

struct hti_outbox_stats {
    uint64_t frames;       /* popped in all */
    uint64_t bytes;        /* pushed in all */
    uint64_t queued_bytes; /* now */
    uint64_t refused;
};
void hti_outbox_stats(struct hti_outbox *outbox, struct hti_outbox_stats *ret);
/* Whether what is queued has just grown, by a push of len bytes, over a
 * multiple of HTI_OUTBOX_BATCH_BYTES: time to write.  Any thread. */
bool hti_outbox_has_batch(struct hti_outbox *outbox, size_t len);
/* Whether a sender that was refused may go on: at most half full. */
bool hti_outbox_is_writable(struct hti_outbox *outbox);

#endif /* HTI_CLUSTER_OUTBOX_H */
