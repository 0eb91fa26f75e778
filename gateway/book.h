/* SPDX-License-Identifier: Apache-2.0 */
/* book.h - what a loop's clients have learnt of actors: where a name is, and
 * what a typed service understands.
 *
 * Only a cache: a name's place is believed for some seconds, or until the actor
 * turns out to be gone; a service's description for as long as there is room,
 * since an actor never changes its service and a ref is never used again.
 *
 * Thread: one loop's.
 */
#ifndef GW_BOOK_H
#define GW_BOOK_H

#include <hardtack.h>

#include "proto/admin/admin.pb-c.h"

#define GW_BOOK_NAMES_MAX    1024
#define GW_BOOK_SERVICES_MAX 256
#define GW_BOOK_FOUND_MS     5000
#define GW_BOOK_MISSED_MS    1000

/* A service's description; counted. */
struct gw_service {
    unsigned refs;
    Hardtack__Admin__Description *description; /* NULL: an untyped actor */
};
/* Takes description. NULL: no memory, and description is freed. */
struct gw_service *gw_service_new(Hardtack__Admin__Description *description);
struct gw_service *gw_service_ref(struct gw_service *service);
struct gw_service *gw_service_unref(struct gw_service *service); /* NULL */
/* NULL: it has no such method. */
const Hardtack__Admin__Method *
gw_service_method(const struct gw_service *service, const char *name);

struct gw_book;
struct gw_book *gw_book_new(void); /* NULL: no memory */
void gw_book_free(struct gw_book *book);

enum gw_book_answer {
    GW_BOOK_UNKNOWN,
    GW_BOOK_FOUND,
    GW_BOOK_MISSED, /* it was nowhere, a moment ago */
};
/* Where the actor is that is written so; *ret_ref only with GW_BOOK_FOUND. */
enum gw_book_answer gw_book_find(struct gw_book *book,
                                 const char *name,
                                 uint64_t now_ms,
                                 ht_ref *ret_ref);
/* ref none: nowhere.  Without memory nothing is noted. */
void gw_book_note(struct gw_book *book,
                  const char *name,
                  ht_ref ref,
                  uint64_t now_ms);
void gw_book_forget(struct gw_book *book, const char *name);

/* Lent; NULL: not known. */
struct gw_service *gw_book_service(struct gw_book *book, ht_ref ref);
/* References service. */
void gw_book_note_service(struct gw_book *book,
                          ht_ref ref,
                          struct gw_service *service);

#endif /* GW_BOOK_H */
