/* SPDX-License-Identifier: Apache-2.0 */
/* invoke.h - calls and casts through a node's administration: where a target
 * is, what its service takes, and what came back.
 *
 *   NAME            the actor of that name on the node asked
 *   NAME@NODE@HOST  the one on another node
 *   group:GROUP     a member of the group, in turn, wherever it lives
 *   <N@H.I.P>       a ref, as `hardtack actors` prints it
 */
#ifndef CLI_INVOKE_H
#define CLI_INVOKE_H

#include <jansson.h>

#include "cli/client.h"
#include "proto/admin/admin.pb-c.h"

struct invoke_target {
    Hardtack__Admin__Target target; /* points into text, and to scope */
    char text[512];
};
/* NULL, or what is wrong. scope may be NULL. */
const char *invoke_target(struct invoke_target *target,
                          const char *text,
                          const char *scope);

enum invoke_kind {
    INVOKE_TYPED, /* JSON both ways, by the service's description */
    INVOKE_TEXT,  /* ractor String arguments; the reply is text */
    INVOKE_RAW,   /* an argument block as it is; the reply is hexadecimal */
};

struct invoke {
    struct client *client;
    const char *target; /* as the user wrote it, for messages */
    const Hardtack__Admin__Target *to;
    const char *method;
    enum invoke_kind kind;
    const json_t *json;       /* INVOKE_TYPED; NULL: {} */
    const char *const *texts; /* INVOKE_TEXT */
    size_t texts_count;
    const uint8_t *raw; /* INVOKE_RAW */
    size_t raw_len;
    bool cast;
};

/* What came of it, when the node could be asked at all. */
struct invoke_result {
    ht_err err;
    char reason[512];
    char ref[512]; /* who answered, if known */
    json_t *reply; /* NULL for a cast and after an error */
};
void invoke_result_fini(struct invoke_result *result);

/* Returns an exit code: EXIT_OK also when the actor answered with an error,
 * which is then in *ret_result.  Every other error has been told. */
int invoke(const struct invoke *invoke, struct invoke_result *ret_result);

#endif /* CLI_INVOKE_H */
