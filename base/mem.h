/* SPDX-License-Identifier: Apache-2.0 */
/* mem.h - blocks that are made in one thread and freed in another.
 *
 * malloc in one thread and free in another costs some 190 ns with glibc, twenty
 * times a recycled block.  hti_alloc() keeps free lists per thread and size
 * class, and moves whole batches between threads through a depot.  Use it for
 * messages, frames and call records; plain malloc for everything that is made
 * rarely.  Under a sanitizer it is malloc, so that errors are found.
 *
 * Thread: any.  All blocks can be freed in any thread.
 */
#ifndef HTI_BASE_MEM_H
#define HTI_BASE_MEM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* NULL when memory is out.  Not zeroed; 16-byte aligned.  The block knows its
 * size. */
void *hti_alloc(size_t size);
void *hti_zalloc(size_t size);
void hti_free(void *block); /* NULL is fine */

/* Fail the nth allocation from now (1 is the next), for tests; 0 turns it off.
 * Process-wide. */
void hti_alloc_fail_after(long n);

/* A reference-counted buffer: what a large received message is handed over in.
 */
struct hti_buf {
    _Atomic unsigned refs;
    size_t cap;
    uint8_t data[];
};
struct hti_buf *hti_buf_new(size_t cap); /* NULL: no memory */
struct hti_buf *hti_buf_ref(struct hti_buf *buf);
struct hti_buf *hti_buf_unref(struct hti_buf *buf); /* returns NULL */

#endif /* HTI_BASE_MEM_H */
