/* libFuzzer target: any input, fed whole and cut as its first byte says, must
 * yield the same commands and the same error. */
#include <stdio.h>
#include <stdlib.h>

#include "protocol/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A digest of everything the parser said. */
struct outcome {
    uint64_t digest;
    size_t commands;
    char error[64];
};

static void digest(struct outcome *outcome, struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        outcome->digest =
            (outcome->digest ^ (unsigned char)text.data[i]) * 1099511628211u;
    }
    outcome->digest = (outcome->digest ^ text.size) * 1099511628211u;
}

/* Parses what it can of window; returns what was used, or SIZE_MAX after an
 * error. */
static size_t parse(struct resp_parser *parser, const char *window, size_t size,
    struct outcome *outcome)
{
    struct resp_args args;
    struct resp_command command;
    enum resp_result result;
    size_t offset = 0;

    resp_args_init(&args);
    do {
        result = resp_parse(parser, window, size, &offset, &args, &command);
        if (result == RESP_COMMAND) {
            outcome->commands++;
            for (int i = 0; i < command.argc; i++) {
                digest(outcome, args.items[command.first + i]);
            }
        }
    } while (result == RESP_COMMAND || result == RESP_EMPTY);
    resp_args_finish(&args);
    if (result == RESP_ERROR) {
        snprintf(outcome->error, sizeof(outcome->error), "%s", parser->error);
        return SIZE_MAX;
    }
    return offset;
}

static void run(
    const char *data, size_t size, size_t step, struct outcome *outcome)
{
    static const struct resp_limits limits = {
        .max_bulk_bytes = 1 << 20, .max_total_bytes = SIZE_MAX};
    struct resp_parser parser;
    size_t begin = 0, end = 0;

    *outcome = (struct outcome){.digest = 14695981039346656037u};
    resp_init(&parser, &limits);
    while (end < size) {
        size_t used, length;
        char *window;

        end = size - end < step ? size : end + step;
        length = end - begin;
        window = xmalloc(length);
        memcpy(window, data + begin, length);
        used = parse(&parser, window, length, outcome);
        free(window);
        if (used == SIZE_MAX) {
            break;
        }
        begin += used;
        check(end - begin <= RESP_TAIL_MAX_BYTES);
    }
    resp_finish(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, cut;

    if (size < 2) {
        return 0;
    }
    run((const char *)data + 1, size - 1, SIZE_MAX, &whole);
    run((const char *)data + 1, size - 1, data[0] + 1u, &cut);
    check(whole.commands == cut.commands);
    check(whole.digest == cut.digest);
    check(strcmp(whole.error, cut.error) == 0);
    return 0;
}
