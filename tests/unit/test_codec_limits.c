/* Codecs at their limits: what is too small, too large or too mixed to pack,
 * dictionaries that are none, and more threads than contexts are kept for. */
#include "tests/unit/engine_fixture.h"
#include "tiers/dictionary.h"

#include <dlfcn.h>
#include <pthread.h>
#include <xxhash.h>
#include <zstd.h>

enum { ID = 5, SAMPLES = 400, SAMPLE = 200, ROOM = 4096, THREADS = 12 };

/* ---- all threads in zstd at once ---- */

static pthread_barrier_t *meeting; /* NULL: nobody waits */

static void meet(void)
{
    if (meeting != NULL) {
        pthread_barrier_wait(meeting);
    }
}

/* These pass on to the library's, when all threads have come. */
size_t ZSTD_compressCCtx(ZSTD_CCtx *context, void *to, size_t room,
    const void *from, size_t size, int level)
{
    __typeof__(&ZSTD_compressCCtx) real = NULL;
    *(void **)(&real) = dlsym(RTLD_NEXT, "ZSTD_compressCCtx");
    meet();
    return real(context, to, room, from, size, level);
}

size_t ZSTD_decompressDCtx(
    ZSTD_DCtx *context, void *to, size_t room, const void *from, size_t size)
{
    __typeof__(&ZSTD_decompressDCtx) real = NULL;
    *(void **)(&real) = dlsym(RTLD_NEXT, "ZSTD_decompressDCtx");
    meet();
    return real(context, to, room, from, size);
}

struct worker {
    struct packer *packer;
    pthread_t thread;
    unsigned number;
    bool good;
};

static void *pack_and_unpack(void *argument)
{
    enum { SIZE = 3000 };
    struct worker *worker = argument;
    char raw[SIZE], packed[SIZE + 4], out[SIZE];
    for (size_t i = 0; i < SIZE; i++) {
        raw[i] = (char)('a' + i % (worker->number + 2));
    }
    size_t size =
        codec_pack(worker->packer, CODEC_ZSTD, 0, bytes_of(raw, SIZE), packed);
    worker->good =
        size > 0 &&
        codec_unpack(worker->packer, CODEC_ZSTD, bytes_of(packed, size), out) &&
        memcmp(raw, out, SIZE) == 0;
    return NULL;
}

static void more_threads_than_contexts(void **state)
{
    struct worker workers[THREADS];
    struct packer *packer = packer_create();
    pthread_barrier_t barrier;
    (void)state;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    meeting = &barrier;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < THREADS; i++) {
            workers[i] = (struct worker){.packer = packer, .number = i};
            assert_int_equal(pthread_create(&workers[i].thread, NULL,
                                 pack_and_unpack, &workers[i]),
                0);
        }
        for (unsigned i = 0; i < THREADS; i++) {
            pthread_join(workers[i].thread, NULL);
            assert_true(workers[i].good);
        }
    }
    meeting = NULL;
    pthread_barrier_destroy(&barrier);
    packer_destroy(packer);
}

/* ---- sizes ---- */

static void what_cannot_shrink_is_left(void **state)
{
    static const enum codec codecs[] = {CODEC_LZ4, CODEC_ZSTD, CODEC_ZLIB};
    struct packer *packer = packer_create();
    char out[64], raw[] = "1234";
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(
            codec_pack(packer, codecs[i], 0, bytes_of(raw, 4), out), 0);
        assert_int_equal(
            codec_pack(packer, codecs[i], 0, bytes_of(raw, 0), out), 0);
        /* Not a byte of it is looked at. */
        assert_int_equal(
            codec_pack(packer, codecs[i], 0,
                bytes_of(raw, (size_t)CODEC_MAX_RAW_BYTES + 1), out),
            0);
    }
    assert_int_equal(
        codec_pack(packer, CODEC_NONE, 0, bytes_of(raw, 4), out), 0);
    packer_destroy(packer);
    packer_destroy(NULL);
}

/* Each level that can be asked for makes what comes out again. */
static void all_levels_come_out(void **state)
{
    static const struct {
        enum codec codec;
        int most;
    } all[] = {
        {CODEC_ZLIB, CODEC_ZLIB_LEVEL_MAX}, {CODEC_ZSTD, CODEC_LEVEL_MAX}};
    struct packer *packer = packer_create();
    char raw[5000], out[5000], packed[5004];
    uint64_t random = seed_take("levels");
    (void)state;
    for (size_t i = 0; i < sizeof raw; i++) {
        raw[i] = (char)('a' + seed_below(&random, 4));
    }
    for (unsigned i = 0; i < 2; i++) {
        for (int level = 0; level <= all[i].most; level++) {
            size_t size = codec_pack(
                packer, all[i].codec, level, bytes_of(raw, sizeof raw), packed);
            assert_true(size > 0 && size < sizeof raw / 2);
            assert_true(codec_unpack(
                packer, all[i].codec, bytes_of(packed, size), out));
            assert_memory_equal(raw, out, sizeof raw);
        }
    }
    packer_destroy(packer);
}

/* ---- dictionaries ---- */

static size_t train(char *out, size_t room, unsigned count)
{
    static char samples[SAMPLES * SAMPLE];
    size_t sizes[SAMPLES];
    uint64_t random = 17;
    for (unsigned i = 0; i < count; i++) {
        sizes[i] = SAMPLE;
        snprintf(samples + (size_t)i * SAMPLE, SAMPLE,
            "{\"identity\":%u,\"name\":\"user-%u\",\"street\":\"%u, High "
            "Street\",\"town\":\"%s\",\"country\":\"%s\"}",
            (unsigned)seed_below(&random, 100000),
            (unsigned)seed_below(&random, 1000),
            (unsigned)seed_below(&random, 200),
            seed_below(&random, 2) ? "Springfield" : "Riverdale",
            seed_below(&random, 2) ? "Utopia" : "Erewhon");
    }
    return codec_train(ID, samples, sizes, count, out, room);
}

static void samples_may_make_no_dictionary(void **state)
{
    char out[ROOM];
    (void)state;
    assert_true(train(out, ROOM, SAMPLES) > 0);
    assert_int_equal(train(out, ROOM, 1), 0);
    assert_int_equal(train(out, 100, SAMPLES), 0);
}

static void small_and_mixed_values_are_left(void **state)
{
    char bytes[ROOM], noise[300], out[304];
    size_t size = train(bytes, ROOM, SAMPLES);
    struct packer *packer = packer_create();
    struct codec_dictionary *dictionary =
        codec_dictionary_create(ID, bytes_of(bytes, size), 0);
    uint64_t random = seed_take("mixed");
    (void)state;
    assert_non_null(dictionary);
    assert_true(codec_dictionary_bytes(dictionary) > size);
    for (size_t i = 0; i < sizeof noise; i++) {
        noise[i] = (char)seed_next(&random);
    }
    assert_int_equal(
        codec_pack_with(packer, dictionary, bytes_of(noise, 4), out), 0);
    assert_int_equal(
        codec_pack_with(packer, dictionary, bytes_of(noise, sizeof noise), out),
        0);
    codec_dictionary_destroy(dictionary);
    codec_dictionary_destroy(NULL);
    packer_destroy(packer);
}

/* A dictionary that unpacks and yet cannot pack, as a damaged one may be; its
 * size. */
static size_t train_lame(char *out)
{
    size_t size = train(out, ROOM, SAMPLES);
    for (size_t i = 0; i < 120 * 8; i++) {
        size_t at = 8 + i / 8; /* behind its number: its tables */
        struct packer *packer = packer_create();
        out[at] ^= (char)(1 << i % 8);
        struct codec_dictionary *dictionary =
            codec_dictionary_create(ID, bytes_of(out, size), 0);
        bool known = packer_know(packer, ID, bytes_of(out, size));
        codec_dictionary_destroy(dictionary);
        packer_destroy(packer);
        if (known && dictionary == NULL) {
            return size;
        }
        out[at] ^= (char)(1 << i % 8);
    }
    fail_msg("each dictionary that unpacks can pack");
    return 0;
}

/* Puts it into a store as its first, of all keys. */
static void put_dictionary(struct world *world, char *bytes, size_t size)
{
    enum { HEAD = 16 };
    char value[HEAD + ROOM] = "", reason[200];
    uint32_t id = 1, permille = 300;
    memcpy(bytes + 4, &id, sizeof id);
    memcpy(value + 8, &permille, sizeof permille);
    memcpy(value + HEAD, bytes, size);
    uint64_t sum = XXH3_64bits(value + sizeof sum, HEAD + size - sizeof sum);
    memcpy(value, &sum, sizeof sum);
    struct dry_system_value system = {
        "dictionary.1", bytes_of(value, HEAD + size)};
    struct dry_batch_view batch = {
        .system_values = &system, .system_value_count = 1};
    struct log *log = &world->engine->log;
    assert_int_equal(
        log->ops->apply(log->store, &batch, reason, sizeof reason), DRY_OK);
}

/* It is left, and values are packed without. */
static void a_lame_dictionary_is_not_used(void **state)
{
    struct world world;
    char bytes[ROOM], value[1000];
    size_t size = train_lame(bytes);
    (void)state;
    memset(value, 'v', sizeof value);
    world_init(&world, ENGINE_CHECKPOINTS);
    put_dictionary(&world, bytes, size);
    world_reopen(&world);
    assert_int_equal(world.engine->dictionaries->count, 1);
    world_namespace(&world, "", "compression zstd compression-min-size 64");
    for (unsigned i = 0; i < 3; i++) {
        db_set_string(world_db(&world, 0), text("key"),
            bytes_of(value, sizeof value), DB_NO_EXPIRY, world.now_ms);
        make_dry(&world, 0, "key");
        expect_bytes(&world, 0, text("key"), bytes_of(value, sizeof value));
    }
    assert_true(world.engine->counters.compressed_stored_bytes > 0);
    world_save(&world);
    world_reopen(&world);
    expect_bytes(&world, 0, text("key"), bytes_of(value, sizeof value));
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_threads_than_contexts),
        cmocka_unit_test(what_cannot_shrink_is_left),
        cmocka_unit_test(all_levels_come_out),
        cmocka_unit_test(samples_may_make_no_dictionary),
        cmocka_unit_test(small_and_mixed_values_are_left),
        cmocka_unit_test(a_lame_dictionary_is_not_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
