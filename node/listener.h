/* SPDX-License-Identifier: Apache-2.0 */
/* listener.h - one listening socket: bound when the node starts, accepting on
 * loop 0, its connections spread over all loops.
 *
 * Thread: open and close: the thread that starts or frees the node, while
 * loop 0 does not run or by its tasks; the rest: loop 0.
 */
#ifndef HTI_NODE_LISTENER_H
#define HTI_NODE_LISTENER_H

#include "node/server.h"

struct hti_listener {
    struct hti_server *server;
    const struct hti_listen_config *config;
    struct hti_io io;
    struct hti_timer timer; /* after EMFILE */
    struct hti_task task;   /* begin */
    struct hti_task stop;
    int fd;
    dev_t dev; /* of a Unix socket, so that only our own is removed */
    ino_t ino;
    bool has_path;
    char text[HTI_ADDRESS_TEXT_MAX]; /* where it listens, for logs */
};

/* Bind and listen; nothing is accepted yet.  HT_EADDRINUSE, HT_EACCES,
 * HT_EINVAL, HT_EIO, HT_ENOENT; why says it in words. */
HT_MUSTUSE ht_err hti_listener_open(struct hti_listener *listener,
                                    struct hti_server *server,
                                    const struct hti_listen_config *config,
                                    char *why,
                                    size_t why_len);
/* Begin to accept, end accepting: from any thread, later. */
void hti_listener_start(struct hti_listener *listener);
void hti_listener_stop(struct hti_listener *listener);
/* Once loop 0 has ended, or before it began. Zeroed ones are fine. */
void hti_listener_close(struct hti_listener *listener);

#endif /* HTI_NODE_LISTENER_H */
