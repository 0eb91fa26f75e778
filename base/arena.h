/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h - memory with a budget, freed all at once: what a peer's bytes are
 * decoded into, since protobuf-c bounds nothing itself.
 *
 *   struct hti_arena arena;
 *   hti_arena_init(&arena, HTI_ARENA_BUDGET(len));
 *   ProtobufCAllocator allocator = {hti_arena_alloc, hti_arena_free, &arena};
 *   message = protobuf_c_message_unpack(descriptor, &allocator, len, data);
 *   ...
 *   hti_arena_fini(&arena);
 *
 * Thread: one at a time.  Lifetime: all that was allocated ends with fini.
 */
#ifndef HTI_BASE_ARENA_H
#define HTI_BASE_ARENA_H

#include <stddef.h>

/* Enough for any honest message of len bytes: the densest is two bytes for an
 * empty submessage, whose struct has some dozens of bytes. */
#define HTI_ARENA_BUDGET(len) (4096 + 64 * (size_t)(len))

struct hti_arena_chunk;

struct hti_arena {
    size_t budget; /* bytes that may still be taken */
    struct hti_arena_chunk *chunks;
    char *at; /* free bytes of the first chunk */
    size_t left;
};

void hti_arena_init(struct hti_arena *arena, size_t budget);
/* NULL: over the budget, or no memory.  16-byte aligned.  The signatures of
 * these two are ProtobufCAllocator's; free does nothing. */
void *hti_arena_alloc(void *arena, size_t size);
void hti_arena_free(void *arena, void *block);
/* Safe on a zeroed arena, and twice. */
void hti_arena_fini(struct hti_arena *arena);

#endif /* HTI_BASE_ARENA_H */
