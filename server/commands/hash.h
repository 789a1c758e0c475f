/* What the commands about hashes' fields and their lifetimes share. One
 * thread. */
#ifndef LARDER_SERVER_COMMANDS_HASH_H
#define LARDER_SERVER_COMMANDS_HASH_H

#include "server/commands/typed.h"
#include "tiers/values/hash.h"

/* The arguments behind FIELDS numfields. */
struct hash_fields {
    int first, count;
};

/* FIELDS at argument `at`, then how many fields follow. False: an error has
 * been answered, `not_positive` for a number that is none. */
bool hash_parse_fields(struct request *request, int at,
    const char *not_positive, struct hash_fields *fields);
/* A time in units of `unit_ms` after `base_ms` (now, or 0) at an argument.
 * False: an error has been answered. */
bool hash_parse_deadline(struct request *request, int index, int64_t unit_ms,
    int64_t base_ms, int64_t *deadline_ms);
/* EX, PX, EXAT or PXAT at argument `at`, its time behind it; 0 in *deadline_ms
 * when there is none of them. False: an error has been answered. */
bool hash_parse_lifetime(struct request *request, int at, int64_t *deadline_ms);
/* False when the key is there and no hash: WRONGTYPE has been answered. */
bool hash_check_type(struct request *request);
/* FIELDS at argument 2, and the hash that is there, to be changed. */
enum typed_open hash_open_fields(struct request *request,
    struct hash_fields *fields, struct collection *hash);

#define HASH_NOT_POSITIVE "ERR Number of fields must be a positive integer"

#endif
