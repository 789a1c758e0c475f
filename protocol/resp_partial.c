#include "protocol/resp_partial.h"

#include <stdlib.h>

#define ARGS_FIRST_CAPACITY 256
/* An array larger than this is given back at reset. */
#define ARGS_KEPT_CAPACITY (16 * 1024)

void resp_args_init(struct resp_args *args)
{
    *args = (struct resp_args){.capacity = 0};
}

static void args_clear(struct resp_args *args)
{
    if (args->any_blob) {
        for (size_t i = 0; i < args->count; i++) {
            blob_unref(args->blobs[i]);
            args->blobs[i] = NULL;
        }
        args->any_blob = false;
    }
    args->count = 0;
    while (args->spent != NULL) {
        struct resp_partial *partial = args->spent;

        args->spent = partial->next;
        resp_partial_destroy(partial);
    }
    scratch_reset(&args->text);
}

void resp_args_reset(struct resp_args *args)
{
    args_clear(args);
    if (args->capacity > ARGS_KEPT_CAPACITY) {
        resp_args_finish(args);
    }
}

void resp_args_finish(struct resp_args *args)
{
    args_clear(args);
    free(args->items);
    free(args->blobs);
    resp_args_init(args);
}

void resp_args_grow(struct resp_args *args, size_t needed)
{
    size_t capacity = args->capacity;

    if (capacity == 0) {
        capacity = ARGS_FIRST_CAPACITY;
    }
    while (capacity < needed) {
        capacity *= 2;
    }
    args->items = xrealloc(args->items, capacity * sizeof(struct bytes));
    if (args->blobs != NULL) {
        args->blobs = xrealloc(args->blobs, capacity * sizeof(void *));
        memset(args->blobs + args->capacity, 0,
            (capacity - args->capacity) * sizeof(void *));
    }
    args->capacity = capacity;
}

static void args_set_blob(
    struct resp_args *args, size_t index, struct blob *blob)
{
    if (args->blobs == NULL) {
        args->blobs = xcalloc(args->capacity, sizeof(void *));
    }
    args->blobs[index] = blob;
    args->any_blob = true;
}

void resp_partial_destroy(struct resp_partial *partial)
{
    if (partial == NULL) {
        return;
    }
    for (size_t i = 0; i < partial->count; i++) {
        blob_unref(partial->items[i].blob);
    }
    free(partial->items);
    free(partial->text);
    free(partial);
}

size_t resp_partial_bytes(const struct resp_partial *partial)
{
    if (partial == NULL) {
        return 0;
    }
    return partial->capacity * sizeof(struct partial_arg) +
           partial->text_capacity + partial->blob_bytes;
}

static void reserve(struct resp_partial **partial, size_t count, size_t text)
{
    struct resp_partial *to = *partial;

    if (to == NULL) {
        to = *partial = xcalloc(1, sizeof(*to));
    }
    if (to->count + count > to->capacity) {
        to->capacity = (to->count + count) * 2;
        to->items =
            xrealloc(to->items, to->capacity * sizeof(struct partial_arg));
    }
    if (to->text_size + text > to->text_capacity) {
        to->text_capacity = (to->text_size + text) * 2;
        to->text = xrealloc(to->text, to->text_capacity);
    }
}

void resp_partial_keep(
    struct resp_partial **partial, struct resp_args *args, size_t first)
{
    size_t text = 0;
    struct resp_partial *to;

    for (size_t i = first; i < args->count; i++) {
        text += args->items[i].size;
    }
    reserve(partial, args->count - first, text);
    to = *partial;
    for (size_t i = first; i < args->count; i++) {
        struct bytes item = args->items[i];

        if (item.size > 0) {
            memcpy(to->text + to->text_size, item.data, item.size);
        }
        to->text_size += item.size;
        to->items[to->count++] = (struct partial_arg){.size = item.size};
    }
    args->count = first;
}

void resp_partial_keep_blob(struct resp_partial **partial, struct blob **blob)
{
    reserve(partial, 1, 0);
    (*partial)->items[(*partial)->count++] =
        (struct partial_arg){.size = (*blob)->size, .blob = *blob};
    (*partial)->blob_bytes += (*blob)->capacity;
    *blob = NULL;
}

void resp_partial_restore(
    struct resp_partial **partial, struct resp_args *args, size_t first)
{
    struct resp_partial *from = *partial;
    size_t fresh = args->count - first;
    const char *text = from->text;

    if (args->count + from->count > args->capacity) {
        resp_args_grow(args, args->count + from->count);
    }
    memmove(args->items + first + from->count, args->items + first,
        fresh * sizeof(struct bytes));
    for (size_t i = 0; i < from->count; i++) {
        struct partial_arg *item = &from->items[i];

        if (item->blob != NULL) {
            args->items[first + i] = blob_bytes(item->blob);
            args_set_blob(args, first + i, item->blob);
            item->blob = NULL;
        } else {
            args->items[first + i] = bytes_of(text, item->size);
            text += item->size;
        }
    }
    args->count += from->count;
    from->next = args->spent;
    args->spent = from;
    *partial = NULL;
}
