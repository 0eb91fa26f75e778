/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "link.h"

#define PLACES_MAX  64
#define PENDING_MAX 100
#define SEEN_MAX    1024
#define AGAIN_MS    500   /* between two attempts */
#define QUIET_MS    25000 /* then the gateway is asked whether it is there */

enum state { STATE_OUT, STATE_LOGIN, STATE_ATTACH, STATE_ON };

enum what {
    WHAT_LOGIN,
    WHAT_ATTACH,
    WHAT_SAY,
    WHAT_TELL,
    WHAT_GUILD,
    WHAT_WHO
};

/* Something that was asked for and not answered; its number is the msg_id. */
struct pending {
    TAILQ_ENTRY(pending) entry;
    enum what what;
    uint64_t number;
    char channel[40], text[512], key[44];
};

struct client {
    const struct client_config *config;
    const struct client_calls *calls;
    void *arg;
    struct link *link;
    enum state state;
    uint64_t now_ms, again_ms, heard_ms;
    bool asked; /* whether it is there */
    bool over;
    char *token;
    char actor[64];
    char last[64], last_private[64];
    char places[PLACES_MAX][256];
    size_t places_count, place;
    TAILQ_HEAD(, pending) pending;
    size_t pending_count;
    uint64_t number;
    uint32_t drawn; /* keys of ours begin with it */
    char seen[SEEN_MAX][80];
    size_t seen_count;
};

/* ---- life ---------------------------------------------------------------- */

struct client *client_new(const struct client_config *config,
                          const struct client_calls *calls,
                          void *arg)
{
    struct client *c = calloc(1, sizeof(*c));

    if (c != NULL) {
        c->config = config;
        c->calls = calls;
        c->arg = arg;
        TAILQ_INIT(&c->pending);
        (void)RAND_bytes((unsigned char *)&c->drawn, sizeof(c->drawn));
        snprintf(c->places[0], sizeof(c->places[0]), "%s", config->place);
        c->places_count = 1;
    }
    return c;
}

static void pending_free(struct client *c, struct pending *p)
{
    TAILQ_REMOVE(&c->pending, p, entry);
    c->pending_count--;
    free(p);
}

void client_free(struct client *c)
{
    struct pending *p, *next;

    if (c == NULL) {
        return;
    }
    for (p = TAILQ_FIRST(&c->pending); p != NULL; p = next) {
        next = TAILQ_NEXT(p, entry);
        free(p);
    }
    link_close(c->link);
    free(c->token);
    free(c);
}

static void finish(struct client *c, const char *why)
{
    if (!c->over) {
        c->over = true;
        c->state = STATE_OUT;
        c->calls->over(c->arg, why);
    }
}

/* ---- asking -------------------------------------------------------------- */

static void call(struct client *c,
                 uint64_t number,
                 const char *to,
                 const char *method,
                 const ProtobufCMessage *payload)
{
    Hardtack__Gateway__Message out = HARDTACK__GATEWAY__MESSAGE__INIT;
    uint8_t data[1024];
    char id[24];

    snprintf(id, sizeof(id), "%llu", (unsigned long long)number);
    out.type = HARDTACK__GATEWAY__TYPE__CALL;
    out.to = (char *)(uintptr_t)to;
    out.method = (char *)(uintptr_t)method;
    out.msg_id = id;
    out.payload_case = HARDTACK__GATEWAY__MESSAGE__PAYLOAD_MESSAGE;
    out.message.data = data;
    if (protobuf_c_message_get_packed_size(payload) <= sizeof(data)) {
        out.message.len = protobuf_c_message_pack(payload, data);
        (void)link_send(c->link, &out);
    }
}

static struct pending *put(struct client *c, enum what what)
{
    struct pending *p =
        c->pending_count < PENDING_MAX ? calloc(1, sizeof(*p)) : NULL;

    if (p == NULL) {
        c->calls->line(c->arg, "too much is unanswered: wait a little");
        return NULL;
    }
    p->what = what;
    p->number = ++c->number;
    snprintf(p->key, sizeof(p->key), "%08x-%llu", c->drawn,
             (unsigned long long)p->number);
    TAILQ_INSERT_TAIL(&c->pending, p, entry);
    c->pending_count++;
    return p;
}

static void send_login(struct client *c, const struct pending *p)
{
    Chat__Credentials in = CHAT__CREDENTIALS__INIT;

    in.user = (char *)(uintptr_t)c->config->user;
    in.password = (char *)(uintptr_t)c->config->password;
    call(c, p->number, "chat-login", "Login", &in.base);
}

static void send_attach(struct client *c, const struct pending *p)
{
    Chat__Attaching in = CHAT__ATTACHING__INIT;

    in.last = c->last;
    in.last_private = c->last_private;
    call(c, p->number, "chat", "Attach", &in.base);
}

static void send_say(struct client *c, struct pending *p)
{
    Chat__Saying in = CHAT__SAYING__INIT;

    in.channel = p->channel;
    in.text = p->text;
    in.key = p->key;
    call(c, p->number, c->actor, "Say", &in.base);
}

static void send_tell(struct client *c, struct pending *p)
{
    Chat__Telling in = CHAT__TELLING__INIT;

    in.to = p->channel + 1;
    in.text = p->text;
    in.key = p->key;
    call(c, p->number, c->actor, "Tell", &in.base);
}

static void send_guild(struct client *c, struct pending *p)
{
    Chat__Guild in = CHAT__GUILD__INIT;

    in.guild = p->text;
    call(c, p->number, c->actor, "JoinGuild", &in.base);
}

static void send_pending(struct client *c, struct pending *p)
{
    const Hardtack__Empty none = HARDTACK__EMPTY__INIT;

    switch (p->what) {
    case WHAT_LOGIN:
        send_login(c, p);
        break;
    case WHAT_ATTACH:
        send_attach(c, p);
        break;
    case WHAT_SAY:
        send_say(c, p);
        break;
    case WHAT_TELL:
        send_tell(c, p);
        break;
    case WHAT_GUILD:
        send_guild(c, p);
        break;
    case WHAT_WHO:
        call(c, p->number, c->actor, "Online", &none.base);
        break;
    }
}

static void ask(struct client *c, enum what what)
{
    struct pending *p = put(c, what);

    if (p != NULL) {
        send_pending(c, p);
    }
}

static void attach(struct client *c)
{
    c->state = STATE_ATTACH;
    ask(c, WHAT_ATTACH);
}

/* The gateway is told who we are; what follows is as that user. */
static void present_token(struct client *c)
{
    Hardtack__Gateway__Message out = HARDTACK__GATEWAY__MESSAGE__INIT;

    out.type = HARDTACK__GATEWAY__TYPE__LOGIN;
    out.token = c->token;
    (void)link_send(c->link, &out);
    attach(c);
}

/* ---- answers ------------------------------------------------------------- */

static void on_attached(struct client *c, const Chat__Attached *in)
{
    struct pending *p, *next;
    char text[400];

    snprintf(c->actor, sizeof(c->actor), "%s", in->actor);
    for (size_t i = 0; in->places != NULL && i < in->places->n_gateways &&
                       c->places_count < PLACES_MAX;
         i++) {
        size_t k = 0;

        while (k < c->places_count &&
               strcmp(c->places[k], in->places->gateways[i]) != 0) {
            k++;
        }
        if (k == c->places_count) {
            snprintf(c->places[c->places_count++], sizeof(c->places[0]), "%s",
                     in->places->gateways[i]);
        }
    }
    snprintf(text, sizeof(text), "you are %s, by way of %s%s%s", in->user,
             c->places[c->place], in->guild[0] != '\0' ? ", of guild " : "",
             in->guild);
    c->calls->line(c->arg, text);
    c->state = STATE_ON;
    for (p = TAILQ_FIRST(&c->pending); p != NULL; p = next) {
        next = TAILQ_NEXT(p, entry);
        send_pending(c, p);
    }
}

static void show_crowd(struct client *c, const Chat__Crowd *in)
{
    char text[200];

    snprintf(text, sizeof(text), "%u online", in->count);
    c->calls->line(c->arg, text);
    for (size_t i = 0; i < in->n_people; i++) {
        const Chat__Person *p = in->people[i];

        snprintf(text, sizeof(text), "  %-20s %s%s%s%s", p->user,
                 p->guild[0] != '\0' ? "guild " : "", p->guild,
                 p->guild[0] != '\0' && p->away ? ", " : "",
                 p->away ? "away" : "");
        c->calls->line(c->arg, text);
    }
}

static ProtobufCMessage *decode(const ProtobufCMessageDescriptor *type,
                                const Hardtack__Gateway__Message *m)
{
    return m->payload_case != HARDTACK__GATEWAY__MESSAGE__PAYLOAD_MESSAGE
               ? NULL
               : protobuf_c_message_unpack(type, NULL, m->message.len,
                                           m->message.data);
}

static const ProtobufCMessageDescriptor *answer_of(enum what what)
{
    return what == WHAT_LOGIN    ? &chat__ticket__descriptor
           : what == WHAT_ATTACH ? &chat__attached__descriptor
           : what == WHAT_GUILD  ? &chat__guild__descriptor
           : what == WHAT_WHO    ? &chat__crowd__descriptor
                                 : &chat__said__descriptor;
}

static void on_answer(struct client *c, enum what what, const void *in)
{
    const Chat__Ticket *ticket = in;
    const Chat__Guild *guild = in;
    char text[100];

    switch (what) {
    case WHAT_LOGIN:
        free(c->token);
        c->token = strdup(ticket->token);
        if (c->token != NULL) {
            present_token(c);
        }
        break;
    case WHAT_ATTACH:
        on_attached(c, in);
        break;
    case WHAT_GUILD:
        snprintf(text, sizeof(text), "%s%s",
                 guild->guild[0] != '\0' ? "you are of guild "
                                         : "you are of no guild",
                 guild->guild);
        c->calls->line(c->arg, text);
        break;
    case WHAT_WHO:
        show_crowd(c, in);
        break;
    case WHAT_SAY:
    case WHAT_TELL:
        break;
    }
}

static void drop(struct client *c)
{
    struct pending *p, *next;

    link_close(c->link);
    c->link = NULL;
    c->state = STATE_OUT;
    c->again_ms = c->now_ms + AGAIN_MS;
    c->place = (c->place + 1) % c->places_count;
    for (p = TAILQ_FIRST(&c->pending); p != NULL; p = next) {
        next = TAILQ_NEXT(p, entry);
        if (p->what == WHAT_LOGIN || p->what == WHAT_ATTACH) {
            pending_free(c, p);
        }
    }
}

static void on_error(struct client *c,
                     struct pending *p,
                     const Hardtack__Gateway__Message *m)
{
    bool denied =
        strcmp(m->code, "HT_EDENIED") == 0 || strcmp(m->code, "HT_EARGS") == 0;

    if (p->what == WHAT_LOGIN || p->what == WHAT_ATTACH) {
        if (denied) {
            finish(c, m->reason);
        } else {
            c->calls->line(c->arg, m->reason);
            c->state = STATE_OUT; /* this runs within the link: not now */
        }
        return;
    }
    if (strcmp(m->code, "HT_ENOPROC") == 0 && c->state == STATE_ON) {
        attach(c); /* our user went with its node; this is sent again then */
        return;
    }
    c->calls->line(c->arg, m->reason);
    pending_free(c, p);
}

static void on_reply(struct client *c, const Hardtack__Gateway__Message *m)
{
    unsigned long long number = strtoull(m->msg_id, NULL, 10);
    struct pending *p;
    ProtobufCMessage *in;

    TAILQ_FOREACH (p, &c->pending, entry) {
        if (p->number == number) {
            break;
        }
    }
    if (p == NULL) {
        return;
    }
    if (m->type == HARDTACK__GATEWAY__TYPE__ERROR) {
        on_error(c, p, m);
        return;
    }
    in = decode(answer_of(p->what), m);
    if (in != NULL) {
        enum what what = p->what;

        pending_free(c, p);
        on_answer(c, what, in);
        protobuf_c_message_free_unpacked(in, NULL);
    }
}

/* ---- hearing ------------------------------------------------------------- */

static bool is_new(struct client *c, const Chat__Message *m)
{
    char name[80];
    size_t count = c->seen_count < SEEN_MAX ? c->seen_count : SEEN_MAX;

    snprintf(name, sizeof(name), "%s %s", m->from, m->key);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(c->seen[i], name) == 0) {
            return false;
        }
    }
    snprintf(c->seen[c->seen_count++ % SEEN_MAX], sizeof(name), "%s", name);
    return true;
}

static void hear(struct client *c, const Chat__Message *m)
{
    if (strcmp(m->channel, "private") == 0) {
        snprintf(c->last_private, sizeof(c->last_private), "%s", m->id);
    }
    if (is_new(c, m)) {
        c->calls->message(c->arg, m);
    }
}

static void hear_missed(struct client *c, const Chat__Missed *in)
{
    if (in->gap) {
        c->calls->line(c->arg, "older messages are not kept");
    }
    for (size_t i = 0; i < in->n_messages; i++) {
        hear(c, in->messages[i]);
    }
    if (in->last[0] != '\0') {
        snprintf(c->last, sizeof(c->last), "%s", in->last);
    }
}

static void on_event(struct client *c, const Hardtack__Gateway__Message *m)
{
    const ProtobufCMessageDescriptor *type =
        strcmp(m->method, "Message") == 0  ? &chat__message__descriptor
        : strcmp(m->method, "Missed") == 0 ? &chat__missed__descriptor
        : strcmp(m->method, "Kicked") == 0 ? &chat__kicked__descriptor
                                           : NULL;
    ProtobufCMessage *in = type != NULL ? decode(type, m) : NULL;

    if (strcmp(m->method, "Ended") == 0 && c->state == STATE_ON) {
        attach(c);
    }
    if (in == NULL) {
        return;
    }
    if (type == &chat__message__descriptor) {
        const Chat__Message *message = (const Chat__Message *)in;

        if (strcmp(message->channel, "private") != 0) {
            snprintf(c->last, sizeof(c->last), "%s", message->id);
        }
        hear(c, message);
    } else if (type == &chat__missed__descriptor) {
        hear_missed(c, (const Chat__Missed *)in);
    } else {
        finish(c, ((const Chat__Kicked *)in)->reason);
    }
    protobuf_c_message_free_unpacked(in, NULL);
}

static void on_message(void *arg, const Hardtack__Gateway__Message *m)
{
    struct client *c = arg;

    c->heard_ms = c->now_ms;
    c->asked = false;
    switch ((int)m->type) {
    case HARDTACK__GATEWAY__TYPE__REPLY:
    case HARDTACK__GATEWAY__TYPE__ERROR:
        on_reply(c, m);
        break;
    case HARDTACK__GATEWAY__TYPE__MESSAGE:
        on_event(c, m);
        break;
    case HARDTACK__GATEWAY__TYPE__NOTICE:
        c->calls->line(c->arg, m->reason);
        break;
    case HARDTACK__GATEWAY__TYPE__DRAIN:
        c->state = STATE_OUT; /* this node goes: the next one */
        break;
    default:
        break;
    }
}

/* ---- working ------------------------------------------------------------- */

static void open_link(struct client *c)
{
    char error[400] = "no memory";

    c->link = link_open(c->places[c->place], c->config->ca, on_message, c,
                        error, sizeof(error));
    c->heard_ms = c->now_ms;
    c->asked = false;
    if (c->link == NULL) {
        c->calls->line(c->arg, error);
        drop(c);
    } else if (c->token != NULL) {
        present_token(c);
    } else {
        c->state = STATE_LOGIN;
        ask(c, WHAT_LOGIN);
    }
}

/* A connection that is half open says nothing. */
static void ask_whether_there(struct client *c)
{
    Hardtack__Gateway__Message out = HARDTACK__GATEWAY__MESSAGE__INIT;

    if (c->now_ms < c->heard_ms + QUIET_MS) {
        return;
    }
    if (c->asked) {
        drop(c);
        return;
    }
    out.type = HARDTACK__GATEWAY__TYPE__PING;
    c->asked = true;
    c->heard_ms = c->now_ms - QUIET_MS + 5000;
    (void)link_send(c->link, &out);
}

void client_work(struct client *c, uint64_t now_ms)
{
    c->now_ms = now_ms;
    if (c->over) {
        return;
    }
    if (c->link != NULL && c->state == STATE_OUT) {
        drop(c);
    }
    if (c->link == NULL) {
        if (now_ms >= c->again_ms) {
            open_link(c);
        }
        return;
    }
    if (!link_work(c->link)) {
        if (!c->over) {
            c->calls->line(c->arg, "the connection is lost: reconnecting");
            drop(c);
        }
        return;
    }
    ask_whether_there(c);
}

struct pollfd client_poll(const struct client *c)
{
    struct pollfd p = {.fd = -1};

    if (c->link != NULL && !c->over) {
        p.fd = link_fd(c->link);
        p.events = POLLIN;
        if (link_wants_write(c->link)) {
            p.events = (short)(p.events | POLLOUT);
        }
    }
    return p;
}

int client_wait_ms(const struct client *c, uint64_t now_ms)
{
    if (c->link == NULL) {
        return c->again_ms > now_ms ? (int)(c->again_ms - now_ms) : 0;
    }
    return 1000;
}

bool client_is_idle(const struct client *c)
{
    return c->over || (c->state == STATE_ON && c->pending_count == 0);
}

static void start(struct client *c, struct pending *p)
{
    if (c->state == STATE_ON) {
        send_pending(c, p);
    }
}

void client_say(struct client *c, const char *channel, const char *text)
{
    struct pending *p;

    if (strlen(text) > 500) {
        c->calls->line(c->arg, "too long: 500 bytes at most");
        return;
    }
    p = put(c, channel[0] == '@' ? WHAT_TELL : WHAT_SAY);
    if (p != NULL) {
        snprintf(p->channel, sizeof(p->channel), "%s", channel);
        snprintf(p->text, sizeof(p->text), "%s", text);
        start(c, p);
    }
}

void client_join(struct client *c, const char *guild)
{
    struct pending *p = put(c, WHAT_GUILD);

    if (p != NULL) {
        snprintf(p->text, sizeof(p->text), "%s", guild);
        start(c, p);
    }
}

void client_who(struct client *c)
{
    struct pending *p = put(c, WHAT_WHO);

    if (p != NULL) {
        start(c, p);
    }
}
