/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_chat.c - what a chat's client names, and what another world says.
 *
 * Input: a byte that chooses; an id's text, or pieces that have their length in
 * two bytes before them: each is a Step of a neighbour.  Whatever comes, ids
 * are read as they are written, and the history stays in order and bounded.
 */
#include <stdlib.h>
#include <string.h>

#include "examples/chat/order.h"
#include "examples/chat/text.h"
#include "examples/chat/wire.h"

#define OTHER 7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void try_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), again[ID_TEXT_MAX];
    struct id id, back;

    require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    if (id_parse(text, &id)) {
        require(id_parse(id_format(id, again), &back));
        require(id_compare(id, back) == 0);
    }
    require(!text_is_name(text) || strpbrk(text, "\n\t:/* ") == NULL);
    require(!text_is_message(text) || strpbrk(text, "\x1b\r\x7f") == NULL);
    (void)text_is_key(text);
    free(text);
}

static void on_send(void *arg, uint32_t to, const Chat__Step *step)
{
    (void)arg;
    require(to == OTHER);
    require(wire_step_is_whole(step));
}

static void on_deliver(void *arg, const struct entry *entry)
{
    (void)arg;
    require(entry->text != NULL);
}

static void on_settled(void *arg, void *token, ht_err err, struct id id)
{
    (void)arg;
    (void)id;
    require(token != NULL && (err == HT_OK || err == HT_ETIMEDOUT));
}

static void check(const struct history *history)
{
    struct id last = {0, 0, 0};
    const struct entry *e;
    size_t count = 0;

    TAILQ_FOREACH (e, history_entries(history), all) {
        require(id_compare(last, e->id) <= 0);
        last = e->id;
        count++;
    }
    require(count <= 16);
}

static void
receive(struct order *order, const uint8_t *data, size_t size, uint64_t now_ms)
{
    Chat__Step *step = chat__step__unpack(NULL, size, data);

    if (step != NULL) {
        if (wire_step_is_whole(step)) {
            order_receive(order, OTHER, step, now_ms);
        }
        chat__step__free_unpacked(step, NULL);
    }
}

static void try_steps(const uint8_t *data, size_t size, bool older)
{
    static const struct history_limits limits = {4, 16, 8192, 16};
    static const struct order_calls calls = {on_send, on_deliver, on_settled};
    const struct order_world self = {.world = 5, .born_ms = 1000};
    const struct order_world other = {.world = OTHER,
                                      .born_ms = older ? 1 : 2000};
    struct history *history = history_new(&limits);
    struct order *order = order_new(self, history, &calls, NULL);
    Chat__Entry said = CHAT__ENTRY__INIT;
    uint64_t now_ms = 5000;

    require(history != NULL && order != NULL);
    order_view(order, &other, 1, now_ms);
    require(order_publish(order, &said, &said, now_ms + 9000, now_ms) == HT_OK);
    while (size >= 2) {
        size_t len = (size_t)data[0] << 8 | data[1];

        data += 2;
        size -= 2;
        len = len < size ? len : size;
        receive(order, data, len, now_ms);
        check(history);
        data += len;
        size -= len;
        now_ms += 700;
        order_tick(order, now_ms);
    }
    order_view(order, NULL, 0, now_ms);
    order_tick(order, now_ms + 60000);
    check(history);
    order_free(order);
    history_free(history);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == 0) {
        try_text(data + 1, size - 1);
    } else if (size > 0) {
        try_steps(data + 1, size - 1, data[0] & 1);
    }
    return 0;
}
