#include "server/admission.h"

#include "server/command.h"
#include "server/dispatch.h"
#include "tiers/namespace.h"

/* Keys that are only read are not of interest: "RO access". */
static bool may_write(const struct request *request, int position, int number)
{
    struct bytes flags = command_key_flags(request, position, number);
    return flags.size < 2 || memcmp(flags.data, "RO", 2) != 0;
}

static void refuse(struct request *request, struct bytes key)
{
    struct bytes prefix = engine_namespace_of(request->engine, key);
    reply_error(request->reply,
        "OOM namespace '%.*s' is full and its eviction is none",
        (int)prefix.size, prefix.size == 0 ? "" : prefix.data);
}

enum engine_admission admission_by_namespace(struct request *request)
{
    struct command_keys keys;
    if (!engine_limits_writes(request->engine) ||
        (request->command->flags & CMD_DENYOOM) == 0 ||
        !command_keys_begin(
            &keys, request->command, request->argv, request->argc)) {
        return ENGINE_ADMIT;
    }
    size_t size = request_argument_bytes(request);
    int number = 0;
    for (int i = command_keys_next(&keys); i != 0;
         i = command_keys_next(&keys), number++) {
        struct bytes key = request->argv[i];
        if (!may_write(request, i, number)) {
            continue;
        }
        enum engine_admission admission = engine_admit_key(
            request->engine, request->db, key, size, request->now_ms);
        if (admission == ENGINE_REFUSE_OOM) {
            refuse(request, key);
        }
        if (admission != ENGINE_ADMIT) {
            return admission;
        }
    }
    return ENGINE_ADMIT;
}
