/* SPDX-License-Identifier: Apache-2.0 */
/* measure.h - what the benchmarks share. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Where the scheduler puts two processes decides a round trip: apart, a
 * sleeping one costs some 30 us to wake; on one processor, a switch. So it is
 * said, not left to chance. */
static inline void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    (void)sched_setaffinity(0, sizeof(set), &set);
}

/* Processor time of this process and of its children that ended, both sides of
 * a measurement: steadier than the clock on a machine that does other work. */
static inline double cpu_ns(void)
{
    double ns = 0;
    int who[] = {RUSAGE_SELF, RUSAGE_CHILDREN};

    for (size_t i = 0; i < 2; i++) {
        struct rusage r;
        getrusage(who[i], &r);
        ns += 1e9 * (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
              1e3 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
    }
    return ns;
}

/* Resident bytes of a process. */
static inline long resident(pid_t pid)
{
    char path[64];
    long pages = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%ld/statm", (long)pid);
    f = fopen(path, "r");
    if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1) {
        pages = 0;
    }
    if (f != NULL) {
        fclose(f);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

static inline int compare_samples(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Of samples in ns, which it sorts; in us. */
static inline double percentile(uint32_t *samples, size_t n, double p)
{
    size_t i = (size_t)(p * (double)n);

    qsort(samples, n, sizeof(*samples), compare_samples);
    return samples[i < n ? i : n - 1] / 1000.0;
}

#endif /* BENCH_MEASURE_H */
