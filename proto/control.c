/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/control.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "proto/arena.h"
#include "proto/pb.h"
#include "proto/sound.h"

/* What a message may cost in memory: a base, and so much a byte.  An actor in a
 * Spawn is 5 bytes on the wire for a pid above 127, 72 in the tree, and up to
 * 64 more in protobuf-c's tables while it is scanned; the base covers the
 * shorter ones, of which there are 128 at most.  A tree that costs more is made
 * of empty elements, which nobody sends in earnest. */
#define BUDGET_BASE     ((size_t)32 * 1024)
#define BUDGET_PER_BYTE ((size_t)32)
/* And no more than this for any, or a message in fragments would have
 * gigabytes.  A peer may announce a million actors, and all of them in one
 * Spawn take some 130 MiB while it is decoded. */
#define BUDGET_MAX ((size_t)192 * 1024 * 1024)

/* ---- strings ------------------------------------------------------------- */

/* Which `bytes` of hardtack_wire.proto are text; bits are field numbers. */
static const struct {
    const ProtobufCMessageDescriptor *message;
    uint32_t fields;
} strings[] = {
#define BIT(number) (1u << (number))
    {&hardtack__wire__actor__descriptor, BIT(2)},
    {&hardtack__wire__name_message__descriptor, BIT(1) | BIT(3)},
    {&hardtack__wire__challenge__descriptor, BIT(1) | BIT(4)},
    {&hardtack__wire__hello__descriptor, BIT(7)},
    {&hardtack__wire__status_text__descriptor, BIT(2)},
    {&hardtack__wire__pg_join__descriptor, BIT(1) | BIT(3)},
    {&hardtack__wire__pg_leave__descriptor, BIT(1) | BIT(3)},
    {&hardtack__wire__exit_reason__descriptor, BIT(2)},
#undef BIT
};

static bool is_text(const ProtobufCMessageDescriptor *message,
                    const ProtobufCFieldDescriptor *field)
{
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        if (strings[i].message == message) {
            return field->id < 32 && (strings[i].fields >> field->id & 1) != 0;
        }
    }
    return false;
}

/* ---- decoding ------------------------------------------------------------ */

static size_t budget_of(size_t len)
{
    return len < (BUDGET_MAX - BUDGET_BASE) / BUDGET_PER_BYTE
               ? BUDGET_BASE + BUDGET_PER_BYTE * len
               : BUDGET_MAX;
}

ht_err hti_decode(const ProtobufCMessageDescriptor *descriptor,
                  ht_bytes body,
                  struct hti_decoded *ret)
{
    struct hti_arena *arena;
    ProtobufCMessage *m;
    ht_err err;

    assert(descriptor == &hardtack__wire__authentication_message__descriptor ||
           descriptor == &hardtack__wire__control_message__descriptor ||
           descriptor == &hardtack__wire__extension__descriptor);
    if (!hti_is_sound(descriptor, body, 1, is_text)) {
        return HT_EPROTO;
    }
    arena = hti_arena_new(budget_of(body.len));
    if (arena == NULL) {
        return HT_ENOMEM;
    }
    m = protobuf_c_message_unpack(descriptor, hti_arena_allocator(arena),
                                  body.len, body.data);
    if (m == NULL) {
        err = hti_arena_starved(arena) ? HT_ENOMEM : HT_EPROTO;
        hti_arena_free(arena);
        return err;
    }
    ret->m.base = m;
    ret->arena = arena;
    return HT_OK;
}

void hti_decoded_fini(struct hti_decoded *decoded)
{
    if (decoded == NULL) {
        return;
    }
    hti_arena_free(decoded->arena);
    decoded->arena = NULL;
    decoded->m.base = NULL;
}

/* ---- encoding ------------------------------------------------------------ */

static struct hti_frame *
frame_of(unsigned field, const ProtobufCMessage *m, uint32_t lane)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    uint32_t key = HTI_PB_KEY(field, HTI_PB_LEN);
    struct hti_frame *frame = hti_frame_new(hti_pb_bytes_size(key, size), lane);

    if (frame != NULL) {
        uint8_t *p = hti_pb_put_uint(hti_frame_payload(frame), key, size);

        p += protobuf_c_message_pack(m, p);
        assert(p == frame->bytes + frame->len);
        (void)p;
    }
    return frame;
}

struct hti_frame *hti_frame_auth(const Hardtack__Wire__AuthenticationMessage *m)
{
    return frame_of(1, &m->base, 0);
}

struct hti_frame *hti_frame_control(const Hardtack__Wire__ControlMessage *m)
{
    return frame_of(3, &m->base, 0);
}

struct hti_frame *hti_frame_ext(const Hardtack__Wire__Extension *m,
                                uint32_t lane)
{
    return frame_of(1000, &m->base, lane);
}

struct actors {
    Hardtack__Wire__Actor **list; /* the actors follow it in one block */
    size_t count;
};

static bool actors_init(struct actors *actors,
                        const uint64_t *pids,
                        const char *const *names,
                        size_t count)
{
    Hardtack__Wire__Actor *each;
    size_t list_size = count * sizeof(Hardtack__Wire__Actor *);

    assert(count <= HTI_BATCH_MAX);
    /* Pointers and actors have the same alignment. */
    actors->list = malloc(list_size + count * sizeof *each + 1);
    if (actors->list == NULL) {
        return false;
    }
    each = (Hardtack__Wire__Actor *)(void *)(actors->list + count);
    for (size_t i = 0; i < count; i++) {
        hardtack__wire__actor__init(&each[i]);
        each[i].has_pid = pids[i] != 0;
        each[i].pid = pids[i];
        if (names != NULL && names[i][0] != '\0') {
            each[i].has_name = true;
            each[i].name = hti_pb_bytes(names[i], strlen(names[i]));
        }
        actors->list[i] = &each[i];
    }
    actors->count = count;
    return true;
}

struct hti_frame *
hti_frame_spawn(const uint64_t *pids, const char *const *names, size_t count)
{
    Hardtack__Wire__ControlMessage m = HARDTACK__WIRE__CONTROL_MESSAGE__INIT;
    Hardtack__Wire__Spawn spawn = HARDTACK__WIRE__SPAWN__INIT;
    struct hti_frame *frame;
    struct actors actors;

    if (!actors_init(&actors, pids, names, count)) {
        return NULL;
    }
    spawn.n_actors = actors.count;
    spawn.actors = actors.list;
    m.msg_case = HARDTACK__WIRE__CONTROL_MESSAGE__MSG_SPAWN;
    m.spawn = &spawn;
    frame = hti_frame_control(&m);
    free(actors.list);
    return frame;
}

struct hti_frame *hti_frame_terminate(const uint64_t *pids, size_t count)
{
    Hardtack__Wire__ControlMessage m = HARDTACK__WIRE__CONTROL_MESSAGE__INIT;
    Hardtack__Wire__Terminate terminate = HARDTACK__WIRE__TERMINATE__INIT;

    assert(count <= HTI_BATCH_MAX);
    terminate.n_ids = count;
    terminate.ids = (uint64_t *)(uintptr_t)pids; /* only read */
    m.msg_case = HARDTACK__WIRE__CONTROL_MESSAGE__MSG_TERMINATE;
    m.terminate = &terminate;
    return hti_frame_control(&m);
}

/* PgJoin and PgLeave are the same message under two names. */
struct hti_frame *hti_frame_group(bool join,
                                  const char *scope,
                                  const char *group,
                                  const uint64_t *pids,
                                  const char *const *names,
                                  size_t count)
{
    Hardtack__Wire__ControlMessage m = HARDTACK__WIRE__CONTROL_MESSAGE__INIT;
    Hardtack__Wire__PgJoin joined = HARDTACK__WIRE__PG_JOIN__INIT;
    Hardtack__Wire__PgLeave left = HARDTACK__WIRE__PG_LEAVE__INIT;
    struct hti_frame *frame;
    struct actors actors;

    if (!actors_init(&actors, pids, names, count)) {
        return NULL;
    }
    joined.has_group = group[0] != '\0';
    joined.group = hti_pb_bytes(group, strlen(group));
    joined.has_scope = scope[0] != '\0';
    joined.scope = hti_pb_bytes(scope, strlen(scope));
    joined.n_actors = actors.count;
    joined.actors = actors.list;
    if (join) {
        m.msg_case = HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PG_JOIN;
        m.pg_join = &joined;
    } else {
        left.has_group = joined.has_group;
        left.group = joined.group;
        left.has_scope = joined.has_scope;
        left.scope = joined.scope;
        left.n_actors = joined.n_actors;
        left.actors = joined.actors;
        m.msg_case = HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PG_LEAVE;
        m.pg_leave = &left;
    }
    frame = hti_frame_control(&m);
    free(actors.list);
    return frame;
}

struct hti_frame *hti_frame_ready(void)
{
    Hardtack__Wire__ControlMessage m = HARDTACK__WIRE__CONTROL_MESSAGE__INIT;
    Hardtack__Wire__Ready ready = HARDTACK__WIRE__READY__INIT;

    m.msg_case = HARDTACK__WIRE__CONTROL_MESSAGE__MSG_READY;
    m.ready = &ready;
    return hti_frame_control(&m);
}

void hti_ractor_digest(const void *cookie,
                       size_t cookie_len,
                       uint32_t challenge,
                       uint8_t ret_digest[32])
{
    crypto_hash_sha256_state state;
    uint8_t head[4];

    for (unsigned i = 0; i < sizeof head; i++) {
        head[i] = (uint8_t)(challenge >> (24 - 8 * i));
    }
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, head, sizeof head);
    crypto_hash_sha256_update(&state, cookie, cookie_len);
    crypto_hash_sha256_final(&state, ret_digest);
    sodium_memzero(&state, sizeof state);
}
