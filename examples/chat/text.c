/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stddef.h>
#include <string.h>

static bool is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool text_is_name(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];

        /* 0xc2 0x80 to 0x9f are control characters. */
        if (c < 0x80 ? !is_letter(c)
                     : c == 0xc2 && (unsigned char)name[i + 1] < 0xa0) {
            return false;
        }
    }
    return len > 0 && len <= NAME_BYTES_MAX;
}

bool text_is_message(const char *text)
{
    size_t len = strlen(text);
    bool blank = true;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
            return false;
        }
        blank = blank && (c == ' ' || c == '\n' || c == '\t');
    }
    return !blank && len <= TEXT_BYTES_MAX;
}

bool text_is_key(const char *key)
{
    size_t len = strlen(key);

    for (size_t i = 0; i < len; i++) {
        if (!is_letter((unsigned char)key[i])) {
            return false;
        }
    }
    return len <= KEY_BYTES_MAX;
}
