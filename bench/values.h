/* What the load generator writes: values that follow from a key's number. */
#ifndef LARDER_BENCH_VALUES_H
#define LARDER_BENCH_VALUES_H

#include <stddef.h>
#include <stdint.h>

/* The least that value_put_json makes. */
#define VALUE_JSON_MIN_BYTES 480

/* Exactly `size` bytes at `at`; what follows them. Incompressible. */
char *value_put_random(char *at, uint64_t key, size_t size);
/* A JSON document as applications keep of a user: the same names in all of
 * them, and different values. */
char *value_put_json(char *at, uint64_t key, size_t size);

#endif
