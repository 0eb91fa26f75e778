/* SPDX-License-Identifier: Apache-2.0 */
/* value.h - argument values of every type that ractor's derive macro knows: as
 * text (README.md, "Values"), in memory, and on the wire by hardtack/args.h.
 * Every text form is exact, so that a test can compare strings.
 *
 * Thread: any; a value belongs to whoever made it.
 */
#ifndef INTEROP_VALUE_H
#define INTEROP_VALUE_H

#include <hardtack.h>

/* The name that a type has in variants: "U8", "VecU16", "Operands", ... */
struct type;

struct value {
    const struct type *type;
    size_t count; /* elements of a vector, bytes of a string, else 1 */
    void *items;  /* an array of the C type, NULL for a message */
    struct ProtobufCMessage *message;
};

/** NULL if there is none of that name. */
const struct type *type_find(const char *name);

/** False if text is no value of the type; *ret_value is then untouched. */
bool value_parse(const struct type *type,
                 const char *text,
                 struct value *ret_value);
/** Read one field; a failure is r->err, and *ret_value is then untouched. */
bool value_read(const struct type *type, ht_reader *r, struct value *ret_value);
void value_put(const struct value *value, ht_args *args);
/** Its text; the caller frees it. NULL when out of memory. */
char *value_show(const struct value *value);
/** Safe on a zeroed one. */
void value_fini(struct value *value);

#endif /* INTEROP_VALUE_H */
