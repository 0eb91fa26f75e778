/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - whether bytes are UTF-8 as Rust's str takes it (no surrogates, no
 * overlong forms, at most U+10FFFF). */
#ifndef HTI_BASE_UTF8_H
#define HTI_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

bool hti_utf8_valid(const void *data, size_t len);

/* UTF-8 without anything that moves a cursor, ends a line or turns the
 * direction of what follows: for names, which are printed in tables and logs
 * and compared by people. */
bool hti_utf8_printable(const void *data, size_t len);

/* Bytes of the one character that data begins with, 1 to 4; 0 if it begins
 * with none. */
size_t hti_utf8_next(const void *data, size_t len);

#endif /* HTI_BASE_UTF8_H */
