/* The cache of scripts, by their SHA-1. Those run by EVAL only are few: a
 * client that writes its arguments into the script's text would fill the
 * memory otherwise. All of them together are bounded in bytes. */
#include <openssl/sha.h>
#include <stdlib.h>

#include "server/scripting/script.h"
#include "server/scripting/shebang.h"

/* Scripts that nobody has loaded with SCRIPT LOAD. */
#define EVAL_SCRIPTS_MAX 500
/* Of the VM's memory, what sources may amount to: compiled they are several
 * times as large. */
#define SOURCES_PART 32

/* ---- names ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_sha(struct bytes text, unsigned char sha[SCRIPT_SHA_BYTES])
{
    if (text.size != SCRIPT_SHA_TEXT) {
        return false;
    }
    int wrong = 0;
    for (size_t i = 0; i < SCRIPT_SHA_BYTES; i++) {
        int high = hex_digit(text.data[2 * i]);
        int low = hex_digit(text.data[2 * i + 1]);
        wrong |= high | low;
        sha[i] = (unsigned char)((unsigned)high << 4 | (unsigned)low);
    }
    return wrong >= 0;
}

static void print_sha(const unsigned char sha[SCRIPT_SHA_BYTES], char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SCRIPT_SHA_BYTES; i++) {
        *out++ = digits[sha[i] >> 4];
        *out++ = digits[sha[i] & 15];
    }
    *out = '\0';
}

static void hash_text(struct bytes text, unsigned char sha[SCRIPT_SHA_BYTES])
{
    SHA1((const unsigned char *)(text.size == 0 ? "" : text.data), text.size,
        sha);
}

void script_sha1_hex(struct bytes text, char out[SCRIPT_SHA_TEXT + 1])
{
    unsigned char sha[SCRIPT_SHA_BYTES];
    hash_text(text, sha);
    print_sha(sha, out);
}

/* ---- the list by use ---- */

static void unlink_script(struct scripting *scripting, struct script *script)
{
    *(script->newer != NULL ? &script->newer->older : &scripting->newest) =
        script->older;
    *(script->older != NULL ? &script->older->newer : &scripting->oldest) =
        script->newer;
}

static void link_newest(struct scripting *scripting, struct script *script)
{
    script->newer = NULL;
    script->older = scripting->newest;
    *(script->older != NULL ? &script->older->newer : &scripting->oldest) =
        script;
    scripting->newest = script;
}

static void use(struct scripting *scripting, struct script *script)
{
    if (scripting->newest != script) {
        unlink_script(scripting, script);
        link_newest(scripting, script);
    }
}

/* ---- finding ---- */

/* A SHA-1 is as good a hash as there is. */
static unsigned hash_of(const unsigned char sha[SCRIPT_SHA_BYTES])
{
    unsigned hash;
    memcpy(&hash, sha, sizeof(hash));
    return hash;
}

static struct script *find(
    struct scripting *scripting, const unsigned char sha[SCRIPT_SHA_BYTES])
{
    struct script *script;
    HASH_FIND_BYHASHVALUE(
        hh, scripting->scripts, sha, SCRIPT_SHA_BYTES, hash_of(sha), script);
    if (script != NULL) {
        use(scripting, script);
    }
    return script;
}

struct script *cache_find(struct scripting *scripting, struct bytes sha)
{
    unsigned char key[SCRIPT_SHA_BYTES];
    return parse_sha(sha, key) ? find(scripting, key) : NULL;
}

/* ---- coming and going ---- */

static void drop(struct scripting *scripting, struct script *script)
{
    luaL_unref(scripting->eval.lua, LUA_REGISTRYINDEX, script->function);
    unlink_script(scripting, script);
    HASH_DEL(scripting->scripts, script); /* NOLINT: uthash looks freed */
    scripting->script_count--;
    scripting->eval_count -= !script->loaded;
    scripting->script_bytes -= script->source_bytes;
    free(script);
}

/* The one used longest ago of those that EVAL brought. */
static struct script *oldest_of_eval(struct scripting *scripting)
{
    struct script *script = scripting->oldest;
    while (script != NULL && script->loaded) {
        script = script->newer;
    }
    return script;
}

static void make_room(struct scripting *scripting, size_t source_bytes)
{
    size_t limit = scripting->eval.cap_bytes / SOURCES_PART;
    while (scripting->eval_count >= EVAL_SCRIPTS_MAX) {
        drop(scripting, oldest_of_eval(scripting));
    }
    while (scripting->oldest != NULL &&
           scripting->script_bytes + source_bytes > limit) {
        struct script *script = oldest_of_eval(scripting);
        drop(scripting, script != NULL ? script : scripting->oldest);
    }
}

static struct script *add(struct scripting *scripting,
    const unsigned char sha[SCRIPT_SHA_BYTES], size_t source_bytes)
{
    struct script *script = xcalloc(1, sizeof(*script));
    memcpy(script->sha, sha, SCRIPT_SHA_BYTES);
    print_sha(sha, script->name);
    script->source_bytes = source_bytes;
    script->function = luaL_ref(scripting->eval.lua, LUA_REGISTRYINDEX);
    HASH_ADD_BYHASHVALUE(
        hh, scripting->scripts, sha, SCRIPT_SHA_BYTES, hash_of(sha), script);
    link_newest(scripting, script);
    scripting->script_count++;
    scripting->eval_count++;
    scripting->script_bytes += source_bytes;
    return script;
}

static struct script *compile(struct request *request,
    const unsigned char sha[SCRIPT_SHA_BYTES], struct bytes source)
{
    struct scripting *scripting = request->server->scripting;
    lua_State *lua = scripting->eval.lua;
    uint32_t flags = 0;
    struct bytes body = source;
    if (!shebang_of_script(request, &body, &flags)) {
        return NULL;
    }
    make_room(scripting, source.size);
    if (!vm_compile(&scripting->eval, body, "@user_script")) {
        const char *text = lua_tostring(lua, -1);
        reply_error(request->reply,
            "ERR Error compiling script (new function): %s",
            text != NULL ? text : "?");
        lua_pop(lua, 1);
        return NULL;
    }
    struct script *script = add(scripting, sha, source.size);
    script->flags = flags;
    return script;
}

struct script *cache_add(
    struct request *request, struct bytes source, bool loaded)
{
    struct scripting *scripting = request->server->scripting;
    unsigned char sha[SCRIPT_SHA_BYTES];
    hash_text(source, sha);
    struct script *script = find(scripting, sha);
    if (script == NULL) {
        script = compile(request, sha, source);
    }
    if (script != NULL && loaded && !script->loaded) {
        script->loaded = true;
        scripting->eval_count--;
    }
    return script;
}

void cache_flush(struct scripting *scripting)
{
    while (scripting->oldest != NULL) {
        drop(scripting, scripting->oldest); /* NOLINT: it is another one */
    }
    lua_gc(scripting->eval.lua, LUA_GCCOLLECT, 0);
}
