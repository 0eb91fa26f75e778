/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_args.c - the argument codec: any bytes read as any types stay within
 * bounds, and what was read, built again, is read as the same.
 *
 * Input: a byte for bare, a byte for the number of types, the types, the bytes.
 */
#include <stdlib.h>
#include <string.h>

#include <hardtack/args.h>

#include "base/utf8.h"
#include "proto/hardtack_wire.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static bool is_scalar(uint64_t v)
{
    return v <= 0x10ffff && (v < 0xd800 || v > 0xdfff);
}

/* Touch every byte, so that the sanitizer sees what lies outside. */
static void touch(ht_bytes b)
{
    volatile uint8_t sum = 0;

    for (size_t i = 0; i < b.len; i++) {
        sum = (uint8_t)(sum + ((const uint8_t *)b.data)[i]);
    }
}

static void copy_text(ht_reader *r, ht_args *out)
{
    ht_bytes text = ht_read_str(r);

    require(hti_utf8_valid(text.data, text.len));
    ht_args_strn(out, text.data != NULL ? text.data : "", text.len);
}

static void copy_bytes(ht_reader *r, ht_args *out)
{
    ht_bytes bytes = ht_read_bytes(r);

    touch(bytes);
    ht_args_bytes(out, bytes.data, bytes.len);
}

static void copy_vec(ht_reader *r, ht_args *out, size_t width)
{
    ht_vec v = ht_read_vec(r, width);

    for (size_t i = 0; i < v.count; i++) {
        int64_t wide = ht_vec_i64(&v, i);
        ht_u128 widest = ht_vec_u128(&v, i);

        require(width > 8 || (uint64_t)widest == ht_vec_u64(&v, i));
        require(width > 4 || wide <= UINT32_MAX);
    }
    require(ht_vec_u64(&v, v.count) == 0);
    ht_args_bytes(out, v.data, v.count * width);
}

static void copy_chars(ht_reader *r, ht_args *out)
{
    ht_vec v = ht_read_vec_char(r);

    for (size_t i = 0; i < v.count; i++) {
        require(is_scalar(ht_vec_u64(&v, i)));
    }
    ht_args_bytes(out, v.data, 4 * v.count);
}

static void copy_message(ht_reader *r, ht_args *out)
{
    ProtobufCMessage *m =
        ht_read_message(r, &hardtack__wire__pg_join__descriptor);

    require((m != NULL) == (r->err == HT_OK));
    if (m != NULL) {
        ht_args_message(out, m);
        protobuf_c_message_free_unpacked(m, NULL);
    }
}

static void copy_number(unsigned type, ht_reader *r, ht_args *out)
{
    switch (type) {
    case 0:
        ht_args_u8(out, ht_read_u8(r));
        break;
    case 1:
        ht_args_u16(out, ht_read_u16(r));
        break;
    case 2:
        ht_args_i32(out, ht_read_i32(r));
        break;
    case 3:
        ht_args_i64(out, ht_read_i64(r));
        break;
    case 4:
        ht_args_u128(out, ht_read_u128(r));
        break;
    case 5:
        ht_args_f64(out, ht_read_f64(r));
        break;
    case 6:
        ht_args_bool(out, ht_read_bool(r));
        break;
    default:
        ht_args_char(out, ht_read_char(r));
        break;
    }
}

static void copy(unsigned type, ht_reader *r, ht_args *out)
{
    switch (type % 16) {
    case 8:
        copy_text(r, out);
        break;
    case 9:
        copy_bytes(r, out);
        break;
    case 10:
    case 11:
    case 12:
    case 13:
        copy_vec(r, out, (size_t)1 << (type % 16 - 9));
        break;
    case 14:
        copy_chars(r, out);
        break;
    case 15:
        copy_message(r, out);
        break;
    default:
        copy_number(type % 8, r, out);
        break;
    }
}

/* Read all the types, build each again. */
static ht_err
copy_all(const uint8_t *types, size_t count, ht_reader r, ht_args *out)
{
    for (size_t i = 0; i < count; i++) {
        copy(types[i], &r, out);
        require(r.at <= r.len);
    }
    return ht_read_end(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ht_args once = HT_ARGS_INIT;
    ht_args twice = HT_ARGS_INIT;
    ht_reader r;
    size_t count;

    if (size < 2) {
        return 0;
    }
    count = data[1] % 8;
    if (count > size - 2) {
        count = size - 2;
    }
    r = ht_reader_block(data + 2 + count, size - 2 - count);
    r.bare = data[0] % 2 != 0;
    once.bare = r.bare;
    twice.bare = r.bare;
    if (r.bare && count > 1) {
        count = 1;
    }
    if (copy_all(data + 2, count, r, &once) == HT_OK) {
        ht_reader again = ht_reader_block(once.data, once.len);

        require(once.err == HT_OK);
        again.bare = once.bare;
        require(copy_all(data + 2, count, again, &twice) == HT_OK);
        require(once.len == twice.len);
        require(once.len == 0 || memcmp(once.data, twice.data, once.len) == 0);
    }
    ht_args_fini(&once);
    ht_args_fini(&twice);
    return 0;
}
