/* The load generator's command line. */
#ifndef LARDER_BENCH_LOAD_OPTIONS_H
#define LARDER_BENCH_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum load_order { LOAD_SEQUENTIAL, LOAD_RANDOM, LOAD_ZIPF };

struct load_options {
    uint16_t port;
    unsigned clients, pipeline;
    uint64_t requests; /* in all */
    double seconds;    /* stop after; 0: no limit */
    uint64_t keys, first_key;
    size_t key_size, value_size;
    unsigned gets; /* per cent; the rest are SETs */
    enum load_order order;
    double zipf; /* exponent */
    bool verify;
    unsigned pause_us; /* after each batch; one client only */
    uint64_t seed;
};

/* Prints the usage and returns false when the command line is not right. */
bool load_options_parse(struct load_options *options, int argc, char **argv);

#endif
