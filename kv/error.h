/* SPDX-License-Identifier: Apache-2.0 */
/* error.h - why the store refused: the words of kv.proto, and a buffer that an
 * answer is made in.
 *
 * An answer, as it is kept and sent between members, is one byte, an enum
 * hti_kv_error, and the packed reply (HTI_KV_DONE) or the reason's words.
 */
#ifndef HTI_KV_ERROR_H
#define HTI_KV_ERROR_H

#include <stdarg.h>

#include <hardtack/base.h>

#include <protobuf-c/protobuf-c.h>

/* Numbers stand in snapshots: add, never change. */
#define HTI_KV_ERRORS(X)                                                       \
    X(HTI_KV_NO_LEADER, 1, "no_leader", HT_EFAILED)                            \
    X(HTI_KV_UNKNOWN, 2, "unknown", HT_EFAILED)                                \
    X(HTI_KV_DISK_FULL, 3, "disk_full", HT_EFAILED)                            \
    X(HTI_KV_FULL, 4, "full", HT_EFAILED)                                      \
    X(HTI_KV_COMPACTED, 5, "compacted", HT_EFAILED)                            \
    X(HTI_KV_NO_LEASE, 6, "no_lease", HT_EFAILED)                              \
    X(HTI_KV_OLD_REQUEST, 7, "old_request", HT_EFAILED)                        \
    X(HTI_KV_BAD_REQUEST, 8, "bad_request", HT_EARGS)                          \
    X(HTI_KV_TOO_BIG, 9, "too_big", HT_ETOOBIG)                                \
    X(HTI_KV_OVERLOAD, 10, "overload", HT_EOVERLOAD)

enum hti_kv_error {
    HTI_KV_DONE = 0,
#define HTI_KV_ERROR_ENUM(name, number, word, err) name = (number),
    HTI_KV_ERRORS(HTI_KV_ERROR_ENUM)
#undef HTI_KV_ERROR_ENUM
};

/* The word that a reason begins with; "" for a number that is none. */
const char *hti_kv_error_word(enum hti_kv_error error);
/* What a caller is given. */
ht_err hti_kv_error_code(enum hti_kv_error error);
/* The inverse of a reason's first word; HTI_KV_DONE if it is none of ours. */
enum hti_kv_error hti_kv_error_of(const char *reason);

/* Grows, keeps its memory. */
struct hti_kv_buf {
    uint8_t *data;
    size_t len, cap;
};

void hti_kv_buf_fini(struct hti_kv_buf *buf);
/* Append room for len bytes; NULL: no memory. */
uint8_t *hti_kv_buf_add(struct hti_kv_buf *buf, size_t len);

/* Make buf, whatever it holds, an answer.  HT_ENOMEM. */
HT_MUSTUSE ht_err hti_kv_answer(struct hti_kv_buf *buf,
                                const ProtobufCMessage *reply);
HT_MUSTUSE ht_err hti_kv_refuse(struct hti_kv_buf *buf,
                                enum hti_kv_error error,
                                const char *format,
                                ...) __attribute__((format(printf, 3, 4)));

#endif /* HTI_KV_ERROR_H */
