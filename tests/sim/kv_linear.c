/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/kv_linear.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"

#define WORDS (LINEAR_OPS_MAX / 64)

/* A beginning or an end, in a list in the order of time. */
struct event {
    struct event *next, *prev;
    struct event *end; /* of a beginning; NULL in an end */
    unsigned op;
};

struct tried {
    UT_hash_handle hh;
    struct {
        uint64_t done[WORDS];
        uint64_t value;
    } key;
};

struct search {
    const struct linear_op *ops;
    struct event events[2 * LINEAR_OPS_MAX];
    struct event head; /* its next is the first */
    struct tried *tried;
    uint64_t done[WORDS];
};

/* Whether op can happen when the key has *value, and what it has then. */
static bool happens(const struct linear_op *op, uint64_t *value)
{
    bool answered = op->end != UINT64_MAX;
    bool matches;

    switch (op->kind) {
    case LINEAR_READ:
        return !answered || op->result == *value;
    case LINEAR_WRITE:
        *value = op->value;
        return true;
    case LINEAR_DEL:
        if (answered && op->result != (*value != 0)) {
            return false;
        }
        *value = 0;
        return true;
    case LINEAR_SWAP:
        matches = op->expected == *value;
        if (answered && op->result != matches) {
            return false;
        }
        *value = matches ? op->value : *value;
        return true;
    }
    return false;
}

/* ---- the list ------------------------------------------------------------ */

static int compare_ops(const void *a, const void *b)
{
    const struct linear_op *left = a;
    const struct linear_op *right = b;

    return (left->begin > right->begin) - (left->begin < right->begin);
}

struct moment {
    uint64_t time;
    unsigned op;
    bool end;
};

static int compare_moments(const void *a, const void *b)
{
    const struct moment *left = a;
    const struct moment *right = b;

    return left->time != right->time
               ? (left->time > right->time ? 1 : -1)
               : (left->op > right->op) - (left->op < right->op);
}

static void make_list(struct search *search, size_t count)
{
    struct moment moments[2 * LINEAR_OPS_MAX];
    struct event *begins[LINEAR_OPS_MAX];
    struct event *last = &search->head;

    for (unsigned i = 0; i < count; i++) {
        moments[2 * i] = (struct moment){search->ops[i].begin, i, false};
        moments[2 * i + 1] = (struct moment){search->ops[i].end, i, true};
    }
    qsort(moments, 2 * count, sizeof(moments[0]), compare_moments);
    for (size_t i = 0; i < 2 * count; i++) {
        struct event *event = &search->events[i];

        event->op = moments[i].op;
        if (moments[i].end) {
            begins[event->op]->end = event;
        } else {
            begins[event->op] = event;
        }
        last->next = event;
        event->prev = last;
        last = event;
    }
}

static void cut(struct event *event)
{
    event->prev->next = event->next;
    if (event->next != NULL) {
        event->next->prev = event->prev;
    }
}

static void put_back(struct event *event)
{
    event->prev->next = event;
    if (event->next != NULL) {
        event->next->prev = event;
    }
}

/* ---- the search ---------------------------------------------------------- */

/* False: these were done, with this value, before, and it led nowhere. */
static bool is_new(struct search *search, uint64_t value)
{
    struct tried *tried = calloc(1, sizeof(*tried));
    struct tried *known = NULL;

    if (tried == NULL) {
        abort();
    }
    memcpy(tried->key.done, search->done, sizeof(search->done));
    tried->key.value = value;
    HASH_FIND(hh, search->tried, &tried->key, sizeof(tried->key), known);
    if (known != NULL) {
        free(tried);
        return false;
    }
    HASH_ADD(hh, search->tried, key, sizeof(tried->key), tried);
    return true;
}

static void mark(struct search *search, unsigned op, bool done)
{
    uint64_t bit = UINT64_C(1) << (op % 64);

    if (done) {
        search->done[op / 64] |= bit;
    } else {
        search->done[op / 64] &= ~bit;
    }
}

struct step {
    struct event *event;
    uint64_t value; /* before it */
};

static bool all_answered_are_done(const struct search *search)
{
    for (const struct event *at = search->head.next; at != NULL;
         at = at->next) {
        if (search->ops[at->op].end != UINT64_MAX) {
            return false;
        }
    }
    return true;
}

static bool find_order(struct search *search)
{
    struct step steps[LINEAR_OPS_MAX];
    size_t depth = 0;
    uint64_t value = 0;
    struct event *at = search->head.next;

    while (!all_answered_are_done(search)) {
        uint64_t after = value;

        if (at != NULL && at->end != NULL) {
            mark(search, at->op, true);
            if (happens(&search->ops[at->op], &after) &&
                is_new(search, after)) {
                steps[depth++] = (struct step){at, value};
                value = after;
                cut(at->end);
                cut(at);
                at = search->head.next;
                continue;
            }
            mark(search, at->op, false);
            at = at->next;
            continue;
        }
        /* An end is next, of one that was not done: something before it was
         * wrong. */
        if (depth == 0) {
            return false;
        }
        depth--;
        value = steps[depth].value;
        mark(search, steps[depth].event->op, false);
        put_back(steps[depth].event);
        put_back(steps[depth].event->end);
        at = steps[depth].event->next;
    }
    return true;
}

bool linear_check(struct linear_op *ops, size_t count)
{
    struct search *search = calloc(1, sizeof(*search));
    struct tried *tried, *next;
    bool good;

    if (search == NULL || count > LINEAR_OPS_MAX) {
        abort();
    }
    qsort(ops, count, sizeof(*ops), compare_ops);
    search->ops = ops;
    make_list(search, count);
    good = find_order(search);
    HASH_ITER(hh, search->tried, tried, next)
    {
        HASH_DEL(search->tried, tried);
        free(tried);
    }
    free(search);
    return good;
}
