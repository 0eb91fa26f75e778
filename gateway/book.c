/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/book.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"

struct place {
    UT_hash_handle hh;
    ht_ref ref; /* none: nowhere */
    uint64_t until_ms;
    char name[];
};

struct known {
    UT_hash_handle hh;
    ht_ref ref;
    struct gw_service *service;
};

/* Both tables iterate in the order of insertion, so their heads are oldest. */
struct gw_book {
    struct place *places;
    struct known *services;
};

/* ---- descriptions -------------------------------------------------------- */

struct gw_service *gw_service_new(Hardtack__Admin__Description *description)
{
    struct gw_service *service = malloc(sizeof(*service));

    if (service == NULL) {
        hardtack__admin__description__free_unpacked(description, NULL);
        return NULL;
    }
    service->refs = 1;
    service->description = description;
    return service;
}

struct gw_service *gw_service_ref(struct gw_service *service)
{
    service->refs++;
    return service;
}

struct gw_service *gw_service_unref(struct gw_service *service)
{
    if (service != NULL && --service->refs == 0) {
        hardtack__admin__description__free_unpacked(service->description, NULL);
        free(service);
    }
    return NULL;
}

const Hardtack__Admin__Method *
gw_service_method(const struct gw_service *service, const char *name)
{
    const Hardtack__Admin__Description *description = service->description;

    for (size_t i = 0; description != NULL && i < description->n_methods; i++) {
        if (strcmp(description->methods[i]->name, name) == 0) {
            return description->methods[i];
        }
    }
    return NULL;
}

/* ---- a book -------------------------------------------------------------- */

struct gw_book *gw_book_new(void)
{
    return calloc(1, sizeof(struct gw_book));
}

static void drop_place(struct gw_book *book, struct place *place)
{
    HASH_DEL(book->places, place);
    free(place);
}

static void drop_known(struct gw_book *book, struct known *known)
{
    HASH_DEL(book->services, known);
    gw_service_unref(known->service);
    free(known);
}

void gw_book_free(struct gw_book *book)
{
    if (book == NULL) {
        return;
    }
    while (book->places != NULL) {
        drop_place(book, book->places);
    }
    while (book->services != NULL) {
        drop_known(book, book->services);
    }
    free(book);
}

/* ---- places -------------------------------------------------------------- */

static struct place *find_place(struct gw_book *book, const char *name)
{
    struct place *place;

    HASH_FIND(hh, book->places, name, strlen(name), place);
    return place;
}

enum gw_book_answer gw_book_find(struct gw_book *book,
                                 const char *name,
                                 uint64_t now_ms,
                                 ht_ref *ret_ref)
{
    struct place *place = find_place(book, name);

    if (place == NULL) {
        return GW_BOOK_UNKNOWN;
    }
    if (now_ms >= place->until_ms) {
        drop_place(book, place);
        return GW_BOOK_UNKNOWN;
    }
    if (ht_ref_is_none(place->ref)) {
        return GW_BOOK_MISSED;
    }
    *ret_ref = place->ref;
    return GW_BOOK_FOUND;
}

void gw_book_note(struct gw_book *book,
                  const char *name,
                  ht_ref ref,
                  uint64_t now_ms)
{
    size_t len = strlen(name);
    struct place *place;

    gw_book_forget(book, name);
    if (HASH_COUNT(book->places) >= GW_BOOK_NAMES_MAX) {
        drop_place(book, book->places);
    }
    place = calloc(1, sizeof(*place) + len + 1);
    if (place == NULL) {
        return;
    }
    place->ref = ref;
    place->until_ms =
        now_ms + (ht_ref_is_none(ref) ? GW_BOOK_MISSED_MS : GW_BOOK_FOUND_MS);
    memcpy(place->name, name, len);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the old one left the table */
    HASH_ADD(hh, book->places, name[0], len, place);
    if (!hti_in_table(&place->hh)) {
        free(place);
    }
}

void gw_book_forget(struct gw_book *book, const char *name)
{
    struct place *place = find_place(book, name);

    if (place != NULL) {
        drop_place(book, place);
    }
}

/* ---- services ------------------------------------------------------------ */

static struct known *find_known(struct gw_book *book, ht_ref ref)
{
    struct known *known;

    HASH_FIND(hh, book->services, &ref, sizeof(ref), known);
    return known;
}

struct gw_service *gw_book_service(struct gw_book *book, ht_ref ref)
{
    struct known *known = find_known(book, ref);

    return known != NULL ? known->service : NULL;
}

void gw_book_note_service(struct gw_book *book,
                          ht_ref ref,
                          struct gw_service *service)
{
    struct known *known = find_known(book, ref);

    if (known != NULL) {
        drop_known(book, known);
    }
    if (HASH_COUNT(book->services) >= GW_BOOK_SERVICES_MAX) {
        drop_known(book, book->services);
    }
    known = calloc(1, sizeof(*known));
    if (known == NULL) {
        return;
    }
    known->ref = ref;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as above */
    HASH_ADD(hh, book->services, ref, sizeof(known->ref), known);
    if (!hti_in_table(&known->hh)) {
        free(known);
        return;
    }
    known->service = gw_service_ref(service);
}
