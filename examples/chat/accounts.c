/* SPDX-License-Identifier: Apache-2.0 */
#include "accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct accounts {
    struct account *table;
    char *path;
    struct timespec changed;
};

static const struct rate tries = {.burst = 5, .interval_ms = 3000};

void accounts_free(struct accounts *a)
{
    struct account *one, *next;

    if (a == NULL) {
        return;
    }
    one = a->table;
    HASH_CLEAR(hh, a->table);
    for (; one != NULL; one = next) {
        next = one->hh.next;
        free(one);
    }
    free(a->path);
    free(a);
}

struct account *accounts_find(const struct accounts *a, const char *user)
{
    struct account *one;

    HASH_FIND_STR(a->table, user, one);
    return one;
}

static ht_err from_errno(int error)
{
    return error == ENOENT   ? HT_ENOENT
           : error == EACCES ? HT_EACCES
           : error == ENOMEM ? HT_ENOMEM
                             : HT_EIO;
}

static bool fits(const char *user, const char *claims, const char *hash)
{
    return text_is_name(user) && strlen(claims) < CLAIMS_BYTES &&
           strlen(hash) < HASH_BYTES_MAX && hash[0] == '$' &&
           strpbrk(claims, "\t\n\r ") == NULL &&
           strpbrk(hash, "\t\n\r ") == NULL;
}

static ht_err
set(struct accounts *a, const char *user, const char *claims, const char *hash)
{
    struct account *one = accounts_find(a, user);

    if (!fits(user, claims, hash)) {
        return HT_EINVAL;
    }
    if (one == NULL) {
        if (HASH_COUNT(a->table) >= ACCOUNTS_MAX) {
            return HT_EBUSY;
        }
        one = calloc(1, sizeof(*one));
        if (one == NULL) {
            return HT_ENOMEM;
        }
        one->tries = tries;
        snprintf(one->user, sizeof(one->user), "%s", user);
        HASH_ADD_STR(a->table, user, one);
        if (one->hh.tbl == NULL) {
            free(one);
            return HT_ENOMEM;
        }
    }
    snprintf(one->claims, sizeof(one->claims), "%s", claims);
    snprintf(one->hash, sizeof(one->hash), "%s", hash);
    return HT_OK;
}

/* ---- reading ------------------------------------------------------------- */

static ht_err parse(struct accounts *a, char *line)
{
    char *claims = strchr(line, '\t'), *hash;

    line[strcspn(line, "\r\n")] = '\0';
    if (line[0] == '\0' || line[0] == '#') {
        return HT_OK;
    }
    hash = claims != NULL ? strchr(claims + 1, '\t') : NULL;
    if (hash == NULL) {
        return HT_EINVAL;
    }
    *claims++ = '\0';
    *hash++ = '\0';
    return accounts_find(a, line) != NULL ? HT_EEXIST
                                          : set(a, line, claims, hash);
}

static ht_err read_all(struct accounts *a, FILE *in, char *error, size_t len)
{
    char *line = NULL;
    size_t cap = 0;
    unsigned number = 0;
    ht_err err = HT_OK;

    while (err == HT_OK && getline(&line, &cap, in) >= 0) {
        number++;
        err = parse(a, line);
    }
    if (err == HT_OK && ferror(in)) {
        err = HT_EIO;
    }
    if (err != HT_OK) {
        snprintf(error, len, "%s:%u: %s", a->path, number,
                 err == HT_EINVAL ? "NAME, CLAIMS and HASH, between tabs, are "
                                    "expected"
                 : err == HT_EEXIST ? "the name is there twice"
                                    : ht_strerror(err));
        err = err == HT_EINVAL || err == HT_EEXIST ? HT_ECONFIG : err;
    }
    free(line);
    return err;
}

static ht_err open_file(struct accounts *a, FILE **ret, char *error, size_t len)
{
    FILE *in = fopen(a->path, "re");
    struct stat st;
    ht_err err = HT_OK;

    if (in == NULL || fstat(fileno(in), &st) != 0) {
        err = from_errno(errno);
    } else if (!S_ISREG(st.st_mode)) {
        err = HT_EIO;
    } else if (st.st_mode & 077) {
        err = HT_EACCES;
    }
    if (err != HT_OK) {
        snprintf(error, len, "%s: %s", a->path,
                 err == HT_EACCES && in != NULL
                     ? "others may read it: chmod 600"
                     : ht_strerror(err));
        if (in != NULL) {
            (void)fclose(in);
        }
        return err;
    }
    a->changed = st.st_mtim;
    *ret = in;
    return HT_OK;
}

ht_err
accounts_load(const char *path, struct accounts **ret, char *error, size_t len)
{
    struct accounts *a = calloc(1, sizeof(*a));
    FILE *in = NULL;
    ht_err err;

    if (a == NULL || (a->path = strdup(path)) == NULL) {
        accounts_free(a);
        return HT_ENOMEM;
    }
    err = open_file(a, &in, error, len);
    if (err == HT_OK) {
        err = read_all(a, in, error, len);
        (void)fclose(in);
    }
    if (err != HT_OK) {
        accounts_free(a);
        return err;
    }
    *ret = a;
    return HT_OK;
}

bool accounts_are_old(const struct accounts *a)
{
    struct stat st;

    return stat(a->path, &st) == 0 &&
           (st.st_mtim.tv_sec != a->changed.tv_sec ||
            st.st_mtim.tv_nsec != a->changed.tv_nsec);
}

/* ---- writing ------------------------------------------------------------- */

/* Whole or not at all: a name of its own, then renamed. */
static ht_err save(struct accounts *a)
{
    char name[4096];
    int n = snprintf(name, sizeof(name), "%s.new", a->path);
    int fd = n < 0 || (size_t)n >= sizeof(name)
                 ? -1
                 : open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    struct stat st;
    bool ok = out != NULL;

    for (struct account *one = a->table; ok && one != NULL;
         one = one->hh.next) {
        ok =
            fprintf(out, "%s\t%s\t%s\n", one->user, one->claims, one->hash) > 0;
    }
    ok = ok && fflush(out) == 0 && fsync(fd) == 0 && fstat(fd, &st) == 0;
    if (out != NULL) {
        ok = fclose(out) == 0 && ok;
    } else if (fd >= 0) {
        (void)close(fd);
    }
    if (!ok || rename(name, a->path) != 0) {
        (void)unlink(name);
        return HT_EIO;
    }
    a->changed = st.st_mtim;
    return HT_OK;
}

ht_err accounts_put(struct accounts *a,
                    const char *user,
                    const char *claims,
                    const char *hash)
{
    ht_err err = set(a, user, claims, hash);

    return err == HT_OK ? save(a) : err;
}
