/* libFuzzer target: a script, run with two keys and itself as argument; one
 * that begins with "#!" is loaded as a library and its functions are called.
 * It ends, or is ended after some time; the reply is whole, and when all has
 * been flushed nothing is left. */
#include "server/scripting/scripting.h"
#include "tests/fuzz/whole_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX_BYTES 16384

static const char config[] =
    "user default on nopass ~* &* +@all -shutdown -debug -config|set"
    " -config|rewrite -acl|setuser -acl|deluser -acl|load -acl|save"
    " -namespace|set -namespace|del -client|pause\n"
    "busy-reply-threshold 20\nscript-maxmemory 32mb\n";

static uv_timer_t executioner;

static void on_time(uv_timer_t *timer)
{
    (void)timer;
    if (scripting_is_busy(&whole->server)) {
        scripting_abort(&whole->server);
    }
}

/* A command whose one argument of any bytes is the input. */
static void send_with(
    const char *before, const uint8_t *data, size_t size, const char *after)
{
    size_t room = strlen(before) + strlen(after) + size + 32;
    char *text = xmalloc(room);
    size_t length = (size_t)snprintf(text, room, "%s$%zu\r\n", before, size);
    memcpy(text + length, data, size);
    length += size;
    length += (size_t)snprintf(text + length, room - length, "\r\n%s", after);
    whole_send(&whole->peers[0], text, length);
    free(text);
}

static void run_library(const uint8_t *data, size_t size)
{
    static const char calls[] =
        "FCALL f 1 k a\r\nFCALL_RO f 0\r\nFCALL g 0\r\nFUNCTION LIST "
        "WITHCODE\r\nFUNCTION DUMP\r\nFUNCTION STATS\r\n";
    send_with("*3\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n", data, size, "");
    whole_say(&whole->peers[0], calls);
}

static void run_script(const uint8_t *data, size_t size)
{
    send_with("*7\r\n$4\r\nEVAL\r\n", data, size,
        "$1\r\n2\r\n$1\r\nk\r\n$1\r\nl\r\n$2\r\n10\r\n");
    send_with("", data, size, ""); /* its last argument */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX_BYTES) {
        return 0;
    }
    if (whole_begin(config)) {
        check(uv_timer_init(&whole->server.loop, &executioner) == 0);
        check(uv_timer_start(&executioner, on_time, 50, 50) == 0);
    }
    whole_say(&whole->peers[0], "HELLO 3\nSET k v\nRPUSH l 1 2 3\n");
    if (size > 2 && data[0] == '#') {
        run_library(data, size);
    } else {
        run_script(data, size);
    }
    whole_empty();
    return 0;
}
