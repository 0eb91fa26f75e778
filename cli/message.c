/* SPDX-License-Identifier: Apache-2.0 */
/* message.c - call, cast: messages to actors from a shell. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/invoke.h"
#include "cli/pb_json.h"
#include "json/base64.h"

#define TEXTS_MAX 64
/* Of --raw @FILE. */
#define RAW_MAX (16u << 20)

enum { OPT_RAW = 0x400, OPT_TEXT, OPT_SCOPE };

struct message {
    struct client_opts client;
    const char *target;
    const char *method;
    const char *json;
    const char *scope;
    const char *raw;
    const char *texts[TEXTS_MAX];
    size_t texts_count;
    bool is_text;
};

static error_t
parse_argument(struct message *message, char *arg, struct argp_state *state)
{
    if (message->target == NULL) {
        message->target = arg;
    } else if (message->method == NULL) {
        message->method = arg;
    } else if (message->json == NULL) {
        message->json = arg;
    } else {
        argp_error(state, "\"%s\": one JSON object is enough", arg);
    }
    return 0;
}

static void check(const struct message *message, struct argp_state *state)
{
    int ways =
        (message->raw != NULL) + message->is_text + (message->json != NULL);

    if (message->target == NULL || message->method == NULL) {
        argp_error(state, "tell which actor, and which method");
    }
    if (ways > 1) {
        argp_error(state, "give JSON, --text or --raw, not several of them");
    }
}

static error_t parse_message(int key, char *arg, struct argp_state *state)
{
    struct message *message = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &message->client;
        return 0;
    case OPT_RAW:
        message->raw = arg;
        return 0;
    case OPT_TEXT:
        if (message->texts_count == TEXTS_MAX) {
            argp_error(state, "too many --text");
        }
        message->texts[message->texts_count++] = arg;
        message->is_text = true;
        return 0;
    case OPT_SCOPE:
        message->scope = arg;
        return 0;
    case ARGP_KEY_ARG:
        return parse_argument(message, arg, state);
    case ARGP_KEY_END:
        check(message, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"raw", OPT_RAW, "BYTES", 0,
     "the argument block itself: hexadecimal, @FILE, or - for standard input; "
     "an answer is printed in hexadecimal",
     0},
    {"text", OPT_TEXT, "TEXT", 0,
     "a string argument, for actors without a typed service (repeat for more)",
     0},
    {"scope", OPT_SCOPE, "SCOPE", 0, "of group:GROUP", 0},
    {NULL, 0, NULL, 0, NULL, 0}};

static const struct argp_child children[] = {{&client_argp, 0, NULL, 0},
                                             {NULL, 0, NULL, 0}};

#define TARGETS                                                                \
    "\vTARGET is NAME, an actor of the node asked; NAME@NODE@HOST, one of "    \
    "another node; group:GROUP, a member of a group, in turn; or "             \
    "\"<NODE@HOST.INCARNATION.PID>\", as `hardtack actors` prints it.\n\n"     \
    "JSON is the method's message, as the service describes it: "              \
    "'{\"a\": 10, \"b\": 5}'.  Without it, an empty one is sent."

static int read_stream(FILE *in, uint8_t **ret_data, size_t *ret_len)
{
    uint8_t *data = malloc(RAW_MAX + 1u);
    size_t len;

    if (data == NULL) {
        return cli_fail("out of memory");
    }
    len = fread(data, 1, RAW_MAX + 1u, in);
    if (ferror(in) || len > RAW_MAX) {
        free(data);
        return cli_fail("the bytes for --raw cannot be read, or are more than "
                        "16 MiB");
    }
    *ret_data = data;
    *ret_len = len;
    return EXIT_OK;
}

static int read_raw(const char *text, uint8_t **ret_data, size_t *ret_len)
{
    FILE *in;
    int code;

    if (strcmp(text, "-") == 0) {
        return read_stream(stdin, ret_data, ret_len);
    }
    if (text[0] == '@') {
        in = fopen(text + 1, "re");
        if (in == NULL) {
            return cli_fail("cannot read %s", text + 1);
        }
        code = read_stream(in, ret_data, ret_len);
        (void)fclose(in);
        return code;
    }
    if (!hti_hex_decode(text, ret_data, ret_len)) {
        (void)cli_fail("--raw %s: expected hexadecimal digits in pairs", text);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

static int read_json(const char *text, json_t **ret_json)
{
    json_error_t error;

    *ret_json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (*ret_json == NULL) {
        (void)cli_fail("the arguments are no JSON object: %s (at character %d)",
                       error.text, error.position);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

static int print_json(const struct message *message,
                      const struct invoke_result *result)
{
    json_t *out = json_pack("{s:s, s:s, s:s}", "ref", result->ref, "error",
                            result->err != HT_OK ? ht_errname(result->err) : "",
                            "reason", result->reason);

    (void)message;
    if (out != NULL && result->reply != NULL) {
        (void)json_object_set(out, "reply", result->reply);
    }
    return pb_json_print(out);
}

static int print_result(const struct message *message,
                        const struct invoke_result *result)
{
    if (message->client.json) {
        int code = print_json(message, result);
        return result->err != HT_OK ? EXIT_FAILED : code;
    }
    if (result->err != HT_OK) {
        const char *text = ht_strerror(result->err);
        bool more =
            result->reason[0] != '\0' && strcmp(result->reason, text) != 0;

        return cli_fail("%s of %s: %s%s%s", message->method, message->target,
                        text, more ? ": " : "", more ? result->reason : "");
    }
    if (json_is_string(result->reply)) {
        puts(json_string_value(result->reply));
    } else if (result->reply != NULL) {
        return pb_json_print(json_incref(result->reply));
    }
    return EXIT_OK;
}

static int send_message(const struct message *message,
                        const struct invoke_target *target,
                        json_t *json,
                        uint8_t *raw,
                        size_t raw_len,
                        bool cast)
{
    struct client client;
    struct invoke_result result = {.err = HT_OK};
    struct invoke in = {
        .client = &client,
        .target = message->target,
        .to = &target->target,
        .method = message->method,
        .kind = message->raw != NULL ? INVOKE_RAW
                : message->is_text   ? INVOKE_TEXT
                                     : INVOKE_TYPED,
        .json = json,
        .texts = message->texts,
        .texts_count = message->texts_count,
        .raw = raw,
        .raw_len = raw_len,
        .cast = cast,
    };
    int code = client_open(&message->client, &client);

    if (code != EXIT_OK) {
        return code;
    }
    code = invoke(&in, &result);
    if (code == EXIT_OK) {
        code = print_result(message, &result);
    }
    invoke_result_fini(&result);
    client_close(&client);
    return code;
}

static int
run_message(const struct argp *argp, int argc, char **argv, bool cast)
{
    struct message message = {.target = NULL};
    struct invoke_target target;
    json_t *json = NULL;
    uint8_t *raw = NULL;
    size_t raw_len = 0;
    const char *wrong;
    int code = EXIT_OK;

    if (argp_parse(argp, argc, argv, 0, NULL, &message) != 0) {
        return EXIT_USAGE;
    }
    wrong = invoke_target(&target, message.target, message.scope);
    if (wrong != NULL) {
        (void)cli_fail("target \"%s\" %s", message.target, wrong);
        return EXIT_USAGE;
    }
    if (message.json != NULL) {
        code = read_json(message.json, &json);
    }
    if (code == EXIT_OK && message.raw != NULL) {
        code = read_raw(message.raw, &raw, &raw_len);
    }
    if (code == EXIT_OK) {
        code = send_message(&message, &target, json, raw, raw_len, cast);
    }
    json_decref(json);
    free(raw);
    return code;
}

int cmd_call(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse_message,
        "TARGET METHOD [JSON]",
        "Call an actor, wherever it lives, and print what it answers." TARGETS,
        children,
        NULL,
        NULL};

    return run_message(&argp, argc, argv, false);
}

int cmd_cast(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse_message,
        "TARGET METHOD [JSON]",
        "Send an actor a message.  Success means that it was accepted, not "
        "that it arrived." TARGETS,
        children,
        NULL,
        NULL};

    return run_message(&argp, argc, argv, true);
}
