/* OBJECT: how a key is kept. Nothing here counts as a use of the key or
 * reads its value. */
#include "server/command.h"

/* The entry of the key in question; NULL after having answered a null. */
static const struct entry *find_object(struct request *request)
{
    const struct entry *entry =
        db_look_quietly(request->db, request->argv[2], request->now_ms);
    if (entry == NULL) {
        reply_null(request->reply);
    }
    return entry;
}

void cmd_object_encoding(struct request *request)
{
    const struct entry *entry = find_object(request);
    if (entry != NULL) {
        reply_bulk_text(request->reply, entry_encoding_name(entry));
    }
}

void cmd_object_freq(struct request *request)
{
    const struct entry *entry = find_object(request);
    if (entry != NULL) {
        reply_integer(request->reply, engine_frequency(request->engine, entry));
    }
}

void cmd_object_idletime(struct request *request)
{
    const struct entry *entry = find_object(request);
    if (entry != NULL) {
        int64_t idle_ms =
            engine_idle_ms(request->engine, entry, request->now_ms);
        reply_integer(request->reply, idle_ms / 1000);
    }
}

/* Keys never share a value, so there is always one reference. */
void cmd_object_refcount(struct request *request)
{
    if (find_object(request) != NULL) {
        reply_integer(request->reply, 1);
    }
}

void cmd_object_tier(struct request *request)
{
    const struct entry *entry = find_object(request);
    if (entry != NULL) {
        reply_bulk_text(request->reply, tier_name(entry_tier(entry)));
    }
}

void cmd_object_help(struct request *request)
{
    static const char *const lines[] = {
        "ENCODING <key>",
        "    Name the internal form the value of <key> is kept in.",
        "FREQ <key>",
        "    Answer how often <key> was used lately, on a logarithmic scale.",
        "IDLETIME <key>",
        "    Answer for how many seconds <key> was not used.",
        "REFCOUNT <key>",
        "    Answer how many keys share the value of <key>.",
        "TIER <key>",
        "    Name the tier the value of <key> is in: hot, cold or dry.",
        NULL,
    };
    help_reply(request, lines);
}
