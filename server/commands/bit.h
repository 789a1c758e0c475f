/* Strings as rows of bits, numbered from 0, the highest bit of the first byte
 * coming first. What the bit commands share; any thread, but for the
 * functions that take a request. */
#ifndef LARDER_SERVER_COMMANDS_BIT_H
#define LARDER_SERVER_COMMANDS_BIT_H

#include "server/command.h"

/* Set bits among those from `first` to `last`, both included and inside
 * `text`. */
uint64_t bit_count(struct bytes text, uint64_t first, uint64_t last);

/* The first bit that is `wanted` among those from `first` to `last`, both
 * included and inside `text`; UINT64_MAX when there is none. */
uint64_t bit_find(
    struct bytes text, bool wanted, uint64_t first, uint64_t last);

/* `count` (1 to 64) bits from `offset` on as a number, the first bit being
 * its highest; bits behind the end of `text` are zero. */
uint64_t bit_get_field(struct bytes text, uint64_t offset, unsigned count);

/* Writes such a number; the bits must be inside `data`. */
void bit_set_field(char *data, uint64_t offset, unsigned count, uint64_t value);

/* Argument `index` as the number of a bit; with `width` not 0, "#3" stands
 * for 3 * width. Answers false after an error. */
bool bit_arg_offset(
    struct request *request, int index, unsigned width, uint64_t *offset);

/* A string to write on, valid until the next call into tiers/db.h. */
struct bit_text {
    char *data;
    size_t size;
    bool grown; /* it had to be made, or made longer */
};
/* The string at argument 1, long enough for bit `last`. False after an
 * error. */
bool bit_writable(
    struct request *request, uint64_t last, struct bit_text *text);

/* The string at argument 1, empty when there is no key. `entry` was looked
 * up by the caller. */
struct bytes bit_string(struct request *request, const struct entry *entry);

/* Whether all operations of a BITFIELD in argv only read. */
bool bit_field_only_reads(const struct request *request);

#endif
