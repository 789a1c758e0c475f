/* Several elements of the first list there is: LMPOP, BLMPOP. */
#include "server/commands/list.h"
#include "server/commands/pop_keys.h"

static bool pop(struct request *request, int key, const struct pop_keys *keys)
{
    struct collection list;
    enum list_end end = keys->from_end ? LIST_RIGHT : LIST_LEFT;
    enum typed_open open = typed_write_existing(request, key, TYPE_LIST, &list);
    if (open != TYPED_OPEN) {
        return open == TYPED_REFUSED;
    }
    uint64_t size = collection_count(&list);
    uint64_t wanted = (uint64_t)keys->count;
    uint64_t count = wanted < size ? wanted : size;
    uint64_t first = keys->from_end ? size - count : 0;
    reply_array(request->reply, 2);
    reply_bulk(request->reply, request->argv[key]);
    reply_array(request->reply, count);
    list_reply_range(request, &list, first, count, keys->from_end);
    seq_remove_range(&list.seq, first, count);
    typed_end(request, &list, count, list_pop_event(end));
    return true;
}

void cmd_lmpop(struct request *request)
{
    struct pop_keys keys;
    if (pop_keys_parse(request, 1, "left", "right", &keys)) {
        pop_keys_now(request, &keys, pop);
    }
}

void cmd_blmpop(struct request *request)
{
    struct pop_keys keys;
    if (pop_keys_parse(request, 2, "left", "right", &keys)) {
        pop_keys_or_wait(request, &keys, pop, TYPE_LIST, 1);
    }
}
