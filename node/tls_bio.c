/* SPDX-License-Identifier: Apache-2.0 */
#include "node/tls_bio.h"

#include <limits.h>
#include <pthread.h>
#include <string.h>

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static int pipe_read(BIO *bio, char *into, int cap)
{
    struct hti_tls_pipe *pipe = BIO_get_data(bio);
    size_t n = cap < 0 ? 0 : (size_t)cap;

    BIO_clear_retry_flags(bio);
    if (pipe->in_len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (n > pipe->in_len) {
        n = pipe->in_len;
    }
    memcpy(into, pipe->in, n);
    pipe->in += n;
    pipe->in_len -= n;
    return (int)n;
}

static int pipe_write(BIO *bio, const char *data, int len)
{
    struct hti_tls_pipe *pipe = BIO_get_data(bio);
    size_t n = len < 0 ? 0 : (size_t)len;

    BIO_clear_retry_flags(bio);
    /* All or nothing: OpenSSL keeps the record and offers it again. */
    if (n > pipe->out->cap - pipe->out->len) {
        BIO_set_retry_write(bio);
        return -1;
    }
    memcpy(pipe->out->buf + pipe->out->len, data, n);
    pipe->out->len += n;
    return (int)n;
}

static long pipe_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static void method_make(void)
{
    BIO_METHOD *m =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "hardtack");

    if (m != NULL) {
        BIO_meth_set_read(m, pipe_read);
        BIO_meth_set_write(m, pipe_write);
        BIO_meth_set_ctrl(m, pipe_ctrl);
    }
    method = m;
}

BIO *hti_tls_bio_new(struct hti_tls_pipe *pipe)
{
    BIO *bio;

    pthread_once(&method_once, method_make);
    if (method == NULL) {
        return NULL;
    }
    bio = BIO_new(method);
    if (bio != NULL) {
        BIO_set_data(bio, pipe);
        BIO_set_init(bio, 1);
    }
    return bio;
}
