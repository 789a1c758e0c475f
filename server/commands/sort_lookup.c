/* The keys that patterns of SORT name, one an element. Nobody knows them
 * before the handler runs, so those on disk are read while it waits, as for
 * scripts. */
#include <stdlib.h>

#include "server/commands/sort.h"
#include "server/nested.h"
#include "tiers/values/hash.h"

/* Redis looks at a pattern as at a C string. */
static size_t text_size(struct bytes text)
{
    const char *nul = text.size == 0 ? NULL : memchr(text.data, 0, text.size);
    return nul == NULL ? text.size : (size_t)(nul - text.data);
}

void sort_pattern_parse(struct sort_pattern *pattern, struct bytes text)
{
    size_t size = text_size(text);
    const char *star = size == 0 ? NULL : memchr(text.data, '*', size);
    *pattern = (struct sort_pattern){
        .is_element = size == 1 && text.data[0] == '#',
        .is_fixed = star == NULL,
    };
    if (star == NULL) {
        return;
    }
    const char *end = text.data + text.size;
    const char *arrow =
        memmem(star + 1, (size_t)(text.data + size - star - 1), "->", 2);
    pattern->prefix = bytes_of(text.data, (size_t)(star - text.data));
    if (arrow != NULL && arrow + 2 < text.data + size) {
        pattern->field = bytes_of(arrow + 2, (size_t)(end - arrow - 2));
        end = arrow;
    }
    pattern->suffix = bytes_of(star + 1, (size_t)(end - star - 1));
}

static char *append(char *to, struct bytes text)
{
    if (text.size > 0) {
        memcpy(to, text.data, text.size);
    }
    return to + text.size;
}

static struct bytes make_key(struct sort_lookup *lookup,
    const struct sort_pattern *pattern, struct bytes element)
{
    size_t size = pattern->prefix.size + element.size + pattern->suffix.size;
    if (size >= lookup->key_room) {
        lookup->key_room = size * 2 + 64;
        lookup->key = xrealloc(lookup->key, lookup->key_room);
    }
    char *at = append(lookup->key, pattern->prefix);
    at = append(at, element);
    append(at, pattern->suffix);
    return bytes_of(lookup->key, size);
}

static void read_field(struct sort_lookup *lookup, const struct entry *entry,
    struct bytes field, struct sort_value *value)
{
    struct collection hash;
    collection_read(&hash, lookup->request->db, entry);
    if (hash_get(&hash, field, &lookup->element)) {
        value->found = true;
        value->text = element_text(&lookup->element);
    }
}

bool sort_lookup(struct sort_lookup *lookup, const struct sort_pattern *pattern,
    struct bytes element, struct sort_value *value)
{
    struct request *request = lookup->request;
    *value = (struct sort_value){.found = pattern->is_element};
    if (pattern->is_element) {
        value->text = element;
    }
    if (pattern->is_element || pattern->is_fixed) {
        return true;
    }
    struct bytes key = make_key(lookup, pattern, element);
    enum value_type type = pattern->field.size > 0 ? TYPE_HASH : TYPE_STRING;
    const struct entry *entry = db_find(request->db, key, request->now_ms);
    bool fits = entry != NULL && entry_type(entry) == type;
    if (fits && !nested_fetch_key(request, key)) {
        return false;
    }
    scratch_reset(&lookup->unpacked);
    entry = db_read(request->db, key, request->now_ms);
    if (!fits) {
        return true;
    }
    if (type == TYPE_HASH) {
        read_field(lookup, entry, pattern->field, value);
        return true;
    }
    value->found = true;
    value->text = db_string(request->db, entry, &lookup->unpacked);
    value->blob = db_string_blob(entry);
    return true;
}

void sort_lookup_finish(struct sort_lookup *lookup)
{
    scratch_reset(&lookup->unpacked);
    free(lookup->key);
}
