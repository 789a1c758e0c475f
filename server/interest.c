#include "server/interest.h"

#include <stdlib.h>

#include "server/server.h"

/* What the table itself takes for a key, about. */
#define TABLE_BYTES 16

static size_t key_bytes(const struct interest_key *key)
{
    return sizeof(*key) + key->size + TABLE_BYTES;
}

void interest_finish(struct server *server)
{
    check(server->interest.keys == 0);
    free((void *)server->interest.tables);
}

/* By the database's secret hash, so that nobody can choose keys that
 * collide. */
static unsigned hash_of(const struct db *db, struct bytes name)
{
    return (unsigned)db_hash(db, name);
}

struct interest_key *interest_find(
    struct server *server, const struct db *db, struct bytes name)
{
    struct interest *interest = &server->interest;
    struct interest_key *key = NULL;
    if (interest->keys == 0) {
        return NULL;
    }
    unsigned number = engine_db_number(server->engine, db);
    if (interest->tables[number] != NULL) {
        HASH_FIND_BYHASHVALUE(hh, interest->tables[number], name.data,
            name.size, hash_of(db, name), key);
    }
    return key;
}

struct interest_key *interest_get(
    struct server *server, const struct db *db, struct bytes name)
{
    struct interest *interest = &server->interest;
    struct interest_key *key = interest_find(server, db, name);
    if (key != NULL) {
        return key;
    }
    if (interest->tables == NULL) {
        interest->tables = (struct interest_key **)xcalloc(
            engine_database_count(server->engine), sizeof(void *));
    }
    key = xmalloc(sizeof(*key) + name.size);
    *key = (struct interest_key){
        .database = engine_db_number(server->engine, db), .size = name.size};
    if (name.size > 0) {
        memcpy(key->name, name.data, name.size);
    }
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, interest->tables[key->database], key->name,
        key->size, hash_of(db, name), key);
    interest->keys++;
    interest->bytes += key_bytes(key);
    return key;
}

struct db *interest_db(
    const struct server *server, const struct interest_key *key)
{
    return engine_db(server->engine, key->database);
}

void interest_hold(struct interest_key *key)
{
    key->holds++;
}

void interest_release(struct server *server, struct interest_key *key)
{
    check(key->holds > 0);
    key->holds--;
    interest_drop(server, key);
}

void interest_drop(struct server *server, struct interest_key *key)
{
    struct interest *interest = &server->interest;
    if (key->holds > 0 || key->watches != NULL || key->blocked != NULL) {
        return;
    }
    HASH_DELETE(hh, interest->tables[key->database], key);
    interest->keys--;
    interest->bytes -= key_bytes(key);
    free(key);
}
