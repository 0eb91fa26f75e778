/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/check.h"

#include <pthread.h>
#include <sched.h>

#include "cluster/outbox.h"

static void count_wake(void *arg)
{
    atomic_fetch_add((_Atomic unsigned *)arg, 1);
}

/* A frame of that payload, numbered in its first bytes. */
static struct hti_frame *
make(uint32_t lane, uint32_t number, size_t payload_len)
{
    struct hti_frame *frame = hti_frame_new(payload_len, lane);

    assert_non_null(frame);
    memset(hti_frame_payload(frame), (int)number, payload_len);
    memcpy(hti_frame_payload(frame), &number, sizeof number);
    return frame;
}

static ht_err
push(struct hti_outbox *o, uint32_t lane, uint32_t number, size_t len)
{
    struct hti_frame *frame = make(lane, number, len);
    ht_err err = hti_outbox_push(o, &frame, false);

    CHECK((frame == NULL) == (err == HT_OK));
    hti_frame_free(frame);
    return err;
}

static uint32_t number_of(const struct hti_slice *slice)
{
    uint32_t number;

    memcpy(&number, slice->frame->bytes + HTI_FRAME_HEAD, sizeof number);
    return number;
}

static uint32_t pop_number(struct hti_outbox *o)
{
    struct hti_slice slice;
    uint32_t number;

    CHECK(hti_outbox_pop(o, &slice));
    number = number_of(&slice);
    hti_outbox_release(o, &slice);
    return number;
}

static struct hti_outbox *make_outbox(size_t max, _Atomic unsigned *wakes)
{
    struct hti_outbox *o;

    atomic_store(wakes, 0);
    CHECK_OK(hti_outbox_new(max, count_wake, wakes, &o));
    return o;
}

static void test_frames_come_out_in_order(void **state)
{
    _Atomic unsigned wakes;
    struct hti_outbox *o = make_outbox(1 << 20, &wakes);
    struct hti_slice slice;

    (void)state;
    for (uint32_t i = 0; i < 100; i++) {
        CHECK_OK(push(o, i % 7, i, 10));
    }
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(pop_number(o), i);
    }
    CHECK(!hti_outbox_pop(o, &slice));
    hti_outbox_unref(o);
}

static void test_wakes_on_the_edge_only(void **state)
{
    _Atomic unsigned wakes;
    struct hti_outbox *o = make_outbox(1 << 20, &wakes);

    (void)state;
    CHECK_OK(push(o, 0, 1, 10));
    CHECK_OK(push(o, 0, 2, 10));
    assert_int_equal(wakes, 1);
    CHECK(!hti_outbox_sleep(o)); /* there is something */
    assert_int_equal(pop_number(o), 1);
    assert_int_equal(pop_number(o), 2);
    CHECK(hti_outbox_sleep(o));
    CHECK_OK(push(o, 0, 3, 10));
    assert_int_equal(wakes, 2);
    hti_outbox_unref(o);
}

static void test_entering_pins(void **state)
{
    _Atomic unsigned wakes;
    struct hti_outbox *o = make_outbox(1 << 20, &wakes);
    struct hti_frame *frame = make(0, 1, 10);

    (void)state;
    hti_outbox_enter(o);
    CHECK_OK(hti_outbox_push_inside(o, &frame, false));
    CHECK(frame == NULL);
    assert_int_equal(wakes, 0);
    hti_outbox_leave(o);
    assert_int_equal(wakes, 1);
    assert_int_equal(pop_number(o), 1);
    CHECK(hti_outbox_sleep(o));
    /* Nothing pushed, but who leaves cannot know. */
    hti_outbox_enter(o);
    hti_outbox_leave(o);
    assert_int_equal(wakes, 2);
    hti_outbox_close(o);
    hti_outbox_enter(o);
    frame = make(0, 2, 10);
    CHECK_ERR(hti_outbox_push_inside(o, &frame, true), HT_ENOCONN);
    hti_frame_free(frame);
    hti_outbox_leave(o);
    assert_int_equal(wakes, 2);
    hti_outbox_unref(o);
}

static void test_refuses_without_credit(void **state)
{
    _Atomic unsigned wakes;
    struct hti_outbox *o = make_outbox(1000, &wakes);
    struct hti_outbox_stats stats;
    struct hti_frame *frame;
    struct hti_slice slice;

    (void)state;
    CHECK_OK(push(o, 0, 1, 5000)); /* an empty outbox takes anything */
    CHECK_ERR(push(o, 0, 2, 10), HT_EBUSY);
    CHECK(!hti_outbox_is_writable(o));
    frame = make(0, 3, 100);
    CHECK_OK(hti_outbox_push(o, &frame, true));
    CHECK(hti_outbox_pop(o, &slice));
    CHECK_ERR(push(o, 0, 4, 995), HT_EBUSY); /* not written yet */
    hti_outbox_release(o, &slice);
    CHECK(!hti_outbox_is_writable(o)); /* not settled yet */
    hti_outbox_settle(o);
    CHECK(hti_outbox_is_writable(o));
    CHECK_OK(push(o, 0, 5, 500));
    hti_outbox_stats(o, &stats);
    CHECK(stats.refused == 2 && stats.frames == 1);
    CHECK(stats.queued_bytes == 100 + 500 + 2 * HTI_FRAME_HEAD);
    CHECK(stats.bytes == 5600 + 3 * HTI_FRAME_HEAD);
    hti_outbox_unref(o);
}

/* A peer that does not read cannot make us keep control frames for ever. */
static void test_urgent_is_bounded_too(void **state)
{
    _Atomic unsigned wakes;
    struct hti_outbox *o = make_outbox(1000, &wakes);
    struct hti_frame *frame = NULL;
    ht_err err = HT_OK;
    size_t taken = 0;

    (void)state;
    while (err == HT_OK) {
        frame = make(0, 0, 92);
        err = hti_outbox_push(o, &frame, true);
        taken += err == HT_OK;
    }
    hti_frame_free(frame);
    assert_int_equal(err, HT_EBUSY);
    assert_int_equal(taken, 80);
    hti_outbox_unref(o);
}

static void test_nothing_enters_after_close(void **state)
{
    _Atomic unsigned wakes;
    struct hti_outbox *o = make_outbox(1000, &wakes);

    (void)state;
    CHECK_OK(push(o, 0, 1, 10));
    hti_outbox_close(o);
    hti_outbox_close(o);
    CHECK_ERR(push(o, 0, 2, 10), HT_ENOCONN);
    assert_int_equal(pop_number(o), 1); /* last words can be written */
    hti_outbox_unref(o);
}

/* ---- pieces -------------------------------------------------------------- */

struct seen {
    uint32_t number;
    bool piece;
    size_t len;
};

static size_t drain(struct hti_outbox *o, struct seen *seen, size_t max)
{
    struct hti_slice slice;
    size_t n = 0;

    while (hti_outbox_pop(o, &slice)) {
        assert_true(n < max);
        seen[n].number = number_of(&slice);
        seen[n].piece = slice.head_len > 0;
        seen[n].len = slice.len;
        n++;
        hti_outbox_release(o, &slice);
    }
    return n;
}

static void test_a_large_frame_goes_in_pieces(void **state)
{
    const size_t len = 3 * HTI_FRAGMENT_BYTES + 17;
    _Atomic unsigned wakes;
    struct hti_outbox *o = make_outbox(8 << 20, &wakes);
    struct hti_outbox_stats stats;
    uint8_t *joined = malloc(len);
    struct hti_slice slice;
    size_t at = 0;

    (void)state;
    hti_outbox_fragment(o, HTI_FRAGMENT_BYTES, UINT64_MAX);
    CHECK_OK(push(o, 5, 77, len));
    while (hti_outbox_pop(o, &slice)) {
        struct hti_envelope envelope;
        uint8_t wire[HTI_FRAGMENT_HEAD_MAX + HTI_FRAGMENT_BYTES];

        memcpy(wire, slice.head, slice.head_len);
        memcpy(wire + slice.head_len, slice.data, slice.len);
        CHECK_OK(hti_envelope_decode(
            wire + HTI_FRAME_HEAD, slice.head_len + slice.len - HTI_FRAME_HEAD,
            &envelope));
        assert_int_equal(envelope.kind, HTI_ENVELOPE_FRAGMENT);
        assert_int_equal(envelope.u.fragment.lane, 5);
        CHECK(envelope.u.fragment.has_total == (at == 0));
        if (at == 0) {
            assert_int_equal(envelope.u.fragment.total, len);
        }
        memcpy(joined + at, envelope.u.fragment.data.data,
               envelope.u.fragment.data.len);
        at += envelope.u.fragment.data.len;
        hti_outbox_stats(o, &stats);
        CHECK(stats.queued_bytes == len + HTI_FRAME_HEAD);
        hti_outbox_release(o, &slice);
        hti_outbox_settle(o);
    }
    assert_int_equal(at, len);
    CHECK(joined[0] == 77 && joined[len - 1] == 77);
    hti_outbox_stats(o, &stats);
    assert_int_equal(stats.queued_bytes, 0);
    free(joined);
    hti_outbox_unref(o);
}

static void test_small_frames_pass_a_large_one_of_another_lane(void **state)
{
    _Atomic unsigned wakes;
    struct hti_outbox *o = make_outbox(8 << 20, &wakes);
    struct seen seen[64];
    size_t n, last_piece = 0, small = 0, after = 0;

    (void)state;
    hti_outbox_fragment(o, HTI_FRAGMENT_BYTES, UINT64_MAX);
    CHECK_OK(push(o, 1, 100, 4 * HTI_FRAGMENT_BYTES));
    CHECK_OK(push(o, 2, 200, 10));
    CHECK_OK(push(o, 1, 101, 10));
    CHECK_OK(push(o, 3, 300, 10));
    n = drain(o, seen, 64);
    for (size_t i = 0; i < n; i++) {
        if (seen[i].number == 100) {
            last_piece = i;
            CHECK(seen[i].piece);
        } else if (seen[i].number == 101) {
            after = i;
        } else {
            small = i;
        }
    }
    CHECK(small < last_piece); /* they were not held up */
    CHECK(after > last_piece); /* its own lane's waited */
    assert_int_equal(n, 4 + 3);
    hti_outbox_unref(o);
}

static void test_lanes_with_large_frames_take_turns(void **state)
{
    _Atomic unsigned wakes;
    struct hti_outbox *o = make_outbox(8 << 20, &wakes);
    struct seen seen[64];
    size_t n;

    (void)state;
    hti_outbox_fragment(o, HTI_FRAGMENT_BYTES, UINT64_MAX);
    CHECK_OK(push(o, 1, 1, 3 * HTI_FRAGMENT_BYTES));
    CHECK_OK(push(o, 2, 2, 3 * HTI_FRAGMENT_BYTES));
    n = drain(o, seen, 64);
    assert_int_equal(n, 6);
    for (size_t i = 1; i < n; i++) {
        CHECK(seen[i].number != seen[i - 1].number);
    }
    hti_outbox_unref(o);
}

/* Many small ones must not starve a large one. */
static void test_a_large_frame_gets_its_share(void **state)
{
    _Atomic unsigned wakes;
    struct hti_outbox *o = make_outbox(8 << 20, &wakes);
    size_t before = 0;
    struct hti_slice slice;
    uint32_t number;

    (void)state;
    hti_outbox_fragment(o, HTI_FRAGMENT_BYTES, UINT64_MAX);
    CHECK_OK(push(o, 1, 1, 2 * HTI_FRAGMENT_BYTES));
    for (uint32_t i = 0; i < 1000; i++) {
        CHECK_OK(push(o, 2, 2, 1000));
    }
    do {
        CHECK(hti_outbox_pop(o, &slice));
        number = number_of(&slice);
        before += number == 2 ? slice.len : 0;
        hti_outbox_release(o, &slice);
    } while (number == 2);
    CHECK(before <= HTI_FRAGMENT_BYTES + 2000);
    hti_outbox_unref(o);
}

static void test_whole_when_the_peer_takes_no_pieces(void **state)
{
    _Atomic unsigned wakes;
    struct hti_outbox *o = make_outbox(8 << 20, &wakes);
    struct seen seen[4];

    (void)state;
    CHECK_OK(push(o, 1, 1, 3 * HTI_FRAGMENT_BYTES));
    assert_int_equal(drain(o, seen, 4), 1);
    CHECK(!seen[0].piece);
    hti_outbox_unref(o);
}

static void test_what_is_left_is_freed(void **state)
{
    _Atomic unsigned wakes;
    struct hti_outbox *o = make_outbox(8 << 20, &wakes);
    struct hti_slice slice;

    (void)state;
    hti_outbox_fragment(o, HTI_FRAGMENT_BYTES, UINT64_MAX);
    CHECK_OK(push(o, 1, 1, 3 * HTI_FRAGMENT_BYTES));
    CHECK_OK(push(o, 1, 2, 10));
    CHECK_OK(push(o, 4, 3, 10));
    CHECK(hti_outbox_pop(o, &slice));
    hti_outbox_release(o, &slice);
    CHECK(hti_outbox_ref(o) == o);
    hti_outbox_close(o);
    CHECK(hti_outbox_unref(o) == NULL);
    CHECK(hti_outbox_unref(o) == NULL);
}

/* ---- threads ------------------------------------------------------------- */

enum { PRODUCERS = 3, EACH = 4000 };

struct run {
    struct hti_outbox *outbox;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool awake;
};

struct producer {
    struct run *run;
    uint32_t lane;
    uint32_t sent;
    bool until_closed;
};

static void on_busy(void *arg)
{
    struct run *run = arg;

    pthread_mutex_lock(&run->lock);
    run->awake = true;
    pthread_cond_signal(&run->cond);
    pthread_mutex_unlock(&run->lock);
}

static void *produce(void *arg)
{
    struct producer *p = arg;
    uint32_t i = 0;

    while (p->until_closed || i < EACH) {
        size_t len = i % 500 == 499 ? 2 * HTI_FRAGMENT_BYTES + i : 16 + i % 60;
        struct hti_frame *frame = make(p->lane, i, len);
        ht_err err;

        /* By either door. */
        if (i % 2 == 0) {
            err = hti_outbox_push(p->run->outbox, &frame, false);
        } else {
            hti_outbox_enter(p->run->outbox);
            err = hti_outbox_push_inside(p->run->outbox, &frame, false);
            hti_outbox_leave(p->run->outbox);
        }

        hti_frame_free(frame);
        if (err == HT_OK) {
            i++;
        } else if (err == HT_ENOCONN) {
            break;
        } else {
            sched_yield();
        }
    }
    p->sent = i;
    return NULL;
}

static void run_init(struct run *run, struct producer *p, pthread_t *threads)
{
    pthread_mutex_init(&run->lock, NULL);
    pthread_cond_init(&run->cond, NULL);
    run->awake = false;
    CHECK_OK(hti_outbox_new(256 * 1024, on_busy, run, &run->outbox));
    hti_outbox_fragment(run->outbox, HTI_FRAGMENT_BYTES, UINT64_MAX);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        p[i].run = run;
        p[i].lane = i + 1;
        pthread_create(&threads[i], NULL, produce, &p[i]);
    }
}

static void run_wait(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    while (!run->awake) {
        pthread_cond_wait(&run->cond, &run->lock);
    }
    run->awake = false;
    pthread_mutex_unlock(&run->lock);
}

/* Every frame arrives, each lane in order, and no wake-up is lost: the test
 * would hang. */
static void test_producers_and_a_sleeping_loop(void **state)
{
    struct producer p[PRODUCERS] = {{0}};
    uint32_t next[PRODUCERS + 1] = {0};
    pthread_t threads[PRODUCERS];
    struct hti_outbox_stats stats;
    struct hti_slice slice;
    unsigned left = PRODUCERS * EACH;
    struct run run;

    (void)state;
    run_init(&run, p, threads);
    while (left > 0) {
        run_wait(&run);
        do {
            while (hti_outbox_pop(run.outbox, &slice)) {
                uint32_t lane = slice.frame->lane;
                bool last = slice.data + slice.len ==
                            slice.frame->bytes + slice.frame->len;

                assert_int_equal(number_of(&slice), next[lane]);
                next[lane] += last;
                left -= last;
                hti_outbox_release(run.outbox, &slice);
            }
        } while (!hti_outbox_sleep(run.outbox) && left > 0);
    }
    for (unsigned i = 0; i < PRODUCERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(next[i + 1], EACH);
    }
    hti_outbox_stats(run.outbox, &stats);
    assert_int_equal(stats.queued_bytes, 0);
    assert_int_equal(stats.frames, PRODUCERS * EACH);
    hti_outbox_unref(run.outbox);
    pthread_mutex_destroy(&run.lock);
    pthread_cond_destroy(&run.cond);
}

/* After close returns nobody pushes and nobody calls on_busy: what it uses is
 * taken away at once. */
static void test_close_waits_for_those_inside(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        struct producer p[PRODUCERS] = {{0}};
        pthread_t threads[PRODUCERS];
        struct hti_outbox_stats before, after;
        struct hti_slice slice;
        struct run run;

        for (unsigned i = 0; i < PRODUCERS; i++) {
            p[i].until_closed = true;
        }
        run_init(&run, p, threads);
        run_wait(&run);
        hti_outbox_close(run.outbox);
        hti_outbox_stats(run.outbox, &before);
        pthread_mutex_destroy(&run.lock);
        pthread_cond_destroy(&run.cond);
        for (unsigned i = 0; i < PRODUCERS; i++) {
            pthread_join(threads[i], NULL);
        }
        hti_outbox_stats(run.outbox, &after);
        /* Less, if one of them was just being refused: it had taken credit. */
        assert_true(after.bytes <= before.bytes);
        while (hti_outbox_pop(run.outbox, &slice)) {
            hti_outbox_release(run.outbox, &slice);
        }
        hti_outbox_stats(run.outbox, &after);
        assert_int_equal(after.frames, p[0].sent + p[1].sent + p[2].sent);
        hti_outbox_unref(run.outbox);
    }
}

CHECK_MAIN(cmocka_unit_test(test_frames_come_out_in_order),
           cmocka_unit_test(test_wakes_on_the_edge_only),
           cmocka_unit_test(test_entering_pins),
           cmocka_unit_test(test_refuses_without_credit),
           cmocka_unit_test(test_urgent_is_bounded_too),
           cmocka_unit_test(test_nothing_enters_after_close),
           cmocka_unit_test(test_a_large_frame_goes_in_pieces),
           cmocka_unit_test(test_small_frames_pass_a_large_one_of_another_lane),
           cmocka_unit_test(test_lanes_with_large_frames_take_turns),
           cmocka_unit_test(test_a_large_frame_gets_its_share),
           cmocka_unit_test(test_whole_when_the_peer_takes_no_pieces),
           cmocka_unit_test(test_what_is_left_is_freed),
           cmocka_unit_test(test_producers_and_a_sleeping_loop),
           cmocka_unit_test(test_close_waits_for_those_inside))
