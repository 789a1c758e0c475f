#include "server/tracking_prefix.h"

#include <stdlib.h>
#include <utlist.h>
#include <xxhash.h>

#include "server/conn.h"
#include "server/tracking.h"

/* ---- prefixes ---- */

static unsigned hash_of(
    const struct tracking_prefixes *prefixes, struct bytes name)
{
    return (unsigned)XXH3_64bits_withSeed(name.data, name.size, prefixes->seed);
}

static struct bytes name_of(const struct tracked_prefix *prefix)
{
    return bytes_of(prefix->name, prefix->size);
}

static struct tracked_prefix *find_prefix(
    const struct tracking_prefixes *prefixes, struct bytes name)
{
    struct tracked_prefix *prefix;
    const char *data = name.data == NULL ? "" : name.data;
    HASH_FIND_BYHASHVALUE(hh, prefixes->by_name, data, name.size,
        hash_of(prefixes, name), prefix);
    return prefix;
}

static void count_length(
    struct tracking_prefixes *prefixes, size_t size, bool more)
{
    unsigned i = 0;
    while (i < prefixes->length_count && prefixes->lengths[i].size != size) {
        i++;
    }
    if (i == prefixes->length_count) {
        check(more);
        prefixes->length_count++;
        prefixes->lengths = xrealloc(prefixes->lengths,
            prefixes->length_count * sizeof(*prefixes->lengths));
        prefixes->lengths[i] = (struct prefix_length){.size = size};
    }
    prefixes->lengths[i].count += more ? 1 : (size_t)-1;
    if (prefixes->lengths[i].count == 0) {
        prefixes->length_count--;
        prefixes->lengths[i] = prefixes->lengths[prefixes->length_count];
    }
    if (prefixes->length_count == 0) {
        free(prefixes->lengths);
        prefixes->lengths = NULL;
    }
}

static struct tracked_prefix *create_prefix(
    struct tracking_prefixes *prefixes, struct bytes name)
{
    struct tracked_prefix *prefix = xmalloc(sizeof(*prefix) + name.size);
    *prefix = (struct tracked_prefix){.size = name.size};
    if (name.size > 0) {
        memcpy(prefix->name, name.data, name.size);
    }
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, prefixes->by_name, prefix->name, name.size,
        hash_of(prefixes, name), prefix);
    count_length(prefixes, name.size, true);
    prefixes->bytes += sizeof(*prefix) + name.size;
    return prefix;
}

static void free_changed(struct tracked_prefix *prefix)
{
    struct changed_key *next = prefix->changed;
    HASH_CLEAR(hh, prefix->changed);
    while (next != NULL) {
        struct changed_key *key = next;
        next = key->hh.next;
        free(key);
    }
}

static void destroy_prefix(
    struct tracking_prefixes *prefixes, struct tracked_prefix *prefix)
{
    if (prefix->in_changed) {
        LL_DELETE2(prefixes->first_changed, prefix, next_changed);
    }
    free_changed(prefix);
    count_length(prefixes, prefix->size, false);
    prefixes->bytes -= sizeof(*prefix) + prefix->size;
    HASH_DELETE(hh, prefixes->by_name, prefix);
    free(prefix);
}

/* ---- who listens ---- */

void tracking_prefix_add(
    struct tracking_prefixes *prefixes, struct conn *conn, struct bytes name)
{
    struct prefix_link **at = &conn->tracker->prefixes;
    while (*at != NULL && bytes_compare(name_of((*at)->prefix), name) < 0) {
        at = &(*at)->next;
    }
    if (*at != NULL && bytes_equal(name_of((*at)->prefix), name)) {
        return;
    }
    struct tracked_prefix *prefix = find_prefix(prefixes, name);
    if (prefix == NULL) {
        prefix = create_prefix(prefixes, name);
    }
    struct prefix_link *link = xmalloc(sizeof(*link));
    *link = (struct prefix_link){
        .prefix = prefix, .member = {.conn = conn}, .next = *at};
    *at = link;
    DL_APPEND(prefix->members, &link->member);
    conn->tracker->prefix_count++;
    prefixes->bytes += sizeof(*link);
}

void tracking_prefix_remove_all(
    struct tracking_prefixes *prefixes, struct conn *conn)
{
    struct prefix_link *next = conn->tracker->prefixes;
    while (next != NULL) {
        struct prefix_link *link = next;
        next = link->next;
        struct prefix_member *member = &link->member;
        DL_DELETE(link->prefix->members, member);
        if (link->prefix->members == NULL) {
            destroy_prefix(prefixes, link->prefix);
        }
        prefixes->bytes -= sizeof(*link);
        free(link);
    }
    conn->tracker->prefixes = NULL;
    conn->tracker->prefix_count = 0;
}

static bool overlap(struct bytes a, struct bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    return size == 0 || memcmp(a.data, b.data, size) == 0;
}

bool tracking_overlaps(
    const struct conn *conn, struct bytes prefix, struct bytes *with)
{
    const struct prefix_link *link =
        conn->tracker == NULL ? NULL : conn->tracker->prefixes;
    for (; link != NULL; link = link->next) {
        if (overlap(name_of(link->prefix), prefix)) {
            *with = name_of(link->prefix);
            return true;
        }
    }
    return false;
}

void tracking_each_prefix(const struct conn *conn,
    void (*fn)(void *context, struct bytes prefix), void *context)
{
    const struct prefix_link *link =
        conn->tracker == NULL ? NULL : conn->tracker->prefixes;
    for (; link != NULL; link = link->next) {
        fn(context, name_of(link->prefix));
    }
}

/* ---- what has changed ---- */

static void note_below(struct tracking_prefixes *prefixes,
    struct tracked_prefix *prefix, struct bytes name, uint64_t by)
{
    struct changed_key *key;
    const char *data = name.data == NULL ? "" : name.data;
    unsigned hash = hash_of(prefixes, name);
    HASH_FIND_BYHASHVALUE(hh, prefix->changed, data, name.size, hash, key);
    if (key == NULL) {
        key = xmalloc(sizeof(*key) + name.size);
        *key = (struct changed_key){.size = name.size};
        if (name.size > 0) {
            memcpy(key->name, name.data, name.size);
        }
        HASH_ADD_KEYPTR_BYHASHVALUE(
            hh, prefix->changed, key->name, name.size, hash, key);
    }
    key->changed_by = by;
    if (!prefix->in_changed) {
        prefix->in_changed = true;
        LL_PREPEND2(prefixes->first_changed, prefix, next_changed);
    }
}

void tracking_prefix_note(
    struct tracking_prefixes *prefixes, struct bytes key, uint64_t by)
{
    for (unsigned i = 0; i < prefixes->length_count; i++) {
        size_t size = prefixes->lengths[i].size;
        if (size > key.size) {
            continue;
        }
        struct tracked_prefix *prefix =
            find_prefix(prefixes, bytes_of(key.data, size));
        if (prefix != NULL) {
            note_below(prefixes, prefix, key, by);
        }
    }
}

bool tracking_prefix_any_changed(const struct tracking_prefixes *prefixes)
{
    return prefixes->first_changed != NULL;
}

static int by_key_name(const struct changed_key *a, const struct changed_key *b)
{
    return bytes_compare(
        bytes_of(a->name, a->size), bytes_of(b->name, b->size));
}

static int by_prefix_name(
    const struct tracked_prefix *a, const struct tracked_prefix *b)
{
    return bytes_compare(name_of(a), name_of(b));
}

/* In the order of names, as Redis. */
void tracking_prefix_each_changed(struct tracking_prefixes *prefixes,
    void (*fn)(void *context, struct tracked_prefix *prefix), void *context)
{
    LL_SORT2(prefixes->first_changed, by_prefix_name, next_changed);
    while (prefixes->first_changed != NULL) {
        struct tracked_prefix *prefix = prefixes->first_changed;
        prefixes->first_changed = prefix->next_changed;
        prefix->in_changed = false;
        HASH_SRT(hh, prefix->changed, by_key_name);
        fn(context, prefix);
        free_changed(prefix);
    }
}
