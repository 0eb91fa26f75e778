/* SPDX-License-Identifier: Apache-2.0 */
/* conn.h - a connection: a socket, plain or TLS, and where its protocol is.
 *
 *   REQUEST <--answered-- ANSWER        HTTP: one request at a time
 *      |  \----request------^
 *      |\--GET /events--> STREAM        server-sent events
 *      \---upgrade------> MESSAGES      WebSocket
 *
 *   any --gw_conn_finish()--> CLOSING --all written, peer agrees, or too late
 *
 * What is to be written comes in this order: what was begun, control (answers,
 * pongs, notices), then the client's numbered messages.
 *
 * A connection that is lost, or over, only says so; its client's actor sees it
 * in its next turn and lets go.
 *
 * Thread: the loop's.  What needs the client's own turn says so.
 * Lifetime: its client's, or a transit's, never both.
 */
#ifndef GW_CONN_H
#define GW_CONN_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "gateway/gateway_internal.h"
#include "gateway/limits.h"

struct gw_http;
struct gw_ws;

enum gw_phase {
    GW_PHASE_REQUEST,  /* reading a request, or waiting for one */
    GW_PHASE_ANSWER,   /* a request is handled; nothing more is read */
    GW_PHASE_MESSAGES, /* WebSocket */
    GW_PHASE_STREAM,   /* server-sent events; what comes is dropped */
    GW_PHASE_CLOSING,  /* what is queued is written; what comes is dropped */
};

struct gw_out {
    STAILQ_ENTRY(gw_out) entry;
    struct gw_frame *frame;
};

struct gw_conn {
    TAILQ_ENTRY(gw_conn) entry;       /* of loop->conns */
    TAILQ_ENTRY(gw_conn) dirty_entry; /* of loop->dirty */
    struct ht_gateway *gateway;
    struct gw_loop *loop;     /* NULL: in transit */
    struct gw_client *client; /* NULL: in transit */
    SSL *tls;                 /* NULL: plain */
    struct gw_http *http;     /* NULL: between requests, and after */
    struct gw_ws *ws;         /* NULL: HTTP */

    STAILQ_HEAD(gw_outs, gw_out) control;
    size_t control_bytes;
    struct gw_frame *partial; /* begun */
    size_t partial_at;
    uint8_t *staged; /* TLS would not take it all */
    size_t staged_len;
    uint8_t *held; /* read, and not handled yet */
    size_t held_len;

    uint64_t deadline_ms; /* UINT64_MAX: none */
    uint64_t heard_ms;    /* when something came last */
    uint64_t hint_ms;     /* of a drain; 0: no hint */
    struct gw_bucket bucket;
    uint32_t refused; /* messages in a row, for the rate */

    int fd;
    uint8_t phase;    /* enum gw_phase */
    uint8_t watching; /* HT_READ|HT_WRITE */
    bool dirty;
    bool blocked;   /* the socket takes no more now */
    bool lost;      /* it is over */
    bool eof;       /* the peer will send no more */
    bool paused;    /* nothing is read until the client says so */
    bool feeding;   /* inside gw_conn_input() */
    bool unread;    /* something came that is not wanted yet */
    bool shut;      /* we will send no more */
    bool finishing; /* close once all is written */
    bool asked;     /* there was a whole request */
    bool warned;    /* that it is slow */
    bool hinted;
    bool head; /* the request is HEAD */
    bool kicked;
    bool local; /* the request was made on this machine, and by its name */
    uint8_t address[GW_ADDRESS_KEY_BYTES];
};

/* Counted against the limits by the caller.  Takes fd and tls on success. NULL:
 * no memory. */
struct gw_conn *gw_conn_new(struct ht_gateway *gateway,
                            int fd,
                            SSL *tls,
                            const uint8_t address[GW_ADDRESS_KEY_BYTES]);
/* Closes the socket; it must not be watched. NULL is fine. */
void gw_conn_free(struct gw_conn *conn);

/* The client has it from now on, and watches it. In the client's turn. */
HT_MUSTUSE ht_err gw_conn_attach(struct gw_conn *conn,
                                 struct gw_client *client);
/* The client does not have it any more. In the client's turn. */
void gw_conn_detach(struct gw_conn *conn);

/* Queue to be written before numbered messages; takes the frame, NULL is out of
 * memory, which loses the connection. */
void gw_conn_put(struct gw_conn *conn, struct gw_frame *frame);
/* The same for one that the client may do without. */
void gw_conn_put_bytes(struct gw_conn *conn, const void *data, size_t len);
/* Write what can be written now. */
void gw_conn_flush(struct gw_conn *conn);
/* Take nothing more, write what is queued but numbered messages, close. */
void gw_conn_finish(struct gw_conn *conn);
/* The same after the numbered messages too, if they are written in time. */
void gw_conn_finish_later(struct gw_conn *conn);
/* It is over. */
void gw_conn_lose(struct gw_conn *conn);
/* Let the client's actor have a turn. */
void gw_conn_kick(struct gw_conn *conn);
/* After a turn of the client: go on with what was held, watch what is to be
 * watched. */
void gw_conn_settle(struct gw_conn *conn);
/* Its time is over. */
void gw_conn_late(struct gw_conn *conn, uint64_t now_ms);
/* Bytes that wait to be written. */
size_t gw_conn_unsent(const struct gw_conn *conn);

#endif /* GW_CONN_H */
