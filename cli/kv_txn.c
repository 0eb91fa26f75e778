/* SPDX-License-Identifier: Apache-2.0 */
/* kv_txn.c - txn and watch of the store. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/kv.h"
#include "cli/kv_steps.h"
#include "cli/pb_json.h"

#define TEXT_MAX (16u << 20)
/* How long the store waits for a change, and how many it answers with. */
#define WAIT_MS 30000
#define PAGE    500

/* ---- txn ----------------------------------------------------------------- */

static int read_text(const char *path, char **ret_text)
{
    FILE *in =
        path == NULL || strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *text = malloc(TEXT_MAX + 1u);
    size_t len = 0;
    int code = EXIT_OK;

    if (in == NULL) {
        code = cli_fail("cannot read %s: %s", path, strerror(errno));
    } else if (text == NULL) {
        code = cli_fail("out of memory");
    } else {
        len = fread(text, 1, TEXT_MAX + 1u, in);
        if (ferror(in) || len > TEXT_MAX || memchr(text, '\0', len) != NULL) {
            code = cli_fail("the steps cannot be read, are more than 16 MiB, "
                            "or no text");
        }
    }
    if (in != NULL && in != stdin) {
        (void)fclose(in);
    }
    if (code != EXIT_OK || text == NULL) {
        free(text);
        return EXIT_FAILED;
    }
    text[len] = '\0';
    *ret_text = text;
    return EXIT_OK;
}

static void print_got(const char *key, const Hardtack__Kv__GetReply *got)
{
    ht_bytes value;

    if (!got->found) {
        printf("get %s: none\n", key);
        return;
    }
    value = kv_value(got->kv);
    printf("get %s: ", key);
    (void)fwrite(value.data, 1, value.len, stdout);
    putchar('\n');
}

static void print_replies(const struct kv_steps *steps,
                          const Hardtack__Kv__TxnReply *reply)
{
    const struct kv_step *done = steps->steps[!reply->held];

    printf("%s, revision %" PRIu64 "\n",
           reply->held ? "done" : "a condition failed", reply->revision);
    for (size_t i = 0; i < reply->n_replies && i < steps->counts[!reply->held];
         i++) {
        const Hardtack__Kv__OpReply *one = reply->replies[i];

        switch ((int)one->op_case) {
        case HARDTACK__KV__OP_REPLY__OP_PUT:
            printf("put %s\n", done[i].put.key);
            break;
        case HARDTACK__KV__OP_REPLY__OP_DEL:
            printf("del %s: %" PRIu64 " deleted\n", done[i].del.key,
                   one->del->deleted);
            break;
        case HARDTACK__KV__OP_REPLY__OP_GET:
            print_got(done[i].get.key, one->get);
            break;
        default:
            break;
        }
    }
}

static int run_steps(struct kv *kv, struct kv_steps *steps)
{
    ProtobufCMessage *message = NULL;
    bool held;
    int code;

    steps->request.request = kv_request_id(kv);
    code = kv_call(kv, "Txn", &steps->request.base, true, &message);
    if (code != EXIT_OK) {
        return code;
    }
    held = ((const Hardtack__Kv__TxnReply *)(void *)message)->held;
    if (kv->opts.json) {
        code = pb_json_print(pb_json(message));
    } else {
        print_replies(steps, (const void *)message);
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return code == EXIT_OK && !held ? EXIT_FAILED : code;
}

int kv_txn(struct kv *kv)
{
    struct kv_steps *steps = malloc(sizeof(*steps));
    char error[KV_STEPS_ERROR_MAX];
    char *text = NULL;
    int code;

    if (steps == NULL) {
        return cli_fail("out of memory");
    }
    code = read_text(kv->count > 0 ? kv->arguments[0] : NULL, &text);
    if (code == EXIT_OK && !kv_steps_read(steps, text, error)) {
        (void)cli_fail("kv txn: %s", error);
        code = EXIT_USAGE;
    } else if (code == EXIT_OK) {
        code = run_steps(kv, steps);
    }
    free(text);
    free(steps);
    return code;
}

/* ---- watch --------------------------------------------------------------- */

static int print_event(const struct kv *kv, const Hardtack__Kv__Event *event)
{
    static const char *const words[] = {"put", "del", "expired"};
    unsigned kind = (unsigned)event->kind;
    ht_bytes value;

    if (kv->opts.json) {
        json_t *json = pb_json(&event->base);
        int failed =
            json == NULL || json_dumpf(json, stdout, JSON_COMPACT) != 0;

        json_decref(json);
        putchar('\n');
        return failed ? cli_fail("the change cannot be printed as JSON")
                      : EXIT_OK;
    }
    printf("%" PRIu64 " %s %s", event->kv->revision,
           kind < 3 ? words[kind] : "?", event->kv->key);
    if (kind == HARDTACK__KV__EVENT__KIND__PUT && !kv->keys_only) {
        value = kv_value(event->kv);
        printf(" = ");
        (void)fwrite(value.data, 1, value.len, stdout);
    }
    putchar('\n');
    return EXIT_OK;
}

static int print_events(const struct kv *kv,
                        const Hardtack__Kv__ChangesReply *reply,
                        uint64_t *seen)
{
    int code = EXIT_OK;

    for (size_t i = 0; i < reply->n_events && code == EXIT_OK; i++) {
        if (kv->limit != 0 && *seen == kv->limit) {
            break;
        }
        if (reply->events[i]->kv != NULL) {
            code = print_event(kv, reply->events[i]);
            (*seen)++;
        }
    }
    /* Whoever reads a pipe sees each change when it comes. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        return cli_fail("cannot write: %s", strerror(errno));
    }
    return code;
}

/* By long polls: each asks for what came after the one before, so nothing is
 * missed between two. */
int kv_watch(struct kv *kv)
{
    Hardtack__Kv__ChangesRequest request = HARDTACK__KV__CHANGES_REQUEST__INIT;
    uint64_t seen = 0;
    int code = EXIT_OK;

    request.what_case = kv->prefix != NULL
                            ? HARDTACK__KV__CHANGES_REQUEST__WHAT_PREFIX
                            : HARDTACK__KV__CHANGES_REQUEST__WHAT_KEY;
    request.key = (char *)(kv->prefix != NULL ? kv->prefix : kv->arguments[0]);
    request.from_revision = kv->from_revision;
    request.limit = PAGE;
    request.wait_ms = WAIT_MS;
    request.as_text = true;
    request.keys_only = kv->keys_only;
    while (code == EXIT_OK && (kv->limit == 0 || seen < kv->limit)) {
        ProtobufCMessage *message = NULL;

        code = kv_call_once(kv, "Changes", &request.base, WAIT_MS, &message);
        if (code == EXIT_OK) {
            const Hardtack__Kv__ChangesReply *reply = (const void *)message;

            code = print_events(kv, reply, &seen);
            request.from_revision = reply->next_revision;
        }
        protobuf_c_message_free_unpacked(message, NULL);
    }
    return code;
}
