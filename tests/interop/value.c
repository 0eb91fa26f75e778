/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/interop/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/calculator/calculator.pb-c.h"

/* What is longer is shown by its length and a hash. */
#define SHOWN_BYTES_MAX 64

enum kind {
    UNSIGNED,
    SIGNED,
    FLOAT, /* by its bits: NaN and -0.0 compare */
    BOOL,
    CHAR,
    UNIT,
    STRING,
    BYTES,
    MESSAGE,
};

struct type {
    const char *name;
    enum kind kind;
    bool list;
    size_t width; /* of an element in memory, which is that on the wire */
    const ProtobufCMessageDescriptor *message;
    /* Read into a value that has its type and nothing else. */
    void (*read)(ht_reader *r, struct value *value);
    void (*put)(ht_args *args, const struct value *value);
};

static void value_reserve(struct value *value, size_t count, size_t width)
{
    value->count = count;
    value->items = calloc(count ? count : 1, width);
    if (value->items == NULL) {
        abort();
    }
}

static void
value_set(struct value *value, const void *items, size_t count, size_t width)
{
    value_reserve(value, count, width);
    if (count != 0) {
        memcpy(value->items, items, count * width);
    }
}

/* ---- one reader and one writer for each type ----------------------------- */

#define SCALAR(word, ctype)                                                    \
    static void read_##word(ht_reader *r, struct value *value)                 \
    {                                                                          \
        ctype x = ht_read_##word(r);                                           \
                                                                               \
        value_set(value, &x, 1, sizeof(x));                                    \
    }                                                                          \
    static void put_##word(ht_args *args, const struct value *value)           \
    {                                                                          \
        ht_args_##word(args, *(const ctype *)value->items);                    \
    }

#define VECTOR(word, ctype, get, read_field)                                   \
    static void read_vec_##word(ht_reader *r, struct value *value)             \
    {                                                                          \
        ht_vec field = read_field;                                             \
        ctype *items;                                                          \
                                                                               \
        value_reserve(value, field.count, sizeof(ctype));                      \
        items = value->items;                                                  \
        for (size_t i = 0; i < field.count; i++) {                             \
            items[i] = (ctype)get(&field, i);                                  \
        }                                                                      \
    }                                                                          \
    static void put_vec_##word(ht_args *args, const struct value *value)       \
    {                                                                          \
        ht_args_vec_##word(args, value->items, value->count);                  \
    }

#define BOTH(word, ctype, get)                                                 \
    SCALAR(word, ctype)                                                        \
    VECTOR(word, ctype, get, ht_read_vec(r, sizeof(ctype)))

SCALAR(u8, uint8_t)
BOTH(u16, uint16_t, ht_vec_u64)
BOTH(u32, uint32_t, ht_vec_u64)
BOTH(u64, uint64_t, ht_vec_u64)
BOTH(u128, ht_u128, ht_vec_u128)
BOTH(i8, int8_t, ht_vec_i64)
BOTH(i16, int16_t, ht_vec_i64)
BOTH(i32, int32_t, ht_vec_i64)
BOTH(i64, int64_t, ht_vec_i64)
BOTH(i128, ht_i128, ht_vec_i128)
BOTH(f32, float, ht_vec_f32)
BOTH(f64, double, ht_vec_f64)
SCALAR(bool, bool)
VECTOR(bool, bool, ht_vec_bool, ht_read_vec(r, sizeof(bool)))
SCALAR(char, uint32_t)
VECTOR(char, uint32_t, ht_vec_u64, ht_read_vec_char(r))

static void read_unit(ht_reader *r, struct value *value)
{
    ht_read_unit(r);
    value->count = 1;
}

static void put_unit(ht_args *args, const struct value *value)
{
    (void)value;
    ht_args_unit(args);
}

static void read_str(ht_reader *r, struct value *value)
{
    ht_bytes text = ht_read_str(r);

    value_set(value, text.data, text.len, 1);
}

static void put_str(ht_args *args, const struct value *value)
{
    ht_args_strn(args, value->items, value->count);
}

static void read_bytes(ht_reader *r, struct value *value)
{
    ht_bytes bytes = ht_read_bytes(r);

    value_set(value, bytes.data, bytes.len, 1);
}

static void put_bytes(ht_args *args, const struct value *value)
{
    ht_args_bytes(args, value->items, value->count);
}

static void read_message(ht_reader *r, struct value *value)
{
    value->message = ht_read_message(r, value->type->message);
    value->count = 1;
}

static void put_message(ht_args *args, const struct value *value)
{
    ht_args_message(args, value->message);
}

#define WITH_VECTOR(NAME, kind, word, ctype)                                   \
    {#NAME, kind, false, sizeof(ctype), NULL, read_##word, put_##word},        \
    {                                                                          \
        "Vec" #NAME, kind, true, sizeof(ctype), NULL, read_vec_##word,         \
            put_vec_##word                                                     \
    }

static const struct type types[] = {
    {"U8", UNSIGNED, false, 1, NULL, read_u8, put_u8},
    WITH_VECTOR(U16, UNSIGNED, u16, uint16_t),
    WITH_VECTOR(U32, UNSIGNED, u32, uint32_t),
    WITH_VECTOR(U64, UNSIGNED, u64, uint64_t),
    WITH_VECTOR(U128, UNSIGNED, u128, ht_u128),
    WITH_VECTOR(I8, SIGNED, i8, int8_t),
    WITH_VECTOR(I16, SIGNED, i16, int16_t),
    WITH_VECTOR(I32, SIGNED, i32, int32_t),
    WITH_VECTOR(I64, SIGNED, i64, int64_t),
    WITH_VECTOR(I128, SIGNED, i128, ht_i128),
    WITH_VECTOR(F32, FLOAT, f32, float),
    WITH_VECTOR(F64, FLOAT, f64, double),
    WITH_VECTOR(Bool, BOOL, bool, bool),
    WITH_VECTOR(Char, CHAR, char, uint32_t),
    {"Unit", UNIT, false, 0, NULL, read_unit, put_unit},
    {"Str", STRING, false, 1, NULL, read_str, put_str},
    {"Bytes", BYTES, false, 1, NULL, read_bytes, put_bytes},
    {"Operands", MESSAGE, false, 0, &calc__operands__descriptor, read_message,
     put_message},
    {"Expression", MESSAGE, false, 0, &calc__expression__descriptor,
     read_message, put_message},
    {"CalcResult", MESSAGE, false, 0, &calc__result__descriptor, read_message,
     put_message},
};

const struct type *type_find(const char *name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].name, name) == 0) {
            return &types[i];
        }
    }
    return NULL;
}

/* ---- from text ----------------------------------------------------------- */

/* Decimal, of len characters, that fits the type. */
static bool
parse_integer(const struct type *type, const char *text, size_t len, void *item)
{
    bool negative = len != 0 && text[0] == '-';
    unsigned bits = (unsigned)type->width * 8;
    ht_u128 most = type->kind == SIGNED
                       ? (((ht_u128)1 << (bits - 1)) - (negative ? 0 : 1))
                       : ~(ht_u128)0 >> (128 - bits);
    ht_u128 x = 0;

    if (len == negative || (negative && type->kind == UNSIGNED)) {
        return false;
    }
    for (size_t i = negative; i < len; i++) {
        unsigned digit = (unsigned)(text[i] - '0');

        if (digit > 9 || x > (most - digit) / 10) {
            return false;
        }
        x = x * 10 + digit;
    }
    x = negative ? -x : x;
    /* Little-endian machines keep the low bytes first; the others last. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(item, &x, type->width);
#else
    memcpy(item, (char *)&x + sizeof(x) - type->width, type->width);
#endif
    return true;
}

static bool parse_hex(const char *text, size_t len, uint64_t *ret_value)
{
    uint64_t x = 0;

    if (len == 0 || len > 16) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = text[i] != '\0' ? strchr(digits, text[i]) : NULL;

        if (digit == NULL) {
            return false;
        }
        x = x << 4 | (uint64_t)(digit - digits);
    }
    *ret_value = x;
    return true;
}

static bool
parse_item(const struct type *type, const char *text, size_t len, void *item)
{
    uint64_t bits = 0;
    uint32_t low;

    switch (type->kind) {
    case UNSIGNED:
    case SIGNED:
        return parse_integer(type, text, len, item);
    case FLOAT:
    case CHAR:
        if (!parse_hex(text, len, &bits) || len > 2 * type->width) {
            return false;
        }
        low = (uint32_t)bits;
        memcpy(item, type->width == 8 ? (void *)&bits : (void *)&low,
               type->width);
        return true;
    case BOOL:
        *(bool *)item = len == 4;
        return (len == 4 && memcmp(text, "true", 4) == 0) ||
               (len == 5 && memcmp(text, "false", 5) == 0);
    case UNIT:
    case STRING:
    case BYTES:
    case MESSAGE:
        break;
    }
    return false;
}

static bool parse_list(struct value *value, const char *text)
{
    const struct type *type = value->type;
    size_t count = strcmp(text, "-") != 0;

    for (const char *c = text; *c != '\0' && count != 0; c++) {
        count += *c == ',';
    }
    value_reserve(value, count, type->width);
    for (size_t i = 0; i < count; i++) {
        size_t len = strcspn(text, ",");

        if (!parse_item(type, text, len,
                        (char *)value->items + i * type->width)) {
            return false;
        }
        text += len + 1;
    }
    return true;
}

/* "@N" is N letters, or N bytes of a pattern; "-" is none; else it is hex. */
static bool parse_bytes(struct value *value, const char *text)
{
    bool letters = value->type->kind != BYTES;
    size_t len = strlen(text);
    uint8_t *items;

    if (text[0] == '@') {
        value_reserve(value, strtoul(text + 1, NULL, 10), 1);
        items = value->items;
        for (size_t i = 0; i < value->count; i++) {
            items[i] = letters ? (uint8_t)('a' + i % 26) : (uint8_t)(i % 251);
        }
        return true;
    }
    len = strcmp(text, "-") == 0 ? 0 : len;
    /* One more, so that it can be a C string. */
    value_reserve(value, len / 2 + 1, 1);
    value->count = len / 2;
    items = value->items;
    for (size_t i = 0; i < len / 2; i++) {
        uint64_t byte = 0;

        if (!parse_hex(text + 2 * i, 2, &byte)) {
            return false;
        }
        items[i] = (uint8_t)byte;
    }
    return len % 2 == 0;
}

static bool parse_double(const char *text, size_t len, double *ret_value)
{
    uint64_t bits = 0;

    if (!parse_hex(text, len, &bits)) {
        return false;
    }
    memcpy(ret_value, &bits, sizeof(bits));
    return true;
}

/* By way of its bytes, so that the message is the allocator's of protobuf-c. */
static void message_set(struct value *value, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(len ? len : 1);

    if (bytes != NULL) {
        protobuf_c_message_pack(message, bytes);
        value->message =
            protobuf_c_message_unpack(value->type->message, NULL, len, bytes);
    }
    value->count = 1;
    free(bytes);
}

static bool parse_message(struct value *value, const char *text)
{
    const ProtobufCMessageDescriptor *type = value->type->message;
    Calc__Operands operands = CALC__OPERANDS__INIT;
    Calc__Expression expression = CALC__EXPRESSION__INIT;
    Calc__Result result = CALC__RESULT__INIT;
    struct value words = {.type = type_find("Str")};
    size_t len = strcspn(text, ":");

    if (type == &calc__operands__descriptor) {
        if (text[len] == '\0' || !parse_double(text, len, &operands.a) ||
            !parse_double(text + len + 1, strlen(text + len + 1),
                          &operands.b)) {
            return false;
        }
        message_set(value, &operands.base);
    } else if (type == &calc__result__descriptor) {
        if (!parse_double(text, len, &result.value)) {
            return false;
        }
        message_set(value, &result.base);
    } else {
        if (text[0] == '@' || !parse_bytes(&words, text)) {
            value_fini(&words);
            return false;
        }
        expression.text = words.items;
        message_set(value, &expression.base);
        value_fini(&words);
    }
    return value->message != NULL;
}

bool value_parse(const struct type *type,
                 const char *text,
                 struct value *ret_value)
{
    struct value value = {.type = type};
    bool ok = false;

    if (type->list) {
        ok = parse_list(&value, text);
    } else if (type->kind == UNIT) {
        ok = strcmp(text, "-") == 0;
    } else if (type->kind == STRING || type->kind == BYTES) {
        ok = parse_bytes(&value, text);
    } else if (type->kind == MESSAGE) {
        ok = parse_message(&value, text);
    } else {
        value_reserve(&value, 1, type->width);
        ok = parse_item(type, text, strlen(text), value.items);
    }
    if (!ok) {
        value_fini(&value);
        return false;
    }
    *ret_value = value;
    return true;
}

/* ---- to text ------------------------------------------------------------- */

static void show_integer(const struct type *type, const void *item, FILE *out)
{
    char digits[40];
    size_t at = sizeof(digits);
    unsigned unused = 128 - (unsigned)type->width * 8;
    ht_u128 x = 0;
    bool negative = false;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(&x, item, type->width);
#else
    memcpy((char *)&x + sizeof(x) - type->width, item, type->width);
#endif
    if (type->kind == SIGNED) {
        negative = (x << unused) >> 127 != 0;
        x = negative ? (-x << unused) >> unused : x;
    }
    do {
        digits[--at] = (char)('0' + (int)(x % 10));
        x /= 10;
    } while (x != 0);
    fprintf(out, "%s%.*s", negative ? "-" : "", (int)(sizeof(digits) - at),
            digits + at);
}

static void show_double(double x, FILE *out)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof(bits));
    fprintf(out, "%016" PRIx64, bits);
}

static void show_item(const struct type *type, const void *item, FILE *out)
{
    uint32_t low;

    switch (type->kind) {
    case UNSIGNED:
    case SIGNED:
        show_integer(type, item, out);
        break;
    case FLOAT:
        if (type->width == 8) {
            show_double(*(const double *)item, out);
            break;
        }
        memcpy(&low, item, sizeof(low));
        fprintf(out, "%08" PRIx32, low);
        break;
    case CHAR:
        fprintf(out, "%" PRIx32, *(const uint32_t *)item);
        break;
    case BOOL:
        fputs(*(const bool *)item ? "true" : "false", out);
        break;
    case UNIT:
    case STRING:
    case BYTES:
    case MESSAGE:
        break;
    }
}

static void show_bytes(const uint8_t *bytes, size_t len, FILE *out)
{
    uint64_t hash = 0xcbf29ce484222325;

    if (len == 0) {
        fputc('-', out);
    } else if (len <= SHOWN_BYTES_MAX) {
        for (size_t i = 0; i < len; i++) {
            fprintf(out, "%02x", bytes[i]);
        }
    } else {
        for (size_t i = 0; i < len; i++) {
            hash = (hash ^ bytes[i]) * 0x100000001b3;
        }
        fprintf(out, "@%zu:%016" PRIx64, len, hash);
    }
}

static void show_message(const struct value *value, FILE *out)
{
    const ProtobufCMessageDescriptor *type = value->type->message;
    const void *message = value->message;

    if (type == &calc__operands__descriptor) {
        show_double(((const Calc__Operands *)message)->a, out);
        fputc(':', out);
        show_double(((const Calc__Operands *)message)->b, out);
    } else if (type == &calc__result__descriptor) {
        show_double(((const Calc__Result *)message)->value, out);
    } else {
        const char *text = ((const Calc__Expression *)message)->text;

        show_bytes((const uint8_t *)text, strlen(text), out);
    }
}

static void show_list(const struct value *value, FILE *out)
{
    const struct type *type = value->type;

    if (value->count == 0) {
        fputc('-', out);
    }
    for (size_t i = 0; i < value->count; i++) {
        fputs(i != 0 ? "," : "", out);
        show_item(type, (const char *)value->items + i * type->width, out);
    }
}

char *value_show(const struct value *value)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL) {
        return NULL;
    }
    if (value->type->list) {
        show_list(value, out);
    } else if (value->type->kind == UNIT) {
        fputc('-', out);
    } else if (value->type->kind == STRING || value->type->kind == BYTES) {
        show_bytes(value->items, value->count, out);
    } else if (value->type->kind == MESSAGE) {
        show_message(value, out);
    } else {
        show_item(value->type, value->items, out);
    }
    fclose(out);
    return text;
}

/* ---- on the wire --------------------------------------------------------- */

bool value_read(const struct type *type, ht_reader *r, struct value *ret_value)
{
    struct value value = {.type = type};

    type->read(r, &value);
    if (r->err != HT_OK) {
        value_fini(&value);
        return false;
    }
    *ret_value = value;
    return true;
}

void value_put(const struct value *value, ht_args *args)
{
    value->type->put(args, value);
}

void value_fini(struct value *value)
{
    if (value->message != NULL) {
        protobuf_c_message_free_unpacked(value->message, NULL);
    }
    free(value->items);
    *value = (struct value){0};
}
