/* SPDX-License-Identifier: Apache-2.0 */
/* conn.h - one stream socket: TCP or Unix, plain or TLS, under one link.
 *
 *   accepted  SNIFF --0x16--> TLS --done--.
 *                   \--0x00---------------+--> LINKED --> CLOSED
 *   dialled   TLS or at once -------------'
 *
 * The first byte tells TLS (22, a handshake record) from a ractor frame (0, the
 * top byte of a length); the listener's policy says which may come in.
 *
 * Reading: into the loop's buffer, or straight into the frame that is being
 * gathered; a bounded number of reads a round, so that one peer cannot starve
 * the others.  Writing: once a round, in batches; frames up to
 * HTI_CONN_COPY_MAX are copied together, larger ones are pointed to.  What the
 * socket does not take stays here, and the outbox fills up behind it.
 *
 * Thread: hti_conn_open() and hti_conn_evict(): any; the rest: the loop's.
 * Lifetime: freed by a task of its own after CLOSED, so that nobody on the
 * stack still uses it.
 */
#ifndef HTI_NODE_CONN_H
#define HTI_NODE_CONN_H

#include "node/server.h"

#define HTI_CONN_COPY_MAX 4096
/* Bytes read before others get their turn.  No more than the actors of a turn
 * can handle (loop.c): what is read faster than it is handled piles up in
 * mailboxes, where it costs page faults and cache misses, twice the time in
 * all. */
#define HTI_CONN_READ_MAX (256 * 1024)
/* Bytes written before others get their turn. */
#define HTI_CONN_WRITE_MAX (1024 * 1024)

struct hti_conn_params {
    int fd; /* taken on success */
    bool initiator;
    uint64_t dial_id;    /* initiator */
    const char *address; /* of the peer; copied, as are the others */
    unsigned encryption; /* HT_ENCRYPT_BIT()s that may be used */
    bool any_peer;
    bool is_unix;
    bool admin; /* by peer credentials; acceptor: may be */
    bool cert_optional;
    const char *server_name; /* initiator with certificates */
    const char *host;
    const struct sockaddr_storage *peer; /* acceptor: whom to count; or NULL */
};

/* A connected socket becomes a connection on loop.  HT_ENOMEM. */
HT_MUSTUSE ht_err hti_conn_open(struct hti_server *server,
                                struct hti_loop *loop,
                                const struct hti_conn_params *params);
/* Close it, whatever its state; text is static. */
void hti_conn_close(struct hti_conn *conn, ht_err why, const char *text);
struct hti_conn *hti_conn_next(struct hti_conn *conn);
/* For struct hti_pending. */
void hti_conn_evict(struct hti_pending_entry *entry);

#endif /* HTI_NODE_CONN_H */
