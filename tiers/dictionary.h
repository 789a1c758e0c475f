/* Dictionaries of zstd: what the small values of a namespace have in common,
 * said once for all of them.
 *
 * A namespace with `compression zstd` collects samples of what sinks; a reader
 * thread makes a dictionary of them and tries it on others; where it saves
 * enough, it is used from then on. When values change so that it saves less, it
 * is replaced in the same way. Dictionaries are numbered, written to the store
 * with the first batch that may need them, and never given up: any record may
 * name any of them. Their number is bounded, for a prefix and for a store.
 *
 * All of it is the engine thread's, but for the training itself. */
#ifndef LARDER_TIERS_DICTIONARY_H
#define LARDER_TIERS_DICTIONARY_H

#include "tiers/codec.h"
#include "tiers/engine_internal.h"

#define DICTIONARY_NAME_BYTES 16
/* Larger values say enough by themselves. */
#define DICTIONARY_VALUE_MAX_BYTES ((size_t)4096)

/* One dictionary. */
struct dictionary {
    unsigned id;
    char name[DICTIONARY_NAME_BYTES]; /* in the store */
    char *value;                      /* in the store: see dictionary.c */
    size_t value_size;
    struct bytes prefix, bytes;       /* in `value` */
    unsigned permille;                /* what samples were packed to, of 1000 */
    struct codec_dictionary *packing; /* NULL: not needed yet */
    int level;                        /* of `packing` */
};

struct dictionaries {
    struct dictionary *all[CODEC_DICTIONARIES_MAX + 1]; /* NULL: damaged */
    unsigned count;                                     /* the last id */
    unsigned saved;            /* the last id that the store has */
    size_t bytes;              /* of all of this, in engine->index_bytes too */
    size_t sample_bytes;       /* of all namespaces */
    struct training *training; /* one at a time */
};

/* Before the store is opened, and when nothing packs or unpacks any more. */
void dictionaries_create(struct engine *engine);
void dictionaries_destroy(struct engine *engine);
/* Reads what the store has. False, with a reason, when it cannot be read; one
 * that is damaged is told of and left out, and its records with it. */
bool dictionaries_load(struct engine *engine, char *reason, size_t reason_size);
/* The newest dictionary of a prefix, or NULL. */
struct dictionary *dictionary_of(
    const struct engine *engine, struct bytes prefix);
/* How many were made for it. */
unsigned dictionary_generations(
    const struct engine *engine, struct bytes prefix);
/* A new one, of the next id. False: the bytes are none. */
bool dictionary_add(struct engine *engine, struct bytes prefix,
    struct bytes bytes, unsigned permille);
/* What its namespace's values are packed with now; NULL: without. */
const struct codec_dictionary *dictionary_in_use(
    struct engine *engine, struct namespace *namespace);

/* ---- dictionary_train.c ---- */

/* A value of the namespace is about to be packed: it may become a sample. */
void dictionary_sample(
    struct engine *engine, struct namespace *namespace, struct bytes raw);
/* With the dictionary it became so large. */
void dictionary_judge(
    struct namespace *namespace, size_t raw_bytes, size_t packed_bytes);
/* Its samples are worth nothing now. */
void dictionary_forget(struct namespace *namespace);

#endif
