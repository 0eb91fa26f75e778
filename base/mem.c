/* SPDX-License-Identifier: Apache-2.0 */
/* A block is a head of 16 bytes and what the caller sees.  Free blocks of one
 * class hang in a list of the thread that freed them; a list that is two
 * batches long gives one to the depot, and an empty one takes one from there.
 * So the depot's lock is taken once a batch, and memory that one thread
 * allocates and another frees goes round in batches instead of block by block.
 *
 * Bounds: a thread holds at most two batches a class, the depot at most
 * DEPOT_BYTES_MAX a class; what is above goes back to malloc. */
#include "base/mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RECYCLE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||     \
    __has_feature(memory_sanitizer)
#define RECYCLE 0
#endif
#endif
#ifndef RECYCLE
#define RECYCLE 1
#endif

/* malloc refuses more, and a sanitizer would rather end the program. */
#define SIZE_BYTES_MAX ((size_t)PTRDIFF_MAX)

/* Counts down to the allocation that fails; 0 and below: none does. */
static _Atomic long fail_after;

static bool should_fail(void)
{
    if (atomic_load_explicit(&fail_after, memory_order_relaxed) <= 0) {
        return false;
    }
    return atomic_fetch_sub_explicit(&fail_after, 1, memory_order_relaxed) == 1;
}

void hti_alloc_fail_after(long n)
{
    atomic_store_explicit(&fail_after, n, memory_order_relaxed);
}

#if RECYCLE

/* Classes of 64, 96, 128, 192, 256, ... bytes, head included. */
#define CLASS_MIN_SHIFT 6
#define CLASS_MAX_SHIFT                                                        \
    17 /* a frame of 64 KiB and its head: see hti_buf_new() */
#define CLASS_COUNT     (2 * (CLASS_MAX_SHIFT - CLASS_MIN_SHIFT) + 1)
#define CLASS_NONE      UINT32_MAX /* too large: straight from malloc */
#define BATCH_BYTES     16384
#define BATCH_MAX       64
#define BATCH_MIN       4
#define DEPOT_BYTES_MAX (4u * 1024 * 1024)

#define MAGIC_USED      0x48544d55u
#define MAGIC_FREE      0x48544d46u

struct block {
    uint32_t class;
    uint32_t magic;           /* catches a second free before it does harm */
    struct block *next_batch; /* in the depot, of a batch's first block */
    struct block *next;       /* lies in the caller's bytes: while free only */
};
#define HEAD_BYTES offsetof(struct block, next)
_Static_assert(HEAD_BYTES == 16, "blocks are aligned as malloc's are");

struct list {
    struct block *first;
    unsigned count;
    unsigned batch; /* class_batch() of its class */
};

struct cache {
    struct list lists[CLASS_COUNT];
};

struct depot {
    pthread_mutex_t lock;
    struct block *batches;
    unsigned count;
};

static struct depot depots[CLASS_COUNT];
static pthread_once_t depots_once = PTHREAD_ONCE_INIT;
static pthread_key_t cache_key;
/* One pointer, so that it fits the static TLS even of a library that was loaded
 * late, and is read without a call. */
static _Thread_local struct cache *cache
    __attribute__((tls_model("initial-exec")));

static uint32_t class_of(size_t total)
{
    unsigned shift;

    if (total <= (1u << CLASS_MIN_SHIFT)) {
        return 0;
    }
    if (total > (1u << CLASS_MAX_SHIFT)) {
        return CLASS_NONE;
    }
    /* 2^shift < total <= 2^(shift + 1); the class between is 1.5 * 2^shift. */
    shift = 31u - (unsigned)__builtin_clz((unsigned)total - 1);
    if (total <= (3u << (shift - 1))) {
        return 2 * (shift - CLASS_MIN_SHIFT) + 1;
    }
    return 2 * (shift - CLASS_MIN_SHIFT) + 2;
}

static size_t class_bytes(uint32_t class)
{
    size_t base = (size_t)1 << (CLASS_MIN_SHIFT + class / 2);

    return class % 2 == 0 ? base : base + base / 2;
}

static unsigned class_batch(uint32_t class)
{
    size_t n = BATCH_BYTES / class_bytes(class);

    return n > BATCH_MAX ? BATCH_MAX : n < BATCH_MIN ? BATCH_MIN : (unsigned)n;
}

static void free_chain(struct block *block)
{
    while (block != NULL) {
        struct block *next = block->next;

        free(block);
        block = next;
    }
}

/* Takes a batch; a full depot gives it back to malloc. */
static void depot_put(uint32_t class, struct block *batch)
{
    struct depot *depot = &depots[class];
    size_t bytes = class_bytes(class) * class_batch(class);

    pthread_mutex_lock(&depot->lock);
    if (depot->count < DEPOT_BYTES_MAX / bytes) {
        batch->next_batch = depot->batches;
        depot->batches = batch;
        depot->count++;
        batch = NULL;
    }
    pthread_mutex_unlock(&depot->lock);
    free_chain(batch);
}

static struct block *depot_take(uint32_t class)
{
    struct depot *depot = &depots[class];
    struct block *batch;

    pthread_mutex_lock(&depot->lock);
    batch = depot->batches;
    if (batch != NULL) {
        depot->batches = batch->next_batch;
        depot->count--;
    }
    pthread_mutex_unlock(&depot->lock);
    return batch;
}

/* Cut a whole batch off the front of a list. */
static struct block *list_cut(struct list *list, unsigned batch)
{
    struct block *first = list->first, *last = first;

    assert(list->count >= batch);
    for (unsigned i = 1; i < batch; i++) {
        last = last->next;
    }
    list->first = last->next;
    list->count -= batch;
    last->next = NULL;
    return first;
}

/* At the thread's end.  The depot takes whole batches only. */
static void cache_free(void *arg)
{
    struct cache *c = arg;

    cache = NULL;
    for (uint32_t class = 0; class < CLASS_COUNT; class ++) {
        struct list *list = &c->lists[class];

        while (list->count >= list->batch) {
            depot_put(class, list_cut(list, list->batch));
        }
        free_chain(list->first);
    }
    free(c);
}

static void depots_init(void)
{
    for (uint32_t class = 0; class < CLASS_COUNT; class ++) {
        pthread_mutex_init(&depots[class].lock, NULL);
    }
    if (pthread_key_create(&cache_key, cache_free) != 0) {
        abort();
    }
}

/* NULL: no memory; the caller then does without a cache. */
static struct cache *cache_get(void)
{
    if (cache == NULL) {
        struct cache *c;

        pthread_once(&depots_once, depots_init);
        c = calloc(1, sizeof *c);
        if (c == NULL || pthread_setspecific(cache_key, c) != 0) {
            free(c);
            return NULL;
        }
        for (uint32_t class = 0; class < CLASS_COUNT; class ++) {
            c->lists[class].batch = class_batch(class);
        }
        cache = c;
    }
    return cache;
}

static struct block *block_new(size_t bytes, uint32_t class)
{
    struct block *block = malloc(bytes);

    if (block != NULL) {
        block->class = class;
    }
    return block;
}

static struct block *block_take(uint32_t class)
{
    struct cache *c = cache_get();
    struct list *list;
    struct block *block;

    if (c == NULL) {
        return block_new(class_bytes(class), class);
    }
    list = &c->lists[class];
    if (list->first == NULL) {
        list->first = depot_take(class);
        if (list->first == NULL) {
            return block_new(class_bytes(class), class);
        }
        list->count = list->batch;
    }
    block = list->first;
    list->first = block->next;
    list->count--;
    return block;
}

void *hti_alloc(size_t size)
{
    struct block *block;
    uint32_t class;

    if (size > SIZE_BYTES_MAX - HEAD_BYTES || should_fail()) {
        return NULL;
    }
    class = class_of(size + HEAD_BYTES);
    block = class != CLASS_NONE ? block_take(class)
                                : block_new(size + HEAD_BYTES, CLASS_NONE);
    if (block == NULL) {
        return NULL;
    }
    block->magic = MAGIC_USED;
    return (char *)block + HEAD_BYTES;
}

void hti_free(void *data)
{
    struct block *block;
    struct cache *c;
    struct list *list;

    if (data == NULL) {
        return;
    }
    block = (struct block *)(void *)((char *)data - HEAD_BYTES);
    assert(block->magic == MAGIC_USED);
    block->magic = MAGIC_FREE;
    c = block->class != CLASS_NONE ? cache_get() : NULL;
    if (c == NULL) {
        free(block);
        return;
    }
    list = &c->lists[block->class];
    if (list->count == 2 * list->batch) {
        depot_put(block->class, list_cut(list, list->batch));
    }
    block->next = list->first;
    list->first = block;
    list->count++;
}

#else /* a sanitizer watches malloc */

void *hti_alloc(size_t size)
{
    if (size > SIZE_BYTES_MAX || should_fail()) {
        return NULL;
    }
    return malloc(size > 0 ? size : 1);
}

void hti_free(void *data)
{
    free(data);
}

#endif

void *hti_zalloc(size_t size)
{
    void *data = hti_alloc(size);

    if (data != NULL) {
        memset(data, 0, size);
    }
    return data;
}

struct hti_buf *hti_buf_new(size_t cap)
{
    struct hti_buf *buf;

    if (cap > SIZE_BYTES_MAX - sizeof *buf || should_fail()) {
        return NULL;
    }
    /* Recycled too: glibc gives a large block back to the system when it is
     * freed, and the next one costs a page fault every 4 KiB, more than the
     * copy into it. */
    buf = hti_alloc(sizeof *buf + cap);
    if (buf != NULL) {
        atomic_init(&buf->refs, 1);
        buf->cap = cap;
    }
    return buf;
}

struct hti_buf *hti_buf_ref(struct hti_buf *buf)
{
    /* Relaxed: whoever makes a reference has one already. */
    atomic_fetch_add_explicit(&buf->refs, 1, memory_order_relaxed);
    return buf;
}

struct hti_buf *hti_buf_unref(struct hti_buf *buf)
{
    /* acq_rel: every holder's reads come before the free. */
    if (buf != NULL &&
        atomic_fetch_sub_explicit(&buf->refs, 1, memory_order_acq_rel) == 1) {
        hti_free(buf);
    }
    return NULL;
}
