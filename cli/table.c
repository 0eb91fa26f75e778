/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void table_init(struct table *table, const char *header)
{
    char cell[64];

    memset(table, 0, sizeof(*table));
    table->columns = 1;
    for (const char *at = header; *at != '\0'; at++) {
        table->columns += *at == '|';
    }
    for (size_t i = 0; i < table->columns; i++) {
        size_t len = strcspn(header, "|");

        if (*header == '>') {
            table->right |= 1u << i;
            header++;
            len--;
        }
        snprintf(cell, sizeof(cell), "%.*s", (int)len, header);
        table_text(table, cell);
        header += len + (header[len] == '|');
    }
}

void table_fini(struct table *table)
{
    for (size_t i = 0; i < table->rows; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    memset(table, 0, sizeof(*table));
}

/* rows counts cells until the table is printed. */
void table_text(struct table *table, const char *text)
{
    char *copy;

    if (table->rows == table->cap) {
        size_t cap = table->cap * 2 + 64;
        char **cells = realloc(table->cells, cap * sizeof(char *));

        if (cells == NULL) {
            table->failed = 1;
            return;
        }
        table->cells = cells;
        table->cap = cap;
    }
    copy = strdup(text);
    if (copy == NULL) {
        table->failed = 1;
        return;
    }
    /* Names come from other nodes: none may move the user's cursor. */
    for (char *at = copy; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            *at = '?';
        }
    }
    table->cells[table->rows++] = copy;
}

void table_number(struct table *table, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, number);
    table_text(table, text);
}

void table_bytes(struct table *table, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    char text[32];

    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.1f %s", value,
             units[unit]);
    table_text(table, text);
}

void table_duration(struct table *table, uint64_t ms)
{
    uint64_t s = ms / 1000;
    char text[48];

    if (s < 1) {
        snprintf(text, sizeof(text), "%" PRIu64 " ms", ms);
    } else if (s < 120) {
        snprintf(text, sizeof(text), "%" PRIu64 " s", s);
    } else if (s < 7200) {
        snprintf(text, sizeof(text), "%" PRIu64 " min", s / 60);
    } else if (s < 172800) {
        snprintf(text, sizeof(text), "%" PRIu64 " h", s / 3600);
    } else {
        snprintf(text, sizeof(text), "%" PRIu64 " d", s / 86400);
    }
    table_text(table, text);
}

/* Columns on a terminal: bytes that begin a UTF-8 character. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0u) != 0x80u;
    }
    return width;
}

static void
print_cell(const char *text, size_t width, bool right, bool last, FILE *out)
{
    size_t have = width_of(text);
    int pad = have < width ? (int)(width - have) : 0;

    if (right) {
        fprintf(out, "%*s%s", pad, "", text);
    } else {
        fprintf(out, "%s%*s", text, last ? 0 : pad, "");
    }
    fputs(last ? "\n" : "  ", out);
}

void table_print(const struct table *table, FILE *out)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    size_t rows = table->rows / table->columns;

    if (table->failed) {
        fputs("out of memory\n", out);
        return;
    }
    for (size_t i = 0; i < rows * table->columns; i++) {
        size_t width = width_of(table->cells[i]);
        size_t column = i % table->columns;

        if (width > widths[column]) {
            widths[column] = width;
        }
    }
    for (size_t i = 0; i < rows * table->columns; i++) {
        size_t column = i % table->columns;

        print_cell(table->cells[i], widths[column],
                   (table->right & (1u << column)) != 0,
                   column + 1 == table->columns, out);
    }
}
