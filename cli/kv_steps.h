/* SPDX-License-Identifier: Apache-2.0 */
/* kv_steps.h - the text of a transaction as a request to the store: the
 * language of `hardtack kv txn`, which its --help explains.  Pure. */
#ifndef CLI_KV_STEPS_H
#define CLI_KV_STEPS_H

#include <stdbool.h>
#include <stddef.h>

#include "hardtack/kv.pb-c.h"

#define KV_STEPS_MAX       128
#define KV_STEPS_ERROR_MAX 256

struct kv_step {
    Hardtack__Kv__Op op;
    Hardtack__Kv__PutRequest put;
    Hardtack__Kv__DelRequest del;
    Hardtack__Kv__GetRequest get;
};

/* Some 100 KiB: not for the stack. */
struct kv_steps {
    Hardtack__Kv__TxnRequest request; /* points into the rest, and the text */
    Hardtack__Kv__Condition conditions[KV_STEPS_MAX];
    struct kv_step steps[2][KV_STEPS_MAX]; /* then, otherwise */
    Hardtack__Kv__Condition *condition_list[KV_STEPS_MAX];
    Hardtack__Kv__Op *lists[2][KV_STEPS_MAX];
    size_t conditions_count;
    size_t counts[2];
    bool in_else;
};

/* text ends with a NUL; it is cut up in place, and must live as long as steps.
 * False: error says what is wrong, and in which line. */
bool kv_steps_read(struct kv_steps *steps,
                   char *text,
                   char error[KV_STEPS_ERROR_MAX]);

#endif /* CLI_KV_STEPS_H */
