/* HyperLogLogs, the approximate number of different elements: PFADD, PFCOUNT,
 * PFMERGE. Their bytes are in hll.h. */
#include "server/commands/hyperloglog.h"

#include "server/keyspace.h"
#include "server/server.h"

/* Most bytes by which hll_raise makes a sparse one longer. */
#define RAISE_MAX_GROWTH 4
/* One that needs more than two bytes a register is corrupt, but works in
 * Redis as long as nobody reads its end. Beyond this it is not copied. */
#define COPY_MAX_BYTES (2 * 1024 * 1024)

void hyperloglog_error_corrupt(struct request *request)
{
    reply_error(request->reply, "INVALIDOBJ Corrupted HLL object detected");
}

bool hyperloglog_text(
    struct request *request, const struct entry *entry, struct bytes *text)
{
    if (!require_type(request, entry, TYPE_STRING)) {
        return false;
    }
    *text = db_string(request->db, entry, request->scratch);
    if (entry_kind(entry) != KIND_STRING_INT && hll_sane(*text)) {
        return true;
    }
    reply_error(request->reply,
        "WRONGTYPE Key is not a valid HyperLogLog string value.");
    return false;
}

bool hyperloglog_copy(
    struct request *request, struct bytes text, size_t raises, struct hll *hll)
{
    if (text.size > COPY_MAX_BYTES) {
        hyperloglog_error_corrupt(request);
        return false;
    }
    size_t growth = raises < HLL_SPARSE_MAX_GROWTH / RAISE_MAX_GROWTH
                        ? raises * RAISE_MAX_GROWTH
                        : HLL_SPARSE_MAX_GROWTH;
    hll->capacity = text.size + growth > HLL_DENSE_BYTES ? text.size + growth
                                                         : HLL_DENSE_BYTES;
    hll->data = scratch_alloc(request->scratch, hll->capacity);
    hll->size = text.size;
    if (text.size == 0) {
        hll_clear(hll);
    } else {
        memcpy(hll->data, text.data, text.size);
    }
    return true;
}

bool hyperloglog_store(
    struct request *request, struct bytes key, const struct hll *hll)
{
    char *out = db_string_resize(request->db, key, hll->size, request->now_ms);
    if (out == NULL) {
        error_oom(request);
        return false;
    }
    memcpy(out, hll->data, hll->size);
    return true;
}

void hyperloglog_make_raw(
    struct request *request, struct bytes key, const struct entry *entry)
{
    if (entry_kind(entry) != KIND_STRING_RAW) {
        db_string_resize(request->db, key, db_string_size(request->db, entry),
            request->now_ms);
    }
}

/* Adds the elements to `hll`; *changes counts those that raised a register.
 * False when it is corrupt. */
static bool add_elements(
    const struct request *request, struct hll *hll, uint64_t *changes)
{
    uint64_t limit = request->server->config.hll_sparse_max_bytes;
    for (int i = 2; i < request->argc; i++) {
        unsigned rank;
        unsigned index = hll_place(request->argv[i], &rank);
        enum hll_change change = hll_raise(hll, index, rank, limit);
        if (change == HLL_CORRUPT) {
            return false;
        }
        *changes += change == HLL_CHANGED;
    }
    return true;
}

/* Whether any element would raise a register of a dense one. */
static bool dense_would_change(const struct request *request, struct bytes text)
{
    const unsigned char *data = (const unsigned char *)text.data;
    for (int i = 2; i < request->argc; i++) {
        unsigned rank;
        unsigned index = hll_place(request->argv[i], &rank);
        if (hll_dense_get(data, index) < rank) {
            return true;
        }
    }
    return false;
}

static void finish_adding(struct request *request, uint64_t changes)
{
    if (changes > 0) {
        keyspace_changed(request, request->argv[1]);
        keyspace_event(request, KEYSPACE_STRING, "pfadd", request->argv[1]);
        request->changes += changes;
    }
    reply_integer(request->reply, changes > 0);
}

/* PFADD on a dense one writes where it lies, and only when it must: most
 * elements raise nothing. */
static void add_to_dense(
    struct request *request, const struct entry *entry, struct bytes text)
{
    struct bytes key = request->argv[1];
    uint64_t changes = 0;
    if (dense_would_change(request, text)) {
        char *data = db_string_resize(
            request->db, key, HLL_DENSE_BYTES, request->now_ms);
        if (data == NULL) {
            error_oom(request);
            return;
        }
        struct hll hll = {.data = (unsigned char *)data,
            .size = HLL_DENSE_BYTES,
            .capacity = HLL_DENSE_BYTES};
        add_elements(request, &hll, &changes);
        hll_outdate(hll.data);
    } else {
        hyperloglog_make_raw(request, key, entry);
    }
    finish_adding(request, changes);
}

/* PFADD on a sparse one, or on none (`entry` NULL, `text` empty). */
static void add_to_sparse(
    struct request *request, const struct entry *entry, struct bytes text)
{
    struct bytes key = request->argv[1];
    struct hll hll;
    uint64_t changes = entry == NULL; /* a new one counts as a change */
    if (!hyperloglog_copy(request, text, (size_t)request->argc - 2, &hll)) {
        return;
    }
    bool sound = add_elements(request, &hll, &changes);
    if (changes == 0) {
        hyperloglog_make_raw(request, key, entry);
    } else {
        hll_outdate(hll.data);
        if (!hyperloglog_store(request, key, &hll)) {
            return;
        }
    }
    if (sound) {
        finish_adding(request, changes);
    } else {
        hyperloglog_error_corrupt(request);
    }
}

void cmd_pfadd(struct request *request)
{
    struct bytes text = bytes_of(NULL, 0);
    const struct entry *entry =
        db_touch(request->db, request->argv[1], request->now_ms);
    if (entry != NULL && !hyperloglog_text(request, entry, &text)) {
        return;
    }
    if (entry != NULL && hll_encoding(text) == HLL_DENSE) {
        add_to_dense(request, entry, text);
    } else {
        add_to_sparse(request, entry, text);
    }
}

/* PFCOUNT of one key keeps what it has found in the value. */
static void count_one(struct request *request)
{
    struct bytes key = request->argv[1];
    struct bytes text;
    uint64_t count;
    const struct entry *entry = db_read(request->db, key, request->now_ms);
    if (entry == NULL) {
        reply_integer(request->reply, 0);
        return;
    }
    if (!hyperloglog_text(request, entry, &text)) {
        return;
    }
    if (hll_cached_count(text, &count)) {
        hyperloglog_make_raw(request, key, entry);
        reply_integer(request->reply, (int64_t)count);
        return;
    }
    if (!hll_count(text, &count)) {
        hyperloglog_make_raw(request, key, entry);
        hyperloglog_error_corrupt(request);
        return;
    }
    char *data = db_string_resize(request->db, key, text.size, request->now_ms);
    if (data != NULL) {
        hll_cache_count((unsigned char *)data, count);
        keyspace_changed(request, key);
        request->changes++;
    }
    reply_integer(request->reply, (int64_t)count);
}

/* Raises `registers` to those of the keys from argument 1 on; *dense when
 * any of them is. False after an error. */
static bool merge_keys(
    struct request *request, unsigned char *registers, bool *dense)
{
    for (int i = 1; i < request->argc; i++) {
        struct bytes text;
        const struct entry *entry =
            db_read(request->db, request->argv[i], request->now_ms);
        if (entry == NULL) {
            continue;
        }
        if (!hyperloglog_text(request, entry, &text)) {
            return false;
        }
        *dense = *dense || hll_encoding(text) == HLL_DENSE;
        if (!hll_merge(registers, text)) {
            hyperloglog_error_corrupt(request);
            return false;
        }
    }
    return true;
}

void cmd_pfcount(struct request *request)
{
    unsigned char registers[HLL_REGISTERS] = {0};
    bool dense = false;
    if (request->argc == 2) {
        count_one(request);
    } else if (merge_keys(request, registers, &dense)) {
        reply_integer(request->reply, (int64_t)hll_count_registers(registers));
    }
}

/* False when it is corrupt. */
static bool raise_registers(const struct request *request, struct hll *hll,
    const unsigned char *registers)
{
    uint64_t limit = request->server->config.hll_sparse_max_bytes;
    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        if (registers[i] > 0 &&
            hll_raise(hll, i, registers[i], limit) == HLL_CORRUPT) {
            return false;
        }
    }
    return true;
}

void cmd_pfmerge(struct request *request)
{
    unsigned char registers[HLL_REGISTERS] = {0};
    struct bytes key = request->argv[1];
    struct bytes text = bytes_of(NULL, 0);
    struct hll hll;
    bool dense = false;
    if (!merge_keys(request, registers, &dense)) {
        return;
    }
    const struct entry *entry = db_touch(request->db, key, request->now_ms);
    if (entry != NULL && !hyperloglog_text(request, entry, &text)) {
        return;
    }
    if (!hyperloglog_copy(request, text, HLL_REGISTERS, &hll)) {
        return;
    }
    if ((dense && !hll_make_dense(&hll)) ||
        !raise_registers(request, &hll, registers)) {
        hyperloglog_error_corrupt(request);
        return;
    }
    hll_outdate(hll.data);
    if (hyperloglog_store(request, key, &hll)) {
        keyspace_changed(request, key);
        /* Redis has one event for both. */
        keyspace_event(request, KEYSPACE_STRING, "pfadd", key);
        request->changes++;
        reply_ok(request->reply);
    }
}
