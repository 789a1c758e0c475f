/* SORT: what its files share. One thread. */
#ifndef LARDER_SERVER_COMMANDS_SORT_H
#define LARDER_SERVER_COMMANDS_SORT_H

#include "server/commands/typed.h"

/* ---- values named by elements (sort_lookup.c) ---- */

/* A pattern of BY or GET, taken apart: the key prefix + element + suffix, and
 * a field of the hash that is there unless `field` is empty. Borrowed from
 * the argument. */
struct sort_pattern {
    bool is_element; /* "#": the element itself */
    bool is_fixed;   /* no '*' in it: names nothing */
    struct bytes prefix, suffix, field;
};
void sort_pattern_parse(struct sort_pattern *pattern, struct bytes text);

struct sort_value {
    struct bytes text; /* no data and size 0: there is none */
    struct blob *blob; /* the text's, where it has one to itself, or NULL */
    bool found;
};

/* Zeroed but for the request = ready; end with sort_lookup_finish. */
struct sort_lookup {
    struct request *request;
    struct scratch unpacked;
    struct element element;
    char *key;
    size_t key_room;
};
/* What the pattern names for an element; a value on disk is read at once.
 * *value is borrowed until the next call. False: an error was answered. */
bool sort_lookup(struct sort_lookup *lookup, const struct sort_pattern *pattern,
    struct bytes element, struct sort_value *value);
void sort_lookup_finish(struct sort_lookup *lookup);

#endif
