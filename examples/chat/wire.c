/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <stdlib.h>

struct id wire_id(const Chat__Id *id)
{
    if (id == NULL) {
        return (struct id){0, 0, 0};
    }
    return (struct id){
        .epoch = id->epoch, .number = id->number, .world = id->world};
}

Chat__Id wire_put_id(struct id id)
{
    Chat__Id out = CHAT__ID__INIT;

    out.epoch = id.epoch;
    out.world = id.world;
    out.number = id.number;
    return out;
}

bool wire_step_is_whole(const Chat__Step *step)
{
    bool whole = step->id != NULL;

    /* What is published has no id yet. */
    for (size_t i = 0; whole && i < step->n_entries &&
                       step->kind != CHAT__STEP__KIND__PUBLISH;
         i++) {
        whole = step->entries[i]->id != NULL;
    }
    for (size_t i = 0; whole && i < step->n_forgotten; i++) {
        whole = step->forgotten[i]->id != NULL;
    }
    return whole;
}

/* The pointers and what they point to, at once. */
struct entry_box {
    Chat__Entry entry;
    Chat__Id id;
};

struct forgotten_box {
    Chat__Forgotten forgotten;
    Chat__Id id;
};

static char *lend(const char *text)
{
    return (char *)(uintptr_t)text;
}

ht_err wire_add_entry(Chat__Step *step, const struct entry *e, size_t most)
{
    struct entry_box *box = calloc(1, sizeof(*box));

    if (step->entries == NULL) {
        step->entries = calloc(most, sizeof(Chat__Entry *));
    }
    if (box == NULL || step->entries == NULL) {
        free(box);
        return HT_ENOMEM;
    }
    chat__entry__init(&box->entry);
    box->id = wire_put_id(e->id);
    box->entry.id = &box->id;
    box->entry.channel = lend(e->channel_name);
    box->entry.from = lend(e->from);
    box->entry.key = lend(e->key);
    box->entry.text = lend(e->text);
    box->entry.time_ms = e->time_ms;
    step->entries[step->n_entries++] = &box->entry;
    return HT_OK;
}

ht_err wire_add_forgotten(Chat__Step *step,
                          const char *channel,
                          struct id id,
                          size_t most)
{
    struct forgotten_box *box = calloc(1, sizeof(*box));

    if (step->forgotten == NULL) {
        step->forgotten = calloc(most, sizeof(Chat__Forgotten *));
    }
    if (box == NULL || step->forgotten == NULL) {
        free(box);
        return HT_ENOMEM;
    }
    chat__forgotten__init(&box->forgotten);
    box->id = wire_put_id(id);
    box->forgotten.id = &box->id;
    box->forgotten.channel = lend(channel);
    step->forgotten[step->n_forgotten++] = &box->forgotten;
    return HT_OK;
}

void wire_step_fini(Chat__Step *step)
{
    for (size_t i = 0; i < step->n_entries; i++) {
        free(step->entries[i]); /* the first member of its box */
    }
    for (size_t i = 0; i < step->n_forgotten; i++) {
        free(step->forgotten[i]);
    }
    free(step->entries);
    free(step->forgotten);
    step->entries = NULL;
    step->forgotten = NULL;
    step->n_entries = step->n_forgotten = 0;
}

ProtobufCMessage *wire_copy(const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *data = malloc(len > 0 ? len : 1);
    ProtobufCMessage *copy = NULL;

    if (data != NULL) {
        protobuf_c_message_pack(message, data);
        copy = protobuf_c_message_unpack(message->descriptor, NULL, len, data);
    }
    free(data);
    return copy;
}
