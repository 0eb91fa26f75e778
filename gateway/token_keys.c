/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/token_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ht_err
fail(ht_err err, char *error, size_t error_len, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Returns err. */
static ht_err
fail(ht_err err, char *error, size_t error_len, const char *format, ...)
{
    va_list args;

    if (error != NULL && error_len > 0) {
        va_start(args, format);
        (void)vsnprintf(error, error_len, format, args);
        va_end(args);
    }
    return err;
}

static ht_token_keys *keys_new(void)
{
    ht_token_keys *keys =
        sodium_init() >= 0 ? sodium_malloc(sizeof(*keys)) : NULL;

    if (keys != NULL) {
        memset(keys, 0, sizeof(*keys));
    }
    return keys;
}

void ht_token_keys_free(ht_token_keys *keys)
{
    sodium_free(keys); /* wipes it */
}

/* ---- a key file ---------------------------------------------------------- */

/* One line, without its newline.  false: neither a key nor nothing. */
static bool add_line(ht_token_keys *keys, const char *line, size_t len)
{
    struct gw_token_key *key;
    size_t size = 0;

    while (len > 0 && strchr(" \t\r", line[len - 1]) != NULL) {
        len--;
    }
    if (len == 0 || line[0] == '#') {
        return true;
    }
    if (keys->count == GW_TOKEN_KEYS_MAX || len != 2 * GW_TOKEN_KEY_BYTES) {
        return false;
    }
    key = &keys->at[keys->count];
    if (sodium_hex2bin(key->key, sizeof(key->key), line, len, NULL, &size,
                       NULL) != 0 ||
        size != sizeof(key->key)) {
        return false;
    }
    keys->count++;
    return true;
}

/* The id is public: it is the hash of the key under a label of its own. */
static void name_keys(ht_token_keys *keys)
{
    static const uint8_t label[] = "hardtack token key id";
    uint8_t hash[crypto_generichash_BYTES];

    for (size_t i = 0; i < keys->count; i++) {
        struct gw_token_key *key = &keys->at[i];

        (void)crypto_generichash(hash, sizeof(hash), label, sizeof(label) - 1,
                                 key->key, sizeof(key->key));
        memcpy(key->id, hash, sizeof(key->id));
    }
}

ht_err gw_token_keys_parse(const char *text,
                           size_t len,
                           const char *what,
                           ht_token_keys **ret_keys,
                           char *error,
                           size_t error_len)
{
    ht_token_keys *keys = keys_new();
    const char *end = text + len;
    unsigned number = 0;
    bool good = true;

    if (keys == NULL) {
        return fail(HT_ENOMEM, error, error_len, "out of memory");
    }
    while (good && text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline != NULL ? newline : end;

        number++;
        good = add_line(keys, text, (size_t)(stop - text));
        text = stop + (newline != NULL);
    }
    if (!good || keys->count == 0) {
        ht_token_keys_free(keys);
        return good
                   ? fail(HT_ECONFIG, error, error_len, "%s holds no key", what)
                   : fail(HT_ECONFIG, error, error_len,
                          "%s:%u: expected one key, or two, of %zu "
                          "hexadecimal digits",
                          what, number, (size_t)2 * GW_TOKEN_KEY_BYTES);
    }
    name_keys(keys);
    *ret_keys = keys;
    return HT_OK;
}

/* The permissions of the open file, not of the name: nobody can swap it in
 * between. */
static ht_err
check_file(int fd, const char *path, char *error, size_t error_len)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return fail(HT_EIO, error, error_len, "%s: %s", path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return fail(HT_EACCES, error, error_len, "%s is not a regular file",
                    path);
    }
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        return fail(HT_EACCES, error, error_len,
                    "%s belongs to user %ld; it must belong to us or to root",
                    path, (long)st.st_uid);
    }
    if ((st.st_mode & 077) != 0) {
        return fail(HT_EACCES, error, error_len,
                    "%s can be read or written by others (mode %04o); chmod "
                    "600",
                    path, (unsigned)(st.st_mode & 07777));
    }
    return HT_OK;
}

static ht_err read_file(int fd,
                        const char *path,
                        char *text,
                        size_t *ret_len,
                        char *error,
                        size_t error_len)
{
    size_t len = 0;

    for (;;) {
        ssize_t n = read(fd, text + len, GW_TOKEN_FILE_BYTES_MAX + 1 - len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail(HT_EIO, error, error_len, "%s: %s", path,
                        strerror(errno));
        }
        len += (size_t)n;
        if (len > GW_TOKEN_FILE_BYTES_MAX) {
            return fail(HT_ECONFIG, error, error_len,
                        "%s is larger than %d bytes", path,
                        GW_TOKEN_FILE_BYTES_MAX);
        }
        if (n == 0) {
            *ret_len = len;
            return HT_OK;
        }
    }
}

ht_err ht_token_keys_load(const char *path,
                          ht_token_keys **ret_keys,
                          char *error,
                          size_t error_len)
{
    char *text;
    size_t len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ht_err err;

    if (fd < 0) {
        ht_err why = errno == ENOENT   ? HT_ENOENT
                     : errno == EACCES ? HT_EACCES
                                       : HT_EIO;
        return fail(why, error, error_len, "%s: %s", path, strerror(errno));
    }
    err = check_file(fd, path, error, error_len);
    text =
        sodium_init() >= 0 ? sodium_malloc(GW_TOKEN_FILE_BYTES_MAX + 1) : NULL;
    if (err == HT_OK && text == NULL) {
        err = fail(HT_ENOMEM, error, error_len, "out of memory");
    }
    if (err == HT_OK) {
        err = read_file(fd, path, text, &len, error, error_len);
    }
    (void)close(fd);
    if (err == HT_OK) {
        err = gw_token_keys_parse(text, len, path, ret_keys, error, error_len);
    }
    sodium_free(text);
    return err;
}
