/* SPDX-License-Identifier: Apache-2.0 */
/* world_says.c - what is said: ordered, remembered, handed to users. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"
#include "world_internal.h"

#define BATCH_MAX 50 /* of Missed.messages */
#define FRESH_MAX 50 /* for somebody who has seen nothing yet */

/* ---- to users ------------------------------------------------------------ */

/* It does not take what it is sent: it ends, and its client comes back. */
static void give_up(struct world *w, struct local *l)
{
    ht_node_log(w->node, HT_LOG_WARN, "CHAT-USER-SLOW", "user=%s", l->user);
    l->following = false;
    (void)ht_stop(w->node, l->ref, "too slow");
}

static void send_heard(struct world *w, struct local *l, const ht_args *heard)
{
    if (heard->err != HT_OK ||
        ht_cast(w->node, l->ref, "Hear", heard->data, heard->len) != HT_OK) {
        give_up(w, l);
    }
}

void world_hear(struct world *w,
                struct local *l,
                const char *method,
                const ProtobufCMessage *message)
{
    ht_args heard = event_heard(method, message);

    send_heard(w, l, &heard);
    ht_args_fini(&heard);
}

static bool may_read(const struct local *l, const char *channel)
{
    return strncmp(channel, "guild:", 6) != 0 || strcmp(channel, l->guild) == 0;
}

static Chat__Message message_of(const struct entry *e, char id[ID_TEXT_MAX])
{
    Chat__Message out = CHAT__MESSAGE__INIT;

    out.id = lend(id_format(e->id, id));
    out.channel = lend(e->channel_name);
    out.from = lend(e->from);
    out.text = lend(e->text);
    out.key = lend(e->key);
    out.time_ms = e->time_ms;
    return out;
}

/* ---- what the order does ------------------------------------------------- */

static void on_send(void *arg, uint32_t to, const Chat__Step *step)
{
    struct world *w = arg;
    struct neighbour *n = world_named(w, to);

    /* What is lost is sent again. */
    if (n != NULL && ref_cast(w->node, n->ref, "Order", &step->base) != HT_OK) {
        ht_node_log(w->node, HT_LOG_DEBUG, "CHAT-STEP-LOST", "to=%08x", to);
    }
}

static void on_deliver(void *arg, const struct entry *e)
{
    struct world *w = arg;
    char id[ID_TEXT_MAX];
    Chat__Message message = message_of(e, id);
    ht_args heard = event_heard("Message", &message.base);

    for (struct local *l = w->locals; l != NULL; l = l->hh.next) {
        if (l->following && may_read(l, e->channel_name) &&
            id_compare(e->id, l->last) > 0) {
            send_heard(w, l, &heard);
        }
    }
    ht_args_fini(&heard);
}

struct saying {
    Chat__Said_Closure reply;
    void *call;
};

static void on_settled(void *arg, void *token, ht_err err, struct id id)
{
    struct saying *s = token;
    Chat__Said out = CHAT__SAID__INIT;
    char text[ID_TEXT_MAX];

    (void)arg;
    if (err == HT_OK) {
        out.id = lend(id_format(id, text));
        s->reply(&out, s->call);
    } else {
        ht_fail(s->call, HT_EOVERLOAD,
                "not said yet, the worlds do not agree: send it again");
    }
    free(s);
}

const struct order_calls world_order_calls = {on_send, on_deliver, on_settled};

/* ---- saying -------------------------------------------------------------- */

static void publish(struct world *w,
                    const Chat__Entry *in,
                    Chat__Said_Closure reply,
                    void *call)
{
    struct saying *s = malloc(sizeof(*s));
    uint64_t now_ms = ref_now_ms();
    ht_err err = HT_ENOMEM;

    if (s != NULL) {
        *s = (struct saying){reply, call};
        err = order_publish(w->order, in, s, now_ms + SAY_MS, now_ms);
    }
    if (err != HT_OK) {
        free(s);
        ht_fail(call, HT_EOVERLOAD, "too much is being said: try again");
    }
}

void world__publish(Chat__World_Service *self,
                    const Chat__Entry *in,
                    Chat__Said_Closure reply,
                    void *call)
{
    struct world *w = (struct world *)self;
    struct local *l = world_local(w, in->from);

    if (l == NULL || !ht_ref_equal(l->ref, ht_service_from())) {
        ht_fail(call, HT_EDENIED, "only users speak");
        return;
    }
    publish(w, in, reply, call);
}

void world__broadcast(Chat__World_Service *self,
                      const Chat__Saying *in,
                      Chat__Said_Closure reply,
                      void *call)
{
    struct world *w = (struct world *)self;
    Chat__Entry said = CHAT__ENTRY__INIT;
    char key[KEY_BYTES_MAX + 1];

    if (!text_is_message(in->text) || !text_is_key(in->key)) {
        ht_fail(call, HT_EARGS, "text or key: too long, or not printable");
        return;
    }
    snprintf(key, sizeof(key), "%08x-%llu", w->who.world,
             (unsigned long long)++w->ticks);
    said.channel = lend("world");
    said.key = in->key[0] != '\0' ? in->key : key;
    said.text = in->text;
    said.time_ms = ref_now_ms();
    publish(w, &said, reply, call);
}

/* ---- what was said ------------------------------------------------------- */

struct replay {
    struct world *world;
    struct local *local;
    Chat__Missed out;
    Chat__Message messages[BATCH_MAX], *pointers[BATCH_MAX];
    char ids[BATCH_MAX][ID_TEXT_MAX];
};

static void flush(struct replay *r)
{
    if (r->local->following) {
        world_hear(r->world, r->local, "Missed", &r->out.base);
    }
    r->out.n_messages = 0;
    r->out.gap = false;
}

static void add(struct replay *r, const struct entry *e)
{
    size_t n = r->out.n_messages;

    if (n == BATCH_MAX) {
        flush(r);
        n = 0;
    }
    r->messages[n] = message_of(e, r->ids[n]);
    r->pointers[n] = &r->messages[n];
    r->out.n_messages = n + 1;
}

static void replay_init(struct replay *r, struct world *w, struct local *l)
{
    r->world = w;
    r->local = l;
    chat__missed__init(&r->out);
    r->out.messages = r->pointers;
}

/* What is behind the first that was not delivered is delivered yet. */
static const struct entry *next_of(const struct entry *e)
{
    return e != NULL && e->delivered ? e : NULL;
}

static size_t
count_after(const struct world *w, const struct local *l, struct id after)
{
    const struct entry *e = next_of(TAILQ_FIRST(history_entries(w->history)));
    size_t count = 0;

    for (; e != NULL; e = next_of(TAILQ_NEXT(e, all))) {
        count += may_read(l, e->channel_name) && id_compare(e->id, after) > 0;
    }
    return count;
}

static bool
has_gap(const struct world *w, const struct local *l, struct id last)
{
    return id_compare(last, history_forgotten(w->history, "normal")) < 0 ||
           id_compare(last, history_forgotten(w->history, "world")) < 0 ||
           (l->guild[0] != '\0' &&
            id_compare(last, history_forgotten(w->history, l->guild)) < 0);
}

/* Everything after an id, and where that ends. */
static void replay(struct world *w, struct local *l, struct id last, bool fresh)
{
    const struct entry *e = next_of(TAILQ_FIRST(history_entries(w->history)));
    struct replay r;
    size_t skip = 0;
    char top[ID_TEXT_MAX];

    replay_init(&r, w, l);
    if (fresh) {
        size_t count = count_after(w, l, last);

        skip = count > FRESH_MAX ? count - FRESH_MAX : 0;
    } else {
        r.out.gap = has_gap(w, l, last);
    }
    for (; e != NULL; e = next_of(TAILQ_NEXT(e, all))) {
        if (id_compare(e->id, last) > 0) {
            l->last = e->id;
            if (may_read(l, e->channel_name) && (skip == 0 || skip-- == 0)) {
                add(&r, e);
            }
        }
    }
    r.out.done = true;
    r.out.last = lend(id_format(l->last, top));
    flush(&r);
}

void world_replay_channel(struct world *w, struct local *l, const char *channel)
{
    const struct entry *e = next_of(TAILQ_FIRST(history_entries(w->history)));
    struct replay r;

    replay_init(&r, w, l);
    for (; e != NULL; e = next_of(TAILQ_NEXT(e, all))) {
        if (strcmp(e->channel_name, channel) == 0) {
            add(&r, e);
        }
    }
    flush(&r);
}

void world__follow(Chat__World_Service *self,
                   const Chat__Following *in,
                   Hardtack__None_Closure reply,
                   void *call)
{
    struct world *w = (struct world *)self;
    struct local *l = world_local(w, in->user);
    Chat__Turning turn = CHAT__TURNING__INIT;
    struct id last = {0, 0, 0};
    bool fresh = in->from == NULL || in->from->last[0] == '\0' ||
                 !id_parse(in->from->last, &last);

    (void)reply;
    (void)call;
    if (l == NULL || !ht_ref_equal(l->ref, ht_service_from())) {
        return;
    }
    if (!fresh && !order_knows(w->order, last)) {
        last = (struct id){0, 0, 0};
    }
    turn.turn = in->turn;
    l->following = true;
    l->last = last;
    if (ref_cast(w->node, l->ref, "Turn", &turn.base) != HT_OK) {
        give_up(w, l);
        return;
    }
    replay(w, l, last, fresh);
}
