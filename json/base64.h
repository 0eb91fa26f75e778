/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h - bytes in JSON, and hexadecimal on the command line.  Pure; what
 * is returned is malloc'd. */
#ifndef JSON_BASE64_H
#define JSON_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NUL-terminated; NULL: no memory. */
char *hti_base64_encode(const uint8_t *data, size_t len);
/* Padded or not; false if text is none. */
bool hti_base64_decode(const char *text, uint8_t **ret_data, size_t *ret_len);

char *hti_hex_encode(const uint8_t *data, size_t len);
/* Pairs of digits; spaces between pairs are skipped. */
bool hti_hex_decode(const char *text, uint8_t **ret_data, size_t *ret_len);

#endif /* JSON_BASE64_H */
