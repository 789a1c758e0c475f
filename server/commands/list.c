/* Lists: elements pushed and popped at the ends, and moved between lists. */
#include "server/commands/list.h"

const char *list_pop_event(enum list_end end)
{
    return end == LIST_LEFT ? "lpop" : "rpop";
}

const char *list_push_event(enum list_end end)
{
    return end == LIST_LEFT ? "lpush" : "rpush";
}

bool list_arg_end(struct request *request, int index, enum list_end *end)
{
    if (arg_is(request, index, "left")) {
        *end = LIST_LEFT;
    } else if (arg_is(request, index, "right")) {
        *end = LIST_RIGHT;
    } else {
        error_syntax(request);
        return false;
    }
    return true;
}

void list_reply_range(struct request *request, struct collection *list,
    uint64_t first, uint64_t count, bool backwards)
{
    struct seq_cursor cursor;
    struct element element;
    seq_at(&list->seq, backwards ? first + count - 1 : first, &cursor);
    for (; count > 0; count--) {
        list_element(&cursor, &element);
        typed_reply(request, &element);
        if (backwards) {
            seq_prev(&cursor);
        } else {
            seq_next(&cursor);
        }
    }
}

/* ---- pushing ---- */

static void push_all(
    struct request *request, struct collection *list, enum list_end end)
{
    for (int i = 2; i < request->argc; i++) {
        list_push(list, end, request->argv[i]);
    }
    int64_t count = (int64_t)collection_count(list);
    typed_end(request, list, (uint64_t)request->argc - 2, list_push_event(end));
    reply_integer(request->reply, count);
}

static void push(struct request *request, enum list_end end)
{
    struct collection list;
    if (typed_write(request, 1, LIST_KIND_NEW, &list)) {
        push_all(request, &list, end);
    }
}

static void push_existing(struct request *request, enum list_end end)
{
    struct collection list;
    enum typed_open open = typed_write_existing(request, 1, TYPE_LIST, &list);
    if (open == TYPED_ABSENT) {
        reply_integer(request->reply, 0);
    } else if (open == TYPED_OPEN) {
        push_all(request, &list, end);
    }
}

void cmd_lpush(struct request *request)
{
    push(request, LIST_LEFT);
}

void cmd_rpush(struct request *request)
{
    push(request, LIST_RIGHT);
}

void cmd_lpushx(struct request *request)
{
    push_existing(request, LIST_LEFT);
}

void cmd_rpushx(struct request *request)
{
    push_existing(request, LIST_RIGHT);
}

/* ---- popping ---- */

static void pop_one(struct request *request, enum list_end end)
{
    struct collection list;
    struct seq_cursor cursor;
    struct element element;
    enum typed_open open = typed_write_existing(request, 1, TYPE_LIST, &list);
    if (open == TYPED_ABSENT) {
        reply_null(request->reply);
    }
    if (open != TYPED_OPEN) {
        return;
    }
    list_end(&list, end, &cursor);
    list_element(&cursor, &element);
    typed_reply(request, &element);
    seq_remove(&cursor);
    typed_end(request, &list, 1, list_pop_event(end));
}

static void pop(struct request *request, enum list_end end)
{
    struct collection list;
    int64_t wanted = 0;
    if (request->argc > 3) {
        error_arity(request);
        return;
    }
    if (request->argc == 2) {
        pop_one(request, end);
        return;
    }
    if (!arg_count(request, 2, &wanted)) {
        return;
    }
    enum typed_open open = typed_write_existing(request, 1, TYPE_LIST, &list);
    if (open == TYPED_ABSENT) {
        reply_null_array(request->reply);
    }
    if (open != TYPED_OPEN) {
        return;
    }
    uint64_t size = collection_count(&list);
    uint64_t count = (uint64_t)wanted < size ? (uint64_t)wanted : size;
    uint64_t first = end == LIST_LEFT ? 0 : size - count;
    reply_array(request->reply, count);
    list_reply_range(request, &list, first, count, end == LIST_RIGHT);
    seq_remove_range(&list.seq, first, count);
    typed_end(request, &list, count, list_pop_event(end));
}

void cmd_lpop(struct request *request)
{
    pop(request, LIST_LEFT);
}

void cmd_rpop(struct request *request)
{
    pop(request, LIST_RIGHT);
}

/* ---- moving ---- */

/* Takes the element at `end` out of the open list; the copy of its text is in
 * the request's scratch memory. */
static struct bytes take(
    struct request *request, struct collection *list, enum list_end end)
{
    struct seq_cursor cursor;
    struct element element;
    list_end(list, end, &cursor);
    list_element(&cursor, &element);
    struct bytes text = element_text(&element);
    char *copy = scratch_alloc(request->scratch, text.size + 1);
    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    seq_remove(&cursor);
    return bytes_of(copy, text.size);
}

/* The list in argument 1 turned by one. */
static void rotate(
    struct request *request, enum list_end from, enum list_end to)
{
    struct collection list;
    if (typed_write_existing(request, 1, TYPE_LIST, &list) != TYPED_OPEN) {
        return;
    }
    struct bytes text = take(request, &list, from);
    list_push(&list, to, text);
    reply_bulk(request->reply, text);
    typed_end(request, &list, 1, list_push_event(to));
    keyspace_event(
        request, KEYSPACE_LIST, list_pop_event(from), request->argv[1]);
}

void list_move(struct request *request, enum list_end from, enum list_end to)
{
    struct collection list;
    struct bytes source = request->argv[1], target = request->argv[2];
    const struct entry *entry = db_touch(request->db, source, request->now_ms);
    if (entry == NULL) {
        reply_null(request->reply);
        return;
    }
    if (!require_type(request, entry, TYPE_LIST)) {
        return;
    }
    entry = db_touch(request->db, target, request->now_ms);
    if (!require_type(request, entry, TYPE_LIST)) {
        return;
    }
    if (bytes_equal(source, target)) {
        rotate(request, from, to);
        return;
    }
    entry = db_find(request->db, source, request->now_ms);
    collection_write(
        &list, request->db, source, entry, LIST_KIND_NEW, request->now_ms);
    struct bytes text = take(request, &list, from);
    bool gone = collection_end(&list, true);
    entry = db_find(request->db, target, request->now_ms);
    collection_write(
        &list, request->db, target, entry, LIST_KIND_NEW, request->now_ms);
    list_push(&list, to, text);
    reply_bulk(request->reply, text);
    /* Redis tells of the push first, and counts both as one change. */
    typed_end(request, &list, 1, list_push_event(to));
    keyspace_changed(request, source);
    keyspace_event(request, KEYSPACE_LIST, list_pop_event(from), source);
    if (gone) {
        keyspace_event(request, KEYSPACE_GENERIC, "del", source);
    }
}

void cmd_lmove(struct request *request)
{
    enum list_end from = LIST_LEFT, to = LIST_LEFT;
    if (list_arg_end(request, 3, &from) && list_arg_end(request, 4, &to)) {
        list_move(request, from, to);
    }
}

void cmd_rpoplpush(struct request *request)
{
    list_move(request, LIST_RIGHT, LIST_LEFT);
}
