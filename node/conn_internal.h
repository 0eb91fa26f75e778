/* SPDX-License-Identifier: Apache-2.0 */
/* conn_internal.h - what the conn*.c files share. */
#ifndef HTI_NODE_CONN_INTERNAL_H
#define HTI_NODE_CONN_INTERNAL_H

#include "node/conn.h"

enum hti_conn_state {
    HTI_CONN_NEW,    /* not yet on its loop */
    HTI_CONN_SNIFF,  /* acceptor: waiting for the first byte */
    HTI_CONN_TLS,    /* TLS handshake */
    HTI_CONN_LINKED, /* the cluster has it */
    HTI_CONN_CLOSED,
};

/* What other threads ask of its loop. */
#define HTI_CONN_ADOPT 1u
#define HTI_CONN_WAKE  2u
#define HTI_CONN_CLOSE 4u
#define HTI_CONN_EVICT 8u
#define HTI_CONN_FREE  16u

/* Written by pieces: what a plain connection could not write at once. */
#define HTI_CONN_IOVS 64
#define HTI_CONN_HELD 24
struct hti_conn_rest {
    struct iovec iov[HTI_CONN_IOVS];
    unsigned at, count;
    struct hti_slice held[HTI_CONN_HELD];
    unsigned held_count;
    uint8_t *bytes; /* copied ones that iov points to; NULL: none */
};

/* Ciphertext that the socket did not take. */
struct hti_conn_left {
    uint8_t *buf;
    size_t at, len, cap;
};

struct hti_conn {
    /* Any thread. */
    struct hti_task task;
    _Atomic unsigned asked; /* HTI_CONN_...; not 0: the task is posted */
    _Atomic int close_why;  /* of CLOSE */
    struct hti_server *server;
    struct hti_loop *loop;

    /* The loop's. */
    TAILQ_ENTRY(hti_conn) entry;
    struct hti_work work;
    struct hti_io io;
    struct hti_timer timer;
    enum hti_conn_state state;
    int fd;
    struct hti_link *link;
    bool was_open, close_asked, awake;
    bool reported; /* somebody else tells why it ended */
    struct hti_pending_entry pending;

    struct hti_conn_rest *rest; /* plain */
    struct hti_tls_conn *tls;   /* NULL: plain */
    struct hti_conn_left left;  /* TLS */
    struct hti_slice slice;     /* TLS: being encrypted */
    size_t slice_at;
    bool has_slice;
    bool warm; /* TLS: among the loop's warm ones */
    TAILQ_ENTRY(hti_conn) warm_entry;

    bool initiator, any_peer, is_unix, admin, cert_optional;
    unsigned encryption;
    uint64_t dial_id;
    char *server_name, *host; /* may be NULL */
    char address[HTI_ADDRESS_TEXT_MAX];
};

/* conn.c */
void hti_conn_opened(struct hti_conn *conn); /* the link may be trusted now */

/* TLS: it is used, and OpenSSL may keep its buffers until HTI_WARM_MAX others
 * were used since. */
void hti_conn_warm(struct hti_conn *conn);
void hti_conn_make_link(struct hti_conn *conn, enum hti_session_mode mode);

/* conn_begin.c */
void hti_conn_sniff(struct hti_conn *conn);          /* on readiness, SNIFF */
void hti_conn_read_handshake(struct hti_conn *conn); /* on readiness, TLS */
void hti_conn_start_tls(struct hti_conn *conn);
/* Whether the process at the other end of a Unix socket is of our user, or
 * root's. */
bool hti_conn_peer_is_us(const struct hti_conn *conn);

/* conn_read.c: on readiness, LINKED. */
void hti_conn_read(struct hti_conn *conn);

/* conn_write.c */
enum hti_flush {
    HTI_FLUSH_DONE,    /* nothing is left to write */
    HTI_FLUSH_BLOCKED, /* the socket takes no more now */
    HTI_FLUSH_MORE,    /* enough for one round */
    HTI_FLUSH_FAILED,  /* errno says why */
};
enum hti_flush hti_conn_flush(struct hti_conn *conn);
/* What TLS itself wrote during a read or a handshake. */
enum hti_flush hti_conn_send_cipher(struct hti_conn *conn);
bool hti_conn_has_left(const struct hti_conn *conn);
void hti_conn_write_fini(struct hti_conn *conn);

#endif /* HTI_NODE_CONN_INTERNAL_H */
