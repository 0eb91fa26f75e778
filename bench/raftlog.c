/* SPDX-License-Identifier: Apache-2.0 */
/* raftlog.c - what a member's log makes of a disk.
 *
 *   raftlog DIRECTORY SECONDS
 *
 * In turn, on that directory's disk: an overwrite of 512 bytes and fdatasync(),
 * which is the most that a disk can do; the log with one entry of 128 bytes a
 * sync, and with 64.  Alternating, three rounds, medians.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "raft/log.h"

#define ROUNDS      3
#define ENTRY_BYTES 128
#define MANY        64

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "raftlog: %s\n", what);
        exit(1);
    }
}

static double run_disk(const char *dir, double seconds)
{
    char path[4200];
    char block[512] = {1};
    double until;
    double began;
    unsigned long syncs = 0;
    int fd;

    snprintf(path, sizeof(path), "%s/plain", dir);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    require(fd >= 0, "cannot make a file");
    for (int i = 0; i < 8192; i++) {
        require(write(fd, block, sizeof(block)) == sizeof(block), "write");
    }
    require(fsync(fd) == 0, "fsync");
    began = now();
    for (until = began + seconds; now() < until; syncs++) {
        off_t at = (off_t)(syncs % 8192) * (off_t)sizeof(block);

        require(pwrite(fd, block, sizeof(block), at) == sizeof(block), "write");
        require(fdatasync(fd) == 0, "fdatasync");
    }
    seconds = now() - began;
    close(fd);
    unlink(path);
    return (double)syncs / seconds;
}

static double run_log(const char *dir, double seconds, size_t count)
{
    struct hti_entry *entries[MANY];
    struct hti_log_found found;
    struct hti_disk disk;
    struct hti_log *log = NULL;
    char text[200];
    uint64_t index = 1;
    double until;
    double began;

    require(hti_disk_open(dir, true, true, &disk) == HT_OK, "directory");
    require(hti_log_open(&disk, 16u << 20, false, NULL, &found, text,
                         sizeof(text), &log) == HT_OK,
            "log");
    for (size_t i = 0; i < count; i++) {
        entries[i] = hti_entry_new(1, HTI_ENTRY_COMMAND, ENTRY_BYTES);
        require(entries[i] != NULL, "memory");
        memset(entries[i]->data, 1, ENTRY_BYTES);
    }
    began = now();
    for (until = began + seconds; now() < until; index += count) {
        size_t done = 0;

        require(hti_log_append(log, index, entries, count, &done) == HT_OK &&
                    hti_log_sync(log) == HT_OK,
                "append");
        if (hti_log_wants_spare(log)) {
            double paused = now();

            /* The member's other thread does it meanwhile. */
            require(hti_log_prepare(log) == HT_OK, "prepare");
            until += now() - paused;
            began += now() - paused;
        }
    }
    seconds = now() - began;
    require(hti_log_trim(log, index) == HT_OK, "trim");
    require(hti_log_reset(log, index) == HT_OK, "reset");
    hti_log_free(log);
    hti_disk_close(&disk);
    for (size_t i = 0; i < count; i++) {
        hti_entry_unref(entries[i]);
    }
    return (double)(index - 1) / seconds;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    double rates[3][ROUNDS];
    double seconds;

    if (argc != 3) {
        fprintf(stderr, "usage: raftlog DIRECTORY SECONDS\n");
        return 2;
    }
    seconds = atof(argv[2]);
    for (int i = 0; i < ROUNDS; i++) {
        char dir[4096];

        snprintf(dir, sizeof(dir), "%s/%d", argv[1], i);
        rates[1][i] = run_log(dir, seconds, 1);
        rates[0][i] = run_disk(dir, seconds);
        rates[2][i] = run_log(dir, seconds, MANY);
    }
    for (int i = 0; i < 3; i++) {
        qsort(rates[i], ROUNDS, sizeof(double), compare);
    }
    printf("disk_syncs_per_s=%.0f log_entries_per_s=%.0f ratio=%.2f "
           "log_entries_per_s_by_%d=%.0f\n",
           rates[0][1], rates[1][1], rates[1][1] / rates[0][1], MANY,
           rates[2][1]);
    return 0;
}
