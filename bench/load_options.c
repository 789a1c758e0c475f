#include "bench/load_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/values.h"

static const struct option table[] = {
    {"port", required_argument, NULL, 'p'},
    {"clients", required_argument, NULL, 'c'},
    {"pipeline", required_argument, NULL, 'P'},
    {"requests", required_argument, NULL, 'n'},
    {"seconds", required_argument, NULL, 's'},
    {"keys", required_argument, NULL, 'k'},
    {"first-key", required_argument, NULL, 'f'},
    {"key-size", required_argument, NULL, 'K'},
    {"value-size", required_argument, NULL, 'V'},
    {"gets", required_argument, NULL, 'g'},
    {"order", required_argument, NULL, 'o'},
    {"verify", no_argument, NULL, 'v'},
    {"pause-us", required_argument, NULL, 'u'},
    {"seed", required_argument, NULL, 'S'},
    {"letter", required_argument, NULL, 'l'},
    {"json", no_argument, NULL, 'j'},
    {"ttl-s", required_argument, NULL, 'T'},
    {"scan", required_argument, NULL, 'C'},
    {NULL, 0, NULL, 0},
};

static void usage(void)
{
    fputs("load --port N [--clients N] [--pipeline N] [--requests N]\n"
          "     [--seconds S] [--keys N] [--first-key N] [--key-size B]\n"
          "     [--value-size B] [--gets PERCENT]\n"
          "     [--order seq|random|zipf:EXPONENT] [--verify] [--seed N]\n"
          "     [--scan PERCENT (of the requests: the next of all keys)]\n"
          "     [--ttl-s N (of the keys written)]\n"
          "     [--letter L (that keys begin with)] [--json (values)]\n"
          "     [--pause-us N (with one client)]\n"
          "Without --requests: one a key; with --seconds: no limit.\n",
        stderr);
}

/* False: none of those that are a number. */
static bool set_number(struct load_options *options, int name, uint64_t number)
{
    unsigned small = (unsigned)number;

    switch (name) {
    case 'p':
        options->port = (uint16_t)number;
        return true;
    case 'c':
        options->clients = small;
        return true;
    case 'P':
        options->pipeline = small;
        return true;
    case 'n':
        options->requests = number;
        return true;
    case 'k':
        options->keys.count = number;
        return true;
    case 'f':
        options->first_key = number;
        return true;
    case 'K':
        options->key_size = number;
        return true;
    case 'V':
        options->value_size = number;
        return true;
    case 'g':
        options->gets = small;
        return true;
    case 'u':
        options->pause_us = small;
        return true;
    case 'S':
        options->seed = number;
        return true;
    case 'T':
        options->ttl_s = small;
        return true;
    case 'C':
        options->keys.scan_percent = small;
        return number <= 100;
    default:
        return false;
    }
}

static bool set_option(struct load_options *options, int name, const char *text)
{
    switch (name) {
    case 's':
        options->seconds = atof(text);
        return true;
    case 'o':
        return keys_parse_order(&options->keys, text);
    case 'v':
        options->verify = true;
        return true;
    case 'l':
        options->letter = text[0];
        return text[0] > ' ' && text[1] == '\0';
    case 'j':
        options->json = true;
        return true;
    default:
        return set_number(options, name, strtoull(text, NULL, 10));
    }
}

bool load_options_parse(struct load_options *options, int argc, char **argv)
{
    bool right = true;
    int name;

    *options = (struct load_options){.clients = 50,
        .pipeline = 1,
        .letter = 'k',
        .keys = {.order = KEY_RANDOM, .count = 1000},
        .key_size = 16,
        .value_size = 64,
        .gets = 100,
        .seed = 1};
    while (right && (name = getopt_long(argc, argv, "", table, NULL)) != -1) {
        right = set_option(options, name, optarg != NULL ? optarg : "");
    }
    if (options->requests == 0) {
        options->requests =
            options->seconds > 0 ? UINT64_MAX : options->keys.count;
    }
    /* A key's digits must have room; a zero-byte value has no reply to tell
     * it from others. */
    right = right && optind == argc && options->port > 0 &&
            options->clients > 0 && options->pipeline > 0 &&
            (options->pause_us == 0 || options->clients == 1) &&
            options->keys.count > 0 && options->keys.count <= UINT32_MAX &&
            options->gets <= 100 && options->key_size >= 12 &&
            options->key_size <= 256 && options->value_size > 0 &&
            (!options->json || options->value_size >= VALUE_JSON_MIN_BYTES);
    if (!right) {
        usage();
    }
    return right;
}
