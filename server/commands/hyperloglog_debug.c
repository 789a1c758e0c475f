/* Looking into HyperLogLogs: PFDEBUG, PFSELFTEST. */
#include <math.h>
#include <stdio.h>

#include "server/commands/hyperloglog.h"
#include "server/server.h"

/* As much of a word as an error shows. */
#define SHOWN_MAX_BYTES (1024 * 1024)

/* "Z:16384 " and the like. */
#define RUN_TEXT_MAX_BYTES 16
#define SELFTEST_ELEMENTS 200000
/* Estimates have a standard error of 1.04 / sqrt(16384). */
#define STANDARD_ERROR 0.008125
#define ERRORS_ALLOWED 6

static void reply_encoding(struct request *request, const struct hll *hll)
{
    bool dense = hll_encoding(bytes_of(hll->data, hll->size)) == HLL_DENSE;
    reply_status(request->reply, dense ? "dense" : "sparse");
}

static void reply_runs(struct request *request, const struct hll *hll)
{
    struct bytes text = bytes_of(hll->data, hll->size);
    if (hll_encoding(text) == HLL_DENSE) {
        reply_error(request->reply, "ERR HLL encoding is not sparse");
        return;
    }
    char *out = scratch_alloc(request->scratch, text.size * RUN_TEXT_MAX_BYTES);
    size_t size = 0;
    for (size_t at = HLL_HEADER_BYTES; at < text.size;) {
        struct hll_run run = hll_run_at(text, at);
        if (run.rank > 0) {
            size += (size_t)snprintf(out + size, RUN_TEXT_MAX_BYTES, "v:%u,%u ",
                run.rank, run.length);
        } else {
            size += (size_t)snprintf(out + size, RUN_TEXT_MAX_BYTES, "%c:%u ",
                run.bytes == 2 ? 'Z' : 'z', run.length);
        }
        at += run.bytes;
    }
    reply_bulk(request->reply, bytes_of(out, size > 0 ? size - 1 : 0));
}

/* Makes the value dense; *changed when it was not. False after an error. */
static bool convert(struct request *request, struct hll *hll, bool *changed)
{
    *changed = hll_encoding(bytes_of(hll->data, hll->size)) == HLL_SPARSE;
    if (!*changed) {
        return true;
    }
    if (!hll_make_dense(hll)) {
        hyperloglog_error_corrupt(request);
        return false;
    }
    request->changes++;
    return hyperloglog_store(request, request->argv[2], hll);
}

static void reply_registers(struct request *request, struct hll *hll)
{
    bool changed;
    if (!convert(request, hll, &changed)) {
        return;
    }
    reply_array(request->reply, HLL_REGISTERS);
    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        reply_integer(request->reply, hll_dense_get(hll->data, i));
    }
}

void cmd_pfdebug(struct request *request)
{
    struct bytes key = request->argv[2];
    struct bytes text;
    struct hll hll;
    bool changed;
    const struct entry *entry = db_touch(request->db, key, request->now_ms);
    if (entry == NULL) {
        reply_error(request->reply, "ERR The specified key does not exist");
        return;
    }
    if (!hyperloglog_text(request, entry, &text) ||
        !hyperloglog_copy(request, text, 0, &hll)) {
        return;
    }
    hyperloglog_make_raw(request, key, entry);
    if (arg_is(request, 1, "getreg")) {
        reply_registers(request, &hll);
    } else if (arg_is(request, 1, "decode")) {
        reply_runs(request, &hll);
    } else if (arg_is(request, 1, "encoding")) {
        reply_encoding(request, &hll);
    } else if (arg_is(request, 1, "todense")) {
        if (convert(request, &hll, &changed)) {
            reply_integer(request->reply, changed);
        }
    } else {
        size_t size = request->argv[1].size;
        int shown = size < SHOWN_MAX_BYTES ? (int)size : SHOWN_MAX_BYTES;
        reply_error(request->reply, "ERR Unknown PFDEBUG subcommand '%.*s'",
            shown, request->argv[1].data);
    }
}

/* Each register holds what was written to it last, and no other changes. */
static bool test_registers(unsigned char *data)
{
    unsigned char expected[HLL_REGISTERS] = {0};
    memset(data, 0, HLL_DENSE_BYTES);
    for (unsigned i = 0; i < 4 * HLL_REGISTERS; i++) {
        unsigned index = i * 2654435761u % HLL_REGISTERS;
        expected[index] = (unsigned char)(i % HLL_RANKS);
        hll_dense_set(data, index, expected[index]);
    }
    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        if (hll_dense_get(data, i) != expected[i]) {
            return false;
        }
    }
    return true;
}

/* Adding element by element, a sparse and a dense one agree, and are near
 * the truth. */
static bool test_estimates(
    struct hll *sparse, struct hll *dense, uint64_t sparse_max_bytes)
{
    hll_clear(sparse);
    hll_clear(dense);
    if (!hll_make_dense(dense)) {
        return false;
    }
    for (uint64_t i = 1, next = 1; i <= SELFTEST_ELEMENTS; i++) {
        unsigned rank;
        uint64_t a;
        uint64_t b;
        unsigned index = hll_place(bytes_of(&i, sizeof(i)), &rank);
        if (hll_raise(sparse, index, rank, sparse_max_bytes) !=
            hll_raise(dense, index, rank, 0)) {
            return false;
        }
        if (i < next) {
            continue;
        }
        next = i * 2;
        double allowed = ceil((double)i * STANDARD_ERROR * ERRORS_ALLOWED);
        if (!hll_count(bytes_of(sparse->data, sparse->size), &a) ||
            !hll_count(bytes_of(dense->data, dense->size), &b) || a != b ||
            fabs((double)a - (double)i) > allowed) {
            return false;
        }
    }
    return true;
}

void cmd_pfselftest(struct request *request)
{
    struct hll a;
    struct hll b;
    uint64_t limit = request->server->config.hll_sparse_max_bytes;
    struct bytes none = bytes_of(NULL, 0);
    if (!hyperloglog_copy(request, none, HLL_REGISTERS, &a) ||
        !hyperloglog_copy(request, none, HLL_REGISTERS, &b)) {
        return;
    }
    if (!test_registers(a.data)) {
        reply_error(request->reply, "ERR TESTFAILED Register update");
    } else if (!test_estimates(&a, &b, limit)) {
        reply_error(request->reply, "ERR TESTFAILED Estimates");
    } else {
        reply_ok(request->reply);
    }
}
