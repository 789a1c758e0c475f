#include "server/scripting/shebang.h"

#include <ctype.h>

#include "server/scripting/script.h"

static const struct {
    uint32_t flag;
    const char *name;
} flag_names[] = {
    {SCRIPT_NO_WRITES, "no-writes"},
    {SCRIPT_ALLOW_OOM, "allow-oom"},
    {SCRIPT_ALLOW_STALE, "allow-stale"},
    {SCRIPT_NO_CLUSTER, "no-cluster"},
    {SCRIPT_ALLOW_CROSS_SLOT_KEYS, "allow-cross-slot-keys"},
};
#define FLAG_NAMES (sizeof(flag_names) / sizeof(flag_names[0]))

uint32_t script_flag_find(struct bytes name)
{
    for (size_t i = 0; i < FLAG_NAMES; i++) {
        const char *known = flag_names[i].name;
        if (bytes_equal(name, bytes_of(known, strlen(known)))) {
            return flag_names[i].flag;
        }
    }
    return 0;
}

void script_flags_reply(struct reply *reply, uint32_t flags)
{
    size_t mark = reply_begin(reply);
    size_t count = 0;
    for (size_t i = 0; i < FLAG_NAMES; i++) {
        if ((flags & flag_names[i].flag) != 0) {
            reply_status(reply, flag_names[i].name);
            count++;
        }
    }
    reply_end(reply, mark, REPLY_SET, count);
}

/* ---- the line ---- */

static bool is_shebang(struct bytes source)
{
    return source.size >= 2 && source.data[0] == '#' && source.data[1] == '!';
}

/* Takes the first line off *source; false when there is no line end. */
static bool take_line(struct bytes *source, struct bytes *line)
{
    const char *end = memchr(source->data, '\n', source->size);
    if (end == NULL) {
        return false;
    }
    *line = bytes_of(source->data, (size_t)(end - source->data));
    *source = bytes_of(end, source->size - line->size);
    return true;
}

/* The next word of the line; empty at its end. */
static struct bytes take_word(struct bytes *line)
{
    size_t start = 0;
    while (start < line->size && isspace((unsigned char)line->data[start])) {
        start++;
    }
    size_t end = start;
    while (end < line->size && !isspace((unsigned char)line->data[end])) {
        end++;
    }
    struct bytes word = bytes_of(line->data + start, end - start);
    *line = bytes_of(line->data + end, line->size - end);
    return word;
}

/* What follows `prefix` in the word. */
static bool strip(struct bytes *word, const char *prefix)
{
    size_t size = strlen(prefix);
    if (word->size < size || memcmp(word->data, prefix, size) != 0) {
        return false;
    }
    *word = bytes_of(word->data + size, word->size - size);
    return true;
}

static int shown(struct bytes word)
{
    return word.size < 128 ? (int)word.size : 128;
}

/* ---- scripts ---- */

static bool parse_flags(
    struct request *request, struct bytes list, uint32_t *flags)
{
    while (list.size > 0) {
        const char *comma = memchr(list.data, ',', list.size);
        size_t size = comma == NULL ? list.size : (size_t)(comma - list.data);
        struct bytes word = bytes_of(list.data, size);
        uint32_t flag = script_flag_find(word);
        if (flag == 0) {
            reply_error(request->reply,
                "ERR Unexpected flag in script shebang: %.*s", shown(word),
                word.data);
            return false;
        }
        *flags |= flag;
        size_t used = size + (comma != NULL);
        list = bytes_of(list.data + used, list.size - used);
    }
    return true;
}

bool shebang_of_script(
    struct request *request, struct bytes *source, uint32_t *flags)
{
    struct bytes line;
    *flags = SCRIPT_COMPAT;
    if (!is_shebang(*source)) {
        return true;
    }
    *flags = 0;
    if (!take_line(source, &line)) {
        reply_error(request->reply, "ERR Invalid script shebang");
        return false;
    }
    struct bytes word = take_word(&line);
    if (!bytes_equal(word, BYTES("#!lua"))) {
        reply_error(request->reply,
            "ERR Unexpected engine in script shebang: %.*s", shown(word),
            word.data);
        return false;
    }
    for (word = take_word(&line); word.size > 0; word = take_word(&line)) {
        struct bytes option = word;
        if (!strip(&option, "flags=")) {
            reply_error(request->reply, "ERR Unknown lua shebang option: %.*s",
                shown(word), word.data);
            return false;
        }
        if (!parse_flags(request, option, flags)) {
            return false;
        }
    }
    return true;
}

/* ---- libraries ---- */

bool shebang_name_is_valid(struct bytes name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (!isalnum((unsigned char)name.data[i]) && name.data[i] != '_') {
            return false;
        }
    }
    return name.size > 0;
}

static bool parse_library_words(
    struct request *request, struct bytes line, struct bytes *name)
{
    bool found = false;
    for (struct bytes word = take_word(&line); word.size > 0;
         word = take_word(&line)) {
        struct bytes option = word;
        if (!strip(&option, "name=")) {
            reply_error(request->reply,
                "ERR Invalid metadata value given: %.*s", shown(word),
                word.data);
            return false;
        }
        if (found) {
            reply_error(request->reply,
                "ERR Invalid metadata value, name argument was given "
                "multiple times");
            return false;
        }
        *name = option;
        found = true;
    }
    if (!found) {
        reply_error(request->reply, "ERR Library name was not given");
    }
    return found;
}

bool shebang_of_library(
    struct request *request, struct bytes *source, struct bytes *name)
{
    struct bytes line;
    if (!is_shebang(*source)) {
        reply_error(request->reply, "ERR Missing library metadata");
        return false;
    }
    if (!take_line(source, &line)) {
        reply_error(request->reply, "ERR Invalid library metadata");
        return false;
    }
    struct bytes engine = take_word(&line);
    engine = bytes_of(engine.data + 2, engine.size - 2);
    if (!parse_library_words(request, line, name)) {
        return false;
    }
    if (!shebang_name_is_valid(*name)) {
        reply_error(request->reply,
            "ERR Library names can only contain letters, numbers, or "
            "underscores(_) and must be at least one character long");
        return false;
    }
    if (!bytes_equal_nocase(engine, "lua")) {
        reply_error(request->reply, "ERR Engine '%.*s' not found",
            shown(engine), engine.data);
        return false;
    }
    return true;
}
