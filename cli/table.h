/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - rows of text in aligned columns, for people. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 16

struct table {
    size_t columns;
    size_t rows;
    size_t cap;
    char **cells;   /* rows of columns; the first row is the header */
    unsigned right; /* bit per column: align right */
    int failed;
};

/* header: columns separated by '|'; one that begins with '>' is aligned
 * right. */
void table_init(struct table *table, const char *header);
void table_fini(struct table *table);
/* The next cell, copied; control characters are shown as '?'. */
void table_text(struct table *table, const char *text);
void table_number(struct table *table, uint64_t number);
/* "1.2 MiB", "3 s ago". */
void table_bytes(struct table *table, uint64_t bytes);
void table_duration(struct table *table, uint64_t ms);
void table_print(const struct table *table, FILE *out);

#endif /* CLI_TABLE_H */
