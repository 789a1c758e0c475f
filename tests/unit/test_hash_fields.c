/* Hashes whose fields expire against an array of fields: set, deleted and given
 * deadlines, small and large, in every tier and over restarts, while time
 * passes. */
#include "tests/unit/engine_fixture.h"
#include "tiers/collection.h"
#include "tiers/values/hash.h"

enum { FIELDS = 12, VALUE_MOST = 200, LIFE_MOST_MS = 3000, STEPS = 3000 };

struct model_field {
    bool there;
    uint64_t seed; /* of its value */
    int64_t deadline_ms;
};

struct model {
    struct world world;
    unsigned listpack_entries; /* above that a hash is large */
    struct model_field fields[FIELDS];
    uint64_t random;
};

static struct bytes field_name(unsigned number, char *out)
{
    return bytes_of(out, (size_t)sprintf(out, "field:%u", number));
}

/* Mostly numbers and short texts; a long one makes a small hash large. */
static struct bytes field_value(uint64_t seed, char *out)
{
    uint64_t random = seed | 1;
    size_t size = seed_below(&random, 200) == 0 ? VALUE_MOST : seed % 20;
    for (size_t i = 0; i < size; i++) {
        out[i] = (char)(seed % 3 == 0 ? '1' + i % 9 : seed_next(&random));
    }
    return bytes_of(out, size);
}

static struct db *model_db(struct model *model)
{
    return world_db(&model->world, 0);
}

/* Whose time has come is gone, seen or not. */
static void model_expire(struct model *model)
{
    for (unsigned i = 0; i < FIELDS; i++) {
        struct model_field *field = &model->fields[i];
        if (field->deadline_ms != 0 &&
            field->deadline_ms <= model->world.now_ms) {
            *field = (struct model_field){0};
        }
    }
}

static unsigned model_count(const struct model *model)
{
    unsigned count = 0;
    for (unsigned i = 0; i < FIELDS; i++) {
        count += model->fields[i].there;
    }
    return count;
}

/* ---- what is checked ---- */

static void expect_field(
    struct model *model, struct collection *hash, unsigned number)
{
    const struct model_field *field = &model->fields[number];
    char name[20], text_of[VALUE_MOST];
    struct element value;
    int64_t deadline_ms;
    struct bytes key = field_name(number, name);
    assert_int_equal(hash_get(hash, key, &value), field->there);
    assert_int_equal(hash_deadline(hash, key, &deadline_ms), field->there);
    if (field->there) {
        assert_true(bytes_equal(
            element_text(&value), field_value(field->seed, text_of)));
        assert_int_equal(deadline_ms, field->deadline_ms);
    }
}

/* What the entry says of the first and the last of its deadlines. */
static void expect_deadlines(
    const struct model *model, const struct entry *entry)
{
    struct field_deadlines wanted = {FIELDS_NEVER, 0};
    for (unsigned i = 0; i < FIELDS; i++) {
        const struct model_field *field = &model->fields[i];
        if (!field->there) {
            continue;
        }
        int64_t at_ms =
            field->deadline_ms == 0 ? FIELDS_NEVER : field->deadline_ms;
        wanted.first_ms = at_ms < wanted.first_ms ? at_ms : wanted.first_ms;
        wanted.last_ms = at_ms > wanted.last_ms ? at_ms : wanted.last_ms;
    }
    if (entry_expires_fields(entry->bits)) {
        assert_int_equal(entry_fields_of(entry).first_ms, wanted.first_ms);
        assert_int_equal(entry_fields_of(entry).last_ms, wanted.last_ms);
    } else {
        assert_int_equal(wanted.first_ms, FIELDS_NEVER);
    }
}

static void expect_hash(struct model *model)
{
    struct collection hash;
    assert_int_equal(
        world_fetch(&model->world, model_db(model), text("h")), DRY_OK);
    model_expire(model); /* time may have passed with the fetch */
    unsigned count = model_count(model);
    const struct entry *entry =
        db_read(model_db(model), text("h"), model->world.now_ms);
    assert_int_equal(entry != NULL, count > 0);
    assert_int_equal(db_size(model_db(model)), count > 0);
    if (entry == NULL) {
        return;
    }
    collection_read(&hash, model_db(model), entry);
    assert_int_equal(collection_count(&hash), count);
    for (unsigned i = 0; i < FIELDS; i++) {
        expect_field(model, &hash, i);
    }
    expect_deadlines(model, entry);
}

/* ---- what is done ---- */

static void change_field(struct model *model, struct collection *hash)
{
    uint64_t *random = &model->random;
    unsigned number = (unsigned)seed_below(random, FIELDS);
    struct model_field *field = &model->fields[number];
    char name[20], text_of[VALUE_MOST];
    struct bytes key = field_name(number, name);
    switch (seed_below(random, 6)) {
    case 0:
        assert_int_equal(hash_delete(hash, key), field->there);
        *field = (struct model_field){0};
        break;
    case 1:
        field->seed = seed_next(random);
        hash_change(hash, key, field_value(field->seed, text_of));
        field->there = true;
        break;
    case 2:
        field->seed = seed_next(random);
        assert_int_equal(hash_set(hash, key, field_value(field->seed, text_of)),
            !field->there);
        field->there = true;
        field->deadline_ms = 0;
        break;
    default:
        if (field->there) {
            field->deadline_ms =
                seed_below(random, 8) == 0
                    ? 0
                    : model->world.now_ms + 1 +
                          (int64_t)seed_below(random, LIFE_MOST_MS);
            hash_set_deadline(hash, key, field->deadline_ms);
        }
        break;
    }
}

static void change_hash(struct model *model)
{
    struct collection hash;
    assert_int_equal(
        world_fetch(&model->world, model_db(model), text("h")), DRY_OK);
    model_expire(model);
    const struct entry *entry =
        db_touch(model_db(model), text("h"), model->world.now_ms);
    collection_write(&hash, model_db(model), text("h"), entry, HASH_KIND_NEW,
        model->world.now_ms);
    for (uint64_t i = seed_below(&model->random, 10); i > 0; i--) {
        change_field(model, &hash);
    }
    collection_end(&hash, true);
}

static void move_hash(struct model *model, enum tier tier)
{
    engine_demote(model->world.engine, model_db(model), text("h"), tier, NULL,
        model->world.now_ms);
    log_seal(model->world.engine, false, 0);
    if (seed_below(&model->random, 2) == 0) {
        world_settle(&model->world);
    }
}

/* To the millisecond at which a field expires, if any does. */
static void pass_to_deadline(struct model *model)
{
    const struct model_field *field =
        &model->fields[seed_below(&model->random, FIELDS)];
    if (field->deadline_ms != 0) {
        model->world.now_ms = field->deadline_ms;
    }
}

/* A new engine has the default ones. */
static void set_limits(struct model *model)
{
    struct value_limits limits = model->world.engine->limits;
    limits.hash_max_listpack_entries = model->listpack_entries;
    engine_set_value_limits(model->world.engine, &limits);
}

static void step(struct model *model)
{
    struct world *world = &model->world;
    switch (seed_below(&model->random, 20)) {
    case 0:
        move_hash(model, TIER_COLD);
        break;
    case 1:
    case 2:
        move_hash(model, TIER_DRY);
        break;
    case 3: /* nobody looks meanwhile */
        world->now_ms += (int64_t)seed_below(&model->random, LIFE_MOST_MS / 4);
        break;
    case 4:
        world_pass(world, 100 * (int64_t)seed_below(&model->random, 8));
        break;
    case 5:
        pass_to_deadline(model);
        break;
    case 6:
        if (seed_below(&model->random, 8) == 0) {
            world_save(world);
            world_reopen(world);
            set_limits(model);
        }
        break;
    default:
        change_hash(model);
        break;
    }
    model_expire(model);
}

static void play(enum engine_durability durability, unsigned listpack_entries)
{
    struct model *model = xcalloc(1, sizeof *model);
    model->listpack_entries = listpack_entries;
    model->random = seed_take("hash fields");
    world_init(&model->world, durability);
    set_limits(model);
    for (unsigned i = 0; i < STEPS; i++) {
        step(model);
        if (i % 5 == 0) {
            expect_hash(model);
        }
    }
    expect_hash(model);
    world_sane(&model->world);
    world_pass(&model->world, 2 * LIFE_MOST_MS);
    model_expire(model);
    expect_hash(model);
    world_finish(&model->world);
    free(model);
}

static void small_ones_expire_like_the_model(void **state)
{
    (void)state;
    play(ENGINE_EVERYSEC, FIELDS);
}

static void large_ones_expire_like_the_model(void **state)
{
    (void)state;
    play(ENGINE_EVERYSEC, 4);
}

static void saved_ones_expire_like_the_model(void **state)
{
    (void)state;
    play(ENGINE_CHECKPOINTS, FIELDS / 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_ones_expire_like_the_model),
        cmocka_unit_test(large_ones_expire_like_the_model),
        cmocka_unit_test(saved_ones_expire_like_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
