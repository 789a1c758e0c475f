/* Lists that are waited for: BLPOP, BRPOP, BLMOVE, BRPOPLPUSH. */
#include "server/block.h"
#include "server/commands/list.h"

/* Answers the key's name and its element at `end`. */
static void pop_named(struct request *request, int key, enum list_end end,
    struct collection *list)
{
    struct seq_cursor cursor;
    struct element element;
    list_end(list, end, &cursor);
    list_element(&cursor, &element);
    reply_array(request->reply, 2);
    reply_bulk(request->reply, request->argv[key]);
    typed_reply(request, &element);
    seq_remove(&cursor);
    typed_end(request, list, 1, list_pop_event(end));
}

static void pop_or_wait(struct request *request, enum list_end end)
{
    struct collection list;
    struct block_keys keys = {
        .type = TYPE_LIST, .first = 1, .last = request->argc - 2};
    if (!block_arg_timeout(request, request->argc - 1, &keys.timeout_ms)) {
        return;
    }
    for (int i = keys.first; i <= keys.last; i++) {
        if (!block_considers(request, request->argv[i])) {
            continue;
        }
        enum typed_open open =
            typed_write_existing(request, i, TYPE_LIST, &list);
        if (open == TYPED_OPEN) {
            pop_named(request, i, end, &list);
        }
        if (open != TYPED_ABSENT) {
            return;
        }
    }
    if (!block_wait(request, &keys)) {
        reply_null_array(request->reply);
    }
}

void cmd_blpop(struct request *request)
{
    pop_or_wait(request, LIST_LEFT);
}

void cmd_brpop(struct request *request)
{
    pop_or_wait(request, LIST_RIGHT);
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
