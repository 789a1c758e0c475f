/* zstd: its contexts, kept between calls, and its dictionaries. */
#include "tiers/codec_zstd.h"

#include <stdatomic.h>
#include <stdlib.h>
#define ZDICT_STATIC_LINKING_ONLY /* for ZDICT_fastCover_params_t */
#include <zdict.h>
#include <zstd.h>

/* So many threads pack or unpack at once without making a context anew. */
#define CONTEXTS 8
/* A context that has grown beyond this for a large value is not kept. */
#define CONTEXT_MAX_BYTES ((size_t)1024 * 1024)
/* In a dictionary: u32 magic number, u32 id. */
#define DICTIONARY_ID_AT 4
#define DICTIONARY_MIN_BYTES 256 /* ZDICT_DICTSIZE_MIN */
/* Training as ZDICT_trainFromBuffer does it, but with a table of 2^16 counters
 * instead of 2^20: the samples fill less than that, and clearing the rest took
 * nearly all of the time. */
#define TRAINING_TABLE_BITS 16
#define TRAINING_MATCH_BYTES 8
#define TRAINING_STEPS 4

struct packer {
    _Atomic(void *) packing[CONTEXTS];   /* ZSTD_CCtx, or NULL */
    _Atomic(void *) unpacking[CONTEXTS]; /* ZSTD_DCtx, or NULL */
    /* By id. Written once each, before anything that needs it exists. */
    _Atomic(ZSTD_DDict *) known[CODEC_DICTIONARIES_MAX + 1];
};

struct codec_dictionary {
    ZSTD_CDict *dictionary;
};

struct packer *packer_create(void)
{
    return xcalloc(1, sizeof(struct packer));
}

void packer_destroy(struct packer *packer)
{
    if (packer == NULL) {
        return;
    }
    for (unsigned i = 0; i < CONTEXTS; i++) {
        ZSTD_freeCCtx(packer->packing[i]);
        ZSTD_freeDCtx(packer->unpacking[i]);
    }
    for (unsigned id = 0; id <= CODEC_DICTIONARIES_MAX; id++) {
        ZSTD_freeDDict(packer->known[id]);
    }
    free(packer);
}

/* ---- contexts: taken, used by one thread, given back ---- */

/* One that is kept, or NULL. */
static void *take_kept(_Atomic(void *) *kept)
{
    void *context = NULL;
    for (unsigned i = 0; i < CONTEXTS && context == NULL; i++) {
        context = atomic_exchange(&kept[i], NULL);
    }
    return context;
}

/* False: enough are kept already. */
static bool keep(_Atomic(void *) *kept, void *context)
{
    for (unsigned i = 0; i < CONTEXTS; i++) {
        void *none = NULL;
        if (atomic_compare_exchange_strong(&kept[i], &none, context)) {
            return true;
        }
    }
    return false;
}

static ZSTD_CCtx *take_packing(struct packer *packer)
{
    ZSTD_CCtx *context = take_kept(packer->packing);
    context = context != NULL ? context : ZSTD_createCCtx();
    check(context != NULL);
    return context;
}

static void give_packing(struct packer *packer, ZSTD_CCtx *context)
{
    bool small = ZSTD_sizeof_CCtx(context) <= CONTEXT_MAX_BYTES;
    if (!small || !keep(packer->packing, context)) {
        ZSTD_freeCCtx(context);
    }
}

static ZSTD_DCtx *take_unpacking(struct packer *packer)
{
    ZSTD_DCtx *context = take_kept(packer->unpacking);
    context = context != NULL ? context : ZSTD_createDCtx();
    check(context != NULL);
    return context;
}

static void give_unpacking(struct packer *packer, ZSTD_DCtx *context)
{
    if (!keep(packer->unpacking, context)) {
        ZSTD_freeDCtx(context);
    }
}

/* ---- packing ---- */

size_t zstd_pack(
    struct packer *packer, int level, struct bytes raw, char *out, size_t room)
{
    ZSTD_CCtx *context = take_packing(packer);
    size_t size = ZSTD_compressCCtx(context, out, room, raw.data, raw.size,
        level != 0 ? level : ZSTD_CLEVEL_DEFAULT);
    give_packing(packer, context);
    return ZSTD_isError(size) ? 0 : size;
}

size_t zstd_pack_with(struct packer *packer,
    const struct codec_dictionary *dictionary, struct bytes raw, char *out,
    size_t room)
{
    ZSTD_CCtx *context = take_packing(packer);
    size_t size = ZSTD_compress_usingCDict(
        context, out, room, raw.data, raw.size, dictionary->dictionary);
    give_packing(packer, context);
    return ZSTD_isError(size) ? 0 : size;
}

bool zstd_unpack(
    struct packer *packer, struct bytes packed, char *out, size_t raw)
{
    unsigned id = ZSTD_getDictID_fromFrame(packed.data, packed.size);
    const ZSTD_DDict *dictionary =
        id <= CODEC_DICTIONARIES_MAX ? packer->known[id] : NULL;
    if (id != 0 && dictionary == NULL) {
        return false;
    }
    ZSTD_DCtx *context = take_unpacking(packer);
    size_t size = id == 0 ? ZSTD_decompressDCtx(
                                context, out, raw, packed.data, packed.size)
                          : ZSTD_decompress_usingDDict(context, out, raw,
                                packed.data, packed.size, dictionary);
    give_unpacking(packer, context);
    return size == raw;
}

/* ---- dictionaries ---- */

static bool is_dictionary(unsigned id, struct bytes bytes)
{
    return bytes.size >= DICTIONARY_MIN_BYTES &&
           ZSTD_getDictID_fromDict(bytes.data, bytes.size) == id;
}

bool packer_know(struct packer *packer, unsigned id, struct bytes dictionary)
{
    check(id > 0 && id <= CODEC_DICTIONARIES_MAX && packer->known[id] == NULL);
    if (is_dictionary(id, dictionary)) {
        packer->known[id] = ZSTD_createDDict(dictionary.data, dictionary.size);
    }
    return packer->known[id] != NULL;
}

struct codec_dictionary *codec_dictionary_create(
    unsigned id, struct bytes bytes, int level)
{
    ZSTD_CDict *made = NULL;
    if (is_dictionary(id, bytes)) {
        made = ZSTD_createCDict(
            bytes.data, bytes.size, level != 0 ? level : ZSTD_CLEVEL_DEFAULT);
    }
    if (made == NULL) {
        return NULL;
    }
    struct codec_dictionary *dictionary = xmalloc(sizeof *dictionary);
    dictionary->dictionary = made;
    return dictionary;
}

void codec_dictionary_destroy(struct codec_dictionary *dictionary)
{
    if (dictionary != NULL) {
        ZSTD_freeCDict(dictionary->dictionary);
        free(dictionary);
    }
}

size_t codec_dictionary_bytes(const struct codec_dictionary *dictionary)
{
    return sizeof *dictionary + ZSTD_sizeof_CDict(dictionary->dictionary);
}

size_t codec_train(unsigned id, const char *samples, const size_t *sizes,
    unsigned count, char *out, size_t room)
{
    uint32_t number = id;
    ZDICT_fastCover_params_t how = {
        .d = TRAINING_MATCH_BYTES,
        .f = TRAINING_TABLE_BITS,
        .steps = TRAINING_STEPS,
        .zParams.compressionLevel = ZSTD_CLEVEL_DEFAULT,
    };
    size_t size = ZDICT_optimizeTrainFromBuffer_fastCover(
        out, room, samples, sizes, count, &how);
    if (ZDICT_isError(size)) {
        return 0;
    }
    memcpy(out + DICTIONARY_ID_AT, &number, sizeof number);
    return size;
}
