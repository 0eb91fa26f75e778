/* SPDX-License-Identifier: Apache-2.0 */
#include "json/base64.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

char *hti_base64_encode(const uint8_t *data, size_t len)
{
    size_t size =
        sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(size);

    if (text != NULL) {
        (void)sodium_bin2base64(text, size, data, len,
                                sodium_base64_VARIANT_ORIGINAL);
    }
    return text;
}

bool hti_base64_decode(const char *text, uint8_t **ret_data, size_t *ret_len)
{
    size_t len = strlen(text);
    int variant = strchr(text, '=') != NULL || len % 4 == 0
                      ? sodium_base64_VARIANT_ORIGINAL
                      : sodium_base64_VARIANT_ORIGINAL_NO_PADDING;
    uint8_t *data = malloc(len / 4 * 3 + 3);
    const char *end = NULL;

    if (data == NULL ||
        sodium_base642bin(data, len / 4 * 3 + 3, text, len, NULL, ret_len, &end,
                          variant) != 0 ||
        end != text + len) {
        free(data);
        return false;
    }
    *ret_data = data;
    return true;
}

char *hti_hex_encode(const uint8_t *data, size_t len)
{
    char *text = malloc(len * 2 + 1);

    if (text != NULL) {
        (void)sodium_bin2hex(text, len * 2 + 1, data, len);
    }
    return text;
}

bool hti_hex_decode(const char *text, uint8_t **ret_data, size_t *ret_len)
{
    size_t len = strlen(text);
    uint8_t *data = malloc(len / 2 + 1);
    const char *end = NULL;

    if (data == NULL ||
        sodium_hex2bin(data, len / 2 + 1, text, len, " \t\r\n", ret_len,
                       &end) != 0 ||
        end != text + len) {
        free(data);
        return false;
    }
    *ret_data = data;
    return true;
}
