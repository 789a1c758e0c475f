/* The engine against a dictionary: random writes, moves between the tiers,
 * saves, crashes and restarts, all of which must change nothing that a
 * client can see. */
#include "tests/unit/engine_fixture.h"

#define DATABASES 4
#define KEYS 48
/* Each of nine games. */
#define PLAY_US 1500000u

struct model_value {
    bool exists;
    char *data;
    size_t size;
    int64_t expiry_ms;
};

struct model {
    struct world world;
    bool faults; /* the store fails now and then */
    uint64_t random;
    struct model_value values[DATABASES][KEYS];
    struct bytes keys[KEYS];
    char *key_text[KEYS];
    char buffer[400000];
};

static uint64_t below(struct model *model, uint64_t limit)
{
    return seed_below(&model->random, limit);
}

/* ---- the dictionary ---- */

static void value_clear(struct model_value *value)
{
    free(value->data);
    *value = (struct model_value){0};
}

static void value_set(struct model_value *value, struct bytes content)
{
    char *data = xmalloc(content.size + 1);
    memcpy(data, content.data, content.size);
    free(value->data);
    value->data = data;
    value->size = content.size;
    value->exists = true;
}

static void value_copy(struct model_value *to, const struct model_value *from)
{
    if (to != from) {
        value_set(to, bytes_of(from->data, from->size));
        to->expiry_ms = from->expiry_ms;
    }
}

static struct model_value *look(struct model *model, unsigned db, unsigned key)
{
    struct model_value *value = &model->values[db][key];
    if (value->exists && value->expiry_ms != 0 &&
        value->expiry_ms <= model->world.now_ms) {
        value_clear(value);
    }
    return value;
}

/* Keys of all sizes around the limits of the layout. */
static void make_keys(struct model *model)
{
    static const size_t sizes[] = {
        0, 1, 16, 100, 253, 254, 255, 256, 4000, 4096, 4097, 70000};
    for (unsigned i = 0; i < KEYS; i++) {
        size_t size = i < sizeof sizes / sizeof *sizes ? sizes[i] : 5 + i % 20;
        model->key_text[i] = xmalloc(size + 1);
        memset(model->key_text[i], 'a' + (int)(i % 26), size);
        if (size >= 2) {
            model->key_text[i][0] = (char)('A' + i / 26);
            model->key_text[i][size - 1] = (char)('A' + i % 26);
        }
        model->keys[i] = bytes_of(model->key_text[i], size);
    }
}

static struct bytes some_value(struct model *model)
{
    static const size_t sizes[] = {0, 1, 5, 20, 44, 45, 200, 253, 254, 255, 256,
        257, 1023, 1024, 1500, 4000, 4040, 4064, 4096, 5000, 20000, 65535,
        65536, 270000};
    size_t count = sizeof sizes / sizeof *sizes;
    size_t size = sizes[below(model, below(model, 4) == 0 ? count : count - 5)];
    bool packable = below(model, 2) == 0;
    for (size_t i = 0; i < size; i++) {
        model->buffer[i] = packable ? (char)('a' + i / 64 % 26)
                                    : (char)(seed_next(&model->random) >> 11);
    }
    if (size == 5) {
        memcpy(model->buffer, "-1234", 5);
    }
    return bytes_of(model->buffer, size);
}

/* ---- comparing ---- */

static void compare_key(struct model *model, unsigned db, unsigned key)
{
    struct world *world = &model->world;
    assert_int_equal(
        world_fetch(world, world_db(world, db), model->keys[key]), DRY_OK);
    const struct model_value *value = look(model, db, key);
    const struct entry *entry =
        db_find(world_db(world, db), model->keys[key], world->now_ms);
    assert_int_equal(entry != NULL, value->exists);
    if (entry == NULL) {
        return;
    }
    assert_true(bytes_equal(entry_key(entry), model->keys[key]));
    assert_int_equal(entry_expiry_ms(entry), value->expiry_ms);
    expect_bytes(
        world, db, model->keys[key], bytes_of(value->data, value->size));
}

static void compare_all(struct model *model)
{
    for (unsigned db = 0; db < DATABASES; db++) {
        uint64_t count = 0;
        for (unsigned key = 0; key < KEYS; key++) {
            compare_key(model, db, key);
        }
        /* Time may have passed, and active expiry may be behind. */
        for (unsigned key = 0; key < KEYS; key++) {
            count += look(model, db, key)->exists;
            db_find(world_db(&model->world, db), model->keys[key],
                model->world.now_ms);
        }
        assert_int_equal(db_size(world_db(&model->world, db)), count);
    }
    world_sane(&model->world);
}

/* After a crash: a key is as the model has it or gone, nothing else. */
static void adopt_all(struct model *model)
{
    for (unsigned db = 0; db < DATABASES; db++) {
        for (unsigned key = 0; key < KEYS; key++) {
            struct model_value *value = look(model, db, key);
            if (db_find(world_db(&model->world, db), model->keys[key],
                    model->world.now_ms) == NULL) {
                value_clear(value);
            }
            compare_key(model, db, key);
        }
    }
}

/* ---- what is done to both ---- */

static void do_set(struct model *model, unsigned db, unsigned key)
{
    struct world *world = &model->world;
    struct model_value *value = look(model, db, key);
    struct bytes content = some_value(model);
    int64_t expiry_ms = DB_NO_EXPIRY;
    switch (below(model, 4)) {
    case 0:
        expiry_ms = DB_KEEP_EXPIRY;
        break;
    case 1:
        expiry_ms = world->now_ms + 1 + (int64_t)below(model, 3000);
        break;
    default:
        break;
    }
    if (below(model, 2) == 0) {
        struct blob *blob = blob_copy(content);
        db_set_blob(world_db(world, db), model->keys[key], &blob, expiry_ms,
            world->now_ms);
        assert_null(blob);
    } else {
        db_set_string(world_db(world, db), model->keys[key], content, expiry_ms,
            world->now_ms);
    }
    int64_t kept = value->exists ? value->expiry_ms : 0;
    value_set(value, content);
    value->expiry_ms = expiry_ms == DB_KEEP_EXPIRY ? kept : expiry_ms;
}

static void do_append(struct model *model, unsigned db, unsigned key)
{
    struct world *world = &model->world;
    struct db *at = world_db(world, db);
    assert_int_equal(world_fetch(world, at, model->keys[key]), DRY_OK);
    struct model_value *value = look(model, db, key);
    size_t old = value->exists ? value->size : 0;
    if (old > 300000) {
        return;
    }
    size_t added = 1 + below(model, 300);
    struct blob *shared = NULL;
    const struct entry *entry = db_find(at, model->keys[key], world->now_ms);
    if (entry != NULL && below(model, 2) == 0) {
        shared = db_string_blob(entry); /* as a reply holds it */
        if (shared != NULL) {
            blob_ref(shared);
        }
    }
    char *to =
        db_string_resize(at, model->keys[key], old + added, world->now_ms);
    assert_non_null(to);
    memset(to + old, 'z', added);
    if (shared != NULL) {
        assert_int_equal(shared->size, old);
        assert_memory_equal(shared->data, value->data, old);
        blob_unref(shared);
    }
    char *data = xmalloc(old + added + 1);
    memcpy(data, value->data != NULL ? value->data : "", old);
    memset(data + old, 'z', added);
    free(value->data);
    value->data = data;
    value->size = old + added;
    value->exists = true;
}

static void do_delete(struct model *model, unsigned db, unsigned key)
{
    struct model_value *value = look(model, db, key);
    bool there = db_delete(
        world_db(&model->world, db), model->keys[key], model->world.now_ms);
    assert_int_equal(there, value->exists);
    value_clear(value);
}

static void do_expire(struct model *model, unsigned db, unsigned key)
{
    struct world *world = &model->world;
    struct model_value *value = look(model, db, key);
    struct entry *entry =
        db_find(world_db(world, db), model->keys[key], world->now_ms);
    assert_int_equal(entry != NULL, value->exists);
    if (entry != NULL) {
        value->expiry_ms =
            below(model, 3) == 0
                ? 0
                : world->now_ms + 1 + (int64_t)below(model, 5000);
        db_set_expiry(world_db(world, db), entry, value->expiry_ms);
    }
}

static void do_copy(struct model *model, unsigned db, unsigned key, bool move)
{
    struct world *world = &model->world;
    assert_int_equal(
        world_fetch(world, world_db(world, db), model->keys[key]), DRY_OK);
    struct model_value *from = look(model, db, key);
    unsigned to_db = (unsigned)below(model, DATABASES);
    unsigned to_key = (unsigned)below(model, KEYS);
    struct model_value *to = look(model, to_db, to_key);
    if (!from->exists || from == to) {
        return;
    }
    (move ? db_rename : db_copy)(world_db(world, db), model->keys[key],
        world_db(world, to_db), model->keys[to_key], world->now_ms);
    value_copy(to, from);
    if (move) {
        value_clear(from);
    }
}

static void do_flush(struct model *model, unsigned db)
{
    engine_flush_db(model->world.engine, db);
    for (unsigned key = 0; key < KEYS; key++) {
        value_clear(&model->values[db][key]);
    }
    assert_int_equal(db_size(world_db(&model->world, db)), 0);
}

static void do_swap(struct model *model, unsigned a, unsigned b)
{
    struct model_value kept[KEYS];
    engine_swap_db(model->world.engine, a, b);
    memcpy(kept, model->values[a], sizeof kept);
    memcpy(model->values[a], model->values[b], sizeof kept);
    memcpy(model->values[b], kept, sizeof kept);
}

/* A move that no client sees; it is not waited for. */
static void do_move(struct model *model, unsigned db, unsigned key)
{
    struct world *world = &model->world;
    struct db *at = world_db(world, db);
    switch (below(model, 6)) {
    case 0:
        engine_demote(world->engine, at, model->keys[key], TIER_COLD, NULL,
            world->now_ms);
        break;
    case 1:
        engine_promote(world->engine, at, model->keys[key], world->now_ms);
        break;
    case 2:
        if (db_residency(at, model->keys[key], world->now_ms) == DB_DRY) {
            struct answer answer = answer_new();
            engine_fetch(world->engine, at, model->keys[key], &answer.waiter,
                world->now_ms);
            if (below(model, 2) == 0) {
                world_await(world, &answer);
            } else {
                engine_cancel(world->engine, &answer.waiter);
            }
        }
        break;
    default:
        engine_demote(
            world->engine, at, model->keys[key], TIER_DRY, NULL, world->now_ms);
        break;
    }
}

static void do_fault(struct model *model)
{
    world_plan(&model->world, FAULT_APPLY, 1 + below(model, 5),
        below(model, 2) == 0, below(model, 2) == 0 ? DRY_FULL : DRY_IO);
}

/* The store works again, and the engine has found out. */
static void do_heal(struct model *model)
{
    world_heal(&model->world, FAULT_APPLY);
    world_pass(&model->world, 2500);
    assert_int_equal(model->world.engine->log.failures, 0);
    assert_string_equal(engine_store_error(model->world.engine), "");
}

/* A stop without saving, all marks of the past having been written. */
static void do_crash(struct model *model)
{
    struct world *world = &model->world;
    bool all_written = world->options.durability != ENGINE_CHECKPOINTS;
    world_pass(world, 1200);
    world_settle(world);
    world_reopen(world);
    if (all_written) {
        compare_all(model);
    } else {
        adopt_all(model);
    }
}

static void do_duty(struct model *model)
{
    struct world *world = &model->world;
    switch (below(model, 60)) {
    case 0:
        do_heal(model);
        world_save(world);
        world_reopen(world);
        compare_all(model);
        break;
    case 1:
        do_heal(model);
        do_crash(model);
        break;
    case 2:
        engine_checkpoint_start(world->engine, world->now_ms);
        break;
    case 3:
    case 4:
        compare_all(model);
        break;
    case 5:
        if (model->faults) {
            do_fault(model);
        }
        break;
    case 6:
        world_heal(world, FAULT_APPLY);
        break;
    case 7:
    case 8:
        world_pass(world, 100 + (int64_t)below(model, 1000));
        break;
    case 9:
    case 10:
        compact_slab(world->engine);
        break;
    default:
        world->now_ms += (int64_t)below(model, 20);
        world_round(world);
        break;
    }
}

static void step(struct model *model)
{
    unsigned db = (unsigned)below(model, DATABASES);
    unsigned key = (unsigned)below(model, KEYS);
    unsigned dice = (unsigned)below(model, 100);
    if (dice < 1) {
        do_flush(model, db);
    } else if (dice < 2) {
        do_swap(model, db, (unsigned)below(model, DATABASES));
    } else if (dice < 22) {
        do_set(model, db, key);
    } else if (dice < 30) {
        do_append(model, db, key);
    } else if (dice < 36) {
        do_delete(model, db, key);
    } else if (dice < 43) {
        do_expire(model, db, key);
    } else if (dice < 49) {
        do_copy(model, db, key, below(model, 2) == 0);
    } else if (dice < 79) {
        do_move(model, db, key);
    } else if (dice < 86) {
        compare_key(model, db, key);
    } else {
        do_duty(model);
    }
}

static void play(enum engine_durability durability, bool reclaim, bool faults,
    const char *what)
{
    struct model *model = xcalloc(1, sizeof *model);
    model->random = seed_take(what);
    model->faults = faults;
    world_init(&model->world, durability);
    model->world.reclaim_always = reclaim;
    world_reopen(&model->world);
    make_keys(model);
    uint64_t until_us = engine_mono_us() + PLAY_US;
    uint64_t steps = 0;
    while (engine_mono_us() < until_us) {
        step(model);
        steps++;
    }
    printf("# %s: %llu steps\n", what, (unsigned long long)steps);
    compare_all(model);
    do_heal(model);
    world_save(&model->world);
    world_reopen(&model->world);
    compare_all(model);
    world_finish(&model->world);
    for (unsigned i = 0; i < KEYS; i++) {
        free(model->key_text[i]);
        for (unsigned db = 0; db < DATABASES; db++) {
            value_clear(&model->values[db][i]);
        }
    }
    free(model);
}

static void checkpoints(void **state)
{
    (void)state;
    play(ENGINE_CHECKPOINTS, false, false, "checkpoints");
}

static void checkpoints_reclaim(void **state)
{
    (void)state;
    play(ENGINE_CHECKPOINTS, true, false, "checkpoints_reclaim");
}

static void checkpoints_faults(void **state)
{
    (void)state;
    play(ENGINE_CHECKPOINTS, true, true, "checkpoints_faults");
}

static void everysec(void **state)
{
    (void)state;
    play(ENGINE_EVERYSEC, false, false, "everysec");
}

static void everysec_reclaim(void **state)
{
    (void)state;
    play(ENGINE_EVERYSEC, true, false, "everysec_reclaim");
}

static void everysec_faults(void **state)
{
    (void)state;
    play(ENGINE_EVERYSEC, true, true, "everysec_faults");
}

static void always(void **state)
{
    (void)state;
    play(ENGINE_ALWAYS, false, false, "always");
}

static void always_reclaim(void **state)
{
    (void)state;
    play(ENGINE_ALWAYS, true, false, "always_reclaim");
}

static void always_faults(void **state)
{
    (void)state;
    play(ENGINE_ALWAYS, true, true, "always_faults");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoints),
        cmocka_unit_test(checkpoints_reclaim),
        cmocka_unit_test(checkpoints_faults),
        cmocka_unit_test(everysec),
        cmocka_unit_test(everysec_reclaim),
        cmocka_unit_test(everysec_faults),
        cmocka_unit_test(always),
        cmocka_unit_test(always_reclaim),
        cmocka_unit_test(always_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
