/* Keys that have left a queue lately, as S3-FIFO remembers them: fingerprints
 * only, the oldest forgotten first. One thread. */
#ifndef LARDER_TIERS_GHOST_H
#define LARDER_TIERS_GHOST_H

#include "protocol/bytes.h"

struct ghost;

/* `bytes` is added to as the table grows: the owner's counter, borrowed. */
struct ghost *ghost_create(size_t *bytes);
/* NULL is allowed. */
void ghost_destroy(struct ghost *ghost);
/* Remembers the key with that hash until `limit` more have been added, or a
 * little less. */
void ghost_add(struct ghost *ghost, uint64_t hash, uint64_t limit);
/* Whether the key is remembered; it is forgotten by that. */
bool ghost_take(struct ghost *ghost, uint64_t hash);

#endif
