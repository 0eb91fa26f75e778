/* SPDX-License-Identifier: Apache-2.0 */
#include "letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void letters_init(struct letters *l, uint64_t now_ms, uint32_t drawn)
{
    *l = (struct letters){.began_ms = now_ms, .name = drawn};
}

void letters_fini(struct letters *l)
{
    for (size_t i = 0; i < LETTERS_MAX; i++) {
        free(l->ring[i]);
        l->ring[i] = NULL;
    }
}

static const struct letter *find(const struct letters *l,
                                 const Chat__Letter *in)
{
    for (size_t i = 0; i < LETTERS_MAX && l->ring[i] != NULL; i++) {
        if (strcmp(l->ring[i]->from, in->from) == 0 &&
            strcmp(l->ring[i]->key, in->key) == 0) {
            return l->ring[i];
        }
    }
    return NULL;
}

const struct letter *letters_add(struct letters *l,
                                 const Chat__Letter *in,
                                 uint64_t now_ms,
                                 bool *ret_new)
{
    const struct letter *same = find(l, in);
    struct letter **at = &l->ring[l->count % LETTERS_MAX];

    *ret_new = same == NULL;
    if (same != NULL) {
        return same;
    }
    if (*at == NULL) {
        *at = calloc(1, sizeof(**at));
        if (*at == NULL) {
            return NULL;
        }
    }
    (*at)->number = ++l->count;
    (*at)->time_ms = now_ms;
    snprintf((*at)->from, sizeof((*at)->from), "%s", in->from);
    snprintf((*at)->to, sizeof((*at)->to), "%s", in->to);
    snprintf((*at)->key, sizeof((*at)->key), "%s", in->key);
    snprintf((*at)->text, sizeof((*at)->text), "%s", in->text);
    return *at;
}

size_t letters_after(const struct letters *l,
                     const char *text,
                     const struct letter *ret[LETTERS_MAX],
                     bool *ret_gap)
{
    uint64_t oldest = l->count > LETTERS_MAX ? l->count - LETTERS_MAX : 0;
    struct id id = {0, 0, 0};
    bool ours = id_parse(text, &id) && id.epoch == l->began_ms &&
                id.world == l->name && id.number <= l->count;
    uint64_t from = ours ? id.number : 0;
    size_t count = 0;

    *ret_gap = from < oldest && (ours || text[0] != '\0');
    if (from < oldest) {
        from = oldest;
    }
    for (uint64_t n = from; n < l->count; n++) {
        ret[count++] = l->ring[n % LETTERS_MAX];
    }
    return count;
}

Chat__Message letters_message(const struct letters *l,
                              const struct letter *letter,
                              char id[ID_TEXT_MAX])
{
    Chat__Message out = CHAT__MESSAGE__INIT;

    out.id = (char *)(uintptr_t)id_format((struct id){.epoch = l->began_ms,
                                                      .world = l->name,
                                                      .number = letter->number},
                                          id);
    out.channel = (char *)(uintptr_t) "private";
    out.from = (char *)(uintptr_t)letter->from;
    out.to = (char *)(uintptr_t)letter->to;
    out.text = (char *)(uintptr_t)letter->text;
    out.key = (char *)(uintptr_t)letter->key;
    out.time_ms = letter->time_ms;
    return out;
}
