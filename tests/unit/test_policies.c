/* Eviction policies against models: hit ratios of a cache of 5 % on Zipf
 * distributed keys, with and without a scan; and what rises into it from a
 * cold tier. */
#include "tests/unit/engine_fixture.h"

#include <math.h>

#include "tiers/namespace.h"

#define KEYS 20000
#define CACHE (KEYS / 20)
#define REQUESTS 400000

/* ---- the requests ---- */

struct zipf {
    double cumulated[KEYS];
    uint64_t random;
    unsigned scan_percent;
    unsigned scan_next;
};

static double uniform(struct zipf *zipf)
{
    zipf->random ^= zipf->random << 13;
    zipf->random ^= zipf->random >> 7;
    zipf->random ^= zipf->random << 17;
    return (double)(zipf->random >> 11) / (double)(UINT64_C(1) << 53);
}

static void zipf_init(struct zipf *zipf, double skew, unsigned scan_percent)
{
    double sum = 0;
    zipf->random = 88172645463325252;
    zipf->scan_percent = scan_percent;
    zipf->scan_next = KEYS;
    for (unsigned i = 0; i < KEYS; i++) {
        sum += 1 / pow(i + 1, skew);
        zipf->cumulated[i] = sum;
    }
    for (unsigned i = 0; i < KEYS; i++) {
        zipf->cumulated[i] /= sum;
    }
}

/* Keys from KEYS on are of the scan, each asked for once. */
static unsigned zipf_next(struct zipf *zipf)
{
    if (uniform(zipf) * 100 < zipf->scan_percent) {
        return zipf->scan_next++;
    }
    double wanted = uniform(zipf);
    unsigned low = 0, high = KEYS - 1;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (zipf->cumulated[middle] < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* ---- an exact LRU ---- */

struct model {
    unsigned *newer, *older; /* by key + 1; 0: the ends */
    bool *cached;
    unsigned items;
};

static void model_unlink(struct model *model, unsigned at)
{
    model->newer[model->older[at]] = model->newer[at];
    model->older[model->newer[at]] = model->older[at];
}

static bool model_ask(struct model *model, unsigned key)
{
    unsigned at = key + 1;
    bool hit = model->cached[at];
    if (hit) {
        model_unlink(model, at);
    } else if (model->items == CACHE) {
        unsigned last = model->newer[0];
        model_unlink(model, last);
        model->cached[last] = false;
    } else {
        model->items++;
    }
    model->cached[at] = true;
    model->older[at] = model->older[0];
    model->newer[at] = 0;
    model->newer[model->older[0]] = at;
    model->older[0] = at;
    return hit;
}

static double model_ratio(double skew, unsigned scan_percent)
{
    size_t places = KEYS + REQUESTS + 2;
    struct zipf *zipf = xmalloc(sizeof *zipf);
    struct model model = {
        .newer = xcalloc(places, sizeof(unsigned)),
        .older = xcalloc(places, sizeof(unsigned)),
        .cached = xcalloc(places, sizeof(bool)),
    };
    unsigned hits = 0;
    zipf_init(zipf, skew, scan_percent);
    for (unsigned i = 0; i < REQUESTS; i++) {
        hits += model_ask(&model, zipf_next(zipf));
    }
    free(zipf);
    free(model.newer);
    free(model.older);
    free(model.cached);
    return (double)hits / REQUESTS;
}

/* ---- the engine ---- */

static void limit_items(struct world *world, unsigned tiers,
    enum namespace_eviction eviction, int64_t items)
{
    struct namespace_setting setting = {.prefix = bytes_of("", 0)};
    namespace_options_init(&setting.options);
    setting.options.value[NAMESPACE_TIERS] = tiers;
    setting.options.value[NAMESPACE_HOT_ITEMS] = items;
    setting.options.value[NAMESPACE_EVICTION] = eviction;
    setting.options.given = UINT64_C(1) << NAMESPACE_EVICTION;
    engine_set_namespaces(world->engine, &setting, 1);
    while (engine_namespaces_settling(world->engine)) {
        engine_turn(world->engine, world->now_ms);
    }
}

static double engine_ratio(struct world *world,
    enum namespace_eviction eviction, double skew, unsigned scan_percent)
{
    struct zipf *zipf = xmalloc(sizeof *zipf);
    struct db *db = world_db(world, 0);
    unsigned hits = 0;
    engine_flush_all(world->engine);
    limit_items(world, 1 << TIER_HOT, eviction, CACHE);
    zipf_init(zipf, skew, scan_percent);
    for (unsigned i = 0; i < REQUESTS; i++) {
        char key[32];
        snprintf(key, sizeof key, "key:%u", zipf_next(zipf));
        if (db_read(db, text(key), world->now_ms) != NULL) {
            hits++;
        } else {
            db_set_text(
                db, text(key), text("value"), DB_NO_EXPIRY, world->now_ms);
        }
        engine_trim(world->engine, world->now_ms);
        assert_true(db_size(db) <= CACHE);
        world->now_ms += i % 16 == 0;
    }
    assert_int_equal(db_size(db), CACHE);
    world_sane(world);
    free(zipf);
    return (double)hits / REQUESTS;
}

static const struct {
    double skew;
    unsigned scan_percent;
} loads[] = {{0.8, 0}, {0.8, 30}, {0.99, 0}, {0.99, 30}};

static void hit_ratios(void **state)
{
    struct world place, *world = &place;
    (void)state;
    world_init(world, ENGINE_CHECKPOINTS);
    for (unsigned i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        double skew = loads[i].skew;
        unsigned scan = loads[i].scan_percent;
        double exact = model_ratio(skew, scan);
        double lru = engine_ratio(world, EVICTION_LRU, skew, scan);
        double fifo = engine_ratio(world, EVICTION_FIFO, skew, scan);
        double random = engine_ratio(world, EVICTION_RANDOM, skew, scan);
        double lfu = engine_ratio(world, EVICTION_LFU, skew, scan);
        double s3 = engine_ratio(world, EVICTION_S3_FIFO, skew, scan);
        print_message("# zipf %.2f, scan %2u %%: exact lru %.4f, lru %.4f, "
                      "fifo %.4f, random %.4f, lfu %.4f, s3-fifo %.4f\n",
            skew, scan, exact, lru, fifo, random, lfu, s3);
        assert_true(fabs(lru - exact) < 0.0001);
        assert_true(fifo < lru && fabs(random - fifo) < 0.01);
        assert_true(lfu > lru + 0.04);
        assert_true(s3 > lru + 0.04);
    }
    world_finish(world);
}

/* ---- up from cold ---- */

static void use_hot_and_cold(
    struct world *world, enum namespace_eviction eviction, int64_t hot)
{
    engine_flush_all(world->engine);
    limit_items(world, 1 << TIER_HOT | 1 << TIER_COLD, eviction, hot);
}

static void put_at(struct world *world, const char *key, int64_t later_ms)
{
    world->now_ms += later_ms;
    db_set_text(world_db(world, 0), text(key), text("value"), DB_NO_EXPIRY,
        world->now_ms);
    engine_trim(world->engine, world->now_ms);
}

static enum tier tier_after_read(
    struct world *world, const char *key, int64_t later_ms)
{
    world->now_ms += later_ms;
    assert_non_null(db_read(world_db(world, 0), text(key), world->now_ms));
    engine_trim(world->engine, world->now_ms);
    return tier_of(world, 0, key);
}

static void who_rises(void **state)
{
    struct world place, *world = &place;
    (void)state;
    world_init(world, ENGINE_CHECKPOINTS);
    use_hot_and_cold(world, EVICTION_LRU, 2);
    put_at(world, "a", 0);
    put_at(world, "b", 1000);
    put_at(world, "c", 1000);
    assert_int_equal(tier_of(world, 0, "a"), TIER_COLD);
    /* Its last use was before that of "b". */
    assert_int_equal(tier_after_read(world, "a", 1000), TIER_COLD);
    assert_int_equal(tier_of(world, 0, "b"), TIER_HOT);
    /* Now it is not. */
    assert_int_equal(tier_after_read(world, "a", 1000), TIER_HOT);
    assert_int_equal(tier_of(world, 0, "b"), TIER_COLD);
    /* Where there is room, nobody has to leave. */
    assert_true(db_delete(world_db(world, 0), text("c"), world->now_ms));
    assert_int_equal(tier_after_read(world, "b", 1000), TIER_HOT);
    assert_int_equal(tier_of(world, 0, "a"), TIER_HOT);
    world_finish(world);
}

static void who_rises_by_frequency(void **state)
{
    struct world place, *world = &place;
    unsigned reads = 0;
    (void)state;
    world_init(world, ENGINE_CHECKPOINTS);
    use_hot_and_cold(world, EVICTION_LFU, 1);
    put_at(world, "often", 0);
    for (unsigned i = 0; i < 1000; i++) {
        tier_after_read(world, "often", 1);
    }
    put_at(world, "seldom", 1);
    assert_int_equal(tier_after_read(world, "seldom", 1), TIER_COLD);
    assert_int_equal(tier_after_read(world, "seldom", 1), TIER_COLD);
    while (tier_after_read(world, "seldom", 1) != TIER_HOT) {
        assert_true(++reads < 100000);
    }
    assert_int_equal(tier_of(world, 0, "often"), TIER_COLD);
    world_finish(world);
}

struct rises {
    double hits, rises; /* of all requests */
};

/* Hot hits when what is not hot is cold. `first` is the key asked for most. */
static struct rises hot_ratio(struct world *world, double skew, unsigned first)
{
    struct zipf *zipf = xmalloc(sizeof *zipf);
    struct engine_stats before, after;
    zipf_init(zipf, skew, 0);
    for (unsigned i = 0; i < REQUESTS; i++) {
        char key[32];
        if (i == REQUESTS / 2) {
            engine_stats(world->engine, &before);
        }
        snprintf(key, sizeof key, "key:%u", (zipf_next(zipf) + first) % KEYS);
        tier_after_read(world, key, i % 16 == 0);
    }
    engine_stats(world->engine, &after);
    world_sane(world);
    free(zipf);
    return (struct rises){
        (double)(after.tier_hits[TIER_HOT] - before.tier_hits[TIER_HOT]) /
            (REQUESTS / 2),
        (double)(after.promoted_cold_hot - before.promoted_cold_hot) /
            (REQUESTS / 2)};
}

/* What is asked for rarely stays cold, so that it does not take the place of
 * what is asked for often: more hits, far fewer moves. And when other keys are
 * in demand, they take over. */
static void hot_hits_above_cold(void **state)
{
    static const enum namespace_eviction policies[] = {
        EVICTION_LRU, EVICTION_LFU, EVICTION_FIFO, EVICTION_S3_FIFO};
    struct world place, *world = &place;
    double exact = model_ratio(0.8, 0);
    (void)state;
    world_init(world, ENGINE_CHECKPOINTS);
    for (unsigned i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        use_hot_and_cold(world, policies[i], CACHE);
        for (unsigned key = 0; key < KEYS; key++) {
            char name[32];
            snprintf(name, sizeof name, "key:%u", key);
            put_at(world, name, 0);
        }
        for (unsigned first = 0; first < KEYS; first += KEYS / 2) {
            struct rises found = hot_ratio(world, 0.8, first);
            print_message("# policy %u: hot hits %.4f (exact lru %.4f), rises "
                          "%.4f of the requests\n",
                (unsigned)policies[i], found.hits, exact, found.rises);
            /* LFU forgets slowly. */
            assert_true(found.hits > exact + (first == 0 ? 0.02 : 0));
            assert_true(found.rises < (1 - exact) / 4);
        }
    }
    world_finish(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hit_ratios),
        cmocka_unit_test(who_rises),
        cmocka_unit_test(who_rises_by_frequency),
        cmocka_unit_test(hot_hits_above_cold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
