/* When the loop naps, and for how long, by a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/coalesce.h"

#define CLIENTS_MAX 2000
#define LONGEST_US 200 /* by default 100 */

/* `clients` take turns; what one sends comes `gap_us` after the one before,
 * but no client sends again before the loop has looked. */
struct world {
    struct coalesce coalesce;
    struct coalesce_client each[CLIENTS_MAX];
    unsigned clients, next;
    unsigned idle;       /* connected as well */
    unsigned stay_reads; /* then a client leaves and comes anew; 0: never */
    unsigned gap_us;
    unsigned sleeps, naps, collected, longest_us;
};

static void begin(struct world *world, unsigned clients, unsigned gap_us)
{
    *world = (struct world){.clients = clients, .gap_us = gap_us};
    coalesce_init(&world->coalesce);
}

static void read_some(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct coalesce_client *client = &world->each[world->next];
        coalesce_read(&world->coalesce, client);
        if (world->stay_reads > 0 && client->reads >= world->stay_reads) {
            coalesce_leave(&world->coalesce, client);
            *client = (struct coalesce_client){0};
        }
        world->next = (world->next + 1) % world->clients;
    }
}

/* The loop finds nothing to do so many times, and counts anew. */
static void sleep_times(struct world *world, unsigned times, uint32_t max_us)
{
    struct coalesce *coalesce = &world->coalesce;
    world->sleeps = world->naps = world->collected = world->longest_us = 0;
    for (; world->sleeps < times; world->sleeps++) {
        coalesce_turn(coalesce);
        uint32_t nap_us =
            coalesce_nap_us(coalesce, world->clients + world->idle, max_us);
        unsigned came = 1;
        if (nap_us > 0) {
            coalesce_nap(coalesce);
            came = nap_us / world->gap_us;
            came = came < world->clients ? came : world->clients;
            world->naps++;
            world->collected += came;
        }
        world->longest_us =
            nap_us > world->longest_us ? nap_us : world->longest_us;
        read_some(world, came);
    }
}

static void many_clients_are_collected(void **state)
{
    (void)state;
    struct world world;
    begin(&world, 50, 18);
    sleep_times(&world, 10000, LONGEST_US); /* to learn */
    sleep_times(&world, 1000, LONGEST_US);
    assert_int_equal(world.naps, 1000);
    assert_true(world.collected / world.naps >= 8);
    assert_true(world.collected / world.naps <= 50 / 4);
    assert_true(world.longest_us <= LONGEST_US);
}

/* However fast they send, no more than a quarter of the clients waits for the
 * end of a nap, or the naps end. */
static void naps_leave_most_clients_at_work(void **state)
{
    (void)state;
    for (unsigned clients = 16; clients <= CLIENTS_MAX; clients *= 5) {
        for (unsigned gap_us = 1; gap_us <= 64; gap_us *= 2) {
            struct world world;
            begin(&world, clients, gap_us);
            sleep_times(&world, 20000, LONGEST_US);
            sleep_times(&world, 20000, LONGEST_US);
            unsigned most = clients / 4;
            assert_true(world.naps < world.sleeps / 100 ||
                        world.collected <= world.naps * (most + most / 4));
        }
    }
}

static void few_clients_never_wait(void **state)
{
    (void)state;
    struct world world;
    begin(&world, 15, 1);
    sleep_times(&world, 10000, LONGEST_US);
    assert_int_equal(world.naps, 0);
}

/* However many are connected. */
static void few_at_work_beside_many_never_wait(void **state)
{
    (void)state;
    struct world world;
    begin(&world, 15, 1);
    world.idle = 1000;
    sleep_times(&world, 10000, LONGEST_US);
    assert_int_equal(world.naps, 0);
    /* A hundred of them send something now and then. */
    world.clients = 115;
    for (unsigned i = 0; i < 10000; i++) {
        world.next = i % 100 == 99 ? 15 + i / 100 % 100 : i % 15;
        read_some(&world, 1);
    }
    assert_true(world.coalesce.at_work < 16);
}

static void few_that_connect_anew_never_wait(void **state)
{
    (void)state;
    struct world world;
    begin(&world, 12, 1);
    world.idle = 1000;
    world.stay_reads = 15;
    sleep_times(&world, 10000, LONGEST_US);
    assert_int_equal(world.naps, 0);
}

static void those_that_have_left_do_not_count(void **state)
{
    (void)state;
    struct world world;
    begin(&world, 50, 18);
    sleep_times(&world, 10000, LONGEST_US);
    assert_true(world.naps > 0);
    world.clients = 10;
    sleep_times(&world, 10000, LONGEST_US);
    assert_int_equal(world.naps, 0);
}

static void naps_that_collect_little_end(void **state)
{
    (void)state;
    struct world world;
    begin(&world, 50, LONGEST_US);
    sleep_times(&world, 10000, LONGEST_US);
    sleep_times(&world, 10000, LONGEST_US);
    assert_true(world.naps > 0); /* it is tried again */
    assert_true(world.naps <= 10);
    world.gap_us = 18; /* and found out when it pays */
    sleep_times(&world, 2000, LONGEST_US);
    sleep_times(&world, 1000, LONGEST_US);
    assert_true(world.naps > 900);
}

static void a_limit_holds_and_none_turns_naps_off(void **state)
{
    (void)state;
    struct world world;
    begin(&world, 1000, 5);
    sleep_times(&world, 5000, LONGEST_US);
    assert_true(world.longest_us > 100);
    sleep_times(&world, 1000, 60);
    assert_int_equal(world.naps, 1000);
    assert_int_equal(world.longest_us, 60);
    sleep_times(&world, 1000, 0);
    assert_int_equal(world.naps, 0);
    sleep_times(&world, 2000, LONGEST_US); /* and they can be had again */
    assert_true(world.naps > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_clients_are_collected),
        cmocka_unit_test(naps_leave_most_clients_at_work),
        cmocka_unit_test(few_clients_never_wait),
        cmocka_unit_test(few_at_work_beside_many_never_wait),
        cmocka_unit_test(few_that_connect_anew_never_wait),
        cmocka_unit_test(those_that_have_left_do_not_count),
        cmocka_unit_test(naps_that_collect_little_end),
        cmocka_unit_test(a_limit_holds_and_none_turns_naps_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
