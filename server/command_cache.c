/* The cache of command names. */
#include "server/command.h"
#include "server/config.h"
#include "server/dispatch.h"

/* A name of at most 16 bytes as two numbers: together with its size they are
 * the name. */
static void pack_name(struct bytes name, uint64_t packed[2])
{
    packed[0] = packed[1] = 0;
    if (name.size >= 8) {
        memcpy(&packed[0], name.data, 8);
        memcpy(&packed[1], name.data + name.size - 8, 8);
    } else if (name.size >= 4) {
        memcpy(&packed[0], name.data, 4);
        memcpy(&packed[1], name.data + name.size - 4, 4);
    } else {
        packed[0] = (unsigned char)name.data[0];
        packed[1] = (unsigned char)name.data[name.size / 2] * 256U +
                    (unsigned char)name.data[name.size - 1];
    }
}

static void fill_cache_slot(struct command_cache_slot *slot,
    const struct config *config, struct bytes name, const uint64_t packed[2])
{
    slot->packed[0] = packed[0];
    slot->packed[1] = packed[1];
    slot->size = name.size;
    slot->row = config_find_command(config, name);
    slot->is_container = slot->row != NULL && command_is_container(slot->row);
}

const struct command *command_cache_find(struct command_cache *cache,
    const struct config *config, struct bytes name, bool *is_container)
{
    uint64_t packed[2];
    if (name.size == 0 || name.size > COMMAND_CACHE_NAME_MAX) {
        const struct command *row = config_find_command(config, name);
        *is_container = row != NULL && command_is_container(row);
        return row;
    }
    pack_name(name, packed);
    uint64_t mixed =
        (packed[0] ^ (packed[1] << 7)) * UINT64_C(0x9e3779b97f4a7c15);
    struct command_cache_slot *slot =
        &cache->slots[mixed >> (64 - COMMAND_CACHE_BITS)];
    if (slot->packed[0] != packed[0] || slot->packed[1] != packed[1] ||
        slot->size != name.size) {
        fill_cache_slot(slot, config, name, packed);
    }
    *is_container = slot->is_container;
    return slot->row;
}
