/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_kv_command.c - the store's log: any bytes as commands are done, refused,
 * or no commands, and what they leave behind is a state that a snapshot keeps.
 *
 * Input: commands, each behind two bytes of length.
 */
#include <stdlib.h>
#include <string.h>

#include "kv/check.h"
#include "kv/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static struct hti_kv_buf snapshot(struct hti_kv *kv)
{
    struct hti_kv_buf all = {0};
    struct hti_kv_cursor *cursor;
    size_t len;

    require(hti_kv_snapshot_open(kv, &cursor) == HT_OK);
    do {
        size_t before = all.len;
        uint8_t *at = hti_kv_buf_add(&all, 512);

        require(at != NULL);
        require(hti_kv_snapshot_read(kv, cursor, at, 512, &len) == HT_OK);
        all.len = before + len;
    } while (len > 0);
    hti_kv_snapshot_close(kv, cursor);
    return all;
}

/* Another store that is restored from it has the same. */
static void check_snapshot(struct hti_kv *kv)
{
    const struct hti_kv_opts opts = {0};
    struct hti_kv *other = hti_kv_new(&opts);
    struct hti_kv_buf first = snapshot(kv);
    struct hti_kv_buf second;

    require(other != NULL);
    require(hti_kv_restore_begin(other) == HT_OK);
    require(hti_kv_restore_data(other, (ht_bytes){first.data, first.len}) ==
            HT_OK);
    require(hti_kv_restore_end(other) == HT_OK);
    second = snapshot(other);
    require(first.len == second.len);
    require(memcmp(first.data, second.data, first.len) == 0);
    hti_kv_buf_fini(&first);
    hti_kv_buf_fini(&second);
    hti_kv_free(other);
}

static void do_command(struct hti_kv *kv, ht_bytes command)
{
    uint64_t revision = kv->revision;
    uint64_t time_ms = kv->time_ms;
    ht_bytes answer;
    ht_err err = hti_kv_apply(kv, command, &answer);

    require(err == HT_OK || err == HT_EPROTO);
    require(kv->revision >= revision && kv->time_ms >= time_ms);
    if (err == HT_EPROTO) {
        require(kv->revision == revision);
    } else {
        require(answer.len >= 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct hti_kv_opts opts = {.history_max = 16};
    struct hti_kv *kv = hti_kv_new(&opts);

    require(kv != NULL);
    while (size >= 2) {
        size_t len = (size_t)data[0] << 8 | data[1];

        data += 2;
        size -= 2;
        len = len < size ? len : size;
        do_command(kv, (ht_bytes){data, len});
        data += len;
        size -= len;
    }
    check_snapshot(kv);
    hti_kv_free(kv);
    return 0;
}
