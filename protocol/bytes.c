#include "protocol/bytes.h"

#include <stdio.h>
#include <stdlib.h>

/* Scratch chunks double up to this; larger requests get a chunk alone. */
#define SCRATCH_FIRST_BYTES 1024
#define SCRATCH_MOST_BYTES (256 * 1024)
#define SCRATCH_ALIGN 16

struct scratch_chunk {
    struct scratch_chunk *next;
    size_t used, capacity;
    _Alignas(SCRATCH_ALIGN) char data[];
};

static const char digit_pairs[] = "00010203040506070809"
                                  "10111213141516171819"
                                  "20212223242526272829"
                                  "30313233343536373839"
                                  "40414243444546474849"
                                  "50515253545556575859"
                                  "60616263646566676869"
                                  "70717273747576777879"
                                  "80818283848586878889"
                                  "90919293949596979899";

int bytes_compare(struct bytes a, struct bytes b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);

    if (order != 0) {
        return order;
    }
    return (a.size > b.size) - (a.size < b.size);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool bytes_equal_nocase(struct bytes a, const char *text)
{
    for (size_t i = 0; i < a.size; i++) {
        /* A NUL inside `a` must not match the end of `text`. */
        if (text[i] == '\0' || lower(a.data[i]) != lower(text[i])) {
            return false;
        }
    }
    return text[a.size] == '\0';
}

bool bytes_to_int64(struct bytes text, int64_t *value)
{
    const char *at = text.data, *end = text.data + text.size;
    bool negative = text.size > 0 && *at == '-';
    uint64_t limit = (uint64_t)INT64_MAX + negative;
    uint64_t sum = 0;

    at += negative;
    /* 20 bytes are the longest there is: "-9223372036854775808". */
    if (at == end || end - at > 19) {
        return false;
    }
    if (*at == '0' && text.size != 1) {
        return false;
    }
    for (; at < end; at++) {
        unsigned digit = (unsigned char)*at - (unsigned)'0';

        if (digit > 9) {
            return false;
        }
        sum = sum * 10 + digit;
    }
    if (sum > limit) {
        return false;
    }
    *value = (int64_t)(negative ? 0 - sum : sum);
    return true;
}

size_t bytes_from_int64(char *out, int64_t value)
{
    char digits[20];
    char *at = digits + sizeof(digits);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    size_t size;

    while (rest >= 100) {
        at -= 2;
        memcpy(at, digit_pairs + rest % 100 * 2, 2);
        rest /= 100;
    }
    if (rest >= 10) {
        at -= 2;
        memcpy(at, digit_pairs + rest * 2, 2);
    } else {
        *--at = (char)('0' + rest);
    }
    if (value < 0) {
        *out++ = '-';
    }
    size = (size_t)(digits + sizeof(digits) - at);
    memcpy(out, at, size);
    return size + (value < 0);
}

void check_failed(const char *condition, const char *file, int line)
{
    fprintf(
        stderr, "larder: check failed: %s (%s:%d)\n", condition, file, line);
    abort();
}

static void *checked(void *memory)
{
    if (memory == NULL) {
        fputs("larder: out of memory\n", stderr);
        abort();
    }
    return memory;
}

void *xmalloc(size_t size)
{
    return checked(malloc(size > 0 ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    bool empty = count == 0 || size == 0;

    return checked(empty ? calloc(1, 1) : calloc(count, size));
}

void *xcalloc_lines(size_t size)
{
    return memset(checked(aligned_alloc(LINE_BYTES, size)), 0, size);
}

void *xrealloc(void *old, size_t size)
{
    return checked(realloc(old, size > 0 ? size : 1));
}

char *xstrdup(const char *text)
{
    return checked(strdup(text));
}

struct blob *blob_create(size_t size)
{
    struct blob *blob = NULL;

    if (size <= PTRDIFF_MAX - sizeof(struct blob)) {
        blob = malloc(sizeof(struct blob) + size);
    }
    if (blob != NULL) {
        blob->refs = 1;
        blob->size = size;
        blob->capacity = size;
    }
    return blob;
}

struct blob *blob_copy(struct bytes content)
{
    struct blob *blob = blob_create(content.size);

    if (blob != NULL && content.size > 0) {
        memcpy(blob->data, content.data, content.size);
    }
    return blob;
}

struct blob *blob_reserve(struct blob *blob, size_t capacity)
{
    struct blob *moved = NULL;

    check(blob->refs == 1 && capacity >= blob->size);
    if (capacity <= PTRDIFF_MAX - sizeof(struct blob)) {
        moved = realloc(blob, sizeof(struct blob) + capacity);
    }
    if (moved != NULL) {
        moved->capacity = capacity;
    }
    return moved;
}

struct blob *blob_ref(struct blob *blob)
{
    check(blob->refs > 0 && blob->refs < UINT32_MAX);
    blob->refs++;
    return blob;
}

void blob_unref(struct blob *blob)
{
    if (blob == NULL) {
        return;
    }
    check(blob->refs > 0);
    if (--blob->refs == 0) {
        free(blob);
    }
}

static struct scratch_chunk *chunk_create(
    const struct scratch_chunk *previous, size_t size)
{
    size_t capacity = SCRATCH_FIRST_BYTES;
    struct scratch_chunk *chunk;

    if (previous != NULL && previous->capacity >= SCRATCH_FIRST_BYTES) {
        capacity = previous->capacity * 2;
    }
    if (capacity > SCRATCH_MOST_BYTES) {
        capacity = SCRATCH_MOST_BYTES;
    }
    if (capacity < size) {
        capacity = size;
    }
    chunk = xmalloc(sizeof(*chunk) + capacity);
    chunk->used = 0;
    chunk->capacity = capacity;
    return chunk;
}

void *scratch_alloc(struct scratch *scratch, size_t size)
{
    struct scratch_chunk *chunk = scratch->chunks;
    void *memory;

    check(size <= PTRDIFF_MAX - sizeof(*chunk) - SCRATCH_ALIGN);
    size = (size + SCRATCH_ALIGN - 1) & ~(size_t)(SCRATCH_ALIGN - 1);
    if (chunk == NULL || chunk->capacity - chunk->used < size) {
        chunk = chunk_create(scratch->chunks, size);
        chunk->next = scratch->chunks;
        scratch->chunks = chunk;
    }
    memory = chunk->data + chunk->used;
    chunk->used += size;
    return memory;
}

void scratch_reset(struct scratch *scratch)
{
    while (scratch->chunks != NULL) {
        struct scratch_chunk *chunk = scratch->chunks;

        scratch->chunks = chunk->next;
        free(chunk);
    }
}
