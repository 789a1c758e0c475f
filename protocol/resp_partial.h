/* The parser's own memory (private to resp.c and resp_partial.c): growing a
 * resp_args, and the arguments kept of a command whose window goes away. */
#ifndef LARDER_PROTOCOL_RESP_PARTIAL_H
#define LARDER_PROTOCOL_RESP_PARTIAL_H

#include "protocol/resp.h"

/* Arguments of an unfinished command. Those without a blob lie in `text` one
 * behind the other. Once the command is whole it moves to args->spent. */
struct partial_arg {
    size_t size;
    struct blob *blob;
};
struct resp_partial {
    struct resp_partial *next;
    struct partial_arg *items;
    size_t count, capacity;
    char *text;
    size_t text_size, text_capacity;
    size_t blob_bytes;
};

/* Room for `needed` arguments in all. */
void resp_args_grow(struct resp_args *args, size_t needed);

static inline void resp_args_push(
    struct resp_args *args, const char *data, size_t size)
{
    if (args->count == args->capacity) {
        resp_args_grow(args, args->count + 1);
    }
    args->items[args->count++] = bytes_of(data, size);
}

/* Frees it, blobs included. NULL is allowed. */
void resp_partial_destroy(struct resp_partial *partial);
/* Heap it takes. NULL is allowed. */
size_t resp_partial_bytes(const struct resp_partial *partial);
/* Moves the arguments of `args` from `first` on into *partial, created when
 * NULL: their window is about to go. */
void resp_partial_keep(
    struct resp_partial **partial, struct resp_args *args, size_t first);
/* The same for one blob, whose reference is taken over. */
void resp_partial_keep_blob(struct resp_partial **partial, struct blob **blob);
/* Puts what was kept before the arguments from `first` on; `args` owns it
 * from then on. */
void resp_partial_restore(
    struct resp_partial **partial, struct resp_args *args, size_t first);

#endif
