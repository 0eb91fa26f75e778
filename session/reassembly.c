/* SPDX-License-Identifier: Apache-2.0 */
/* reassembly.c - pieces of large messages, put together again.
 *
 * Pieces of one lane come in order, lanes interleave.  The first piece says how
 * large the whole is; memory is taken as bytes arrive, not when they are
 * announced.  The bounds: a message of message_max bytes, HTI_LANES_MAX
 * messages at once, and twice message_max in all of them together.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "session/session_internal.h"

#define FIRST_CAP ((size_t)256 * 1024)

struct lane {
    uint32_t id;
    uint64_t total; /* of the message; 0: the slot is free */
    size_t have;
    struct hti_buf *buf;
};

struct hti_reassembly {
    uint64_t held; /* bytes in all lanes */
    struct lane lanes[HTI_LANES_MAX];
};

static void lane_clear(struct lane *lane)
{
    hti_buf_unref(lane->buf);
    memset(lane, 0, sizeof(*lane));
}

void hti_reassembly_free(struct hti_reassembly *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < HTI_LANES_MAX; i++) {
        lane_clear(&r->lanes[i]);
    }
    free(r);
}

static struct lane *find_lane(struct hti_reassembly *r, uint32_t id)
{
    for (size_t i = 0; i < HTI_LANES_MAX; i++) {
        if (r->lanes[i].total != 0 && r->lanes[i].id == id) {
            return &r->lanes[i];
        }
    }
    return NULL;
}

static struct lane *free_lane(struct hti_reassembly *r)
{
    for (size_t i = 0; i < HTI_LANES_MAX; i++) {
        if (r->lanes[i].total == 0) {
            return &r->lanes[i];
        }
    }
    return NULL;
}

/* Room for need bytes of what will be total, by doubling. */
static bool lane_reserve(struct lane *lane, size_t need)
{
    size_t cap = lane->buf == NULL ? FIRST_CAP : lane->buf->cap;
    struct hti_buf *bigger;

    if (lane->buf != NULL && need <= cap) {
        return true;
    }
    while (cap < need) {
        cap *= 2;
    }
    if (cap > lane->total) {
        cap = (size_t)lane->total;
    }
    bigger = hti_buf_new(cap);
    if (bigger == NULL) {
        return false;
    }
    if (lane->buf != NULL) {
        memcpy(bigger->data, lane->buf->data, lane->have);
    }
    hti_buf_unref(lane->buf);
    lane->buf = bigger;
    return true;
}

static ht_err start_lane(struct hti_session *s,
                         const struct hti_wire_fragment *f,
                         struct lane **ret_lane)
{
    struct hti_reassembly *r = s->reassembly;
    struct lane *lane;

    if (find_lane(r, f->lane) != NULL) {
        return hti_session_fail(s, HT_EPROTO,
                                "lane %" PRIu32 " began a message inside one",
                                f->lane);
    }
    if (f->total > s->message_max) {
        return hti_session_fail(s, HT_ETOOBIG,
                                "message of %" PRIu64
                                " bytes is over the limit of %" PRIu64,
                                f->total, s->message_max);
    }
    if (f->total == 0) {
        return hti_session_fail(s, HT_EPROTO,
                                "a fragmented message of no bytes");
    }
    lane = free_lane(r);
    if (lane == NULL) {
        return hti_session_fail(
            s, HT_EPROTO, "over %d fragmented messages at once", HTI_LANES_MAX);
    }
    lane->id = f->lane;
    lane->total = f->total;
    *ret_lane = lane;
    return HT_OK;
}

static ht_err add_piece(struct hti_session *s, struct lane *lane, ht_bytes data)
{
    struct hti_reassembly *r = s->reassembly;

    if (data.len == 0 || data.len > lane->total - lane->have) {
        return hti_session_fail(s, HT_EPROTO,
                                "fragment of %zu bytes, where %" PRIu64
                                " are missing",
                                data.len, lane->total - lane->have);
    }
    if (r->held + data.len > 2 * s->message_max) {
        return hti_session_fail(s, HT_ETOOBIG,
                                "over %" PRIu64 " bytes of unfinished messages",
                                2 * s->message_max);
    }
    if (!lane_reserve(lane, lane->have + data.len)) {
        return hti_session_fail(s, HT_ENOMEM,
                                "no memory for a message of %" PRIu64 " bytes",
                                lane->total);
    }
    memcpy(lane->buf->data + lane->have, data.data, data.len);
    lane->have += data.len;
    r->held += data.len;
    return HT_OK;
}

static ht_err
finish_lane(struct hti_session *s, uint64_t now_ms, struct lane *lane)
{
    struct hti_payload payload;
    ht_err err;

    payload.data = lane->buf->data;
    payload.len = lane->have;
    payload.owner = hti_buf_ref(lane->buf);
    s->reassembly->held -= lane->have;
    lane_clear(lane);
    err = hti_session_dispatch(s, now_ms, &payload, true);
    hti_buf_unref(payload.owner);
    return err;
}

ht_err hti_session_fragment(struct hti_session *s,
                            uint64_t now_ms,
                            const struct hti_wire_fragment *fragment)
{
    struct lane *lane = NULL;
    ht_err err = HT_OK;

    if ((s->peer.capabilities & HTI_CAP_FRAGMENTS) == 0) {
        return HT_OK; /* to a ractor node this is an unknown field */
    }
    if (s->reassembly == NULL) {
        s->reassembly = calloc(1, sizeof(*s->reassembly));
        if (s->reassembly == NULL) {
            return hti_session_fail(s, HT_ENOMEM, "no memory for fragments");
        }
    }
    if (fragment->has_total) {
        err = start_lane(s, fragment, &lane);
        if (err != HT_OK) {
            return err;
        }
    } else {
        lane = find_lane(s->reassembly, fragment->lane);
    }
    if (lane == NULL) {
        return hti_session_fail(s, HT_EPROTO,
                                "lane %" PRIu32
                                " goes on with a message it never began",
                                fragment->lane);
    }
    err = add_piece(s, lane, fragment->data);
    if (err == HT_OK && lane->have == lane->total) {
        err = finish_lane(s, now_ms, lane);
    }
    return err;
}
