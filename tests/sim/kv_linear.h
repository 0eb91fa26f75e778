/* SPDX-License-Identifier: Apache-2.0 */
/* kv_linear.h - whether what clients saw of one key can have happened one after
 * the other, each within the time that its client waited.
 *
 * Wing and Gong's search with Lowe's memory: the operations are tried in every
 * order that their times allow, and what led nowhere (these done, this value)
 * is not tried twice.  An operation without an answer may have happened at any
 * time after it began, or never.
 *
 * A value is a number, unique among those written; 0 is "no such key".
 */
#ifndef TESTS_SIM_KV_LINEAR_H
#define TESTS_SIM_KV_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINEAR_OPS_MAX 256u /* of one key */

enum linear_kind {
    LINEAR_READ,  /* result: the value */
    LINEAR_WRITE, /* value */
    LINEAR_DEL,   /* result: whether it was there */
    LINEAR_SWAP,  /* value, if it was expected; result: whether it was */
};

struct linear_op {
    enum linear_kind kind;
    uint64_t value;
    uint64_t expected;
    uint64_t result;
    uint64_t begin; /* both in one order, no two alike */
    uint64_t end;   /* UINT64_MAX: no answer */
};

/* ops in any order; it is sorted. */
bool linear_check(struct linear_op *ops, size_t count);

#endif /* TESTS_SIM_KV_LINEAR_H */
