/* SPDX-License-Identifier: Apache-2.0 */
/* deflate.h - permessage-deflate (RFC 7692), without context takeover: every
 * message is compressed by itself, so one pair of streams serves a loop, and a
 * broadcast is compressed once.
 *
 * Thread: the loop's.
 */
#ifndef GW_DEFLATE_H
#define GW_DEFLATE_H

#include <hardtack/base.h>

struct gw_deflate;
struct gw_frame;
struct gw_loop;

/* The header Sec-WebSocket-Extensions has an offer that we take: the answer.
 * NULL: none. Static. */
const char *gw_deflate_negotiate(const char *offers);

/* The compressed form of a message, cached in frame; frame itself if that is
 * not smaller.  Lent with frame. */
struct gw_frame *gw_deflated(struct gw_loop *loop, struct gw_frame *frame);
/* *ret_data is the caller's, by free(). HT_ETOOBIG: more than max would come
 * out; HT_EINVAL: it is not compressed data; HT_ENOMEM. */
HT_MUSTUSE ht_err gw_inflate(struct gw_loop *loop,
                             const uint8_t *data,
                             size_t len,
                             size_t max,
                             uint8_t **ret_data,
                             size_t *ret_len);
void gw_deflate_free(struct gw_deflate *deflate); /* NULL is fine */

#endif /* GW_DEFLATE_H */
