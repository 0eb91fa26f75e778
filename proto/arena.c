/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/queue.h>

#define CHUNK_BYTES ((size_t)4096)
#define LARGE_BYTES ((size_t)2048) /* from here on a block of its own */
#define ALIGN_BYTES ((size_t)8)    /* of what protobuf-c makes */

/* The first chunk is part of the arena, so that a ping costs one allocation. */
#define FIRST_BYTES ((size_t)768)

struct chunk {
    SLIST_ENTRY(chunk) next;
    uint64_t data[];
};

/* Before every block stands its size, by which on_free() tells the two kinds
 * apart. */
struct large {
    LIST_ENTRY(large) link;
    uint64_t size;
    uint64_t data[];
};

struct hti_arena {
    ProtobufCAllocator allocator;
    size_t left; /* of the budget */
    bool starved;
    uint64_t *at; /* in the newest chunk */
    size_t room;  /* words behind at */
    SLIST_HEAD(, chunk) chunks;
    LIST_HEAD(, large) larges;
    uint64_t first[FIRST_BYTES / sizeof(uint64_t)];
};

static void *alloc_large(struct hti_arena *arena, size_t size)
{
    struct large *large = malloc(sizeof *large + size);

    if (large == NULL) {
        arena->starved = true;
        return NULL;
    }
    large->size = size;
    LIST_INSERT_HEAD(&arena->larges, large, link);
    return large->data;
}

static void *alloc_small(struct hti_arena *arena, size_t size)
{
    size_t words = 1 + size / sizeof(uint64_t);
    uint64_t *block;

    if (words > arena->room) {
        struct chunk *chunk = malloc(sizeof *chunk + CHUNK_BYTES);

        if (chunk == NULL) {
            arena->starved = true;
            return NULL;
        }
        SLIST_INSERT_HEAD(&arena->chunks, chunk, next);
        arena->at = chunk->data;
        arena->room = CHUNK_BYTES / sizeof(uint64_t);
    }
    block = arena->at;
    arena->at += words;
    arena->room -= words;
    block[0] = size;
    return block + 1;
}

static void *on_alloc(void *arg, size_t size)
{
    struct hti_arena *arena = arg;
    size_t cost;
    void *block;

    if (size > arena->left) {
        return NULL;
    }
    size = (size + ALIGN_BYTES - 1) & ~(ALIGN_BYTES - 1);
    cost = size + sizeof(uint64_t);
    if (cost > arena->left) {
        return NULL;
    }
    block = size >= LARGE_BYTES ? alloc_large(arena, size)
                                : alloc_small(arena, size);
    if (block != NULL) {
        arena->left -= cost;
    }
    return block;
}

/* A small block stays until the end. */
static void on_free(void *arg, void *block)
{
    struct hti_arena *arena = arg;
    uint64_t *data = block;
    struct large *large;

    if (data == NULL || data[-1] < LARGE_BYTES) {
        return;
    }
    large =
        (struct large *)(void *)((char *)block - offsetof(struct large, data));
    arena->left += (size_t)large->size + sizeof(uint64_t);
    LIST_REMOVE(large, link);
    free(large);
}

struct hti_arena *hti_arena_new(size_t budget)
{
    struct hti_arena *arena = malloc(sizeof *arena);

    if (arena == NULL) {
        return NULL;
    }
    arena->allocator.alloc = on_alloc;
    arena->allocator.free = on_free;
    arena->allocator.allocator_data = arena;
    arena->left = budget;
    arena->starved = false;
    arena->at = arena->first;
    arena->room = sizeof arena->first / sizeof arena->first[0];
    SLIST_INIT(&arena->chunks);
    LIST_INIT(&arena->larges);
    return arena;
}

void hti_arena_free(struct hti_arena *arena)
{
    struct chunk *chunk;
    struct large *large;

    if (arena == NULL) {
        return;
    }
    while ((chunk = SLIST_FIRST(&arena->chunks)) != NULL) {
        SLIST_REMOVE_HEAD(&arena->chunks, next);
        free(chunk);
    }
    while ((large = LIST_FIRST(&arena->larges)) != NULL) {
        LIST_REMOVE(large, link);
        free(large);
    }
    free(arena);
}

ProtobufCAllocator *hti_arena_allocator(struct hti_arena *arena)
{
    return &arena->allocator;
}

bool hti_arena_starved(const struct hti_arena *arena)
{
    return arena->starved;
}
