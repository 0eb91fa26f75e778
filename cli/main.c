/* SPDX-License-Identifier: Apache-2.0 */
/* hardtack - starts nodes, and looks into those that run. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static void print_help(FILE *out)
{
    fputs("usage: hardtack COMMAND [OPTION...] [ARGUMENT...]\n\n", out);
    for (const struct command *c = cli_commands; c->name != NULL; c++) {
        fprintf(out, "  %-11s %s\n", c->name, c->summary);
    }
    fputs("\n`hardtack COMMAND --help` explains a command; `man hardtack` all "
          "of them.\n",
          out);
}

static const struct command *find_command(const char *name)
{
    for (const struct command *c = cli_commands; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const struct command *command;
    char name[64];

    /* argp's own is 64; ours is the one in the manual. */
    argp_err_exit_status = EXIT_USAGE;
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("hardtack %s\n", ht_version());
        return EXIT_OK;
    }
    command = find_command(argv[1]);
    if (command == NULL) {
        fprintf(stderr,
                "hardtack: there is no command \"%s\"; `hardtack --help` "
                "lists them\n",
                argv[1]);
        return EXIT_USAGE;
    }
    /* argp takes the program's name from argv[0]. */
    snprintf(name, sizeof(name), "hardtack %s", command->name);
    argv[1] = name;
    return command->run(argc - 1, argv + 1);
}
