/* Lists that are waited for: BLPOP, BRPOP, BLMOVE, BRPOPLPUSH. */
#include "server/commands/list.h"
#include "server/commands/pop_keys.h"

/* Answers the key's name and its element at one end. */
static bool pop_named(
    struct request *request, int key, const struct pop_keys *keys)
{
    struct collection list;
    struct seq_cursor cursor;
    struct element element;
    enum list_end end = keys->from_end ? LIST_RIGHT : LIST_LEFT;
    enum typed_open open = typed_write_existing(request, key, TYPE_LIST, &list);
    if (open != TYPED_OPEN) {
        return open == TYPED_REFUSED;
    }
    list_end(&list, end, &cursor);
    list_element(&cursor, &element);
    reply_array(request->reply, 2);
    reply_bulk(request->reply, request->argv[key]);
    typed_reply(request, &element);
    seq_remove(&cursor);
    typed_end(request, &list, 1, list_pop_event(end));
    return true;
}

static void pop_or_wait(struct request *request, bool from_end)
{
    int last = request->argc - 1;
    struct pop_keys keys = {
        .first_key = 1, .last_key = last - 1, .from_end = from_end};
    pop_keys_or_wait(request, &keys, pop_named, TYPE_LIST, last);
}

void cmd_blpop(struct request *request)
{
    pop_or_wait(request, false);
}

void cmd_brpop(struct request *request)
{
    pop_or_wait(request, true);
}

static void move_or_wait(struct request *request, enum list_end from,
    enum list_end to, int64_t timeout_ms)
{
    struct block_keys keys = {
        .type = TYPE_LIST, .first = 1, .last = 1, .timeout_ms = timeout_ms};
    if (db_find(request->db, request->argv[1], request->now_ms) != NULL) {
        list_move(request, from, to);
    } else if (!block_wait(request, &keys)) {
        reply_null(request->reply);
    }
}

void cmd_blmove(struct request *request)
{
    enum list_end from = LIST_LEFT, to = LIST_LEFT;
    int64_t timeout_ms;
    if (list_arg_end(request, 3, &from) && list_arg_end(request, 4, &to) &&
        block_arg_timeout(request, 5, &timeout_ms)) {
        move_or_wait(request, from, to, timeout_ms);
    }
}

void cmd_brpoplpush(struct request *request)
{
    int64_t timeout_ms;
    if (block_arg_timeout(request, 3, &timeout_ms)) {
        move_or_wait(request, LIST_RIGHT, LIST_LEFT, timeout_ms);
    }
}
