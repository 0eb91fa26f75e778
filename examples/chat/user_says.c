/* SPDX-License-Identifier: Apache-2.0 */
/* user_says.c - what a user's client asks for, and private messages. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user_internal.h"

static char *lend(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* A call to the world, whose answer is the answer to our caller. */
struct passed {
    ProtobufCClosure reply;
    void *call;
    struct user *user; /* it lives: this runs in its turn */
    Chat__Letter letter;
    char to[NAME_BYTES_MAX + 1], key[KEY_BYTES_MAX + 1];
    char text[TEXT_BYTES_MAX + 1];
};

static struct passed *pass(struct user *u, ProtobufCClosure reply, void *call)
{
    struct passed *p = calloc(1, sizeof(*p));

    if (p == NULL) {
        ht_fail(call, HT_EOVERLOAD, ht_strerror(HT_ENOMEM));
        return NULL;
    }
    *p = (struct passed){.reply = reply, .call = call, .user = u};
    return p;
}

/* Answers with what the world did. */
static void passed_on(const ProtobufCMessage *out, struct passed *p)
{
    const char *reason = "";
    ht_err err = ht_stub_error(&reason);

    if (out != NULL) {
        p->reply(out, p->call);
    } else {
        ht_fail(p->call, err, reason[0] != '\0' ? reason : ht_strerror(err));
    }
    free(p);
}

static void on_said(const Chat__Said *out, void *arg)
{
    passed_on(out != NULL ? &out->base : NULL, arg);
}

static void on_crowd(const Chat__Crowd *out, void *arg)
{
    passed_on(out != NULL ? &out->base : NULL, arg);
}

/* ---- what may be said ---------------------------------------------------- */

static bool is_fine(const char *text, const char *key, void *call)
{
    char reason[80];

    if (!text_is_key(key)) {
        ht_fail(call, HT_EARGS, "key: letters, digits, - and _, up to 40");
    } else if (!text_is_message(text)) {
        snprintf(reason, sizeof(reason),
                 "text: 1 to %d bytes, no control characters", TEXT_BYTES_MAX);
        ht_fail(call, HT_EARGS, reason);
    } else {
        return true;
    }
    return false;
}

static bool may_now(struct user *u, enum rates which, void *call)
{
    uint32_t after_ms = rate_take(&u->rates[which], ref_now_ms());
    char reason[64];

    if (after_ms == 0) {
        return true;
    }
    snprintf(reason, sizeof(reason),
             "too fast: again in %" PRIu32 ".%" PRIu32 " s", after_ms / 1000,
             after_ms % 1000 / 100);
    ht_fail(call, HT_EOVERLOAD, reason);
    return false;
}

/* A key of its own for what came without. */
static const char *
key_of(struct user *u, const char *key, char buf[KEY_BYTES_MAX + 1])
{
    if (key[0] != '\0') {
        return key;
    }
    snprintf(buf, KEY_BYTES_MAX + 1, "%" PRIx32 "-%" PRIu64, u->letters.name,
             ++u->keys);
    return buf;
}

static bool channel_of(struct user *u,
                       const char *channel,
                       char name[NAME_BYTES_MAX + 16],
                       enum rates *ret_rate,
                       void *call)
{
    snprintf(name, NAME_BYTES_MAX + 16, "%s", channel);
    if (strcmp(channel, "normal") == 0) {
        *ret_rate = RATE_NORMAL;
    } else if (strcmp(channel, "world") == 0) {
        *ret_rate = RATE_WORLD;
    } else if (strcmp(channel, "guild") != 0) {
        ht_fail(call, HT_EARGS, "channel: normal, guild or world");
        return false;
    } else if (u->guild[0] == '\0') {
        ht_fail(call, HT_EFAILED, "you are in no guild");
        return false;
    } else {
        snprintf(name, NAME_BYTES_MAX + 16, "guild:%s", u->guild);
        *ret_rate = RATE_GUILD;
    }
    return true;
}

void user__say(Chat__User_Service *self,
               const Chat__Saying *in,
               Chat__Said_Closure reply,
               void *call)
{
    struct user *u = (struct user *)self;
    char channel[NAME_BYTES_MAX + 16], key[KEY_BYTES_MAX + 1];
    Chat__Entry said = CHAT__ENTRY__INIT;
    enum rates rate;
    struct passed *p;

    if (!user_is_asked(u, call) || !is_fine(in->text, in->key, call) ||
        !channel_of(u, in->channel, channel, &rate, call) ||
        !may_now(u, rate, call)) {
        return;
    }
    p = pass(u, (ProtobufCClosure)reply, call);
    if (p != NULL) {
        said.channel = channel;
        said.from = u->name;
        said.key = lend(key_of(u, in->key, key));
        said.text = in->text;
        said.time_ms = ref_now_ms();
        chat__world__publish(ht_stub_service(u->world_stub), &said, on_said, p);
    }
}

/* ---- private messages ---------------------------------------------------- */

static const struct letter *keep(struct user *u, const Chat__Letter *in)
{
    bool is_new = false;
    const struct letter *letter =
        letters_add(&u->letters, in, ref_now_ms(), &is_new);

    if (letter != NULL && is_new) {
        char id[ID_TEXT_MAX];
        Chat__Message message = letters_message(&u->letters, letter, id);

        user_tell(u, "Message", &message.base);
    }
    return letter;
}

static void answer_kept(struct user *u,
                        const struct letter *letter,
                        Chat__Said_Closure reply,
                        void *call)
{
    Chat__Said out = CHAT__SAID__INIT;
    char id[ID_TEXT_MAX];

    if (letter == NULL) {
        ht_fail(call, HT_EOVERLOAD, ht_strerror(HT_ENOMEM));
        return;
    }
    out.id = letters_message(&u->letters, letter, id).id;
    reply(&out, call);
}

/* The other has it: now it is ours too. */
static void on_told(const Chat__Said *out, void *arg)
{
    struct passed *p = arg;

    if (out == NULL) {
        passed_on(NULL, p);
        return;
    }
    answer_kept(p->user, keep(p->user, &p->letter),
                (Chat__Said_Closure)p->reply, p->call);
    free(p);
}

void user__tell(Chat__User_Service *self,
                const Chat__Telling *in,
                Chat__Said_Closure reply,
                void *call)
{
    struct user *u = (struct user *)self;
    struct passed *p;
    char key[KEY_BYTES_MAX + 1];

    if (!user_is_asked(u, call) || !is_fine(in->text, in->key, call)) {
        return;
    }
    if (!text_is_name(in->to) || strcmp(in->to, u->name) == 0) {
        ht_fail(call, HT_EARGS, "to: the name of another user");
        return;
    }
    if (!may_now(u, RATE_PRIVATE, call)) {
        return;
    }
    p = pass(u, (ProtobufCClosure)reply, call);
    if (p == NULL) {
        return;
    }
    snprintf(p->to, sizeof(p->to), "%s", in->to);
    snprintf(p->key, sizeof(p->key), "%s", key_of(u, in->key, key));
    snprintf(p->text, sizeof(p->text), "%s", in->text);
    chat__letter__init(&p->letter);
    p->letter.from = u->name;
    p->letter.to = p->to;
    p->letter.key = p->key;
    p->letter.text = p->text;
    chat__world__tell(ht_stub_service(u->world_stub), &p->letter, on_told, p);
}

void user__receive(Chat__User_Service *self,
                   const Chat__Letter *in,
                   Chat__Said_Closure reply,
                   void *call)
{
    struct user *u = (struct user *)self;

    if (!ref_is_world(u->node, ht_service_from())) {
        ht_fail(call, HT_EDENIED, "only worlds bring messages");
        return;
    }
    answer_kept(u, keep(u, in), reply, call);
}

/* ---- who is there, and guilds -------------------------------------------- */

void user__online(Chat__User_Service *self,
                  const Hardtack__Empty *in,
                  Chat__Crowd_Closure reply,
                  void *call)
{
    struct user *u = (struct user *)self;
    struct passed *p;

    if (!user_is_asked(u, call)) {
        return;
    }
    p = pass(u, (ProtobufCClosure)reply, call);
    if (p != NULL) {
        chat__world__who(ht_stub_service(u->world_stub), in, on_crowd, p);
    }
}

void user__join_guild(Chat__User_Service *self,
                      const Chat__Guild *in,
                      Chat__Guild_Closure reply,
                      void *call)
{
    struct user *u = (struct user *)self;
    Chat__Guild out = CHAT__GUILD__INIT;

    if (!user_is_asked(u, call)) {
        return;
    }
    if (in->guild[0] != '\0' && !text_is_name(in->guild)) {
        ht_fail(call, HT_EARGS, "guild: letters, digits, - and _, up to 32");
        return;
    }
    if (!may_now(u, RATE_GUILDS, call)) {
        return;
    }
    snprintf(u->guild, sizeof(u->guild), "%s", in->guild);
    u->guild_version = ref_now_ms();
    user_changed(u, false);
    out.guild = u->guild;
    reply(&out, call);
}
