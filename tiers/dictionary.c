/* The table of dictionaries, and its part of the store.
 *
 *   offset 0  sum      u64  XXH3 of all that follows
 *          8  permille u32
 *         12  prefix   u32  its size
 *         16  prefix bytes, dictionary
 *
 * is the system value "dictionary.<id>". Little endian. */
#include "tiers/dictionary.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#define HEAD_BYTES 16
#define PERMILLE_AT 8
#define PREFIX_SIZE_AT 12
#define UNPACKED_PERMILLE 1000

void dictionaries_create(struct engine *engine)
{
    engine->packer = packer_create();
    engine->dictionaries = xcalloc(1, sizeof *engine->dictionaries);
}

static void count_bytes(struct engine *engine, size_t bytes, int sign)
{
    engine->dictionaries->bytes += (size_t)sign * bytes;
    engine->index_bytes += (size_t)sign * bytes;
}

static void drop_packing(struct engine *engine, struct dictionary *dictionary)
{
    if (dictionary->packing != NULL) {
        count_bytes(engine, codec_dictionary_bytes(dictionary->packing), -1);
        codec_dictionary_destroy(dictionary->packing);
        dictionary->packing = NULL;
    }
}

static void dictionary_destroy(
    struct engine *engine, struct dictionary *dictionary)
{
    if (dictionary != NULL) {
        drop_packing(engine, dictionary);
        free(dictionary->value);
        free(dictionary);
    }
}

void dictionaries_destroy(struct engine *engine)
{
    struct dictionaries *dictionaries = engine->dictionaries;
    for (unsigned id = 1; id <= dictionaries->count; id++) {
        dictionary_destroy(engine, dictionaries->all[id]);
    }
    free(dictionaries);
    packer_destroy(engine->packer);
}

static struct dictionary *dictionary_create(unsigned id)
{
    struct dictionary *dictionary = xcalloc(1, sizeof *dictionary);
    dictionary->id = id;
    snprintf(dictionary->name, sizeof dictionary->name, "dictionary.%u", id);
    return dictionary;
}

/* Takes the stored value over. False when it is damaged. */
static bool take_value(struct dictionary *dictionary, char *value, size_t size)
{
    uint64_t sum = 0;
    uint32_t prefix_size = 0, permille = 0;
    dictionary->value = value;
    dictionary->value_size = size;
    if (size < HEAD_BYTES) {
        return false;
    }
    memcpy(&sum, value, sizeof sum);
    memcpy(&permille, value + PERMILLE_AT, sizeof permille);
    memcpy(&prefix_size, value + PREFIX_SIZE_AT, sizeof prefix_size);
    if (XXH3_64bits(value + sizeof sum, size - sizeof sum) != sum ||
        prefix_size > size - HEAD_BYTES || permille > UNPACKED_PERMILLE) {
        return false;
    }
    dictionary->permille = permille;
    dictionary->prefix = bytes_of(value + HEAD_BYTES, prefix_size);
    dictionary->bytes = bytes_of(
        value + HEAD_BYTES + prefix_size, size - HEAD_BYTES - prefix_size);
    return true;
}

/* Into the table. False: zstd does not know it as a dictionary of this id. */
static bool publish(struct engine *engine, struct dictionary *dictionary)
{
    struct dictionaries *dictionaries = engine->dictionaries;
    if (!packer_know(engine->packer, dictionary->id, dictionary->bytes)) {
        return false;
    }
    dictionaries->all[dictionary->id] = dictionary;
    /* The value, and zstd's copy of what is in it. */
    count_bytes(engine, sizeof *dictionary + 2 * dictionary->value_size, 1);
    return true;
}

bool dictionaries_load(struct engine *engine, char *reason, size_t reason_size)
{
    struct dictionaries *dictionaries = engine->dictionaries;
    struct log *log = &engine->log;
    while (dictionaries->count < CODEC_DICTIONARIES_MAX) {
        struct dictionary *dictionary =
            dictionary_create(dictionaries->count + 1);
        char *value = NULL;
        size_t size = 0;
        enum dry_result result =
            log->ops->get_system(log->store, dictionary->name, &value, &size);
        if (result != DRY_OK) {
            dictionary_destroy(engine, dictionary);
            snprintf(reason, reason_size,
                "The dictionaries of the dry store in %s cannot be read: %s",
                engine->options.path, dry_result_text(result));
            return result == DRY_NOT_FOUND;
        }
        dictionaries->count = dictionaries->saved = dictionary->id;
        if (!take_value(dictionary, value, size) ||
            !publish(engine, dictionary)) {
            engine_tell(engine, 3,
                "%s in the dry store in %s is damaged: values packed with it "
                "cannot be read",
                dictionary->name, engine->options.path);
            dictionary_destroy(engine, dictionary);
        }
    }
    return true;
}

struct dictionary *dictionary_of(
    const struct engine *engine, struct bytes prefix)
{
    const struct dictionaries *dictionaries = engine->dictionaries;
    for (unsigned id = dictionaries->count; id > 0; id--) {
        struct dictionary *dictionary = dictionaries->all[id];
        if (dictionary != NULL && bytes_equal(dictionary->prefix, prefix)) {
            return dictionary;
        }
    }
    return NULL;
}

unsigned dictionary_generations(
    const struct engine *engine, struct bytes prefix)
{
    const struct dictionaries *dictionaries = engine->dictionaries;
    unsigned found = 0;
    for (unsigned id = 1; id <= dictionaries->count; id++) {
        const struct dictionary *dictionary = dictionaries->all[id];
        found += dictionary != NULL && bytes_equal(dictionary->prefix, prefix);
    }
    return found;
}

bool dictionary_add(struct engine *engine, struct bytes prefix,
    struct bytes bytes, unsigned permille)
{
    struct dictionaries *dictionaries = engine->dictionaries;
    uint32_t prefix_size = (uint32_t)prefix.size, stored = permille;
    size_t size = HEAD_BYTES + prefix.size + bytes.size;
    char *value = xmalloc(size);
    memcpy(value + PERMILLE_AT, &stored, sizeof stored);
    memcpy(value + PREFIX_SIZE_AT, &prefix_size, sizeof prefix_size);
    memcpy(value + HEAD_BYTES, prefix.data, prefix.size);
    memcpy(value + HEAD_BYTES + prefix.size, bytes.data, bytes.size);
    uint64_t sum = XXH3_64bits(value + sizeof sum, size - sizeof sum);
    memcpy(value, &sum, sizeof sum);
    struct dictionary *dictionary = dictionary_create(dictionaries->count + 1);
    if (!take_value(dictionary, value, size) || !publish(engine, dictionary)) {
        dictionary_destroy(engine, dictionary);
        return false;
    }
    dictionaries->count++;
    return true;
}

const struct codec_dictionary *dictionary_in_use(
    struct engine *engine, struct namespace *namespace)
{
    struct dictionary *dictionary = namespace->dictionary;
    int level = namespace->policy.codec_level;
    if (dictionary == NULL || !namespace->policy.dictionary) {
        return NULL;
    }
    /* A thread that trains compares with what is in use. */
    if (dictionary->level != level && engine->dictionaries->training == NULL) {
        drop_packing(engine, dictionary);
    }
    if (dictionary->packing == NULL) {
        dictionary->level = level;
        dictionary->packing =
            codec_dictionary_create(dictionary->id, dictionary->bytes, level);
        if (dictionary->packing == NULL) {
            namespace->dictionary = NULL; /* damaged: it unpacks, no more */
            return NULL;
        }
        count_bytes(engine, codec_dictionary_bytes(dictionary->packing), 1);
    }
    return dictionary->packing;
}
