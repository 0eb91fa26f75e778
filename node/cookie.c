/* SPDX-License-Identifier: Apache-2.0 */
#include "node/cookie.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static ht_err add(struct hti_cookies *cookies,
                  const char *data,
                  size_t len,
                  const char *what,
                  char *why,
                  size_t why_len)
{
    while (len > 0 && is_space(data[0])) {
        data++;
        len--;
    }
    while (len > 0 && is_space(data[len - 1])) {
        len--;
    }
    if (len == 0 || data[0] == '#') {
        return HT_OK;
    }
    if (cookies->count == HTI_KEYS_MAX) {
        snprintf(why, why_len, "%s holds more than %d cookies", what,
                 HTI_KEYS_MAX);
        return HT_ECONFIG;
    }
    cookies->at[cookies->count].data = data;
    cookies->at[cookies->count].len = len;
    cookies->count++;
    return HT_OK;
}

static ht_err text_new(size_t len, char **ret_text, char *why, size_t why_len)
{
    if (sodium_init() < 0 || (*ret_text = sodium_malloc(len + 1)) == NULL) {
        snprintf(why, why_len, "out of memory");
        return HT_ENOMEM;
    }
    (*ret_text)[len] = '\0';
    return HT_OK;
}

ht_err hti_cookies_of(const char *text,
                      const char *what,
                      struct hti_cookies *ret_cookies,
                      char *why,
                      size_t why_len)
{
    struct hti_cookies cookies = {0};
    size_t len = strlen(text);
    ht_err err = text_new(len, &cookies.text, why, why_len);

    if (err != HT_OK) {
        return err;
    }
    memcpy(cookies.text, text, len);
    /* Not a file: a cookie may begin with #. */
    while (len > 0 && is_space(cookies.text[len - 1])) {
        len--;
    }
    if (len == 0) {
        hti_cookies_fini(&cookies);
        snprintf(why, why_len, "%s is empty", what);
        return HT_ECONFIG;
    }
    cookies.at[0].data = cookies.text;
    cookies.at[0].len = len;
    cookies.count = 1;
    *ret_cookies = cookies;
    return HT_OK;
}

/* The permissions of the open file, not of the name: nobody can swap it in
 * between. */
static ht_err check_file(int fd, const char *path, char *why, size_t why_len)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        snprintf(why, why_len, "%s: %s", path, strerror(errno));
        return HT_EIO;
    }
    if (!S_ISREG(st.st_mode)) {
        snprintf(why, why_len, "%s is not a regular file", path);
        return HT_EACCES;
    }
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        snprintf(why, why_len,
                 "%s belongs to user %ld; it must belong to us or to root",
                 path, (long)st.st_uid);
        return HT_EACCES;
    }
    if (st.st_mode & 077) {
        snprintf(why, why_len,
                 "%s can be read or written by others (mode %04o); chmod 600",
                 path, (unsigned)(st.st_mode & 07777));
        return HT_EACCES;
    }
    if (st.st_size > HTI_COOKIE_FILE_BYTES_MAX) {
        snprintf(why, why_len, "%s is larger than %d bytes", path,
                 HTI_COOKIE_FILE_BYTES_MAX);
        return HT_ECONFIG;
    }
    return HT_OK;
}

static ht_err read_text(int fd,
                        const char *path,
                        char *text,
                        size_t *ret_len,
                        char *why,
                        size_t why_len)
{
    size_t len = 0;

    while (len < HTI_COOKIE_FILE_BYTES_MAX) {
        ssize_t n = read(fd, text + len, HTI_COOKIE_FILE_BYTES_MAX - len);

        if (n == 0) {
            break;
        }
        if (n < 0 && errno != EINTR) {
            snprintf(why, why_len, "%s: %s", path, strerror(errno));
            return HT_EIO;
        }
        len += n < 0 ? 0 : (size_t)n;
    }
    *ret_len = len;
    return HT_OK;
}

static ht_err split(struct hti_cookies *cookies,
                    size_t len,
                    const char *path,
                    char *why,
                    size_t why_len)
{
    size_t at = 0;

    while (at < len) {
        const char *end = memchr(cookies->text + at, '\n', len - at);
        size_t line =
            end == NULL ? len - at : (size_t)(end - (cookies->text + at));
        ht_err err = add(cookies, cookies->text + at, line, path, why, why_len);

        if (err != HT_OK) {
            return err;
        }
        at += line + 1;
    }
    if (cookies->count == 0) {
        snprintf(why, why_len, "%s holds no cookie", path);
        return HT_ECONFIG;
    }
    return HT_OK;
}

ht_err hti_cookies_read(const char *path,
                        struct hti_cookies *ret_cookies,
                        char *why,
                        size_t why_len)
{
    struct hti_cookies cookies = {0};
    size_t len = 0;
    /* O_NONBLOCK: a pipe of that name must not hold us here. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ht_err err;

    if (fd < 0) {
        err = errno == EACCES ? HT_EACCES : HT_ENOENT;
        snprintf(why, why_len, "%s: %s", path, strerror(errno));
        return err;
    }
    err = check_file(fd, path, why, why_len);
    if (err == HT_OK) {
        err = text_new(HTI_COOKIE_FILE_BYTES_MAX, &cookies.text, why, why_len);
    }
    if (err == HT_OK) {
        err = read_text(fd, path, cookies.text, &len, why, why_len);
    }
    if (err == HT_OK) {
        err = split(&cookies, len, path, why, why_len);
    }
    close(fd);
    if (err != HT_OK) {
        hti_cookies_fini(&cookies);
        return err;
    }
    *ret_cookies = cookies;
    return HT_OK;
}

ht_err hti_cookies_check(const struct hti_cookies *cookies,
                         const char *what,
                         char *why,
                         size_t why_len)
{
    for (size_t i = 0; i < cookies->count; i++) {
        unsigned bits =
            hti_cookie_bits(cookies->at[i].data, cookies->at[i].len);

        if (bits < HTI_COOKIE_BITS_MIN) {
            snprintf(
                why, why_len,
                "%s: cookie %zu is weak: about %u bits, and %d are needed; "
                "`hardtack cookie` makes a good one, weak_cookie accepts "
                "this one",
                what, i + 1, bits, HTI_COOKIE_BITS_MIN);
            return HT_ECONFIG;
        }
    }
    return HT_OK;
}

void hti_cookies_fini(struct hti_cookies *cookies)
{
    sodium_free(cookies->text); /* wipes */
    memset(cookies, 0, sizeof(*cookies));
}
