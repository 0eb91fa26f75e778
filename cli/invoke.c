/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/invoke.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "json/base64.h"
#include "json/delimited.h"
#include "json/json_pb.h"

#define NONE_TYPE "hardtack.None"

const char *
invoke_target(struct invoke_target *target, const char *text, const char *scope)
{
    Hardtack__Admin__Target *t = &target->target;
    char *last;
    char *split = NULL;

    hardtack__admin__target__init(t);
    if (strlen(text) >= sizeof(target->text)) {
        return "is too long";
    }
    snprintf(target->text, sizeof(target->text), "%s", text);
    if (scope != NULL) {
        t->scope = (char *)scope;
    }
    if (target->text[0] == '<') {
        t->ref = target->text;
        return NULL;
    }
    if (strncmp(target->text, "group:", 6) == 0) {
        t->group = target->text + 6;
        return t->group[0] != '\0' ? NULL : "names no group";
    }
    t->name = target->text;
    /* NODE@HOST holds one @; the one before it ends the actor's name. */
    last = strrchr(target->text, '@');
    if (last != NULL) {
        *last = '\0';
        split = strrchr(target->text, '@');
        *last = '@';
    }
    if (split != NULL) {
        *split = '\0';
        t->node = split + 1;
    }
    return t->name[0] != '\0' ? NULL : "names no actor";
}

void invoke_result_fini(struct invoke_result *result)
{
    json_decref(result->reply);
    memset(result, 0, sizeof(*result));
}

/* ---- arguments ----------------------------------------------------------- */

static const Hardtack__Admin__Method *
find_method(const Hardtack__Admin__Description *description, const char *name)
{
    for (size_t i = 0; i < description->n_methods; i++) {
        if (strcmp(description->methods[i]->name, name) == 0) {
            return description->methods[i];
        }
    }
    return NULL;
}

static int no_such_method(const struct invoke *invoke,
                          const Hardtack__Admin__Description *description)
{
    char names[512] = "";
    size_t len = 0;

    for (size_t i = 0; i < description->n_methods && len < sizeof(names); i++) {
        int n = snprintf(names + len, sizeof(names) - len, "%s%s",
                         i > 0 ? ", " : "", description->methods[i]->name);
        len += n > 0 ? (size_t)n : 0;
    }
    return cli_fail("%s has no method \"%s\"; %s has %s", invoke->target,
                    invoke->method, description->service, names);
}

static int describe(const struct invoke *invoke,
                    Hardtack__Admin__Description **ret_description)
{
    Hardtack__Admin__Description *description;
    ProtobufCMessage *message = NULL;
    ht_err err;
    int code = client_admin(invoke->client, "Describe", &invoke->to->base, 2500,
                            &message);

    if (code != EXIT_OK) {
        return code;
    }
    description = (Hardtack__Admin__Description *)(void *)message;
    err = cli_err_named(description->error);
    if (err == HT_ENOPROC || err == HT_ENOENT) {
        code = cli_fail("%s", description->reason);
    } else if (description->error[0] != '\0') {
        code = cli_fail("cannot ask for what %s understands: %s (--text or "
                        "--raw need no description)",
                        invoke->target, description->reason);
    } else if (description->service[0] == '\0') {
        code = cli_fail("%s is no typed service, so its messages cannot be "
                        "written as JSON; give --text or --raw",
                        invoke->target);
    } else {
        *ret_description = description;
        return EXIT_OK;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return code;
}

/* The argument block of a typed method. */
static int typed_args(const struct invoke *invoke,
                      const Hardtack__Admin__Description *description,
                      const Hardtack__Admin__Method *method,
                      ht_args *args)
{
    json_t *empty = json_object();
    char error[JSON_PB_ERROR_MAX] = "";
    uint8_t *data = NULL;
    uint8_t *block = NULL;
    size_t len = 0;
    size_t block_len = 0;
    ht_err err = hti_json_pb_encode(description, method->input,
                                    invoke->json != NULL ? invoke->json : empty,
                                    &data, &len, error);

    json_decref(empty);
    if (err != HT_OK) {
        return cli_fail("the arguments of %s do not fit %s: %s", method->name,
                        method->input,
                        error[0] != '\0' ? error : ht_strerror(err));
    }
    if (hti_delimited_encode(data, len, &block, &block_len)) {
        ht_args_bytes(args, block, block_len);
    } else {
        args->err = HT_ENOMEM;
    }
    free(block);
    free(data);
    return args->err == HT_OK ? EXIT_OK
                              : cli_fail("%s", ht_strerror(args->err));
}

static int plain_args(const struct invoke *invoke, ht_args *args)
{
    for (size_t i = 0; i < invoke->texts_count; i++) {
        ht_args_str(args, invoke->texts[i]);
    }
    if (args->err != HT_OK) {
        return cli_fail("the text cannot be sent: %s", ht_strerror(args->err));
    }
    return EXIT_OK;
}

/* ---- replies ------------------------------------------------------------- */

static int typed_reply(const struct invoke *invoke,
                       const Hardtack__Admin__Description *description,
                       const Hardtack__Admin__Method *method,
                       ht_bytes data,
                       json_t **ret_reply)
{
    char error[JSON_PB_ERROR_MAX] = "";
    ht_bytes message;
    ht_err err;

    if (!hti_delimited_decode(data, &message)) {
        return cli_fail("%s answered %s with something else than a %s",
                        invoke->target, method->name, method->output);
    }
    err = hti_json_pb_decode(description, method->output, message.data,
                             message.len, ret_reply, error);
    if (err != HT_OK) {
        return cli_fail("the answer of %s is no %s: %s", invoke->target,
                        method->output,
                        error[0] != '\0' ? error : ht_strerror(err));
    }
    return EXIT_OK;
}

/* Text if it is text, else hexadecimal. */
static int
plain_reply(const struct invoke *invoke, ht_bytes data, json_t **ret_reply)
{
    char *hex = NULL;

    if (invoke->kind == INVOKE_TEXT) {
        *ret_reply = json_stringn(data.len > 0 ? data.data : "", data.len);
    }
    if (*ret_reply == NULL) {
        hex = hti_hex_encode(data.data, data.len);
        *ret_reply = hex != NULL ? json_string(hex) : NULL;
        free(hex);
    }
    return *ret_reply != NULL ? EXIT_OK : cli_fail("out of memory");
}

/* ---- doing it ------------------------------------------------------------ */

static void note(struct invoke_result *result,
                 const char *ref,
                 const char *error,
                 const char *reason)
{
    result->err = cli_err_named(error);
    snprintf(result->ref, sizeof(result->ref), "%s", ref);
    snprintf(result->reason, sizeof(result->reason), "%s", reason);
}

static int send_it(const struct invoke *invoke,
                   const Hardtack__Admin__Description *description,
                   const Hardtack__Admin__Method *method,
                   ht_bytes args,
                   struct invoke_result *result)
{
    Hardtack__Admin__CallRequest request = HARDTACK__ADMIN__CALL_REQUEST__INIT;
    ProtobufCMessage *message = NULL;
    int code;

    request.target = (Hardtack__Admin__Target *)invoke->to;
    request.variant = (char *)invoke->method;
    request.args.data = (uint8_t *)args.data;
    request.args.len = args.len;
    request.timeout_ms = invoke->client->timeout_ms;
    /* A second more for the node, so that its own word on the timeout comes
     * before ours. */
    code = client_admin(invoke->client, invoke->cast ? "Cast" : "Call",
                        &request.base, 1000, &message);
    if (code == EXIT_OK && invoke->cast) {
        const Hardtack__Admin__CastReply *reply = (const void *)message;
        note(result, reply->ref, reply->error, reply->reason);
    } else if (code == EXIT_OK) {
        const Hardtack__Admin__CallReply *reply = (const void *)message;
        ht_bytes data = {reply->data.data, reply->data.len};

        note(result, reply->ref, reply->error, reply->reason);
        if (result->err == HT_OK && method != NULL) {
            code =
                typed_reply(invoke, description, method, data, &result->reply);
        } else if (result->err == HT_OK) {
            code = plain_reply(invoke, data, &result->reply);
        }
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return code;
}

/* A member of the group, chosen once: asking for its description and calling it
 * are two requests, and must mean the same actor. */
static int choose_member(const struct invoke *invoke,
                         Hardtack__Admin__Target *ret_target,
                         char *ref,
                         size_t ref_len)
{
    const Hardtack__Admin__WhereisReply *reply;
    ProtobufCMessage *message = NULL;
    int code =
        client_admin(invoke->client, "Whereis", &invoke->to->base, 0, &message);

    if (code != EXIT_OK) {
        return code;
    }
    reply = (const void *)message;
    if (reply->error[0] != '\0') {
        code = cli_fail("%s", reply->reason);
    } else {
        snprintf(ref, ref_len, "%s", reply->ref);
        hardtack__admin__target__init(ret_target);
        ret_target->ref = ref;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return code;
}

static int invoke_described(const struct invoke *invoke,
                            struct invoke_result *result)
{
    Hardtack__Admin__Description *description = NULL;
    const Hardtack__Admin__Method *method;
    ht_args args = HT_ARGS_INIT;
    int code = describe(invoke, &description);

    if (description == NULL) {
        return code;
    }
    method = find_method(description, invoke->method);
    if (method == NULL) {
        code = no_such_method(invoke, description);
    } else if (!invoke->cast && strcmp(method->output, NONE_TYPE) == 0) {
        code = cli_fail("%s of %s is a cast: nothing comes back; use `hardtack "
                        "cast`",
                        invoke->method, invoke->target);
    } else if (invoke->cast && strcmp(method->output, NONE_TYPE) != 0) {
        code = cli_fail("%s of %s is a call: it answers; use `hardtack call`",
                        invoke->method, invoke->target);
    } else {
        code = typed_args(invoke, description, method, &args);
    }
    if (code == EXIT_OK) {
        code = send_it(invoke, description, method,
                       (ht_bytes){args.data, args.len}, result);
    }
    ht_args_fini(&args);
    hardtack__admin__description__free_unpacked(description, NULL);
    return code;
}

static int invoke_typed(const struct invoke *invoke,
                        struct invoke_result *result)
{
    struct invoke chosen = *invoke;
    Hardtack__Admin__Target member;
    char ref[512];
    int code;

    if (invoke->to->group[0] != '\0') {
        code = choose_member(invoke, &member, ref, sizeof(ref));
        if (code != EXIT_OK) {
            return code;
        }
        chosen.to = &member;
    }
    return invoke_described(&chosen, result);
}

int invoke(const struct invoke *invoke, struct invoke_result *ret_result)
{
    ht_args args = HT_ARGS_INIT;
    int code = EXIT_OK;

    memset(ret_result, 0, sizeof(*ret_result));
    switch (invoke->kind) {
    case INVOKE_TYPED:
        return invoke_typed(invoke, ret_result);
    case INVOKE_RAW:
        return send_it(invoke, NULL, NULL,
                       (ht_bytes){invoke->raw, invoke->raw_len}, ret_result);
    case INVOKE_TEXT:
        code = plain_args(invoke, &args);
        if (code == EXIT_OK) {
            code = send_it(invoke, NULL, NULL, (ht_bytes){args.data, args.len},
                           ret_result);
        }
        ht_args_fini(&args);
        return code;
    }
    return EXIT_FAILED;
}
