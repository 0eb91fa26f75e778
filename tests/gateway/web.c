/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gateway/web.h"

#include <jansson.h>

/* ---- a gateway ----------------------------------------------------------- */

void gate_start(struct gate *gate, const ht_gateway_config *config)
{
    static const char *const public[] = {
        "echo", "client-*", "group:*", "nobody", "subscribe group:*",
    };
    ht_gateway_config c = config != NULL ? *config : (ht_gateway_config){0};
    ht_config node;
    ht_err err;

    memset(gate, 0, sizeof(*gate));
    pthread_mutex_init(&gate->log.lock, NULL);
    pthread_cond_init(&gate->log.cond, NULL);
    node = node_config("web", HT_ENCRYPT_NONE, &gate->log);
    gate->node = node_start(&node);
    (void)echo_spawn(gate->node, &gate->echo);
    if (c.port == 0) {
        c.port = HT_PORT_ANY;
    }
    if (c.address == NULL) {
        c.address = "127.0.0.1";
    }
    if (c.public_targets == NULL) {
        c.public_targets = public;
        c.public_targets_count = sizeof(public) / sizeof(public[0]);
    }
    err = ht_gateway_start(gate->node, &c, &gate->gateway);
    if (err != HT_OK) {
        print_error("gateway: %s\n", ht_gateway_start_error());
    }
    CHECK_OK(err);
    gate->port = ht_gateway_port(gate->gateway);
}

void gate_stop(struct gate *gate)
{
    ht_gateway_free(gate->gateway);
    ht_node_free(gate->node);
    log_fini(&gate->log);
}

unsigned long gate_metric(struct gate *gate, const char *name)
{
    static char text[65536];
    char line[200], *at;

    /* A gateway at its limit has not seen yet that somebody left. */
    WAIT_FOR(web_ask(gate->port,
                     "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
                     "Connection: close\r\n\r\n",
                     text, sizeof(text)) == 200);
    snprintf(line, sizeof(line), "\n%s ", name);
    at = strstr(text, line);
    if (at == NULL) {
        print_error("no metric %s\n", name);
        fail();
        return 0;
    }
    return strtoul(at + strlen(line), NULL, 10);
}

/* ---- bytes --------------------------------------------------------------- */

void web_open(struct web *web, int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    memset(web, 0, sizeof(*web));
    web->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(web->fd >= 0);
    assert_int_equal(connect(web->fd, (struct sockaddr *)&in, sizeof(in)), 0);
}

void web_close(struct web *web)
{
    close(web->fd);
    free(web->buf);
    web->buf = NULL;
}

void web_send(struct web *web, const void *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(web->fd, data, len, MSG_NOSIGNAL);

        if (n < 0) {
            return; /* closed: what is read next tells */
        }
        data = (const char *)data + n;
        len -= (size_t)n;
    }
}

void web_say(struct web *web, const char *text)
{
    web_send(web, text, strlen(text));
}

/* False: the peer has closed. */
static bool more(struct web *web)
{
    struct pollfd p = {.fd = web->fd, .events = POLLIN};
    ssize_t n;

    if (web->cap - web->len < 65536) {
        web->cap = web->len + 131072;
        web->buf = realloc(web->buf, web->cap);
        assert_non_null(web->buf);
    }
    if (poll(&p, 1, PATIENCE_MS) != 1) {
        print_error("nothing comes\n");
        fail();
    }
    n = recv(web->fd, web->buf + web->len, web->cap - web->len - 1, 0);
    if (n <= 0) {
        return false;
    }
    web->len += (size_t)n;
    web->buf[web->len] = '\0';
    return true;
}

static void drop(struct web *web, size_t n)
{
    memmove(web->buf, web->buf + n, web->len - n);
    web->len -= n;
    web->buf[web->len] = '\0';
}

void web_expect_end(struct web *web)
{
    assert_int_equal(web->len, 0);
    while (more(web)) {
        print_error("came: %.*s\n", (int)web->len, web->buf);
        fail();
    }
}

/* ---- HTTP ---------------------------------------------------------------- */

unsigned web_answer(struct web *web, char *buf, size_t len)
{
    size_t head, body = 0, whole;
    unsigned status = 0;
    char *end, *length;

    while (web->len == 0 || (end = strstr(web->buf, "\r\n\r\n")) == NULL) {
        if (!more(web)) {
            return 0;
        }
    }
    head = (size_t)(end - web->buf) + 4;
    assert_int_equal(sscanf(web->buf, "HTTP/1.1 %u", &status), 1);
    length = strcasestr(web->buf, "\r\nContent-Length: ");
    if (length != NULL && length < end && !web->head) {
        body = strtoul(length + 18, NULL, 10);
    }
    while (web->len < head + body) {
        assert_true(more(web));
    }
    whole = head + body;
    assert_true(whole < len);
    memcpy(buf, web->buf, whole);
    buf[whole] = '\0';
    drop(web, whole);
    return status;
}

unsigned web_ask(int port, const char *request, char *buf, size_t len)
{
    struct web web;
    unsigned status;

    web_open(&web, port);
    web.head = strncmp(request, "HEAD ", 5) == 0;
    web_say(&web, request);
    status = web_answer(&web, buf, len);
    web_close(&web);
    return status;
}

/* ---- WebSocket ----------------------------------------------------------- */

unsigned
web_upgrade(struct web *web, const char *headers, char *buf, size_t len)
{
    char request[2048];

    snprintf(request, sizeof(request),
             "GET /ws HTTP/1.1\r\nHost: localhost\r\n"
             "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
             headers);
    web_say(web, request);
    return web_answer(web, buf, len);
}

void web_socket(struct web *web, int port)
{
    char answer[2048];

    web_open(web, port);
    assert_int_equal(web_upgrade(web, "", answer, sizeof(answer)), 101);
    /* RFC 6455's own example. */
    assert_non_null(strstr(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

void web_frame(struct web *web, unsigned first, const void *data, size_t len)
{
    static const uint8_t mask[4] = {0x11, 0x22, 0x33, 0x44};
    uint8_t *frame = malloc(len + 14);
    size_t n = 0;

    assert_non_null(frame);
    frame[n++] = (uint8_t)first;
    if (len < 126) {
        frame[n++] = (uint8_t)(0x80 | len);
    } else {
        size_t bytes = len < 65536 ? 2 : 8;

        frame[n++] = (uint8_t)(0x80 | (bytes == 2 ? 126 : 127));
        while (bytes-- > 0) {
            frame[n++] = (uint8_t)((uint64_t)len >> 8 * bytes);
        }
    }
    memcpy(frame + n, mask, 4);
    n += 4;
    for (size_t i = 0; i < len; i++) {
        frame[n++] = ((const uint8_t *)data)[i] ^ mask[i % 4];
    }
    web_send(web, frame, n);
    free(frame);
}

void web_text(struct web *web, const char *text)
{
    web_frame(web, FIN | OP_TEXT, text, strlen(text));
}

static bool need(struct web *web, size_t n)
{
    while (web->len < n) {
        if (!more(web)) {
            return false;
        }
    }
    return true;
}

void web_next(struct web *web, struct web_frame *frame)
{
    const uint8_t *b;
    size_t head = 2;

    frame->op = OP_END;
    frame->len = 0;
    if (!need(web, 2)) {
        return;
    }
    b = (const uint8_t *)web->buf;
    assert_int_equal(b[1] & 0x80, 0);
    frame->len = b[1];
    if (frame->len >= 126) {
        size_t bytes = frame->len == 126 ? 2 : 8;

        head += bytes;
        assert_true(need(web, head));
        b = (const uint8_t *)web->buf;
        frame->len = 0;
        for (size_t i = 0; i < bytes; i++) {
            frame->len = frame->len << 8 | b[2 + i];
        }
    }
    assert_true(frame->len < sizeof(frame->data));
    assert_true(need(web, head + frame->len));
    b = (const uint8_t *)web->buf;
    frame->op = b[0] & 15;
    frame->flags = b[0] & 0xf0;
    memcpy(frame->data, b + head, frame->len);
    frame->data[frame->len] = '\0';
    drop(web, head + frame->len);
}

void web_expect(struct web *web, const char *has)
{
    static _Thread_local struct web_frame frame;
    char words[512], *word, *save = NULL;

    web_next(web, &frame);
    if (frame.op != OP_TEXT) {
        print_error("opcode %u instead of a text with %s\n", frame.op, has);
        fail();
    }
    snprintf(words, sizeof(words), "%s", has);
    for (word = strtok_r(words, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        if (strstr(frame.data, word) == NULL) {
            print_error("no %s in %s\n", word, frame.data);
            fail();
        }
    }
}

void web_expect_close(struct web *web, unsigned code)
{
    static _Thread_local struct web_frame frame;
    unsigned got = 0;

    web_next(web, &frame);
    if (frame.op == OP_CLOSE && frame.len >= 2) {
        got = (unsigned)(uint8_t)frame.data[0] << 8 | (uint8_t)frame.data[1];
    }
    if (frame.op != OP_CLOSE || got != code) {
        print_error("opcode %u code %u instead of close %u: %s\n", frame.op,
                    got, code, frame.len > 2 ? frame.data + 2 : "");
        fail();
    }
    /* Agree, as a client does; it may have closed by then. */
    web_frame(web, FIN | OP_CLOSE, frame.data, frame.len >= 2 ? 2 : 0);
    web_next(web, &frame);
    assert_int_equal(frame.op, OP_END);
}

void web_field(struct web *web, const char *name, char *value, size_t len)
{
    static _Thread_local struct web_frame frame;
    json_t *object;
    const char *s;

    web_next(web, &frame);
    assert_int_equal(frame.op, OP_TEXT);
    object = json_loadb(frame.data, frame.len, 0, NULL);
    s = json_string_value(json_object_get(object, name));
    if (s == NULL) {
        print_error("no %s in %s\n", name, frame.data);
        fail();
        return;
    }
    snprintf(value, len, "%s", s);
    json_decref(object);
}
