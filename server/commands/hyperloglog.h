/* What the files of the PF commands share. One thread. */
#ifndef LARDER_SERVER_COMMANDS_HYPERLOGLOG_H
#define LARDER_SERVER_COMMANDS_HYPERLOGLOG_H

#include "server/command.h"
#include "server/commands/hll.h"

/* The bytes of the HyperLogLog in `entry`, which is not NULL; borrowed as
 * those of db_string. False after having answered that it is none. */
bool hyperloglog_text(
    struct request *request, const struct entry *entry, struct bytes *text);

/* A copy of `text` in the scratch, to be written on, with room for `raises`
 * calls of hll_raise; an empty one when `text` is empty. False after having
 * answered that it is corrupt. */
bool hyperloglog_copy(
    struct request *request, struct bytes text, size_t raises, struct hll *hll);
/* Writes such a copy to `key`. False after an error. */
bool hyperloglog_store(
    struct request *request, struct bytes key, const struct hll *hll);

/* A HyperLogLog is kept as plain bytes once a PF command that may write has
 * seen it, as in Redis. */
void hyperloglog_make_raw(
    struct request *request, struct bytes key, const struct entry *entry);

void hyperloglog_error_corrupt(struct request *request);

#endif
