/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_plugin - actors for the gateway's scenarios:
 *
 *   recorder   remembers: Add (a text; answers how many there are), List (all
 * of them), "" (a plain text, as Add), Never (no answer), Fail mirror speaks
 * back to who calls: Push, Raw, Who, Close, Shout
 */
#include <hardtack/plugin.h>

#include <hardtack/client.pb-c.h>
#include <hardtack/gateway.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- recorder ------------------------------------------------------------ */

struct recorder {
    char text[8192];
    unsigned count;
};

static void record(struct recorder *r, ht_bytes text)
{
    size_t at = strlen(r->text);

    snprintf(r->text + at, sizeof(r->text) - at, "%s%.*s", at > 0 ? " " : "",
             (int)text.len, text.len > 0 ? (const char *)text.data : "");
    r->count++;
}

static void answer_count(ht_actor *self, ht_call call, unsigned count)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", count);
    ht_reply_ok(self, call, text, strlen(text));
}

static ht_err record_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct recorder *r = ht_state(self);
    const char *variant = ht_msg_variant(msg);
    ht_reader reader = ht_reader_args(msg);

    if (strcmp(variant, "") == 0) {
        record(r, ht_msg_args(msg));
    } else if (strcmp(variant, "Add") == 0) {
        record(r, ht_read_str(&reader));
    } else if (strcmp(variant, "Never") == 0) {
        return HT_OK;
    } else if (strcmp(variant, "Fail") == 0) {
        ht_reply_error(self, call, HT_EFAILED, "as you wish");
        return HT_OK;
    } else if (strcmp(variant, "List") == 0) {
        ht_reply_ok(self, call, r->text, strlen(r->text));
        return HT_OK;
    } else {
        return HT_ENOVARIANT;
    }
    if (call.id != 0) {
        answer_count(self, call, r->count);
    }
    return HT_OK;
}

static void record_end(ht_actor *self, const ht_exit *why)
{
    (void)why;
    free(ht_state(self));
}

/* ---- mirror -------------------------------------------------------------- */

static ht_call waiting; /* the one Who under way */

static void on_who(ht_actor *self, const ht_reply *reply, void *arg)
{
    ht_reader reader = ht_reader_reply(reply);
    ProtobufCMessage *message =
        ht_read_message(&reader, &hardtack__client__identity__descriptor);
    const Hardtack__Client__Identity *in = (const void *)message;
    char text[512] = "?";

    (void)arg;
    if (message != NULL) {
        snprintf(text, sizeof(text), "%s %s %s", in->client,
                 in->user[0] != '\0' ? in->user : "nobody",
                 in->n_claims > 0 ? in->claims[0] : "none");
    }
    ht_reply_ok(self, waiting, text, strlen(text));
    protobuf_c_message_free_unpacked(message, NULL);
}

static ht_err who(ht_actor *self, ht_ref from, ht_call call)
{
    Hardtack__Empty none = HARDTACK__EMPTY__INIT;
    ht_args args = HT_ARGS_INIT;

    waiting = call;
    ht_args_message(&args, &none.base);
    return ht_args_call_async(self, from, "HtWho", &args, 1000, on_who, NULL);
}

static void deliver(ht_args *args, const char *text)
{
    Hardtack__Client__Delivery out = HARDTACK__CLIENT__DELIVERY__INIT;

    out.method = (char *)"Said";
    out.json = (char *)"{\"text\": \"both\"}";
    out.message.data = (uint8_t *)"\x0a\x04"
                                  "both";
    out.message.len = 6;
    out.from = (char *)"mirror";
    if (text != NULL) {
        out.json = (char *)"";
        out.message.len = 0;
        out.text = (char *)text;
    }
    ht_args_message(args, &out.base);
}

static ht_err mirror_cast(ht_actor *self, const char *variant, ht_ref from)
{
    Hardtack__Client__Closing closing = HARDTACK__CLIENT__CLOSING__INIT;
    ht_node *node = ht_actor_node(self);
    ht_args args = HT_ARGS_INIT;
    ht_err err = HT_ENOVARIANT;

    if (strcmp(variant, "Push") == 0) {
        deliver(&args, NULL);
        err = ht_args_cast(node, from, "HtDeliver", &args);
    } else if (strcmp(variant, "Raw") == 0) {
        err = ht_cast(node, from, "", "plain", 5);
        if (err == HT_OK) {
            err = ht_cast(node, from, "Odd", "\x01\x02", 2);
        }
    } else if (strcmp(variant, "Close") == 0) {
        closing.reason = (char *)"kicked";
        ht_args_message(&args, &closing.base);
        err = ht_args_cast(node, from, "HtClose", &args);
    } else if (strcmp(variant, "Shout") == 0) {
        deliver(&args, "hear");
        (void)ht_group_cast(node, HT_GATEWAY_SCOPE, "news", "HtDeliver",
                            args.data, args.len);
        ht_args_fini(&args);
        err = HT_OK;
    }
    return err;
}

static ht_err mirror_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    const char *variant = ht_msg_variant(msg);
    ht_err err;

    if (strcmp(variant, "Who") == 0) {
        return who(self, ht_msg_from(msg), call);
    }
    err = mirror_cast(self, variant, ht_msg_from(msg));
    if (err == HT_OK && call.id != 0) {
        ht_reply_ok(self, call, "done", 4);
    }
    return err;
}

static ht_err gateway_start(ht_node *node, const char *args)
{
    static const ht_behavior recorder = {.handle = record_handle,
                                         .terminate = record_end};
    static const ht_behavior mirror = {.handle = mirror_handle};
    const ht_spawn_opts recorder_opts = {.name = "recorder"};
    const ht_spawn_opts mirror_opts = {.name = "mirror"};
    struct recorder *r = calloc(1, sizeof(*r));
    ht_ref ref = {0, 0};
    ht_err err;

    (void)args;
    if (r == NULL)
        return HT_ENOMEM;
    err = ht_spawn(node, &recorder, r, &recorder_opts, &ref);
    if (err) {
        free(r);
        return err;
    }
    err = ht_group_join(node, "recorders", ref);
    if (!err)
        err = ht_spawn(node, &mirror, NULL, &mirror_opts, &ref);
    return err;
}

HT_PLUGIN = {HT_PLUGIN_ABI, "gateway", gateway_start, NULL};
