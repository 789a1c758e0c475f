/* The load generator's command line. */
#ifndef LARDER_BENCH_LOAD_OPTIONS_H
#define LARDER_BENCH_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/keys.h"

struct load_options {
    uint16_t port;
    unsigned clients, pipeline;
    uint64_t requests; /* in all */
    double seconds;    /* stop after; 0: no limit */
    struct keys keys;  /* not yet initialised */
    uint64_t first_key;
    size_t key_size, value_size;
    unsigned gets;  /* per cent; the rest are SETs */
    unsigned ttl_s; /* of what is written; 0: for ever */
    bool verify;
    bool json;         /* values */
    char letter;       /* that keys begin with */
    unsigned pause_us; /* after each batch; one client only */
    uint64_t seed;
};

/* Prints the usage and returns false when the command line is not right. */
bool load_options_parse(struct load_options *options, int argc, char **argv);

#endif
