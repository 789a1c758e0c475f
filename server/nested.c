#include "server/nested.h"

#include "server/admission.h"
#include "server/command.h"
#include "server/dispatch.h"

/* For each value. The disk answers in a millisecond or not at all. */
#define FETCH_TIMEOUT_MS 1000
/* Also for each; many values together take as long as the disk does. */
#define ROOM_TIMEOUT_MS 1000
/* While one value is read another one of the same command can sink. */
#define FETCH_ROUNDS_MAX 8

bool nested_fits(struct request *request)
{
    if ((request->command->flags & CMD_DENYOOM) == 0 ||
        engine_admit_nested(request->engine, request_argument_bytes(request))) {
        return admission_by_namespace(request) != ENGINE_REFUSE_OOM;
    }
    error_oom(request);
    return false;
}

struct nested_fetch {
    struct request *request;
    enum dry_result result;
};

static bool fetch_key(void *context, struct db *db, struct bytes key)
{
    struct nested_fetch *fetch = context;
    struct request *request = fetch->request;
    fetch->result = engine_fetch_now(
        request->engine, db, key, FETCH_TIMEOUT_MS, request->now_ms);
    if (fetch->result == DRY_OK) {
        engine_pin(request->engine, db, key);
    }
    return fetch->result == DRY_OK;
}

bool nested_fetch(struct request *request)
{
    struct nested_fetch fetch = {.request = request};
    if (request->command->needs == need_none ||
        db_tier_size(request->db, TIER_DRY) == 0) {
        return true;
    }
    for (unsigned round = 0; round < FETCH_ROUNDS_MAX; round++) {
        if (!request_each_dry_key(request, fetch_key, &fetch)) {
            return true;
        }
        request->read_at_once = true;
        if (fetch.result != DRY_OK) {
            break;
        }
    }
    nested_release(request);
    error_not_fetched(request, fetch.result);
    return false;
}

/* Whether one value more may be read. Outside EXEC and scripts, where nothing
 * may sink, room is made for it, if need be by waiting for the disk. */
static bool makes_room(struct request *request)
{
    struct engine *engine = request->engine;
    int64_t now_ms = request->now_ms;
    bool sinks = !request->nested;
    if ((sinks && engine_admit(engine, 0, now_ms) == ENGINE_ADMIT) ||
        engine_admit_nested(engine, 0) ||
        (sinks && engine_admit_now(engine, 0, ROOM_TIMEOUT_MS, now_ms) ==
                      ENGINE_ADMIT)) {
        return true;
    }
    error_oom(request);
    return false;
}

bool nested_fetch_key(struct request *request, struct bytes key)
{
    enum dry_result result = DRY_OK;
    for (unsigned round = 0; round < FETCH_ROUNDS_MAX && result == DRY_OK;
         round++) {
        if (db_tier_size(request->db, TIER_DRY) == 0 ||
            db_residency(request->db, key, request->now_ms) != DB_DRY) {
            return true;
        }
        if (!makes_room(request)) {
            return false;
        }
        request->read_at_once = true;
        result = engine_fetch_now(request->engine, request->db, key,
            FETCH_TIMEOUT_MS, request->now_ms);
    }
    error_not_fetched(request, result);
    return false;
}

static bool unpin_key(void *context, struct db *db, struct bytes key)
{
    struct request *request = context;
    engine_unpin(request->engine, db, key);
    return true;
}

void nested_release(struct request *request)
{
    if (request->read_at_once) {
        request_each_needed_key(request, unpin_key, request);
    }
}
