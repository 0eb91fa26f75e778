/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h - frames on the wire: eight bytes of length, big-endian, then one
 * NetworkMessage (ractor-wire, section 1.1).  No sockets, no clock.
 *
 * Thread: a reader belongs to one session; a frame to whoever holds it.
 */
#ifndef HTI_PROTO_FRAME_H
#define HTI_PROTO_FRAME_H

#include <hardtack/base.h>

#include "base/mem.h"
#include "base/mpsc.h"

#define HTI_FRAME_HEAD          8
#define HTI_FRAME_BYTES_MAX     (16u * 1024 * 1024) /* ractor's default limit */
#define HTI_HANDSHAKE_BYTES_MAX 4096

/* A frame to be sent: made in the sender's thread, queued on an outbox, freed
 * by the session's loop.  From hti_alloc(). */
struct hti_frame {
    struct hti_mpsc_node node; /* on one outbox */
    uint32_t len;              /* of bytes[], head included */
    uint32_t lane;             /* frames of one lane keep their order */
    uint8_t bytes[];
};

/* A frame with room for payload_len bytes after its head, which is filled in.
 * NULL: no memory. */
struct hti_frame *hti_frame_new(size_t payload_len, uint32_t lane);
static inline void hti_frame_free(struct hti_frame *frame)
{
    hti_free(frame);
}
static inline uint8_t *hti_frame_payload(struct hti_frame *frame)
{
    return frame->bytes + HTI_FRAME_HEAD;
}

/* The largest payload that is sent whole to a node that takes fragments; a
 * reader makes room for that much at once, so that it is read where it stays.
 * With what stands around it, it fits the largest block that is recycled. */
#define HTI_WHOLE_BYTES ((size_t)126 * 1024)

/* Turns a stream into payloads.  A payload that lies whole in the given bytes
 * and is at most HTI_INPLACE_MAX is lent in place; any other is gathered in a
 * buffer of its own, which grows as bytes arrive, so that a length costs its
 * sender as much as it costs us. */
#define HTI_INPLACE_MAX 4096

struct hti_reader {
    uint64_t limit; /* largest payload taken */
    uint8_t head[HTI_FRAME_HEAD];
    unsigned head_len;
    uint64_t want;       /* of the payload being gathered */
    size_t have;         /* of it so far */
    struct hti_buf *buf; /* NULL between frames */
};

void hti_reader_init(struct hti_reader *reader, uint64_t limit);
void hti_reader_fini(struct hti_reader *reader);

struct hti_payload {
    const uint8_t *data;
    size_t len;
    struct hti_buf *owner; /* NULL: lent until the next call */
};

/* Take bytes from *data, *len (both advanced).  1: a payload is in *ret (drop
 * its owner with hti_buf_unref); 0: all bytes are taken, no whole payload yet;
 * negative: HT_ETOOBIG (the length is in reader->want), HT_ENOMEM; the stream
 * is then at its end. */
int hti_reader_next(struct hti_reader *reader,
                    const uint8_t **data,
                    size_t *len,
                    struct hti_payload *ret);
/* In the middle of a large payload: where its next bytes can be read to
 * directly, and how many fit; 0 otherwise.  Then say how many came. */
size_t hti_reader_target(struct hti_reader *reader, uint8_t **ret_into);
int hti_reader_filled(struct hti_reader *reader,
                      size_t n,
                      struct hti_payload *ret);
/* True between frames: an end of stream here is clean. */
bool hti_reader_at_boundary(const struct hti_reader *reader);

#endif /* HTI_PROTO_FRAME_H */
