/* SPDX-License-Identifier: Apache-2.0 */
/* pages.h - web pages that the gateway serves from memory.
 *
 * A page is what was given, under exactly one path: nothing is looked up in a
 * file system when somebody asks, so nothing else can be reached.
 *
 * Thread: any; one lock, a leaf.
 */
#ifndef GW_PAGES_H
#define GW_PAGES_H

#include <hardtack/base.h>

#define GW_PAGES_MAX 256

struct gw_pages;

/* Its text lives as long as the reference. */
struct gw_page {
    char *path;
    char *content_type;
    char etag[36]; /* quoted */
    void *data;
    size_t len;
    _Atomic unsigned refs;
};

struct gw_pages *gw_pages_new(void);
void gw_pages_free(struct gw_pages *pages); /* NULL is fine */
/* As ht_gateway_page(). */
HT_MUSTUSE ht_err gw_pages_put(struct gw_pages *pages,
                               const char *path,
                               const char *content_type,
                               const void *data,
                               size_t len);
/* Every file of a directory (not of those in it) as /NAME, index.html as / too.
 * Files whose type is not known are refused.  why gets words. */
HT_MUSTUSE ht_err gw_pages_load(struct gw_pages *pages,
                                const char *directory,
                                size_t page_bytes_max,
                                char *why,
                                size_t why_len);
/* The page of a path, NULL: there is none. Give it to gw_page_unref(). */
struct gw_page *gw_pages_get(struct gw_pages *pages, const char *path);
void gw_page_unref(struct gw_page *page); /* NULL is fine */

#endif /* GW_PAGES_H */
