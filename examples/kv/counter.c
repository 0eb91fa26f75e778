/* SPDX-License-Identifier: Apache-2.0 */
/* counter - add to a number in the replicated store, from any number of
 * programs at once:
 *
 *   counter localhost:4697 cookie [TIMES]
 *
 * Link with: pkg-config --libs hardtack-raft
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <hardtack.h>
#include <hardtack/kv.h>

#define KEY "examples/counter"

/* Read it, and write it back greater by one if nobody was faster. */
static ht_err add_one(ht_node *node, uint64_t *ret_count)
{
    ht_err err;

    do {
        ht_kv_value value = {0};
        char text[24];
        int len;

        err = ht_kv_get(node, NULL, KEY, false, &value);
        if (err != HT_OK && err != HT_ENOENT) {
            return err;
        }
        *ret_count = value.len > 0 ? strtoull(value.data, NULL, 10) + 1 : 1;
        len = snprintf(text, sizeof(text), "%" PRIu64, *ret_count);
        /* revision is 0 if there is no such key, which is what to expect then.
         */
        err = ht_kv_swap(node, NULL, KEY, value.revision, text, (size_t)len,
                         NULL, NULL);
        ht_kv_value_fini(&value);
    } while (err == HT_EEXIST);
    return err;
}

int main(int argc, char **argv)
{
    ht_node *node = NULL;
    uint64_t count = 0;
    int times = argc > 3 ? atoi(argv[3]) : 1;
    ht_err err;

    if (argc < 3) {
        fprintf(stderr, "usage: counter ADDRESS COOKIE-FILE [TIMES]\n");
        return 2;
    }
    err = ht_node_start(
        &(ht_config){.name = "counter", .cookie_file = argv[2], .hidden = true},
        &node);
    if (!err)
        err = ht_client_connect(node, argv[1], NULL);
    while (!err && times-- > 0)
        err = add_one(node, &count);
    if (err)
        fprintf(stderr, "counter: %s %s%s\n", ht_strerror(err),
                ht_start_error(), ht_kv_reason());
    else
        printf("%" PRIu64 "\n", count);
    ht_node_free(node);
    return err != HT_OK;
}
