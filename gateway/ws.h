/* SPDX-License-Identifier: Apache-2.0 */
/* ws.h - WebSocket: RFC 6455, the server's side, after the upgrade.
 *
 * wslay parses the frames.  Its context has 4 KiB of its own, so a connection
 * has one only while it is inside a frame; between frames the loop's spare one
 * serves all of them.
 *
 * Checked here: masks, reserved bits, opcodes, the order of fragments, sizes,
 * UTF-8, close codes.
 *
 * Thread: the loop's.
 */
#ifndef GW_WS_H
#define GW_WS_H

#include "gateway/conn.h"

struct gw_ws_reader;

struct gw_ws {
    struct gw_ws_reader *reader; /* NULL: between frames */
    uint8_t *message;            /* fragments so far */
    size_t len, cap;
    uint8_t opcode;  /* of the message whose fragments come; 0: none */
    bool compressed; /* that message */
    bool deflate;    /* negotiated */
    bool close_sent;
    bool close_received;
    bool broken;           /* what comes is no frames: dropped */
    uint16_t peer_code;    /* of its close; 1005: none */
    struct gw_frame *last; /* the close frame that is prepared */
    uint8_t control[125];  /* of a control frame that came in pieces */
    uint8_t control_len;
};

/* NULL: no memory. */
struct gw_ws *gw_ws_new(bool deflate);
void gw_ws_free(struct gw_ws *ws); /* NULL is fine */

/* Returns how much of data was used: all of it, unless the client paused the
 * connection.  In the client's turn. */
size_t gw_ws_feed(struct gw_conn *conn, const uint8_t *data, size_t len);
/* There is something in the reader that gw_ws_feed() has not seen. */
bool gw_ws_has_more(const struct gw_conn *conn);

/* Send a close frame, and then nothing more.  why is cut to what fits. */
void gw_ws_close(struct gw_conn *conn, uint16_t code, const char *why);
/* Only prepare it: gw_ws_close_now() sends it. */
void gw_ws_close_later(struct gw_conn *conn, uint16_t code, const char *why);
void gw_ws_close_now(struct gw_conn *conn);
void gw_ws_ping(struct gw_conn *conn);

void gw_ws_reader_free(struct gw_ws_reader *reader); /* NULL is fine */

/* The upgrade's answer for a Sec-WebSocket-Key; false if that is none. */
#define GW_WS_ACCEPT_BYTES 29
bool gw_ws_accept(const char *key, char ret_accept[GW_WS_ACCEPT_BYTES]);

#endif /* GW_WS_H */
