/* SPDX-License-Identifier: Apache-2.0 */
/* hardtack/args.h - the argument encoding of ractor's derive macro: build and
 * read argument blocks and bare replies, so that C calls any Rust actor and
 * serves any Rust caller.
 *
 * A builder and a reader have a sticky error: after the first failure every
 * further step does nothing, so a sequence is checked once, at its end.
 * Neither is locked: one thread at a time.  Nothing blocks but
 * ht_args_call_wait().
 *
 *   ht_args args = HT_ARGS_INIT;
 *   ht_args_str(&args, "hello");
 *   ht_args_u64(&args, 42);
 *   err = ht_args_cast(node, to, "Cast1", &args);   // and frees it
 */
#ifndef HARDTACK_ARGS_H
#define HARDTACK_ARGS_H

#include <hardtack/actor.h>
#include <hardtack/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ProtobufCMessage;
struct ProtobufCMessageDescriptor;

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 ht_u128;
__extension__ typedef __int128 ht_i128;
#endif

/** An argument block being built, one argument a step, or a bare reply, of one
 *  step.  Zero is an empty block.  data and len may be read, for a function
 * that takes bytes, while err is HT_OK; the rest is private. */
typedef struct ht_args {
    uint8_t *data;
    size_t len;
    size_t cap;
    ht_err err;
    bool bare; /* a reply: one value without its length */
} ht_args;
#define HT_ARGS_INIT                                                           \
    {                                                                          \
        NULL, 0, 0, HT_OK, false                                               \
    }
/** For a bare reply value. */
#define HT_REPLY_INIT                                                          \
    {                                                                          \
        NULL, 0, 0, HT_OK, true                                                \
    }

/** Free what was built; NULL is fine, and twice.  Only for one that is not
 *  sent: what sends it does this.  An error stays: start anew with the macro.
 */
HT_API void ht_args_fini(ht_args *args);

/** Add a value.  Everything is copied.  The sticky error is HT_ENOMEM or
 *  HT_EINVAL (a value that cannot travel; a second one in a bare reply). */
HT_API void ht_args_u8(ht_args *args, uint8_t v);
HT_API void ht_args_u16(ht_args *args, uint16_t v);
HT_API void ht_args_u32(ht_args *args, uint32_t v);
HT_API void ht_args_u64(ht_args *args, uint64_t v);
HT_API void ht_args_i8(ht_args *args, int8_t v);
HT_API void ht_args_i16(ht_args *args, int16_t v);
HT_API void ht_args_i32(ht_args *args, int32_t v);
HT_API void ht_args_i64(ht_args *args, int64_t v);
#ifdef __SIZEOF_INT128__
HT_API void ht_args_u128(ht_args *args, ht_u128 v);
HT_API void ht_args_i128(ht_args *args, ht_i128 v);
#endif
HT_API void ht_args_f32(ht_args *args, float v);
HT_API void ht_args_f64(ht_args *args, double v);
HT_API void ht_args_bool(ht_args *args, bool v);
/** A Unicode scalar value; HT_EINVAL for a surrogate or above 0x10ffff. */
HT_API void ht_args_char(ht_args *args, uint32_t v);
/** Rust's (): a value without bytes. */
HT_API void ht_args_unit(ht_args *args);
/** Text must be UTF-8, else HT_EINVAL. */
HT_API void ht_args_str(ht_args *args, const char *s);
HT_API void ht_args_strn(ht_args *args, const char *s, size_t len);
/** A Vec<u8>. */
HT_API void ht_args_bytes(ht_args *args, const void *data, size_t len);
/** Vectors of n elements. */
HT_API void ht_args_vec_u16(ht_args *args, const uint16_t *v, size_t n);
HT_API void ht_args_vec_u32(ht_args *args, const uint32_t *v, size_t n);
HT_API void ht_args_vec_u64(ht_args *args, const uint64_t *v, size_t n);
HT_API void ht_args_vec_i8(ht_args *args, const int8_t *v, size_t n);
HT_API void ht_args_vec_i16(ht_args *args, const int16_t *v, size_t n);
HT_API void ht_args_vec_i32(ht_args *args, const int32_t *v, size_t n);
HT_API void ht_args_vec_i64(ht_args *args, const int64_t *v, size_t n);
#ifdef __SIZEOF_INT128__
HT_API void ht_args_vec_u128(ht_args *args, const ht_u128 *v, size_t n);
HT_API void ht_args_vec_i128(ht_args *args, const ht_i128 *v, size_t n);
#endif
HT_API void ht_args_vec_f32(ht_args *args, const float *v, size_t n);
HT_API void ht_args_vec_f64(ht_args *args, const double *v, size_t n);
HT_API void ht_args_vec_bool(ht_args *args, const bool *v, size_t n);
HT_API void ht_args_vec_char(ht_args *args, const uint32_t *v, size_t n);
/** A protobuf message, length-delimited, as ractor's prost helper does. */
HT_API void ht_args_message(ht_args *args, const struct ProtobufCMessage *m);
/** The address of an actor, for Hardtack readers: 16 bytes instance id, then
 *  the pid. HT_EINVAL if the ref's node has none (a ractor node). */
HT_API void ht_args_ref(ht_args *args, ht_node *node, ht_ref ref);

/** Send what was built, and fini it, whatever happens. Errors: the builder's,
 *  then those of the function named. */
HT_API HT_MUSTUSE ht_err ht_args_cast(ht_node *node,
                                      ht_ref to,
                                      const char *variant,
                                      ht_args *args);
HT_API HT_MUSTUSE ht_err ht_args_call_async(ht_actor *self,
                                            ht_ref to,
                                            const char *variant,
                                            ht_args *args,
                                            uint32_t timeout_ms,
                                            ht_reply_fn on_reply,
                                            void *arg);
HT_API HT_MUSTUSE ht_err ht_args_call_wait(ht_node *node,
                                           ht_ref to,
                                           const char *variant,
                                           ht_args *args,
                                           uint32_t timeout_ms,
                                           ht_reply *ret_reply);
/** Answer with a builder made with HT_REPLY_INIT, and fini it.  If it holds an
 *  error, the caller is answered HT_EFAILED and the error is returned.  Else as
 *  ht_reply_ok(). */
HT_API ht_err ht_args_reply(ht_actor *self, ht_call call, ht_args *args);

/** Reads an argument block, or a bare reply.  Borrows the bytes: what it was
 *  made of must outlive it, and what ht_read_str() and the like lend.  err may
 *  be read; the rest is private. */
typedef struct ht_reader {
    const uint8_t *data;
    size_t len;
    size_t at;
    ht_err err;
    bool bare;
} ht_reader;

/** The arguments of a message, in their order. */
HT_API ht_reader ht_reader_args(const ht_msg *msg);
/** The same from bytes, an argument block. */
HT_API ht_reader ht_reader_block(const void *data, size_t len);
/** The one value of a reply.  Of one that is an error, the reader has it. */
HT_API ht_reader ht_reader_reply(const ht_reply *reply);

/** Each takes the next value, and returns zero after an error. Lenient as
 * ractor's: a longer value's extra bytes are ignored, a shorter one is
 * HT_EARGS. */
HT_API uint8_t ht_read_u8(ht_reader *r);
HT_API uint16_t ht_read_u16(ht_reader *r);
HT_API uint32_t ht_read_u32(ht_reader *r);
HT_API uint64_t ht_read_u64(ht_reader *r);
HT_API int8_t ht_read_i8(ht_reader *r);
HT_API int16_t ht_read_i16(ht_reader *r);
HT_API int32_t ht_read_i32(ht_reader *r);
HT_API int64_t ht_read_i64(ht_reader *r);
#ifdef __SIZEOF_INT128__
HT_API ht_u128 ht_read_u128(ht_reader *r);
HT_API ht_i128 ht_read_i128(ht_reader *r);
#endif
HT_API float ht_read_f32(ht_reader *r);
HT_API double ht_read_f64(ht_reader *r);
HT_API bool ht_read_bool(ht_reader *r);
HT_API uint32_t ht_read_char(ht_reader *r);
HT_API void ht_read_unit(ht_reader *r);
/** Valid UTF-8, not NUL-terminated, lent with the bytes. */
HT_API ht_bytes ht_read_str(ht_reader *r);
HT_API ht_bytes ht_read_bytes(ht_reader *r);
/** Vectors: read the field, then its elements with ht_vec_*(). */
typedef struct ht_vec {
    const uint8_t *data;
    size_t count;
    size_t width;
} ht_vec;
/** width: bytes of an element (1, 2, 4, 8, 16). A tail is ignored. */
HT_API ht_vec ht_read_vec(ht_reader *r, size_t width);
/** As ht_read_vec(r, 4), every element checked to be a scalar value. */
HT_API ht_vec ht_read_vec_char(ht_reader *r);
/** Element i; zero if there is none, or v's width does not fit the type. */
HT_API uint64_t ht_vec_u64(const ht_vec *v, size_t i); /* widths 1 to 8 */
HT_API int64_t ht_vec_i64(const ht_vec *v, size_t i);
#ifdef __SIZEOF_INT128__
HT_API ht_u128 ht_vec_u128(const ht_vec *v, size_t i);
HT_API ht_i128 ht_vec_i128(const ht_vec *v, size_t i);
#endif
HT_API float ht_vec_f32(const ht_vec *v, size_t i);
HT_API double ht_vec_f64(const ht_vec *v, size_t i);
HT_API bool ht_vec_bool(const ht_vec *v, size_t i);
/** A message that ht_args_message() wrote.  The caller frees it with
 *  protobuf_c_message_free_unpacked(m, NULL); NULL after an error. */
HT_API struct ProtobufCMessage *
ht_read_message(ht_reader *r, const struct ProtobufCMessageDescriptor *desc);
/** A ref that ht_args_ref() wrote, made one of node's; none after an error.
 *  Its node need not be connected: the ref comes alive when it is. */
HT_API ht_ref ht_read_ref(ht_reader *r, ht_node *node);
/** HT_OK if every step went well and nothing is left of an argument block; else
 *  the first error, HT_EARGS for bytes that do not fit. */
HT_API HT_MUSTUSE ht_err ht_read_end(ht_reader *r);

#ifdef __cplusplus
}
#endif

#endif /* HARDTACK_ARGS_H */
