/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/ws.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#include "base/utf8.h"
#include "gateway/client.h"
#include "gateway/conn_write.h"
#include "gateway/deflate.h"
#include "gateway/frame.h"
#include "gateway/gateway.h"
#include "gateway/loop.h"

#define CLOSE_PROTOCOL    1002
#define CLOSE_UNSUPPORTED 1003
#define CLOSE_NO_CODE     1005
#define CLOSE_NOT_UTF8    1007
#define CLOSE_TOOBIG      1009
#define CLOSE_INTERNAL    1011
#define MESSAGE_CAP_MIN   1024

/* ---- the reader ---------------------------------------------------------- */

struct gw_ws_reader {
    wslay_frame_context_ptr context;
    const uint8_t *data; /* what it may take now */
    size_t len;
    uint64_t taken;  /* bytes given to wslay in all */
    uint64_t parsed; /* bytes of the frames that it has finished */
    uint64_t left;   /* of the payload of the frame it is inside */
    bool inside;     /* a frame has begun and is not finished */
};

static ssize_t reader_recv(uint8_t *buf, size_t len, int flags, void *arg)
{
    struct gw_ws_reader *r = arg;

    (void)flags;
    if (len > r->len) {
        len = r->len;
    }
    if (len == 0) {
        return -1; /* which wslay takes as: later */
    }
    memcpy(buf, r->data, len);
    r->data += len;
    r->len -= len;
    r->taken += len;
    return (ssize_t)len;
}

static struct gw_ws_reader *reader_new(void)
{
    static const struct wslay_frame_callbacks callbacks = {.recv_callback =
                                                               reader_recv};
    struct gw_ws_reader *r = calloc(1, sizeof(*r));

    if (r != NULL &&
        wslay_frame_context_init(&r->context, &callbacks, r) != 0) {
        free(r);
        return NULL;
    }
    return r;
}

void gw_ws_reader_free(struct gw_ws_reader *r)
{
    if (r != NULL) {
        wslay_frame_context_free(r->context);
        free(r);
    }
}

static bool reader_is_clean(const struct gw_ws_reader *r)
{
    return !r->inside && r->taken == r->parsed;
}

static struct gw_ws_reader *reader_take(struct gw_conn *c)
{
    struct gw_ws_reader *r = c->ws->reader;

    if (r == NULL) {
        r = c->loop->reader;
        c->loop->reader = NULL;
    }
    return r != NULL ? r : reader_new();
}

/* Back to the loop, if there is nothing of this connection in it. */
static void reader_leave(struct gw_conn *c, struct gw_ws_reader *r)
{
    c->ws->reader = NULL;
    if (c->ws->broken || (reader_is_clean(r) && c->loop->reader != NULL)) {
        gw_ws_reader_free(r);
    } else if (reader_is_clean(r)) {
        c->loop->reader = r;
    } else {
        c->ws->reader = r;
    }
}

static uint64_t header_bytes(const struct wslay_frame_iocb *f)
{
    uint64_t len = f->payload_length;

    return (len < 126 ? 2u : len < 65536 ? 4u : 10u) + (f->mask ? 4u : 0u);
}

/* ---- life ---------------------------------------------------------------- */

struct gw_ws *gw_ws_new(bool deflate)
{
    struct gw_ws *ws = calloc(1, sizeof(*ws));

    if (ws != NULL) {
        ws->deflate = deflate;
    }
    return ws;
}

void gw_ws_free(struct gw_ws *ws)
{
    if (ws != NULL) {
        gw_ws_reader_free(ws->reader);
        gw_frame_unref(ws->last);
        free(ws->message);
        free(ws);
    }
}

static void drop_message(struct gw_ws *ws)
{
    free(ws->message);
    ws->message = NULL;
    ws->len = ws->cap = 0;
    ws->opcode = 0;
    ws->compressed = false;
}

/* ---- closing ------------------------------------------------------------- */

static struct gw_frame *close_frame(uint16_t code, const char *why)
{
    uint8_t body[125];
    size_t len = 0, why_len = strlen(why);

    if (code != CLOSE_NO_CODE) {
        body[0] = (uint8_t)(code >> 8);
        body[1] = (uint8_t)code;
        while (why_len > sizeof(body) - 2 || !hti_utf8_valid(why, why_len)) {
            why_len--;
        }
        /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): bytes */
        memcpy(body + 2, why, why_len);
        len = 2 + why_len;
    }
    return gw_frame_ws(GW_OP_CLOSE, false, body, len);
}

void gw_ws_close(struct gw_conn *c, uint16_t code, const char *why)
{
    if (c->ws->close_sent || c->lost) {
        return;
    }
    drop_message(c->ws);
    c->ws->close_sent = true;
    gw_conn_put(c, close_frame(code, why));
    gw_conn_finish(c);
}

void gw_ws_close_later(struct gw_conn *c, uint16_t code, const char *why)
{
    if (!c->ws->close_sent && c->ws->last == NULL) {
        c->ws->last = close_frame(code, why);
    }
}

void gw_ws_close_now(struct gw_conn *c)
{
    struct gw_frame *last = c->ws->last;

    c->ws->last = NULL;
    if (!c->ws->close_sent) {
        c->ws->close_sent = true;
        gw_conn_put(c, last);
    } else {
        gw_frame_unref(last);
    }
}

static void fail(struct gw_conn *c, uint16_t code, const char *why)
{
    gw_count(c->loop,
             code == CLOSE_TOOBIG ? GW_CLOSED_TOOBIG : GW_CLOSED_PROTOCOL, 1);
    gw_ws_close(c, code, why);
}

static bool code_is_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static void on_close(struct gw_conn *c, const uint8_t *data, size_t len)
{
    struct gw_ws *ws = c->ws;
    unsigned code = len >= 2 ? (unsigned)data[0] << 8 | data[1] : CLOSE_NO_CODE;

    ws->close_received = true;
    ws->peer_code = (uint16_t)code;
    if (ws->close_sent) {
        if (c->shut) {
            c->lost = true;
        }
        return;
    }
    if (len == 1 || (len >= 2 && !code_is_valid(code))) {
        fail(c, CLOSE_PROTOCOL, "bad close frame");
    } else if (len > 2 && !hti_utf8_valid(data + 2, len - 2)) {
        fail(c, CLOSE_NOT_UTF8, "close reason is not UTF-8");
    } else {
        gw_ws_close(c, (uint16_t)code, "");
    }
    gw_client_peer_closed(c->client, (uint16_t)code);
}

void gw_ws_ping(struct gw_conn *c)
{
    gw_conn_put(c, gw_frame_ws(GW_OP_PING, false, NULL, 0));
}

/* ---- messages ------------------------------------------------------------ */

static void deliver(struct gw_conn *c,
                    uint8_t opcode,
                    bool compressed,
                    const uint8_t *data,
                    size_t len)
{
    size_t max = c->gateway->view.config->message_bytes_max;
    uint8_t *inflated = NULL;

    if (compressed) {
        ht_err err = gw_inflate(c->loop, data, len, max, &inflated, &len);

        if (err != HT_OK) {
            fail(c, err == HT_ETOOBIG ? CLOSE_TOOBIG : CLOSE_NOT_UTF8,
                 err == HT_ETOOBIG ? "message is too large"
                                   : "bad compressed data");
            return;
        }
        data = inflated;
    }
    if (opcode == GW_OP_TEXT && !hti_utf8_valid(data, len)) {
        fail(c, CLOSE_NOT_UTF8, "text is not UTF-8");
    } else if ((opcode == GW_OP_TEXT) != (c->client->encoding == GW_JSON)) {
        fail(c, CLOSE_UNSUPPORTED,
             opcode == GW_OP_TEXT ? "this subprotocol is binary"
                                  : "this subprotocol is text");
    } else {
        gw_client_message(c->client, data, len);
    }
    free(inflated);
}

/* HT_ENOMEM, HT_ETOOBIG. */
static ht_err append(struct gw_conn *c, const uint8_t *data, size_t len)
{
    size_t max = c->gateway->view.config->message_bytes_max;
    struct gw_ws *ws = c->ws;

    if (len > max || ws->len > max - len) {
        return HT_ETOOBIG;
    }
    if (ws->cap - ws->len < len) {
        size_t cap = ws->cap > 0 ? ws->cap : MESSAGE_CAP_MIN;
        uint8_t *message;

        while (cap < ws->len + len) {
            cap *= 2;
        }
        message = realloc(ws->message, cap);
        if (message == NULL) {
            return HT_ENOMEM;
        }
        ws->message = message;
        ws->cap = cap;
    }
    if (len > 0) {
        memcpy(ws->message + ws->len, data, len);
        ws->len += len;
    }
    return HT_OK;
}

static void end_message(struct gw_conn *c)
{
    struct gw_ws *ws = c->ws;
    uint8_t *message = ws->message;
    uint8_t opcode = ws->opcode;
    bool compressed = ws->compressed;
    size_t len = ws->len;

    ws->message = NULL; /* the client may close us meanwhile */
    drop_message(ws);
    deliver(c, opcode, compressed, message, len);
    free(message);
}

/* ---- frames -------------------------------------------------------------- */

/* What is wrong with a data frame that begins; NULL: nothing. */
static const char *check_data(const struct gw_ws *ws,
                              const struct wslay_frame_iocb *f)
{
    bool first = f->opcode != WSLAY_CONTINUATION_FRAME;

    if (first && ws->opcode != 0) {
        return "a message inside another";
    }
    if (!first && ws->opcode == 0) {
        return "continuation of nothing";
    }
    if (f->rsv != 0 && !(f->rsv == WSLAY_RSV1_BIT && first && ws->deflate)) {
        return "reserved bits";
    }
    return NULL;
}

static const char *check(const struct gw_ws *ws,
                         const struct wslay_frame_iocb *f)
{
    if (!f->mask) {
        return "frame is not masked";
    }
    switch (f->opcode) {
    case WSLAY_CONTINUATION_FRAME:
    case WSLAY_TEXT_FRAME:
    case WSLAY_BINARY_FRAME:
        return check_data(ws, f);
    case WSLAY_CONNECTION_CLOSE:
    case WSLAY_PING:
    case WSLAY_PONG:
        return f->rsv != 0 ? "reserved bits" : NULL;
    default:
        return "unknown opcode";
    }
}

static void
on_control(struct gw_conn *c, uint8_t opcode, const uint8_t *data, size_t len)
{
    if (opcode == WSLAY_CONNECTION_CLOSE) {
        on_close(c, data, len);
    } else if (opcode == WSLAY_PING && !c->ws->close_sent) {
        /* A client that pings and reads nothing must not fill our memory. */
        if (c->control_bytes > c->gateway->view.config->queued_bytes_max) {
            gw_client_too_slow(c->client);
            return;
        }
        gw_conn_put(c, gw_frame_ws(GW_OP_PONG, false, data, len));
    }
}

static void
control_piece(struct gw_conn *c, const struct wslay_frame_iocb *f, bool last)
{
    struct gw_ws *ws = c->ws;

    if (last && ws->control_len == 0) {
        on_control(c, f->opcode, f->data, f->data_length);
        return;
    }
    assert(ws->control_len + f->data_length <= sizeof(ws->control));
    if (f->data_length > 0) {
        memcpy(ws->control + ws->control_len, f->data, f->data_length);
        ws->control_len = (uint8_t)(ws->control_len + f->data_length);
    }
    if (last) {
        size_t len = ws->control_len;

        ws->control_len = 0;
        on_control(c, f->opcode, ws->control, len);
    }
}

static void
data_piece(struct gw_conn *c, const struct wslay_frame_iocb *f, bool last)
{
    struct gw_ws *ws = c->ws;
    ht_err err;

    /* All of a message, as most are: it is not copied. */
    if (last && f->fin && f->data_length == f->payload_length &&
        f->opcode != WSLAY_CONTINUATION_FRAME) {
        bool compressed = ws->compressed;

        ws->opcode = 0;
        ws->compressed = false;
        deliver(c, f->opcode, compressed, f->data, f->data_length);
        return;
    }
    err = append(c, f->data, f->data_length);
    if (err != HT_OK) {
        fail(c, err == HT_ETOOBIG ? CLOSE_TOOBIG : CLOSE_INTERNAL,
             err == HT_ETOOBIG ? "message is too large" : "out of memory");
        return;
    }
    if (last && f->fin) {
        end_message(c);
    }
}

static void begin_frame(struct gw_conn *c, const struct wslay_frame_iocb *f)
{
    struct gw_ws *ws = c->ws;
    const char *wrong = check(ws, f);

    if (wrong != NULL) {
        fail(c, CLOSE_PROTOCOL, wrong);
        return;
    }
    if (wslay_is_ctrl_frame(f->opcode)) {
        return;
    }
    if (f->payload_length > c->gateway->view.config->message_bytes_max) {
        fail(c, CLOSE_TOOBIG, "message is too large");
        return;
    }
    if (f->opcode != WSLAY_CONTINUATION_FRAME) {
        ws->opcode = f->opcode;
        ws->compressed = f->rsv == WSLAY_RSV1_BIT;
    }
}

static void piece(struct gw_conn *c,
                  struct gw_ws_reader *r,
                  const struct wslay_frame_iocb *f)
{
    bool last;

    if (!r->inside) {
        r->inside = true;
        r->left = f->payload_length;
        r->parsed += header_bytes(f);
        if (!c->ws->close_sent) {
            begin_frame(c, f);
        }
    }
    r->left -= f->data_length;
    r->parsed += f->data_length;
    last = r->left == 0;
    r->inside = !last;
    if (c->ws->close_sent && f->opcode != WSLAY_CONNECTION_CLOSE) {
        return;
    }
    if (wslay_is_ctrl_frame(f->opcode)) {
        control_piece(c, f, last);
    } else {
        data_piece(c, f, last);
    }
}

static void read_frames(struct gw_conn *c, struct gw_ws_reader *r)
{
    while (!c->lost && !c->paused) {
        struct wslay_frame_iocb f;
        ssize_t n;

        memset(&f, 0, sizeof(f));
        n = wslay_frame_recv(r->context, &f);
        if (n == WSLAY_ERR_WANT_READ) {
            return;
        }
        if (n < 0) {
            c->ws->broken = true;
            fail(c, CLOSE_PROTOCOL, "bad frame");
            return;
        }
        piece(c, r, &f);
    }
}

size_t gw_ws_feed(struct gw_conn *c, const uint8_t *data, size_t len)
{
    struct gw_ws_reader *r;
    size_t used;

    if (c->ws->broken) {
        return len;
    }
    r = reader_take(c);
    if (r == NULL) {
        c->lost = true;
        return len;
    }
    r->data = data;
    r->len = len;
    read_frames(c, r);
    used = c->ws->broken ? len : len - r->len;
    r->data = NULL;
    r->len = 0;
    reader_leave(c, r);
    return used;
}

bool gw_ws_has_more(const struct gw_conn *c)
{
    return c->ws->reader != NULL &&
           c->ws->reader->taken > c->ws->reader->parsed;
}

/* ---- the upgrade --------------------------------------------------------- */

bool gw_ws_accept(const char *key, char ret_accept[GW_WS_ACCEPT_BYTES])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t text[24 + sizeof(guid)], hash[EVP_MAX_MD_SIZE];
    unsigned hash_len = 0;

    /* 16 bytes in base64. */
    if (strlen(key) != 24 ||
        EVP_DecodeBlock(text, (const uint8_t *)key, 24) < 0 ||
        strcmp(key + 22, "==") != 0) {
        return false;
    }
    memcpy(text, key, 24);
    memcpy(text + 24, guid, sizeof(guid) - 1);
    if (EVP_Digest(text, 24 + sizeof(guid) - 1, hash, &hash_len, EVP_sha1(),
                   NULL) != 1) {
        return false;
    }
    (void)EVP_EncodeBlock((uint8_t *)ret_accept, hash, 20);
    return true;
}
