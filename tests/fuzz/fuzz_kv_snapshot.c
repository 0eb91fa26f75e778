/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_kv_snapshot.c - the store's snapshots: any bytes, cut anywhere, are
 * refused, or make a state on which commands work.
 *
 * Input: a byte for the size of the pieces, the snapshot.
 */
#include <stdlib.h>

#include "kv/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static ht_err restore(struct hti_kv *kv, ht_bytes all, size_t piece)
{
    ht_err err = hti_kv_restore_begin(kv);

    for (size_t at = 0; err == HT_OK && at < all.len; at += piece) {
        size_t len = all.len - at < piece ? all.len - at : piece;

        err = hti_kv_restore_data(
            kv, (ht_bytes){(const uint8_t *)all.data + at, len});
    }
    return err == HT_OK ? hti_kv_restore_end(kv) : err;
}

/* Time goes on until nothing is due. */
static void let_all_end(struct hti_kv *kv)
{
    /* time_ms = 2^63 - 1, a tick */
    static const uint8_t tick[] = {0x08, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0x7f, 0x4a, 0x00};
    ht_bytes answer;
    size_t left = kv->map.count + kv->leases.count + 1;

    while (hti_kv_due_ms(kv) <= INT64_MAX && left-- > 0) {
        require(hti_kv_apply(kv, (ht_bytes){tick, sizeof(tick)}, &answer) ==
                HT_OK);
    }
    require(hti_kv_due_ms(kv) > INT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct hti_kv_opts opts = {0};
    struct hti_kv *kv = hti_kv_new(&opts);
    ht_err err;

    require(kv != NULL);
    if (size > 0) {
        err = restore(kv, (ht_bytes){data + 1, size - 1}, (size_t)data[0] + 1);
        require(err == HT_OK || err == HT_EPROTO);
        if (err == HT_OK) {
            let_all_end(kv);
        }
    }
    hti_kv_free(kv);
    return 0;
}
