/* libFuzzer target: bytes from two clients to a whole server, as they would
 * send them; each ~ at the beginning of a line is the other's turn. Every
 * reply is whole, and when all has been flushed nothing is left. */
#include "tests/fuzz/whole_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX_BYTES 32768

/* Nothing that ends the server, or outlasts the input. Scripts, which may not
 * end, have a target of their own. */
static const char config[] =
    "user default on nopass ~* &* +@all -@scripting -shutdown -debug"
    " -config|set -config|rewrite -acl|setuser -acl|deluser -acl|load"
    " -acl|save -namespace|set -namespace|del"
    " +function|flush +script|flush\n"
    "namespace s: hot-maxmemory 4kb cold-maxmemory 4kb\n"
    "namespace t: hot-ttl 1s\n";

static size_t turn_bytes(const char *text, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++) {
        if (text[i] == '\n' && text[i + 1] == '~') {
            return i + 1;
        }
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    unsigned turn = 0;
    if (size > INPUT_MAX_BYTES) {
        return 0;
    }
    whole_begin(config);
    for (size_t at = 0; at < size;) {
        size_t length = turn_bytes(text + at, size - at);
        whole_send(&whole->peers[turn], text + at, length);
        at += length;
        if (at < size) {
            at++;
            turn = 1 - turn;
        }
    }
    whole_empty();
    return 0;
}
