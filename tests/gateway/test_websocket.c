/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 6455 as a client can keep and break it. */
#include <zlib.h>

#include "tests/gateway/web.h"

#define CALL "{\"to\":\"echo\",\"payload\":\"hi\",\"msg_id\":\"1\"}"

static struct gate gate;

static int setup(void **state)
{
    ht_gateway_config config = {.message_bytes_max = 4096, .deflate = true};

    (void)state;
    gate_start(&gate, &config);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gate_stop(&gate);
    return 0;
}

static void test_call_is_answered(void **state)
{
    struct web w;

    (void)state;
    web_socket(&w, gate.port);
    web_text(&w, CALL);
    web_expect(&w, "\"reply\" \"hi\" \"msg_id\":\"1\"");
    web_close(&w);
}

/* Control frames come between fragments; fragments may be empty. */
static void test_fragments_and_pings_between(void **state)
{
    static struct web_frame f;
    struct web w;

    (void)state;
    web_socket(&w, gate.port);
    web_frame(&w, OP_TEXT, CALL, 10);
    web_frame(&w, FIN | OP_PING, "are you there", 13);
    web_frame(&w, OP_CONTINUE, NULL, 0);
    web_frame(&w, OP_CONTINUE, &(CALL)[10], 5);
    web_frame(&w, FIN | OP_PONG, "unasked", 7);
    web_frame(&w, FIN | OP_CONTINUE, &(CALL)[15], strlen(CALL) - 15);
    web_next(&w, &f);
    assert_int_equal(f.op, OP_PONG);
    assert_string_equal(f.data, "are you there");
    web_expect(&w, "\"reply\" \"hi\"");
    web_close(&w);
}

static size_t make_call(uint8_t *frame)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    size_t len = strlen(CALL), n = 0;

    frame[n++] = FIN | OP_TEXT;
    frame[n++] = (uint8_t)(0x80 | len);
    memcpy(frame + n, mask, 4);
    n += 4;
    for (size_t i = 0; i < len; i++) {
        frame[n++] = (uint8_t)CALL[i] ^ mask[i % 4];
    }
    return n;
}

/* However the bytes are cut, and whoever else is inside a frame meanwhile. */
static void test_many_clients_a_byte_at_a_time(void **state)
{
    enum { CLIENTS = 6 };
    struct web w[CLIENTS];
    uint8_t frame[200];
    size_t len = make_call(frame);

    (void)state;
    for (int j = 0; j < CLIENTS; j++) {
        web_socket(&w[j], gate.port);
    }
    for (size_t i = 0; i < len; i++) {
        for (int j = 0; j < CLIENTS; j++) {
            web_send(&w[j], frame + i, 1);
        }
    }
    for (int j = 0; j < CLIENTS; j++) {
        web_expect(&w[j], "\"reply\" \"hi\"");
        web_close(&w[j]);
    }
}

static void test_many_messages_in_one_write(void **state)
{
    enum { MESSAGES = 40 };
    uint8_t frames[MESSAGES * 100];
    size_t len = 0;
    struct web w;

    (void)state;
    for (int i = 0; i < MESSAGES; i++) {
        len += make_call(frames + len);
    }
    web_socket(&w, gate.port);
    web_send(&w, frames, len);
    web_expect(&w, "\"reply\" \"hi\"");
    web_close(&w);
}

/* ---- what is closed, and with which code --------------------------------- */

struct breach {
    const char *name;
    unsigned code;
    unsigned first; /* of a frame */
    const char *data;
    size_t len;
    unsigned then; /* of a second frame, 0: none */
};

static void test_breaches_are_closed_with_their_code(void **state)
{
    static char big[5000];
    static const struct breach breaches[] = {
        {"continuation of nothing", 1002, FIN | OP_CONTINUE, "x", 1, 0},
        {"message inside another", 1002, OP_TEXT, "x", 1, FIN | OP_TEXT},
        {"rsv1 of a control frame", 1002, FIN | RSV1 | OP_PING, "", 0, 0},
        {"rsv2", 1002, FIN | 0x20 | OP_TEXT, "x", 1, 0},
        {"rsv3", 1002, FIN | 0x10 | OP_TEXT, "x", 1, 0},
        {"rsv1 of a continuation", 1002, OP_TEXT, "x", 1,
         FIN | RSV1 | OP_CONTINUE},
        {"opcode 3", 1002, FIN | 3, "x", 1, 0},
        {"opcode 11", 1002, FIN | 11, "x", 1, 0},
        {"fragmented ping", 1002, OP_PING, "x", 1, 0},
        {"ping of 126 bytes", 1002, FIN | OP_PING, big, 126, 0},
        {"not UTF-8", 1007, FIN | OP_TEXT, "\xc3\x28", 2, 0},
        {"surrogate", 1007, FIN | OP_TEXT, "\xed\xa0\x80", 3, 0},
        {"cut UTF-8 at the end", 1007, FIN | OP_TEXT, "a\xe2\x82", 3, 0},
        {"binary in a text protocol", 1003, FIN | OP_BINARY, "x", 1, 0},
        {"too large", 1009, FIN | OP_TEXT, big, 4097, 0},
        {"too large in fragments", 1009, OP_TEXT, big, 4096, FIN | OP_CONTINUE},
        {"bad close code", 1002, FIN | OP_CLOSE, "\x03\xed", 2, 0},
        {"close code of nobody", 1002, FIN | OP_CLOSE, "\x00\x01", 2, 0},
        {"close of one byte", 1002, FIN | OP_CLOSE, "x", 1, 0},
        {"close reason that is not UTF-8", 1007, FIN | OP_CLOSE, "\x03\xe8\xff",
         3, 0},
    };

    (void)state;
    memset(big, 'a', sizeof(big));
    for (size_t i = 0; i < sizeof(breaches) / sizeof(breaches[0]); i++) {
        const struct breach *b = &breaches[i];
        struct web w;

        web_socket(&w, gate.port);
        web_frame(&w, b->first, b->data, b->len);
        if (b->then != 0) {
            web_frame(&w, b->then, "y", 1);
        }
        web_expect_close(&w, b->code);
        web_close(&w);
    }
}

static void test_unmasked_frames_are_refused(void **state)
{
    struct web w;

    (void)state;
    web_socket(&w, gate.port);
    web_send(&w, "\x81\x02hi", 4);
    web_expect_close(&w, 1002);
    web_close(&w);
}

/* A length that is not minimal, or has its top bit set. */
static void test_bad_lengths_are_refused(void **state)
{
    static const char long2[] = "\x81\xfe\x00\x05\0\0\0\0hello";
    static const char top[] =
        "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x05\0\0\0\0hello";
    struct web w;

    (void)state;
    web_socket(&w, gate.port);
    web_send(&w, long2, sizeof(long2) - 1);
    web_expect_close(&w, 1002);
    web_close(&w);
    web_socket(&w, gate.port);
    web_send(&w, top, sizeof(top) - 1);
    web_expect_close(&w, 1002);
    web_close(&w);
}

static void test_close_is_echoed(void **state)
{
    static const unsigned codes[] = {1000, 1001, 1003, 1007,
                                     1011, 1014, 3000, 4999};
    static struct web_frame f;
    struct web w;

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        uint8_t body[2] = {(uint8_t)(codes[i] >> 8), (uint8_t)codes[i]};

        web_socket(&w, gate.port);
        web_frame(&w, FIN | OP_CLOSE, body, 2);
        web_expect_close(&w, codes[i]);
        web_close(&w);
    }
    web_socket(&w, gate.port);
    web_frame(&w, FIN | OP_CLOSE, NULL, 0);
    web_next(&w, &f);
    assert_int_equal(f.op, OP_CLOSE);
    assert_int_equal(f.len, 0);
    web_next(&w, &f);
    assert_int_equal(f.op, OP_END);
    web_close(&w);
}

/* What was sent before the close is answered before it. */
static void test_largest_message_is_taken(void **state)
{
    static char text[4097];
    struct web w;

    (void)state;
    memset(text, ' ', 4096);
    memcpy(text, CALL, strlen(CALL));
    web_socket(&w, gate.port);
    web_text(&w, text);
    web_expect(&w, "\"reply\" \"hi\"");
    web_close(&w);
}

/* ---- the handshake ------------------------------------------------------- */

static unsigned handshake(const char *headers)
{
    char request[1024], answer[2048];

    snprintf(request, sizeof(request), "GET /ws HTTP/1.1\r\n%s\r\n", headers);
    return web_ask(gate.port, request, answer, sizeof(answer));
}

#define HS_HOST "Host: localhost\r\n"
#define HS_UP   "Upgrade: WebSocket\r\nConnection: upgrade\r\n"
#define HS_VER  "Sec-WebSocket-Version: 13\r\n"
#define HS_KEY  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static void test_handshakes(void **state)
{
    (void)state;
    assert_int_equal(handshake(HS_HOST HS_UP HS_VER HS_KEY), 101);
    assert_int_equal(handshake(HS_UP HS_VER HS_KEY), 400);
    assert_int_equal(handshake(HS_HOST HS_VER HS_KEY), 426);
    assert_int_equal(handshake(HS_HOST HS_UP HS_KEY), 426);
    assert_int_equal(
        handshake(HS_HOST HS_UP HS_KEY "Sec-WebSocket-Version: 8\r\n"), 426);
    assert_int_equal(handshake(HS_HOST HS_UP HS_VER), 400);
    assert_int_equal(
        handshake(HS_HOST HS_UP HS_VER "Sec-WebSocket-Key: short\r\n"), 400);
    assert_int_equal(handshake(HS_HOST HS_UP HS_VER HS_KEY HS_KEY), 400);
    assert_int_equal(
        handshake(HS_HOST HS_UP HS_VER HS_KEY "Origin: http://localhost\r\n"),
        101);
    assert_int_equal(handshake(HS_HOST HS_UP HS_VER HS_KEY
                               "Origin: http://elsewhere.org\r\n"),
                     403);
    assert_int_equal(handshake(HS_HOST HS_UP HS_VER HS_KEY "Origin: null\r\n"),
                     403);
    assert_int_equal(handshake(HS_HOST HS_UP HS_VER HS_KEY
                               "Sec-WebSocket-Protocol: chat\r\n"),
                     400);
    assert_int_equal(
        handshake(HS_HOST HS_UP HS_VER HS_KEY
                  "Sec-WebSocket-Protocol: chat, hardtack.pb.v1\r\n"),
        101);
}

static void test_subprotocol_is_named_in_the_answer(void **state)
{
    char answer[2048];
    struct web w;

    (void)state;
    web_open(&w, gate.port);
    assert_int_equal(web_upgrade(&w,
                                 "Sec-WebSocket-Protocol: hardtack.pb.v1\r\n"
                                 "Sec-WebSocket-Protocol: hardtack.json.v1\r\n",
                                 answer, sizeof(answer)),
                     101);
    assert_non_null(
        strstr(answer, "Sec-WebSocket-Protocol: hardtack.json.v1\r\n"));
    web_close(&w);
}

/* A frame that came with the request's own bytes. */
static void test_frame_right_behind_the_handshake(void **state)
{
    char answer[2048], request[1024];
    uint8_t frame[200];
    size_t len = make_call(frame);
    int n = snprintf(request, sizeof(request), "GET / HTTP/1.1\r\n%s\r\n",
                     HS_HOST HS_UP HS_VER HS_KEY);
    struct web w;

    (void)state;
    memcpy(request + n, frame, len);
    web_open(&w, gate.port);
    web_send(&w, request, (size_t)n + len);
    assert_int_equal(web_answer(&w, answer, sizeof(answer)), 101);
    web_expect(&w, "\"reply\" \"hi\"");
    web_close(&w);
}

/* ---- compression --------------------------------------------------------- */

static size_t
compress_raw(const char *text, size_t len, uint8_t *out, size_t cap)
{
    z_stream z;

    memset(&z, 0, sizeof(z));
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, 0), Z_OK);
    z.next_in = (uint8_t *)(uintptr_t)text;
    z.avail_in = (unsigned)len;
    z.next_out = out;
    z.avail_out = (unsigned)cap;
    assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
    assert_int_equal(z.avail_in, 0);
    cap -= z.avail_out;
    deflateEnd(&z);
    return cap - 4;
}

static void inflate_raw(const void *data, size_t len, char *text, size_t cap)
{
    uint8_t in[8192];
    z_stream z;

    memset(&z, 0, sizeof(z));
    memcpy(in, data, len);
    memcpy(in + len, "\0\0\xff\xff", 4);
    assert_int_equal(inflateInit2(&z, -15), Z_OK);
    z.next_in = in;
    z.avail_in = (unsigned)len + 4;
    z.next_out = (uint8_t *)text;
    z.avail_out = (unsigned)cap - 1;
    assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_OK);
    text[cap - 1 - z.avail_out] = '\0';
    inflateEnd(&z);
}

#define LONG_TEXT                                                              \
    "abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc"

static void open_deflate(struct web *w)
{
    char answer[2048];

    web_open(w, gate.port);
    assert_int_equal(
        web_upgrade(w,
                    "Sec-WebSocket-Extensions: x-other, permessage-deflate; "
                    "server_max_window_bits=9, permessage-deflate; "
                    "client_max_window_bits\r\n",
                    answer, sizeof(answer)),
        101);
    assert_non_null(strstr(answer, "Sec-WebSocket-Extensions: "
                                   "permessage-deflate; "
                                   "server_no_context_takeover; "
                                   "client_no_context_takeover\r\n"));
}

static void test_compressed_both_ways(void **state)
{
    static const char call[] =
        "{\"to\":\"echo\",\"payload\":\"" LONG_TEXT "\"}";
    static struct web_frame f;
    uint8_t out[1024];
    char text[4096];
    size_t len = compress_raw(call, strlen(call), out, sizeof(out));
    struct web w;

    (void)state;
    open_deflate(&w);
    for (int i = 0; i < 3; i++) {
        web_frame(&w, RSV1 | OP_TEXT, out, 10);
        web_frame(&w, FIN | OP_CONTINUE, out + 10, len - 10);
        web_next(&w, &f);
        assert_int_equal(f.op, OP_TEXT);
        assert_int_equal(f.flags, FIN | RSV1);
        inflate_raw(f.data, f.len, text, sizeof(text));
        assert_non_null(strstr(text, LONG_TEXT));
    }
    web_text(&w, CALL); /* uncompressed is fine too */
    web_expect(&w, "\"reply\" \"hi\"");
    web_close(&w);
}

static void test_compressed_bomb_is_too_large(void **state)
{
    static char zeros[4000000];
    uint8_t out[8192];
    size_t len = compress_raw(zeros, sizeof(zeros), out, sizeof(out));
    struct web w;

    (void)state;
    assert_true(len < 4096);
    open_deflate(&w);
    web_frame(&w, FIN | RSV1 | OP_TEXT, out, len);
    web_expect_close(&w, 1009);
    web_close(&w);
}

static void test_compressed_garbage(void **state)
{
    struct web w;

    (void)state;
    open_deflate(&w);
    web_frame(&w, FIN | RSV1 | OP_TEXT, "\xff\xff\xff\xff", 4);
    web_expect_close(&w, 1007);
    web_close(&w);
}

static void test_compression_that_was_not_agreed(void **state)
{
    struct web w;

    (void)state;
    web_socket(&w, gate.port);
    web_frame(&w, FIN | RSV1 | OP_TEXT, "x", 1);
    web_expect_close(&w, 1002);
    web_close(&w);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

CHECK_MAIN(T(test_call_is_answered),
           T(test_fragments_and_pings_between),
           T(test_many_clients_a_byte_at_a_time),
           T(test_many_messages_in_one_write),
           T(test_breaches_are_closed_with_their_code),
           T(test_unmasked_frames_are_refused),
           T(test_bad_lengths_are_refused),
           T(test_close_is_echoed),
           T(test_largest_message_is_taken),
           T(test_handshakes),
           T(test_subprotocol_is_named_in_the_answer),
           T(test_frame_right_behind_the_handshake),
           T(test_compressed_both_ways),
           T(test_compressed_bomb_is_too_large),
           T(test_compressed_garbage),
           T(test_compression_that_was_not_agreed))
