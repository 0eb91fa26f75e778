/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdint.h>

#include "base/mem.h"

#define CHUNK_BYTES 1024

struct hti_arena_chunk {
    _Alignas(16) struct hti_arena_chunk *next;
    char data[];
};

void hti_arena_init(struct hti_arena *arena, size_t budget)
{
    *arena = (struct hti_arena){.budget = budget};
}

void *hti_arena_alloc(void *arg, size_t size)
{
    struct hti_arena *arena = arg;
    struct hti_arena_chunk *chunk;
    void *block;

    if (size > arena->budget) {
        return NULL;
    }
    /* Cannot overflow: the budget is far below SIZE_MAX. */
    size = (size + 15) & ~(size_t)15;
    if (size > arena->left) {
        size_t bytes = size > CHUNK_BYTES ? size : CHUNK_BYTES;

        chunk = hti_alloc(sizeof *chunk + bytes);
        if (chunk == NULL) {
            return NULL;
        }
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->at = chunk->data;
        arena->left = bytes;
    }
    block = arena->at;
    arena->at += size;
    arena->left -= size;
    arena->budget -= size < arena->budget ? size : arena->budget;
    return block;
}

void hti_arena_free(void *arena, void *block)
{
    (void)arena;
    (void)block;
}

void hti_arena_fini(struct hti_arena *arena)
{
    struct hti_arena_chunk *chunk = arena->chunks;

    while (chunk != NULL) {
        struct hti_arena_chunk *next = chunk->next;

        hti_free(chunk);
        chunk = next;
    }
    *arena = (struct hti_arena){.budget = 0};
}
