/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_json_pb.c - any bytes are a message or an error; a message as JSON can
 * be encoded again, and is then the same JSON.
 *
 * Input: a byte that chooses the type (those of the administration service),
 * the message.
 */
#include <stdlib.h>

#include "node/admin_describe.h"
#include "json/json_pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static const Hardtack__Admin__Description *description(void)
{
    static Hardtack__Admin__Description *described;

    if (described == NULL) {
        described = malloc(sizeof(*described));
        require(described != NULL);
        hardtack__admin__description__init(described);
        require(hti_admin_describe(&hardtack__admin__admin__descriptor,
                                   described) == HT_OK);
    }
    return described;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const Hardtack__Admin__Description *types = description();
    char error[JSON_PB_ERROR_MAX];
    json_t *once = NULL;
    json_t *again = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    const char *name;

    if (size == 0) {
        return 0;
    }
    name = types->messages[data[0] % types->n_messages]->name;
    if (hti_json_pb_decode(types, name, data + 1, size - 1, &once, error) !=
        HT_OK) {
        require(error[0] != '\0');
        return 0;
    }
    require(hti_json_pb_encode(types, name, once, &bytes, &len, error) ==
            HT_OK);
    require(hti_json_pb_decode(types, name, bytes, len, &again, error) ==
            HT_OK);
    require(json_equal(once, again));
    free(bytes);
    json_decref(once);
    json_decref(again);
    return 0;
}
