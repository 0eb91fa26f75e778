/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h - the memory of one decoded message, with a budget.
 *
 * protobuf-c asks for a block a field and has no limit of its own.  An arena
 * hands blocks out of chunks, refuses at its budget, and frees all at once.
 * Large blocks (the tables that protobuf-c makes while it scans) are allocated
 * one by one and go back when it frees them.
 *
 * Thread: one.  Lifetime: that of the decoded message.
 */
#ifndef HTI_PROTO_ARENA_H
#define HTI_PROTO_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

struct hti_arena;

/* budget: bytes that may be live at a time.  NULL: no memory. */
struct hti_arena *hti_arena_new(size_t budget);
void hti_arena_free(struct hti_arena *arena); /* NULL is fine */
/* For protobuf-c; lent, lives as long as the arena. */
ProtobufCAllocator *hti_arena_allocator(struct hti_arena *arena);
/* Whether a block was refused for want of memory, not for the budget. */
bool hti_arena_starved(const struct hti_arena *arena);

#endif /* HTI_PROTO_ARENA_H */
