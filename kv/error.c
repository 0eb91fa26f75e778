/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    enum hti_kv_error error;
    const char *word;
    ht_err code;
} errors[] = {
#define ROW(name, number, word, err) {name, word, err},
    HTI_KV_ERRORS(ROW)
#undef ROW
};
#define ERRORS_COUNT (sizeof(errors) / sizeof(errors[0]))

const char *hti_kv_error_word(enum hti_kv_error error)
{
    for (size_t i = 0; i < ERRORS_COUNT; i++) {
        if (errors[i].error == error) {
            return errors[i].word;
        }
    }
    return "";
}

ht_err hti_kv_error_code(enum hti_kv_error error)
{
    for (size_t i = 0; i < ERRORS_COUNT; i++) {
        if (errors[i].error == error) {
            return errors[i].code;
        }
    }
    return HT_EFAILED;
}

enum hti_kv_error hti_kv_error_of(const char *reason)
{
    size_t len = strcspn(reason, ":");

    for (size_t i = 0; reason[len] == ':' && i < ERRORS_COUNT; i++) {
        if (strlen(errors[i].word) == len &&
            memcmp(errors[i].word, reason, len) == 0) {
            return errors[i].error;
        }
    }
    return HTI_KV_DONE;
}

void hti_kv_buf_fini(struct hti_kv_buf *buf)
{
    free(buf->data);
    *buf = (struct hti_kv_buf){0};
}

uint8_t *hti_kv_buf_add(struct hti_kv_buf *buf, size_t len)
{
    size_t need = buf->len + len;
    uint8_t *at;

    if (need > buf->cap) {
        size_t cap = buf->cap * 2 > need ? buf->cap * 2 : need + 256;
        uint8_t *data = realloc(buf->data, cap);

        if (data == NULL) {
            return NULL;
        }
        buf->data = data;
        buf->cap = cap;
    }
    at = buf->data + buf->len;
    buf->len = need;
    return at;
}

ht_err hti_kv_answer(struct hti_kv_buf *buf, const ProtobufCMessage *reply)
{
    size_t len = protobuf_c_message_get_packed_size(reply);
    uint8_t *at;

    buf->len = 0;
    at = hti_kv_buf_add(buf, 1 + len);
    if (at == NULL) {
        return HT_ENOMEM;
    }
    at[0] = HTI_KV_DONE;
    (void)protobuf_c_message_pack(reply, at + 1);
    return HT_OK;
}

ht_err hti_kv_refuse(struct hti_kv_buf *buf,
                     enum hti_kv_error error,
                     const char *format,
                     ...)
{
    char words[256];
    int skip = snprintf(words, sizeof(words), "%s: ", hti_kv_error_word(error));
    size_t len;
    uint8_t *at;
    va_list list;

    va_start(list, format);
    (void)vsnprintf(words + skip, sizeof(words) - (size_t)skip, format, list);
    va_end(list);
    len = strlen(words);
    buf->len = 0;
    at = hti_kv_buf_add(buf, 1 + len);
    if (at == NULL) {
        return HT_ENOMEM;
    }
    at[0] = (uint8_t)error;
    memcpy(at + 1, words, len);
    return HT_OK;
}
