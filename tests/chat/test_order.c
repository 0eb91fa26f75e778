/* SPDX-License-Identifier: Apache-2.0 */
/* Worlds that order what is said, on simulated time and a simulated network,
 * from a seed: links have delays, messages are lost, worlds die and come back
 * as others, and cannot see each other for a while.
 *
 * CHAT_SEED=N replays one, CHAT_SEEDS=N runs so many. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "examples/chat/order.h"
#include "examples/chat/wire.h"
#include "tests/lib/check.h"

#define WORLDS   4 /* at once */
#define LIVES    64
#define SAID_MAX 4000
#define TICK_MS  250
#define CLIENTS  6
#define CHANNELS 3
#define SEEN_MAX SAID_MAX
#define NEVER    UINT64_MAX

/* What is in the network. */
struct packet {
    TAILQ_ENTRY(packet) entry;
    uint64_t at_ms;
    unsigned from, to; /* lives */
    size_t len;
    uint8_t data[];
};

/* Something that was said. */
struct said {
    char key[16];
    unsigned channel;
    unsigned by; /* the life of its world */
    bool settled;
    bool shown; /* to anybody */
    struct id id;
};

/* One life of a world. */
struct life {
    bool lives;
    struct order_world who;
    struct order *order;
    struct history *history;
    uint64_t view_ms; /* when it learns who lives; NEVER: it knows */
    unsigned side;    /* of a network that is cut */
};

/* Somebody who reads, at one world after the other. */
struct client {
    int at; /* a life, -1: nowhere */
    struct id last;
    unsigned seen_count;
    unsigned seen[SAID_MAX]; /* how often */
    bool gap;
    unsigned since; /* it reads since so many were said */
};

struct sim {
    uint64_t now_ms, random;
    TAILQ_HEAD(, packet) packets;
    struct life lives[LIVES];
    unsigned lives_count;
    struct said said[SAID_MAX];
    unsigned said_count;
    struct client clients[CLIENTS];
    unsigned loss; /* of 1000 messages */
    bool strict;   /* nobody is shown anything twice or out of order */
    struct history_limits limits;
};

static struct sim *sim;
static const char *const channels[CHANNELS] = {"normal", "world", "guild:red"};

/* ---- chance -------------------------------------------------------------- */

static uint64_t draw(uint64_t n)
{
    uint64_t x = sim->random += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (x ^ x >> 31) % n;
}

/* ---- what a world does --------------------------------------------------- */

static struct life *life_of(uint32_t world)
{
    for (unsigned i = 0; i < sim->lives_count; i++) {
        if (sim->lives[i].who.world == world) {
            return &sim->lives[i];
        }
    }
    fail();
    return NULL;
}

static bool connected(const struct life *a, const struct life *b)
{
    return a->lives && b->lives && a->side == b->side;
}

static void on_send(void *arg, uint32_t to, const Chat__Step *step)
{
    struct life *from = arg, *target = life_of(to);
    size_t len = chat__step__get_packed_size(step);
    uint64_t at = sim->now_ms + 1 + draw(draw(20) == 0 ? 200 : 10);
    struct packet *p, *other;

    if (!connected(from, target) || draw(1000) < sim->loss) {
        return;
    }
    p = calloc(1, sizeof(*p) + len);
    assert_non_null(p);
    p->from = (unsigned)(from - sim->lives);
    p->to = (unsigned)(target - sim->lives);
    p->len = len;
    chat__step__pack(step, p->data);
    /* In order, from one to another. */
    TAILQ_FOREACH (other, &sim->packets, entry) {
        if (other->from == p->from && other->to == p->to && other->at_ms > at) {
            at = other->at_ms;
        }
    }
    p->at_ms = at;
    TAILQ_INSERT_TAIL(&sim->packets, p, entry);
}

static unsigned number_of(const char *key)
{
    return (unsigned)strtoul(key, NULL, 10);
}

static void show(struct client *c, const struct entry *e)
{
    unsigned n = number_of(e->key);

    if (sim->strict && (c->seen[n] != 0 || id_compare(e->id, c->last) <= 0)) {
        print_error("at %" PRIu64 " client %u was shown %u %s\n", sim->now_ms,
                    (unsigned)(c - sim->clients), n,
                    c->seen[n] != 0 ? "twice" : "late");
        fail();
    }
    c->seen[n]++;
    c->last = e->id;
    sim->said[n].shown = true;
}

static void on_deliver(void *arg, const struct entry *e)
{
    struct life *at = arg;

    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &sim->clients[i];

        /* It can come from a world that was further. */
        if (c->at == (int)(at - sim->lives) && id_compare(e->id, c->last) > 0) {
            show(c, e);
        }
    }
}

static void on_settled(void *arg, void *token, ht_err err, struct id id)
{
    struct said *said = token;

    (void)arg;
    CHECK(!said->settled);
    if (err == HT_OK) {
        said->settled = true;
        said->id = id;
    } else {
        CHECK(err == HT_ETIMEDOUT);
    }
}

static const struct order_calls calls = {on_send, on_deliver, on_settled};

/* ---- who lives ----------------------------------------------------------- */

static void learn_soon(void)
{
    for (unsigned i = 0; i < sim->lives_count; i++) {
        struct life *l = &sim->lives[i];

        if (l->lives) {
            l->view_ms = sim->now_ms + 1 + draw(100);
        }
    }
}

static void learn(struct life *l)
{
    struct order_world worlds[LIVES];
    size_t count = 0;

    for (unsigned i = 0; i < sim->lives_count; i++) {
        if (&sim->lives[i] != l && connected(l, &sim->lives[i])) {
            worlds[count++] = sim->lives[i].who;
        }
    }
    l->view_ms = NEVER;
    order_view(l->order, worlds, count, sim->now_ms);
}

static void be_born(void)
{
    struct life *l = &sim->lives[sim->lives_count++];

    CHECK(sim->lives_count < LIVES);
    l->lives = true;
    l->who = (struct order_world){.world = (uint32_t)draw(UINT32_MAX) + 1,
                                  .born_ms = sim->now_ms};
    l->history = history_new(&sim->limits);
    l->order = order_new(l->who, l->history, &calls, l);
    CHECK(l->history != NULL && l->order != NULL);
    order_view(l->order, NULL, 0, sim->now_ms);
    learn_soon();
}

/* What is on its way is lost. */
static void cut(void)
{
    struct packet *p, *next;

    for (p = TAILQ_FIRST(&sim->packets); p != NULL; p = next) {
        next = TAILQ_NEXT(p, entry);
        if (!connected(&sim->lives[p->from], &sim->lives[p->to])) {
            TAILQ_REMOVE(&sim->packets, p, entry);
            free(p);
        }
    }
    learn_soon();
}

static void die(struct life *l)
{
    l->lives = false;
    order_free(l->order);
    history_free(l->history);
    l->order = NULL;
    l->history = NULL;
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (sim->clients[i].at == (int)(l - sim->lives)) {
            sim->clients[i].at = -1;
        }
    }
    cut();
}

static struct life *somebody(void)
{
    unsigned living = 0, which;

    for (unsigned i = 0; i < sim->lives_count; i++) {
        living += sim->lives[i].lives;
    }
    which = (unsigned)draw(living);
    for (unsigned i = 0; i < sim->lives_count; i++) {
        if (sim->lives[i].lives && which-- == 0) {
            return &sim->lives[i];
        }
    }
    return NULL;
}

/* ---- what clients do ----------------------------------------------------- */

static void come_back(struct client *c)
{
    struct life *l = somebody();
    const struct entry *e;

    /* A world that has started alone has nothing to show yet. */
    if (!order_is_open(l->order) || l->view_ms != NEVER) {
        return;
    }
    for (unsigned i = 0; i < CHANNELS; i++) {
        if (id_compare(c->last, history_forgotten(l->history, channels[i])) <
            0) {
            c->gap = true;
        }
    }
    if (!order_knows(l->order, c->last)) {
        CHECK(!sim->strict);
        c->last = (struct id){0, 0, 0};
    }
    for (e = TAILQ_FIRST(history_entries(l->history));
         e != NULL && e->delivered; e = TAILQ_NEXT(e, all)) {
        if (id_compare(e->id, c->last) > 0) {
            show(c, e);
        }
    }
    c->at = (int)(l - sim->lives);
}

static void say(void)
{
    struct life *l = somebody();
    struct said *said = &sim->said[sim->said_count];
    Chat__Entry e = CHAT__ENTRY__INIT;

    if (sim->said_count == SAID_MAX) {
        return;
    }
    said->channel = (unsigned)draw(CHANNELS);
    said->by = (unsigned)(l - sim->lives);
    snprintf(said->key, sizeof(said->key), "%u", sim->said_count++);
    e.channel = (char *)(uintptr_t)channels[said->channel];
    e.from = (char *)(uintptr_t) "bob";
    e.key = said->key;
    e.text = (char *)(uintptr_t) "hello";
    e.time_ms = sim->now_ms;
    CHECK_OK(
        order_publish(l->order, &e, said, sim->now_ms + 20000, sim->now_ms));
}

/* ---- time ---------------------------------------------------------------- */

static void arrive(struct packet *p)
{
    struct life *to = &sim->lives[p->to];
    Chat__Step *step = chat__step__unpack(NULL, p->len, p->data);

    assert_non_null(step);
    CHECK(wire_step_is_whole(step));
    order_receive(to->order, sim->lives[p->from].who.world, step, sim->now_ms);
    chat__step__free_unpacked(step, NULL);
}

static void step_network(void)
{
    struct packet *p, *next;

    for (p = TAILQ_FIRST(&sim->packets); p != NULL; p = next) {
        next = TAILQ_NEXT(p, entry);
        if (p->at_ms <= sim->now_ms) {
            TAILQ_REMOVE(&sim->packets, p, entry);
            arrive(p);
            free(p);
            next = TAILQ_FIRST(&sim->packets);
        }
    }
}

static void run(uint64_t ms)
{
    for (uint64_t end = sim->now_ms + ms; sim->now_ms < end; sim->now_ms++) {
        step_network();
        for (unsigned i = 0; i < sim->lives_count; i++) {
            struct life *l = &sim->lives[i];

            if (l->lives && l->view_ms <= sim->now_ms) {
                learn(l);
            }
            if (l->lives && (sim->now_ms + i * 7) % TICK_MS == 0) {
                order_tick(l->order, sim->now_ms);
            }
        }
        for (unsigned i = 0; i < CLIENTS; i++) {
            if (sim->clients[i].at < 0 && draw(50) == 0) {
                come_back(&sim->clients[i]);
            }
        }
    }
}

static void talk(uint64_t ms, unsigned every_ms)
{
    for (uint64_t end = sim->now_ms + ms; sim->now_ms < end;) {
        if (draw(every_ms) == 0) {
            say();
        }
        if (draw(200) == 0) {
            sim->clients[draw(CLIENTS)].at = -1;
        }
        run(1);
    }
}

/* ---- what must hold ------------------------------------------------------ */

static void check_agreed(void)
{
    const struct life *first = NULL;

    for (unsigned i = 0; i < sim->lives_count; i++) {
        const struct life *l = &sim->lives[i];
        const struct entry *a, *b;

        if (!l->lives) {
            continue;
        }
        CHECK(order_is_open(l->order));
        if (first == NULL) {
            first = l;
            continue;
        }
        a = TAILQ_FIRST(history_entries(first->history));
        b = TAILQ_FIRST(history_entries(l->history));
        for (; a != NULL && b != NULL;
             a = TAILQ_NEXT(a, all), b = TAILQ_NEXT(b, all)) {
            CHECK(a->delivered && b->delivered);
            CHECK(id_compare(a->id, b->id) == 0);
            assert_string_equal(a->key, b->key);
        }
        CHECK(a == NULL && b == NULL);
    }
}

static void check_all_are_there(void)
{
    const struct life *l = somebody();

    for (unsigned i = 0; i < sim->said_count; i++) {
        const struct said *s = &sim->said[i];
        struct id id;

        if ((s->settled || s->shown) &&
            !history_find(l->history, "bob", s->key, &id, NULL)) {
            print_error("lost: %u, settled %d, shown %d\n", i, s->settled,
                        s->shown);
            fail();
        }
    }
}

/* Whoever reads has got everything that is in the history. */
static void check_clients(void)
{
    const struct entry *e;

    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *c = &sim->clients[i];

        CHECK(c->at >= 0);
        CHECK(!c->gap || !sim->strict);
        TAILQ_FOREACH (e, history_entries(sim->lives[c->at].history), all) {
            if (c->seen[number_of(e->key)] == 0 && !c->gap) {
                print_error("client %u did not see %s\n", i, e->key);
                fail();
            }
        }
    }
}

static void sim_start(uint64_t seed, unsigned loss)
{
    static struct sim one;

    memset(&one, 0, sizeof(one));
    sim = &one;
    sim->random = seed;
    sim->now_ms = 1764172800000;
    sim->loss = loss;
    TAILQ_INIT(&sim->packets);
    sim->limits = (struct history_limits){.channel_entries_max = SAID_MAX,
                                          .entries_max = SAID_MAX,
                                          .bytes_max = SAID_MAX * 1000,
                                          .keys_max = SAID_MAX};
    for (unsigned i = 0; i < CLIENTS; i++) {
        sim->clients[i].at = -1;
    }
    for (unsigned i = 0; i < WORLDS; i++) {
        be_born();
        run(50 + draw(300));
    }
    run(3000);
}

static void sim_end(void)
{
    for (unsigned i = 0; i < sim->lives_count; i++) {
        if (sim->lives[i].lives) {
            die(&sim->lives[i]);
        }
    }
    CHECK(TAILQ_EMPTY(&sim->packets));
}

static void calm(void)
{
    sim->loss = 0;
    for (unsigned i = 0; i < sim->lives_count; i++) {
        sim->lives[i].side = 0;
    }
    learn_soon();
    run(25000);
    check_agreed();
    check_all_are_there();
    check_clients();
}

/* One world dies at a time, and the others have time to find together. */
static void one_after_the_other(uint64_t seed)
{
    sim_start(seed, seed % 3 == 0 ? 0 : 20);
    sim->strict = true;
    for (unsigned round = 0; round < 4; round++) {
        talk(500 + draw(1500), 20);
        die(somebody());
        talk(500 + draw(3000), 20);
        run(6000);
        be_born();
        talk(500, 20);
        run(6000);
    }
    calm();
    sim_end();
}

/* The network is cut, and heals. */
static void apart(uint64_t seed)
{
    sim_start(seed, seed % 3 == 0 ? 0 : 20);
    for (unsigned round = 0; round < 4; round++) {
        talk(500 + draw(1500), 20);
        for (unsigned i = 0; i < sim->lives_count; i++) {
            sim->lives[i].side = (unsigned)draw(2 + draw(2));
        }
        cut();
        talk(500 + draw(6000), 20);
        for (unsigned i = 0; i < sim->lives_count; i++) {
            sim->lives[i].side = 0;
        }
        learn_soon();
        talk(200 + draw(2000), 20);
        run(draw(2) * 8000);
    }
    calm();
    sim_end();
}

/* More than can be remembered. */
static void flood(uint64_t seed)
{
    sim_start(seed, 5);
    sim->limits.channel_entries_max = 120;
    for (unsigned i = 0; i < 2; i++) {
        be_born();
        run(3000);
        talk(2000, 2);
        die(somebody());
        talk(1000, 2);
    }
    sim->loss = 0;
    run(30000);
    sim_end();
}

static void each_seed(const char *what, void (*fn)(uint64_t seed), unsigned n)
{
    const char *one = getenv("CHAT_SEED"), *many = getenv("CHAT_SEEDS");
    uint64_t first = one != NULL ? strtoull(one, NULL, 10) : 1;
    uint64_t count = one != NULL    ? 1
                     : many != NULL ? strtoull(many, NULL, 10)
                                    : n;

    for (uint64_t seed = first; seed < first + count; seed++) {
        if (getenv("CHAT_VERBOSE") != NULL || one != NULL) {
            print_message("%s: CHAT_SEED=%" PRIu64 "\n", what, seed);
        }
        fn(seed);
    }
}

static void test_one_after_the_other(void **state)
{
    (void)state;
    each_seed("one after the other", one_after_the_other, 12);
}

static void test_apart(void **state)
{
    (void)state;
    each_seed("apart", apart, 12);
}

static void test_flood(void **state)
{
    (void)state;
    each_seed("flood", flood, 4);
}

CHECK_MAIN(cmocka_unit_test(test_one_after_the_other),
           cmocka_unit_test(test_apart),
           cmocka_unit_test(test_flood))
