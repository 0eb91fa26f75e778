/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/pages.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ETAG_BYTES 16

struct gw_pages {
    pthread_mutex_t lock;
    struct gw_page *pages[GW_PAGES_MAX];
    size_t count;
};

/* ---- a page -------------------------------------------------------------- */

static void page_free(struct gw_page *page)
{
    free(page->path);
    free(page->content_type);
    free(page->data);
    free(page);
}

void gw_page_unref(struct gw_page *page)
{
    if (page != NULL && atomic_fetch_sub(&page->refs, 1) == 1) {
        page_free(page);
    }
}

static struct gw_page *
page_new(const char *path, const char *type, const void *data, size_t len)
{
    struct gw_page *page = calloc(1, sizeof(*page));
    unsigned char hash[ETAG_BYTES];
    char hex[2 * ETAG_BYTES + 1];

    if (page == NULL) {
        return NULL;
    }
    page->path = strdup(path);
    page->content_type = strdup(type);
    page->data = malloc(len > 0 ? len : 1);
    if (page->path == NULL || page->content_type == NULL ||
        page->data == NULL) {
        page_free(page);
        return NULL;
    }
    memcpy(page->data, data, len);
    page->len = len;
    crypto_generichash(hash, sizeof(hash), data, len, NULL, 0);
    sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    snprintf(page->etag, sizeof(page->etag), "\"%s\"", hex);
    atomic_init(&page->refs, 1);
    return page;
}

/* ---- all of them --------------------------------------------------------- */

struct gw_pages *gw_pages_new(void)
{
    struct gw_pages *pages = calloc(1, sizeof(*pages));

    if (pages != NULL) {
        pthread_mutex_init(&pages->lock, NULL);
    }
    return pages;
}

void gw_pages_free(struct gw_pages *pages)
{
    if (pages == NULL) {
        return;
    }
    for (size_t i = 0; i < pages->count; i++) {
        gw_page_unref(pages->pages[i]);
    }
    pthread_mutex_destroy(&pages->lock);
    free(pages);
}

static size_t find(const struct gw_pages *pages, const char *path)
{
    size_t i = 0;

    while (i < pages->count && strcmp(pages->pages[i]->path, path) != 0) {
        i++;
    }
    return i;
}

struct gw_page *gw_pages_get(struct gw_pages *pages, const char *path)
{
    struct gw_page *page = NULL;
    size_t i;

    pthread_mutex_lock(&pages->lock);
    i = find(pages, path);
    if (i < pages->count) {
        page = pages->pages[i];
        atomic_fetch_add(&page->refs, 1);
    }
    pthread_mutex_unlock(&pages->lock);
    return page;
}

/* It ends up in a header. */
static bool is_type(const char *type)
{
    size_t len = strlen(type);

    for (size_t i = 0; i < len; i++) {
        if (type[i] < 0x20 || type[i] > 0x7e) {
            return false;
        }
    }
    return len > 0 && len < 128;
}

static bool is_path(const char *path)
{
    return path[0] == '/' && strlen(path) < 256 &&
           strpbrk(path, "?#% \r\n") == NULL;
}

/* Takes page, NULL removes. Returns what is not needed any more. */
static ht_err replace(struct gw_pages *pages,
                      const char *path,
                      struct gw_page *page,
                      struct gw_page **ret_old)
{
    size_t i = find(pages, path);

    *ret_old = page;
    if (i == pages->count) {
        if (page == NULL) {
            return HT_ENOENT;
        }
        if (pages->count == GW_PAGES_MAX) {
            return HT_EBUSY;
        }
        pages->pages[pages->count++] = page;
        *ret_old = NULL;
        return HT_OK;
    }
    *ret_old = pages->pages[i];
    pages->pages[i] = page != NULL ? page : pages->pages[--pages->count];
    return HT_OK;
}

ht_err gw_pages_put(struct gw_pages *pages,
                    const char *path,
                    const char *content_type,
                    const void *data,
                    size_t len)
{
    struct gw_page *page = NULL, *old;
    ht_err err;

    if (path == NULL || !is_path(path) ||
        (data != NULL && (content_type == NULL || !is_type(content_type)))) {
        return HT_EINVAL;
    }
    if (data != NULL) {
        page = page_new(path, content_type, data, len);
        if (page == NULL) {
            return HT_ENOMEM;
        }
    }
    pthread_mutex_lock(&pages->lock);
    err = replace(pages, path, page, &old);
    pthread_mutex_unlock(&pages->lock);
    gw_page_unref(old);
    return err;
}

/* ---- a directory --------------------------------------------------------- */

static const struct {
    const char *suffix;
    const char *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".txt", "text/plain; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".wasm", "application/wasm"},
    {".webmanifest", "application/manifest+json"},
};

static const char *type_of(const char *name)
{
    const char *suffix = strrchr(name, '.');

    for (size_t i = 0; suffix != NULL && i < sizeof(types) / sizeof(types[0]);
         i++) {
        if (strcmp(suffix, types[i].suffix) == 0) {
            return types[i].type;
        }
    }
    return NULL;
}

static ht_err from_errno(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ELOOP ? HT_ENOENT
           : error == EACCES                                     ? HT_EACCES
           : error == ENOMEM                                     ? HT_ENOMEM
                                                                 : HT_EIO;
}

/* *ret_data is the caller's; NULL: this is no file, which is fine. */
static ht_err
read_file(int dir, const char *name, size_t max, void **ret_data, size_t *len)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    char *data;
    size_t at = 0;
    ssize_t n = 1;

    *ret_data = NULL;
    if (fd < 0 || fstat(fd, &st) != 0) {
        ht_err err = from_errno(errno);

        if (fd >= 0) {
            (void)close(fd);
        }
        return err;
    }
    if (!S_ISREG(st.st_mode)) {
        (void)close(fd);
        return HT_OK;
    }
    data = malloc(max + 1);
    while (data != NULL && n > 0 && at <= max) {
        n = read(fd, data + at, max + 1 - at);
        at += n > 0 ? (size_t)n : 0;
    }
    (void)close(fd);
    if (data == NULL || n < 0 || at > max) {
        free(data);
        return data == NULL ? HT_ENOMEM : n < 0 ? HT_EIO : HT_ETOOBIG;
    }
    *ret_data = data;
    *len = at;
    return HT_OK;
}

static ht_err
load_file(struct gw_pages *pages, int dir, const char *name, size_t max)
{
    const char *type = type_of(name);
    char path[300];
    void *data;
    size_t len = 0;
    ht_err err = read_file(dir, name, max, &data, &len);

    if (err != HT_OK || data == NULL) {
        return err;
    }
    snprintf(path, sizeof(path), "/%s", name);
    err = type == NULL ? HT_EUNSUPPORTED
                       : gw_pages_put(pages, path, type, data, len);
    if (err == HT_OK && strcmp(name, "index.html") == 0) {
        err = gw_pages_put(pages, "/", type, data, len);
    }
    free(data);
    return err;
}

static const char *words_of(ht_err err)
{
    switch ((int)err) {
    case HT_EUNSUPPORTED:
        return "its name ends in none of the types that are served";
    case HT_EINVAL:
        return "its name is no path of a page";
    case HT_ETOOBIG:
        return "larger than half of what may wait for a client";
    case HT_EBUSY:
        return "too many pages";
    default:
        return ht_strerror(err);
    }
}

ht_err gw_pages_load(struct gw_pages *pages,
                     const char *directory,
                     size_t page_bytes_max,
                     char *why,
                     size_t why_len)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;
    ht_err err = HT_OK;

    if (dir == NULL) {
        err = from_errno(errno);
        snprintf(why, why_len, "pages: %s: %s", directory, ht_strerror(err));
        return err;
    }
    while (err == HT_OK && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        err = load_file(pages, dirfd(dir), entry->d_name, page_bytes_max);
        if (err != HT_OK) {
            snprintf(why, why_len, "pages: %s/%s: %s", directory, entry->d_name,
                     words_of(err));
        }
    }
    (void)closedir(dir);
    return err;
}
