/* SPDX-License-Identifier: Apache-2.0 */
/* args.c - the argument encoding of ractor's derive macro: bytes only.
 *
 * An argument block is, for each field in order, its length as a big-endian u64
 * and its bytes; a reply is one value without its length.  Numbers are
 * big-endian (ractor-wire, section 7).
 */
#include <hardtack/args.h>

#include <stdlib.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>

#include "base/utf8.h"
#include "proto/pb.h"
#include "typed/args_message.h"

#define LEN_BYTES 8

static void store_be(uint8_t *p, uint64_t v, size_t width)
{
    for (size_t i = width; i > 0; i--) {
        p[i - 1] = (uint8_t)v;
        v >>= 8;
    }
}

static uint64_t load_be(const uint8_t *p, size_t width)
{
    uint64_t v = 0;

    for (size_t i = 0; i < width; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

/* A Unicode scalar value, as Rust's char. */
static bool is_scalar(uint32_t v)
{
    return v <= 0x10ffff && (v < 0xd800 || v > 0xdfff);
}

/* ---- building ------------------------------------------------------------ */

void ht_args_fini(ht_args *args)
{
    if (args == NULL) {
        return;
    }
    free(args->data);
    args->data = NULL;
    args->len = 0;
    args->cap = 0;
}

static void fail(ht_args *args, ht_err err)
{
    if (args->err == HT_OK) {
        args->err = err;
    }
}

static bool reserve(ht_args *args, size_t more)
{
    size_t cap = args->cap > 0 ? args->cap : 64;
    uint8_t *data;

    if (more <= args->cap - args->len) {
        return true;
    }
    if (more > SIZE_MAX / 2 - args->len) {
        fail(args, HT_ENOMEM);
        return false;
    }
    while (cap < args->len + more) {
        cap *= 2;
    }
    data = realloc(args->data, cap);
    if (data == NULL) {
        fail(args, HT_ENOMEM);
        return false;
    }
    args->data = data;
    args->cap = cap;
    return true;
}

/* Room for one value of len bytes, its length written before it.  NULL: args
 * has an error. */
static uint8_t *put(ht_args *args, size_t len)
{
    size_t head = args->bare ? 0 : LEN_BYTES;
    uint8_t *p;

    if (args->err != HT_OK) {
        return NULL;
    }
    if (args->bare && args->len > 0) { /* a reply is one value */
        fail(args, HT_EINVAL);
        return NULL;
    }
    if (len > SIZE_MAX / 2 || !reserve(args, head + len + 1)) {
        fail(args, HT_ENOMEM);
        return NULL;
    }
    p = args->data + args->len;
    store_be(p, len, head);
    args->len += head + len;
    return p + head;
}

/* Room for n elements of width bytes. */
static uint8_t *put_vec(ht_args *args, const void *v, size_t n, size_t width)
{
    if (v == NULL && n > 0) {
        fail(args, HT_EINVAL);
        return NULL;
    }
    if (n > SIZE_MAX / 2 / width) {
        fail(args, HT_ENOMEM);
        return NULL;
    }
    return put(args, n * width);
}

static void put_uint(ht_args *args, uint64_t v, size_t width)
{
    uint8_t *p = put(args, width);

    if (p != NULL) {
        store_be(p, v, width);
    }
}

void ht_args_u8(ht_args *args, uint8_t v)
{
    put_uint(args, v, 1);
}

void ht_args_u16(ht_args *args, uint16_t v)
{
    put_uint(args, v, 2);
}

void ht_args_u32(ht_args *args, uint32_t v)
{
    put_uint(args, v, 4);
}

void ht_args_u64(ht_args *args, uint64_t v)
{
    put_uint(args, v, 8);
}

void ht_args_i8(ht_args *args, int8_t v)
{
    put_uint(args, (uint64_t)v, 1);
}

void ht_args_i16(ht_args *args, int16_t v)
{
    put_uint(args, (uint64_t)v, 2);
}

void ht_args_i32(ht_args *args, int32_t v)
{
    put_uint(args, (uint64_t)v, 4);
}

void ht_args_i64(ht_args *args, int64_t v)
{
    put_uint(args, (uint64_t)v, 8);
}

static uint32_t bits_of_f32(float v)
{
    uint32_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static uint64_t bits_of_f64(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits;
}

void ht_args_f32(ht_args *args, float v)
{
    put_uint(args, bits_of_f32(v), 4);
}

void ht_args_f64(ht_args *args, double v)
{
    put_uint(args, bits_of_f64(v), 8);
}

void ht_args_bool(ht_args *args, bool v)
{
    put_uint(args, v ? 1 : 0, 1);
}

void ht_args_char(ht_args *args, uint32_t v)
{
    if (!is_scalar(v)) {
        fail(args, HT_EINVAL);
        return;
    }
    put_uint(args, v, 4);
}

void ht_args_unit(ht_args *args)
{
    (void)put(args, 0);
}

void ht_args_str(ht_args *args, const char *s)
{
    ht_args_strn(args, s, s != NULL ? strlen(s) : 1);
}

void ht_args_strn(ht_args *args, const char *s, size_t len)
{
    if (s != NULL && !hti_utf8_valid(s, len)) {
        fail(args, HT_EINVAL);
        return;
    }
    ht_args_bytes(args, s, len);
}

void ht_args_bytes(ht_args *args, const void *data, size_t len)
{
    uint8_t *p = put_vec(args, data, len, 1);

    if (p != NULL && len > 0) {
        memcpy(p, data, len);
    }
}

/* Vectors: the elements one after the other, without a count. */
#define DEFINE_VEC(name, type, width, bits)                                    \
    void ht_args_vec_##name(ht_args *args, const type *v, size_t n)            \
    {                                                                          \
        uint8_t *p = put_vec(args, v, n, width);                               \
                                                                               \
        for (size_t i = 0; p != NULL && i < n; i++) {                          \
            store_be(p + i * (width), (uint64_t)(bits), width);                \
        }                                                                      \
    }
DEFINE_VEC(u16, uint16_t, 2, v[i])
DEFINE_VEC(u32, uint32_t, 4, v[i])
DEFINE_VEC(u64, uint64_t, 8, v[i])
DEFINE_VEC(i8, int8_t, 1, v[i])
DEFINE_VEC(i16, int16_t, 2, v[i])
DEFINE_VEC(i32, int32_t, 4, v[i])
DEFINE_VEC(i64, int64_t, 8, v[i])
DEFINE_VEC(f32, float, 4, bits_of_f32(v[i]))
DEFINE_VEC(f64, double, 8, bits_of_f64(v[i]))
DEFINE_VEC(bool, bool, 1, v[i] ? 1 : 0)

void ht_args_vec_char(ht_args *args, const uint32_t *v, size_t n)
{
    for (size_t i = 0; v != NULL && i < n; i++) {
        if (!is_scalar(v[i])) {
            fail(args, HT_EINVAL);
            return;
        }
    }
    ht_args_vec_u32(args, v, n);
}

#ifdef __SIZEOF_INT128__
static void store_be128(uint8_t *p, ht_u128 v)
{
    store_be(p, (uint64_t)(v >> 64), 8);
    store_be(p + 8, (uint64_t)v, 8);
}

void ht_args_u128(ht_args *args, ht_u128 v)
{
    ht_args_vec_u128(args, &v, 1);
}

void ht_args_i128(ht_args *args, ht_i128 v)
{
    ht_args_vec_i128(args, &v, 1);
}

void ht_args_vec_u128(ht_args *args, const ht_u128 *v, size_t n)
{
    uint8_t *p = put_vec(args, v, n, 16);

    for (size_t i = 0; p != NULL && i < n; i++) {
        store_be128(p + 16 * i, v[i]);
    }
}

void ht_args_vec_i128(ht_args *args, const ht_i128 *v, size_t n)
{
    uint8_t *p = put_vec(args, v, n, 16);

    for (size_t i = 0; p != NULL && i < n; i++) {
        store_be128(p + 16 * i, (ht_u128)v[i]);
    }
}
#endif

void ht_args_message(ht_args *args, const struct ProtobufCMessage *m)
{
    size_t size;
    uint8_t *p;

    if (m == NULL) {
        fail(args, HT_EINVAL);
        return;
    }
    size = protobuf_c_message_get_packed_size(m);
    if (size > SIZE_MAX / 4) {
        fail(args, HT_ENOMEM);
        return;
    }
    p = put(args, hti_pb_varint_size(size) + size);
    if (p != NULL) {
        protobuf_c_message_pack(m, hti_pb_put_varint(p, size));
    }
}

/* ---- reading ------------------------------------------------------------- */

ht_reader ht_reader_block(const void *data, size_t len)
{
    ht_reader r = {.data = data, .len = len};

    return r;
}

ht_reader ht_reader_reply(const ht_reply *reply)
{
    ht_reader r = {.data = reply->data, .len = reply->len, .bare = true};

    /* A call that failed has no value to read. */
    r.err = reply->err;
    return r;
}

static void refuse(ht_reader *r, ht_err err)
{
    if (r->err == HT_OK) {
        r->err = err;
    }
}

/* The next value's bytes, at least min of them. */
static bool take(ht_reader *r, size_t min, ht_bytes *ret)
{
    size_t left = r->len - r->at;
    uint64_t len = left;
    size_t head = r->bare ? 0 : LEN_BYTES;

    if (r->err != HT_OK) {
        return false;
    }
    if (left < head) {
        refuse(r, HT_EARGS);
        return false;
    }
    if (!r->bare) {
        len = load_be(r->data + r->at, LEN_BYTES);
    }
    if (len > left - head || len < min) {
        refuse(r, HT_EARGS);
        return false;
    }
    ret->len = (size_t)len;
    ret->data = r->len > 0 ? r->data + r->at + head : NULL;
    r->at += head + (size_t)len;
    return true;
}

/* More bytes than an integer has are ignored, as ractor does. */
static uint64_t take_uint(ht_reader *r, size_t width)
{
    ht_bytes value;

    return take(r, width, &value) ? load_be(value.data, width) : 0;
}

uint8_t ht_read_u8(ht_reader *r)
{
    return (uint8_t)take_uint(r, 1);
}

uint16_t ht_read_u16(ht_reader *r)
{
    return (uint16_t)take_uint(r, 2);
}

uint32_t ht_read_u32(ht_reader *r)
{
    return (uint32_t)take_uint(r, 4);
}

uint64_t ht_read_u64(ht_reader *r)
{
    return take_uint(r, 8);
}

int8_t ht_read_i8(ht_reader *r)
{
    return (int8_t)take_uint(r, 1);
}

int16_t ht_read_i16(ht_reader *r)
{
    return (int16_t)take_uint(r, 2);
}

int32_t ht_read_i32(ht_reader *r)
{
    return (int32_t)take_uint(r, 4);
}

int64_t ht_read_i64(ht_reader *r)
{
    return (int64_t)take_uint(r, 8);
}

static float f32_of_bits(uint32_t bits)
{
    float v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

static double f64_of_bits(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

float ht_read_f32(ht_reader *r)
{
    return f32_of_bits((uint32_t)take_uint(r, 4));
}

double ht_read_f64(ht_reader *r)
{
    return f64_of_bits(take_uint(r, 8));
}

bool ht_read_bool(ht_reader *r)
{
    return take_uint(r, 1) == 1;
}

uint32_t ht_read_char(ht_reader *r)
{
    uint32_t v = (uint32_t)take_uint(r, 4);

    if (!is_scalar(v)) {
        refuse(r, HT_EARGS);
        return 0;
    }
    return v;
}

void ht_read_unit(ht_reader *r)
{
    ht_bytes ignored;

    (void)take(r, 0, &ignored);
}

ht_bytes ht_read_bytes(ht_reader *r)
{
    ht_bytes value = {NULL, 0};

    (void)take(r, 0, &value);
    return value;
}

ht_bytes ht_read_str(ht_reader *r)
{
    ht_bytes value = ht_read_bytes(r);

    if (!hti_utf8_valid(value.data, value.len)) {
        refuse(r, HT_EARGS);
        return (ht_bytes){NULL, 0};
    }
    return value;
}

/* ---- vectors ------------------------------------------------------------- */

ht_vec ht_read_vec(ht_reader *r, size_t width)
{
    ht_vec v = {NULL, 0, width};
    ht_bytes value;

    if (width == 0 || width > 16 || (width & (width - 1)) != 0) {
        refuse(r, HT_EINVAL);
        return v;
    }
    if (take(r, 0, &value)) {
        v.data = value.data;
        v.count = value.len / width;
    }
    return v;
}

ht_vec ht_read_vec_char(ht_reader *r)
{
    ht_vec v = ht_read_vec(r, 4);

    for (size_t i = 0; i < v.count; i++) {
        if (!is_scalar((uint32_t)load_be(v.data + 4 * i, 4))) {
            refuse(r, HT_EARGS);
            v.count = 0;
        }
    }
    return v;
}

/* Out of range, or of a width that does not fit: zero. */
static uint64_t element(const ht_vec *v, size_t i, size_t width_max)
{
    if (i >= v->count || v->width > width_max) {
        return 0;
    }
    return load_be(v->data + i * v->width, v->width);
}

uint64_t ht_vec_u64(const ht_vec *v, size_t i)
{
    return element(v, i, 8);
}

int64_t ht_vec_i64(const ht_vec *v, size_t i)
{
    uint64_t bits = element(v, i, 8);
    uint64_t sign = v->width < 8 ? UINT64_C(1) << (8 * v->width - 1) : 0;

    /* Flip the sign bit up and take it off again: extends it. */
    return (int64_t)((bits ^ sign) - sign);
}

float ht_vec_f32(const ht_vec *v, size_t i)
{
    return f32_of_bits(v->width == 4 ? (uint32_t)element(v, i, 4) : 0);
}

double ht_vec_f64(const ht_vec *v, size_t i)
{
    return f64_of_bits(v->width == 8 ? element(v, i, 8) : 0);
}

bool ht_vec_bool(const ht_vec *v, size_t i)
{
    return element(v, i, 1) == 1;
}

#ifdef __SIZEOF_INT128__
static ht_u128 load_be128(const uint8_t *p)
{
    return (ht_u128)load_be(p, 8) << 64 | load_be(p + 8, 8);
}

ht_u128 ht_read_u128(ht_reader *r)
{
    ht_bytes value;

    return take(r, 16, &value) ? load_be128(value.data) : 0;
}

ht_i128 ht_read_i128(ht_reader *r)
{
    return (ht_i128)ht_read_u128(r);
}

ht_u128 ht_vec_u128(const ht_vec *v, size_t i)
{
    if (v->width != 16) {
        return element(v, i, 8);
    }
    return i < v->count ? load_be128(v->data + 16 * i) : 0;
}

ht_i128 ht_vec_i128(const ht_vec *v, size_t i)
{
    return v->width == 16 ? (ht_i128)ht_vec_u128(v, i) : ht_vec_i64(v, i);
}
#endif

/* ---- messages, and the end ----------------------------------------------- */

struct ProtobufCMessage *
ht_read_message(ht_reader *r, const struct ProtobufCMessageDescriptor *desc)
{
    ProtobufCMessage *m = NULL;
    ht_bytes value;
    ht_err err;

    if (!take(r, 0, &value)) {
        return NULL;
    }
    err = hti_message_decode_delimited(desc, value, &m);
    if (err != HT_OK) {
        refuse(r, err);
    }
    return m;
}

ht_err ht_read_end(ht_reader *r)
{
    if (!r->bare && r->at != r->len) {
        refuse(r, HT_EARGS);
    }
    return r->err;
}
