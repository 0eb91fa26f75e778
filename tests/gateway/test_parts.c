/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the gateway's transport, each by itself. */
#include <arpa/inet.h>
#include <wslay/wslay.h>

#include "base/mem.h"
#include "gateway/deflate.h"
#include "gateway/frame.h"
#include "gateway/limits.h"
#include "gateway/queue.h"
#include "gateway/ws.h"
#include "tests/lib/check.h"

/* ---- the queue ----------------------------------------------------------- */

#define BYTES 10
/* What one of them counts. */
#define COST (BYTES + GW_FRAME_OVERHEAD)

static void push(struct gw_queue *q, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct gw_frame *frame = gw_frame_raw("0123456789", BYTES);

        assert_non_null(frame);
        CHECK_OK(gw_queue_push(q, frame));
        gw_frame_unref(frame);
    }
}

static void written(struct gw_queue *q, unsigned count, bool keep)
{
    while (count-- > 0) {
        assert_non_null(gw_queue_peek(q, 0));
        gw_queue_written(q, keep);
    }
}

static void test_queue_without_keeping_holds_nothing(void **state)
{
    struct gw_queue q;

    (void)state;
    gw_queue_init(&q);
    for (unsigned i = 1; i < 40; i++) {
        push(&q, i);
        assert_int_equal(q.waiting_bytes, COST * i);
        written(&q, i, false);
        assert_int_equal(q.waiting_bytes, 0);
        assert_int_equal(q.kept_bytes, 0);
        assert_null(q.ring);
        assert_null(gw_queue_peek(&q, 0));
    }
    gw_queue_fini(&q);
}

static void test_queue_acknowledge_and_rewind(void **state)
{
    struct gw_queue q;

    (void)state;
    gw_queue_init(&q);
    push(&q, 10);
    written(&q, 7, true);
    CHECK_ERR(gw_queue_ack(&q, 8), HT_EINVAL);
    CHECK_OK(gw_queue_ack(&q, 3));
    CHECK_OK(gw_queue_ack(&q, 1)); /* an old one says nothing new */
    assert_int_equal(q.kept_bytes, 4 * COST);
    CHECK_ERR(gw_queue_rewind(&q, 2), HT_ENOENT);
    CHECK_ERR(gw_queue_rewind(&q, 8), HT_EINVAL);
    CHECK_OK(gw_queue_rewind(&q, 5));
    assert_int_equal(gw_queue_before_next(&q), 5);
    assert_int_equal(q.waiting_bytes, 5 * COST);
    assert_int_equal(q.kept_bytes, 0);
    written(&q, 5, true);
    CHECK_OK(gw_queue_rewind(&q, 10));
    assert_null(gw_queue_peek(&q, 0));
    gw_queue_fini(&q);
}

static void test_queue_trim_drops_the_oldest(void **state)
{
    struct gw_queue q;

    (void)state;
    gw_queue_init(&q);
    push(&q, 10);
    written(&q, 6, true);
    gw_queue_trim(&q, q.next, 100 * COST, 4);
    assert_int_equal(q.first, 3);
    gw_queue_trim(&q, q.next, 3 * COST - 1, 100);
    assert_int_equal(q.first, 5);
    /* All of it, as for a client that is away. */
    gw_queue_trim(&q, q.end, 3 * COST, 100);
    assert_int_equal(q.first, 8);
    assert_int_equal(q.next, 8);
    assert_int_equal(q.waiting_bytes, 3 * COST);
    CHECK_ERR(gw_queue_rewind(&q, 6), HT_ENOENT);
    CHECK_OK(gw_queue_rewind(&q, 7));
    gw_queue_trim(&q, q.end, 0, 100);
    assert_null(q.ring);
    gw_queue_fini(&q);
}

static void test_queue_restart_counts_from_one(void **state)
{
    struct gw_queue q;

    (void)state;
    gw_queue_init(&q);
    push(&q, 9);
    written(&q, 6, false);
    CHECK_OK(gw_queue_restart(&q));
    assert_int_equal(gw_queue_before_next(&q), 0);
    assert_int_equal(q.waiting_bytes, 3 * COST);
    written(&q, 3, true);
    CHECK_OK(gw_queue_ack(&q, 3));
    gw_queue_fini(&q);
}

/* Against a plain model: which numbers are there, which are to be written. */
static void test_queue_against_a_model(void **state)
{
    uint64_t first = 1, next = 1, end = 1;
    uint32_t seed = 12345;
    struct gw_queue q;

    (void)state;
    gw_queue_init(&q);
    for (int i = 0; i < 20000; i++) {
        unsigned n;

        seed = seed * 1103515245u + 12345u;
        n = seed >> 20 & 7;
        switch (seed >> 28 & 3) {
        case 0:
            push(&q, n);
            end += n;
            break;
        case 1:
            for (; n > 0 && next < end; n--) {
                gw_queue_written(&q, true);
                next++;
            }
            break;
        case 2:
            if (first + n < next) {
                CHECK_OK(gw_queue_ack(&q, first + n));
                first += n + 1;
            }
            break;
        default:
            if (first + n <= next) {
                CHECK_OK(gw_queue_rewind(&q, first + n - 1));
                first += n;
                next = first;
            }
            break;
        }
        assert_int_equal(q.first, first);
        assert_int_equal(q.next, next);
        assert_int_equal(q.end, end);
        assert_int_equal(q.kept_bytes, COST * (next - first));
        assert_int_equal(q.waiting_bytes, COST * (end - next));
    }
    gw_queue_fini(&q);
}

static void test_queue_out_of_memory(void **state)
{
    struct gw_frame *frame;

    (void)state;
    hti_alloc_fail_after(1);
    frame = gw_frame_new(GW_JSON, "x", 1);
    assert_null(frame);
    hti_alloc_fail_after(0);
}

/* ---- frames -------------------------------------------------------------- */

struct bytes {
    const uint8_t *data;
    size_t len;
};

static ssize_t give(uint8_t *buf, size_t len, int flags, void *arg)
{
    struct bytes *b = arg;

    (void)flags;
    len = len < b->len ? len : b->len;
    if (len == 0) {
        return -1;
    }
    memcpy(buf, b->data, len);
    b->data += len;
    b->len -= len;
    return (ssize_t)len;
}

/* What we write by hand, wslay reads. */
static void test_frames_are_read_by_another_decoder(void **state)
{
    static const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, 100000};
    static const struct wslay_frame_callbacks callbacks = {.recv_callback =
                                                               give};
    static char data[100000];

    (void)state;
    memset(data, 'd', sizeof(data));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct gw_frame *frame = gw_frame_new(GW_PB, data, sizes[i]);
        struct bytes b = {gw_frame_data(frame), frame->len};
        wslay_frame_context_ptr context;
        struct wslay_frame_iocb f = {0};
        size_t got = 0;

        assert_int_equal(wslay_frame_context_init(&context, &callbacks, &b), 0);
        do {
            ssize_t n = wslay_frame_recv(context, &f);

            assert_true(n >= 0);
            assert_true(memcmp(f.data, data, (size_t)n) == 0);
            got += (size_t)n;
        } while (got < sizes[i]);
        assert_int_equal(f.payload_length, sizes[i]);
        assert_int_equal(f.opcode, WSLAY_BINARY_FRAME);
        assert_true(f.fin && !f.mask && f.rsv == 0);
        assert_int_equal(b.len, 0);
        wslay_frame_context_free(context);
        gw_frame_unref(frame);
    }
}

static void test_events_frame(void **state)
{
    struct gw_frame *frame = gw_frame_new(GW_SSE, "{}", 2);

    (void)state;
    assert_int_equal(frame->len, 10);
    assert_memory_equal(gw_frame_data(frame), "data: {}\n\n", 10);
    gw_frame_unref(frame);
}

static void test_accept_key(void **state)
{
    char accept[GW_WS_ACCEPT_BYTES];

    (void)state;
    assert_true(gw_ws_accept("dGhlIHNhbXBsZSBub25jZQ==", accept));
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_false(gw_ws_accept("", accept));
    assert_false(gw_ws_accept("dGhlIHNhbXBsZSBub25jZQ=", accept));
    assert_false(gw_ws_accept("dGhlIHNhbXBsZSBub25jZQ=A", accept));
    assert_false(gw_ws_accept("dGhlI*NhbXBsZSBub25jZQ==", accept));
}

static void test_deflate_offers(void **state)
{
    (void)state;
    assert_non_null(gw_deflate_negotiate("permessage-deflate"));
    assert_non_null(gw_deflate_negotiate(
        "permessage-deflate; client_max_window_bits, x-webkit"));
    assert_non_null(gw_deflate_negotiate(
        "x , permessage-deflate;client_max_window_bits=10 ; "
        "server_no_context_takeover"));
    assert_non_null(
        gw_deflate_negotiate("permessage-deflate; server_max_window_bits=15"));
    assert_null(
        gw_deflate_negotiate("permessage-deflate; server_max_window_bits=9"));
    assert_null(gw_deflate_negotiate("permessage-deflate; what"));
    assert_null(gw_deflate_negotiate("permessage-deflates"));
    assert_null(gw_deflate_negotiate(""));
    assert_null(gw_deflate_negotiate(" ,;, "));
}

/* ---- limits -------------------------------------------------------------- */

static void test_bucket(void **state)
{
    struct gw_bucket b;
    uint64_t now = 1000;
    unsigned taken = 0;

    (void)state;
    gw_bucket_init(&b, 5, now);
    for (int i = 0; i < 10; i++) {
        taken += gw_bucket_take(&b, 2, 5, now);
    }
    assert_int_equal(taken, 5);
    assert_false(gw_bucket_take(&b, 2, 5, now + 499));
    assert_true(gw_bucket_take(&b, 2, 5, now + 500));
    assert_false(gw_bucket_take(&b, 2, 5, now + 500));
    /* Ten seconds at two a second. */
    taken = 0;
    for (uint64_t ms = 501; ms <= 10500; ms++) {
        taken += gw_bucket_take(&b, 2, 5, now + ms);
    }
    assert_int_equal(taken, 20);
    /* However long it waits, no more than the burst. */
    taken = 0;
    for (int i = 0; i < 10; i++) {
        taken += gw_bucket_take(&b, 2, 5, UINT64_MAX - 1);
    }
    assert_int_equal(taken, 5);
    /* A clock that stands still or goes back gives nothing. */
    assert_false(gw_bucket_take(&b, 2, 5, 0));
}

static void key_of(const char *text, uint8_t key[GW_ADDRESS_KEY_BYTES])
{
    struct sockaddr_storage address;
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    memset(&address, 0, sizeof(address));
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(&address, &in, sizeof(in));
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
        memcpy(&address, &in6, sizeof(in6));
    }
    gw_address_key(&address, key);
}

static bool same_key(const char *a, const char *b)
{
    uint8_t x[GW_ADDRESS_KEY_BYTES], y[GW_ADDRESS_KEY_BYTES];

    key_of(a, x);
    key_of(b, y);
    return memcmp(x, y, sizeof(x)) == 0;
}

static bool is_loopback(const char *text)
{
    uint8_t key[GW_ADDRESS_KEY_BYTES];

    key_of(text, key);
    return gw_address_is_loopback(key);
}

static void test_address_keys(void **state)
{
    (void)state;
    assert_true(same_key("10.0.0.1", "::ffff:10.0.0.1"));
    assert_false(same_key("10.0.0.1", "10.0.0.2"));
    assert_true(same_key("2001:db8::1", "2001:db8::ffff:1"));
    assert_false(same_key("2001:db8::1", "2001:db8:0:1::1"));
    assert_true(is_loopback("127.0.0.1"));
    assert_true(is_loopback("127.8.8.8"));
    assert_true(is_loopback("::1"));
    assert_true(is_loopback("::ffff:127.0.0.1"));
    assert_false(is_loopback("128.0.0.1"));
    assert_false(is_loopback("::2"));
    assert_false(is_loopback("7f00::1"));
}

static void test_addresses_are_counted(void **state)
{
    struct gw_addresses *a = gw_addresses_new();
    uint8_t one[GW_ADDRESS_KEY_BYTES], two[GW_ADDRESS_KEY_BYTES];

    (void)state;
    key_of("10.0.0.1", one);
    key_of("10.0.0.2", two);
    CHECK_OK(gw_addresses_enter(a, one, 2));
    CHECK_OK(gw_addresses_enter(a, one, 2));
    CHECK_ERR(gw_addresses_enter(a, one, 2), HT_EBUSY);
    CHECK_OK(gw_addresses_enter(a, two, 2));
    gw_addresses_leave(a, one);
    CHECK_OK(gw_addresses_enter(a, one, 2));
    gw_addresses_leave(a, one);
    gw_addresses_leave(a, one);
    gw_addresses_leave(a, one); /* it is forgotten by now */
    gw_addresses_free(a);
    gw_addresses_free(NULL);
}

static void test_hosts_of_this_machine(void **state)
{
    (void)state;
    assert_true(gw_host_is_local(NULL));
    assert_true(gw_host_is_local("localhost"));
    assert_true(gw_host_is_local("LocalHost:80"));
    assert_true(gw_host_is_local("127.0.0.1:8080"));
    assert_true(gw_host_is_local("[::1]:8080"));
    assert_false(gw_host_is_local("rebound.example:8080"));
    assert_false(gw_host_is_local("localhost.example"));
    assert_false(gw_host_is_local("[localhost.example]"));
    assert_false(gw_host_is_local("::1:80"));
    assert_false(gw_host_is_local(""));
}

static void test_origin_rules(void **state)
{
    static const char *const some[] = {"https://a.org", "http://b.org:8080"};
    static const char *const any[] = {"*"};

    (void)state;
    assert_true(gw_origin_is_allowed("http://h:80", "h:80", NULL, 0));
    assert_true(gw_origin_is_allowed("https://H", "h", NULL, 0));
    assert_false(gw_origin_is_allowed("http://h", "h:80", NULL, 0));
    assert_false(gw_origin_is_allowed("http://evil-h", "h", NULL, 0));
    assert_false(gw_origin_is_allowed("http://h.evil", "h", NULL, 0));
    assert_false(gw_origin_is_allowed("null", "null", NULL, 0));
    assert_false(gw_origin_is_allowed("http://h", NULL, NULL, 0));
    assert_true(gw_origin_is_allowed("https://a.org", "h", some, 2));
    assert_true(gw_origin_is_allowed("HTTP://B.org:8080", "h", some, 2));
    assert_false(gw_origin_is_allowed("http://a.org", "h", some, 2));
    assert_false(gw_origin_is_allowed("http://h", "h", some, 2));
    assert_true(gw_origin_is_allowed("null", "h", any, 1));
}

CHECK_MAIN(cmocka_unit_test(test_queue_without_keeping_holds_nothing),
           cmocka_unit_test(test_queue_acknowledge_and_rewind),
           cmocka_unit_test(test_queue_trim_drops_the_oldest),
           cmocka_unit_test(test_queue_restart_counts_from_one),
           cmocka_unit_test(test_queue_against_a_model),
           cmocka_unit_test(test_queue_out_of_memory),
           cmocka_unit_test(test_frames_are_read_by_another_decoder),
           cmocka_unit_test(test_events_frame),
           cmocka_unit_test(test_accept_key),
           cmocka_unit_test(test_deflate_offers),
           cmocka_unit_test(test_bucket),
           cmocka_unit_test(test_address_keys),
           cmocka_unit_test(test_addresses_are_counted),
           cmocka_unit_test(test_hosts_of_this_machine),
           cmocka_unit_test(test_origin_rules))
