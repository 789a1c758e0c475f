/* How a namespace comes by its dictionary, and by a better one. */
#include <stdlib.h>

#include "tiers/dictionary.h"

/* Of the samples the first three quarters make the dictionary; it is tried on
 * the others. */
#define SAMPLES_BYTES ((size_t)128 * 1024)
#define SAMPLES_MAX 2048
#define SAMPLES_FIRST_BYTES ((size_t)8 * 1024)
#define SAMPLES_ALL_BYTES ((size_t)4 * 1024 * 1024) /* of all namespaces */
#define DICTIONARY_BYTES ((size_t)8 * 1024)
/* A new dictionary must save this part of what values take without it. */
#define GAIN_PART 10
/* After so many values it is asked whether the dictionary has got worse: by a
 * quarter. */
#define JUDGED_VALUES 4096
/* How many values pass before a namespace whose samples were of no use
 * collects again; twice as many each time. */
#define WAIT_VALUES 65536
#define WAIT_DOUBLINGS 10
/* Dictionaries made for one prefix. */
#define GENERATIONS_MAX 8

struct samples {
    struct dictionaries *dictionaries; /* which counts the bytes */
    char *data;
    size_t size, capacity;
    size_t sizes[SAMPLES_MAX];
    unsigned count;
};

struct training {
    struct dry_job job; /* first: done() finds the training by it */
    struct engine *engine;
    char *prefix; /* the namespace may be gone by the end */
    size_t prefix_size;
    struct samples *samples;
    unsigned id;
    int level;
    const struct codec_dictionary *old; /* or NULL */
    char bytes[DICTIONARY_BYTES];
    size_t size; /* 0: none was made */
    uint64_t raw, old_packed, new_packed;
};

/* ---- samples ---- */

static void samples_destroy(struct samples *samples)
{
    if (samples != NULL) {
        samples->dictionaries->sample_bytes -= samples->capacity;
        free(samples->data);
        free(samples);
    }
}

static bool samples_full(const struct samples *samples)
{
    return samples->count == SAMPLES_MAX || samples->size >= SAMPLES_BYTES;
}

/* False when all namespaces together have too many already. */
static bool samples_make_room(struct samples *samples, size_t size)
{
    struct dictionaries *dictionaries = samples->dictionaries;
    size_t capacity = samples->capacity;
    while (capacity < samples->size + size) {
        capacity = capacity == 0 ? SAMPLES_FIRST_BYTES : capacity * 2;
    }
    size_t grown = capacity - samples->capacity;
    if (dictionaries->sample_bytes + grown > SAMPLES_ALL_BYTES) {
        return false;
    }
    samples->data = xrealloc(samples->data, capacity);
    samples->capacity = capacity;
    dictionaries->sample_bytes += grown;
    return true;
}

static void samples_take(struct samples *samples, struct bytes raw)
{
    if (!samples_full(samples) && samples_make_room(samples, raw.size)) {
        memcpy(samples->data + samples->size, raw.data, raw.size);
        samples->size += raw.size;
        samples->sizes[samples->count++] = raw.size;
    }
}

/* ---- training, on a reader thread ---- */

static size_t packed_bytes(struct training *training,
    const struct codec_dictionary *with, struct bytes raw, char *out)
{
    struct packer *packer = training->engine->packer;
    size_t size = with != NULL ? codec_pack_with(packer, with, raw, out)
                               : codec_pack(packer, CODEC_ZSTD, training->level,
                                     raw, out);
    return size == 0 ? raw.size : size;
}

static void compare(struct training *training,
    const struct codec_dictionary *made, unsigned first, size_t at)
{
    const struct samples *samples = training->samples;
    char *out = xmalloc(codec_bound(DICTIONARY_VALUE_MAX_BYTES));
    for (unsigned i = first; i < samples->count; i++) {
        struct bytes raw = bytes_of(samples->data + at, samples->sizes[i]);
        training->raw += raw.size;
        training->old_packed += packed_bytes(training, training->old, raw, out);
        training->new_packed += packed_bytes(training, made, raw, out);
        at += raw.size;
    }
    free(out);
}

static void train(struct dry_job *job, struct dry_store *store)
{
    struct training *training = (struct training *)job;
    const struct samples *samples = training->samples;
    unsigned first = samples->count - samples->count / 4;
    size_t at = 0;
    (void)store;
    for (unsigned i = 0; i < first; i++) {
        at += samples->sizes[i];
    }
    training->size = codec_train(training->id, samples->data, samples->sizes,
        first, training->bytes, sizeof training->bytes);
    struct codec_dictionary *made = codec_dictionary_create(training->id,
        bytes_of(training->bytes, training->size), training->level);
    if (made != NULL) {
        compare(training, made, first, at);
    }
    codec_dictionary_destroy(made);
}

/* ---- before and after ---- */

static bool pays(const struct training *training)
{
    return training->raw > 0 &&
           training->new_packed + training->new_packed / GAIN_PART <=
               training->old_packed;
}

static void wait_longer(struct namespace *namespace)
{
    struct learning *learning = &namespace->learning;
    learning->wait = (uint64_t)WAIT_VALUES << learning->refused;
    learning->refused += learning->refused < WAIT_DOUBLINGS;
}

static void on_trained(struct dry_job *job)
{
    struct training *training = (struct training *)job;
    struct engine *engine = training->engine;
    struct bytes prefix = bytes_of(training->prefix, training->prefix_size);
    struct namespace *namespace = namespace_by_prefix(engine, prefix);
    engine->dictionaries->training = NULL;
    if (namespace != NULL && !engine->log.closing) {
        struct bytes bytes = bytes_of(training->bytes, training->size);
        struct learning *learning = &namespace->learning;
        learning->raw = learning->packed = learning->count = 0;
        if (pays(training) &&
            dictionary_add(engine, prefix, bytes,
                (unsigned)(training->new_packed * 1000 / training->raw))) {
            namespace->dictionary = dictionary_of(engine, prefix);
            namespace->pack_failures = 0;
            learning->worse = false;
            learning->refused = 0;
        } else {
            wait_longer(namespace);
        }
    }
    samples_destroy(training->samples);
    free(training->prefix);
    free(training);
}

static void start(struct engine *engine, struct namespace *namespace)
{
    struct training *training = xcalloc(1, sizeof *training);
    training->engine = engine;
    training->prefix = xmalloc(namespace->prefix_size + 1);
    memcpy(training->prefix, namespace->prefix, namespace->prefix_size);
    training->prefix_size = namespace->prefix_size;
    training->samples = namespace->samples;
    namespace->samples = NULL;
    training->id = engine->dictionaries->count + 1;
    training->level = namespace->policy.codec_level;
    training->old = dictionary_in_use(engine, namespace);
    training->job.kind = DRY_JOB_CALL;
    training->job.call = train;
    training->job.done = on_trained;
    engine->dictionaries->training = training;
    dry_workers_submit(engine->log.workers, &training->job);
}

/* Would another dictionary be of use, and is there a place for it? */
static bool wants_samples(
    const struct engine *engine, struct namespace *namespace)
{
    struct learning *learning = &namespace->learning;
    if ((namespace->dictionary != NULL && !learning->worse) ||
        engine->log.workers == NULL || engine->log.closing) {
        return false;
    }
    if (learning->wait > 0) {
        learning->wait--;
        return false;
    }
    if (engine->dictionaries->count == CODEC_DICTIONARIES_MAX ||
        dictionary_generations(
            engine, bytes_of(namespace->prefix, namespace->prefix_size)) ==
            GENERATIONS_MAX) {
        wait_longer(namespace);
        return false;
    }
    return true;
}

void dictionary_sample(
    struct engine *engine, struct namespace *namespace, struct bytes raw)
{
    if (raw.size > DICTIONARY_VALUE_MAX_BYTES) {
        return;
    }
    if (namespace->samples == NULL) {
        if (!wants_samples(engine, namespace)) {
            return;
        }
        namespace->samples = xcalloc(1, sizeof *namespace->samples);
        namespace->samples->dictionaries = engine->dictionaries;
    }
    samples_take(namespace->samples, raw);
    if (samples_full(namespace->samples) &&
        engine->dictionaries->training == NULL && !engine->log.closing) {
        start(engine, namespace);
    }
}

void dictionary_judge(
    struct namespace *namespace, size_t raw_bytes, size_t packed_bytes)
{
    struct learning *learning = &namespace->learning;
    learning->raw += raw_bytes;
    learning->packed += packed_bytes;
    learning->count++;
    if (learning->count == JUDGED_VALUES) {
        uint64_t permille = learning->packed * 1000 / learning->raw;
        unsigned expected = namespace->dictionary->permille;
        learning->worse = permille > expected + expected / 4;
        learning->raw = learning->packed = learning->count = 0;
    }
}

void dictionary_forget(struct namespace *namespace)
{
    samples_destroy(namespace->samples);
    namespace->samples = NULL;
    namespace->learning = (struct learning){0};
}
