/* SPDX-License-Identifier: Apache-2.0 */
/* web.h - a gateway on a node of its own, and a client that can break every
 * rule of HTTP and WebSocket. */
#ifndef TESTS_GATEWAY_WEB_H
#define TESTS_GATEWAY_WEB_H

#include <hardtack/gateway.h>

#include "tests/node/fixture.h"

/* ---- a gateway ----------------------------------------------------------- */

struct gate {
    struct log log;
    struct echo echo; /* the actor "echo" */
    ht_node *node;
    ht_gateway *gateway;
    int port;
};

/* config NULL: the defaults. Everything but "hidden" is public. */
void gate_start(struct gate *gate, const ht_gateway_config *config);
void gate_stop(struct gate *gate);
/* The value of a metric, with its labels. */
unsigned long gate_metric(struct gate *gate, const char *name);

/* ---- a client ------------------------------------------------------------ */

enum {
    OP_CONTINUE = 0,
    OP_TEXT = 1,
    OP_BINARY = 2,
    OP_CLOSE = 8,
    OP_PING = 9,
    OP_PONG = 10,
    OP_END = 255, /* the connection is closed */
    FIN = 0x80,
    RSV1 = 0x40,
};

struct web {
    int fd;
    char *buf;
    size_t len, cap;
    bool head; /* what is asked for has no body */
};

struct web_frame {
    unsigned op, flags;
    size_t len;
    char data[70000];
};

void web_open(struct web *web, int port);
void web_close(struct web *web);
void web_send(struct web *web, const void *data, size_t len);
void web_say(struct web *web, const char *text);
/* Read a whole HTTP answer into buf; returns its status. 0: closed instead. */
unsigned web_answer(struct web *web, char *buf, size_t len);
/* Open, ask, read, close. */
unsigned web_ask(int port, const char *request, char *buf, size_t len);
/* The peer closes, and has sent nothing more. */
void web_expect_end(struct web *web);

/* Upgrade; more is lines of headers with CRLF. Returns the status. */
unsigned web_upgrade(struct web *web, const char *more, char *buf, size_t len);
/* Open and upgrade. */
void web_socket(struct web *web, int port);
/* A frame with a mask; first is flags and opcode. */
void web_frame(struct web *web, unsigned first, const void *data, size_t len);
void web_text(struct web *web, const char *text);
/* The next frame. */
void web_next(struct web *web, struct web_frame *frame);
/* The next frame is a text that has all of `has`, space-free words. */
void web_expect(struct web *web, const char *has);
/* The next frame is a close with that code, and then the end. */
void web_expect_close(struct web *web, unsigned code);
/* A string field of the next frame, which is a text. */
void web_field(struct web *web, const char *name, char *value, size_t len);

#endif /* TESTS_GATEWAY_WEB_H */
