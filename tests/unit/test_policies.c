/* Eviction policies against models: hit ratios of a cache of 5 % on Zipf
 * distributed keys, with and without a scan. */
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

static void limit_items(
    struct world *world, enum namespace_eviction eviction, int64_t items)
{
    struct namespace_setting setting = {.prefix = bytes_of("", 0)};
    namespace_options_init(&setting.options);
    setting.options.value[NAMESPACE_TIERS] = 1 << TIER_HOT;
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
    limit_items(world, eviction, CACHE);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hit_ratios),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
