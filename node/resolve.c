/* SPDX-License-Identifier: Apache-2.0 */
#include "node/resolve.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hti_resolver {
    pthread_mutex_t lock; /* of everything here and of lookups' state */
    pthread_cond_t work;
    unsigned refs; /* the owner's, and one a thread */
    bool closed;
    unsigned threads, idle;
    size_t waiting;
    STAILQ_HEAD(, hti_lookup) queue;
};

enum lookup_state { LOOKUP_WAITING, LOOKUP_RUNNING, LOOKUP_POSTED };

struct hti_lookup {
    struct hti_task task;
    STAILQ_ENTRY(hti_lookup) entry;
    struct hti_resolver *resolver;
    struct hti_loop *loop;
    enum lookup_state state;
    bool cancelled;
    void (*done)(void *arg, const struct addrinfo *found, int gai_error);
    void *arg;
    struct addrinfo *found;
    int gai_error;
    char port[8];
    char host[];
};

ht_err hti_resolver_new(struct hti_resolver **ret_resolver)
{
    struct hti_resolver *resolver = calloc(1, sizeof(*resolver));

    if (resolver == NULL) {
        return HT_ENOMEM;
    }
    pthread_mutex_init(&resolver->lock, NULL);
    pthread_cond_init(&resolver->work, NULL);
    resolver->refs = 1;
    STAILQ_INIT(&resolver->queue);
    *ret_resolver = resolver;
    return HT_OK;
}

/* Gives up the lock. */
static void unref(struct hti_resolver *resolver)
{
    bool last = --resolver->refs == 0;

    pthread_mutex_unlock(&resolver->lock);
    if (last) {
        assert(STAILQ_EMPTY(&resolver->queue));
        pthread_mutex_destroy(&resolver->lock);
        pthread_cond_destroy(&resolver->work);
        free(resolver);
    }
}

void hti_resolver_free(struct hti_resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    pthread_mutex_lock(&resolver->lock);
    resolver->closed = true;
    pthread_cond_broadcast(&resolver->work);
    unref(resolver);
}

static void lookup_free(struct hti_lookup *lookup)
{
    if (lookup->found != NULL) {
        freeaddrinfo(lookup->found);
    }
    free(lookup);
}

static void lookup_run(struct hti_task *task)
{
    struct hti_lookup *lookup = (struct hti_lookup *)task;

    lookup->done(lookup->arg, lookup->found, lookup->gai_error);
    lookup_free(lookup);
}

/* One lookup; called and left with the lock held. */
static void resolve_one(struct hti_resolver *resolver)
{
    struct hti_lookup *lookup = STAILQ_FIRST(&resolver->queue);
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV,
    };

    STAILQ_REMOVE_HEAD(&resolver->queue, entry);
    resolver->waiting--;
    lookup->state = LOOKUP_RUNNING;
    pthread_mutex_unlock(&resolver->lock);

    lookup->gai_error =
        getaddrinfo(lookup->host, lookup->port, &hints, &lookup->found);
    if (lookup->gai_error != 0) {
        lookup->found = NULL;
    }

    pthread_mutex_lock(&resolver->lock);
    if (lookup->cancelled) {
        lookup_free(lookup);
        return;
    }
    /* Posted under the lock: the loop lives for as long as its lookups are
     * neither cancelled nor run. */
    lookup->state = LOOKUP_POSTED;
    hti_loop_post(lookup->loop, &lookup->task);
}

static void *resolver_main(void *arg)
{
    struct hti_resolver *resolver = arg;

    pthread_setname_np(pthread_self(), "ht-resolve");
    pthread_mutex_lock(&resolver->lock);
    while (!resolver->closed) {
        if (!STAILQ_EMPTY(&resolver->queue)) {
            resolve_one(resolver);
            continue;
        }
        resolver->idle++;
        pthread_cond_wait(&resolver->work, &resolver->lock);
        resolver->idle--;
    }
    unref(resolver);
    return NULL;
}

/* With the lock held. */
static ht_err want_thread(struct hti_resolver *resolver)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    int rc;

    if (resolver->idle > resolver->waiting ||
        resolver->threads == HTI_RESOLVERS_MAX) {
        return HT_OK;
    }
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, &attr, resolver_main, resolver);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (rc == 0) {
        resolver->threads++;
        resolver->refs++;
    }
    return resolver->threads > 0 ? HT_OK : HT_ENOMEM;
}

ht_err hti_lookup_start(struct hti_resolver *resolver,
                        struct hti_loop *loop,
                        const char *host,
                        int port,
                        void (*done)(void *arg,
                                     const struct addrinfo *found,
                                     int gai_error),
                        void *arg,
                        struct hti_lookup **ret_lookup)
{
    struct hti_lookup *lookup = calloc(1, sizeof(*lookup) + strlen(host) + 1);
    ht_err err = HT_OK;

    if (lookup == NULL) {
        return HT_ENOMEM;
    }
    lookup->task.run = lookup_run;
    lookup->resolver = resolver;
    lookup->loop = loop;
    lookup->done = done;
    lookup->arg = arg;
    snprintf(lookup->port, sizeof(lookup->port), "%d", port);
    memcpy(lookup->host, host, strlen(host) + 1);

    pthread_mutex_lock(&resolver->lock);
    if (resolver->waiting >= HTI_LOOKUPS_MAX) {
        err = HT_EBUSY;
    } else {
        err = want_thread(resolver);
    }
    if (err == HT_OK) {
        STAILQ_INSERT_TAIL(&resolver->queue, lookup, entry);
        resolver->waiting++;
        *ret_lookup = lookup;
        pthread_cond_signal(&resolver->work);
    }
    pthread_mutex_unlock(&resolver->lock);
    if (err != HT_OK) {
        lookup_free(lookup);
    }
    return err;
}

bool hti_lookup_cancel(struct hti_lookup *lookup)
{
    struct hti_resolver *resolver = lookup->resolver;
    bool cancelled = true;

    pthread_mutex_lock(&resolver->lock);
    switch (lookup->state) {
    case LOOKUP_WAITING:
        STAILQ_REMOVE(&resolver->queue, lookup, hti_lookup, entry);
        resolver->waiting--;
        lookup_free(lookup);
        break;
    case LOOKUP_RUNNING:
        lookup->cancelled = true;
        break;
    case LOOKUP_POSTED:
        cancelled = false;
        break;
    }
    pthread_mutex_unlock(&resolver->lock);
    return cancelled;
}
