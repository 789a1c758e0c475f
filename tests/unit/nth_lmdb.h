/* The n-th call of one of LMDB's functions fails, once or from then on: those
 * that the store calls are defined here and pass on to the library, whose calls
 * of itself are not counted. */
#ifndef LARDER_TESTS_UNIT_NTH_LMDB_H
#define LARDER_TESTS_UNIT_NTH_LMDB_H

#include <dlfcn.h>
#include <lmdb.h>
#include <stdbool.h>
#include <string.h>

struct nth_lmdb {
    const char *function; /* NULL: none fails */
    unsigned nth;
    bool for_ever;
    int code;        /* what it returns then */
    bool late;       /* a commit is done all the same */
    unsigned calls;  /* of the function, since it was named */
    unsigned failed; /* of them */
};

/* The plan. One thread only. */
static struct nth_lmdb nth_lmdb;

static bool nth_lmdb_fails(const char *function)
{
    struct nth_lmdb *plan = &nth_lmdb;
    if (plan->function == NULL || strcmp(plan->function, function) != 0) {
        return false;
    }
    plan->calls++;
    bool fails =
        plan->for_ever ? plan->calls >= plan->nth : plan->calls == plan->nth;
    plan->failed += fails;
    return fails;
}

/* The library's own, to be called as `name`. */
#define NTH_LMDB_REAL(name)                                                    \
    __typeof__(&(name)) real = NULL;                                           \
    *(void **)(&real) = dlsym(RTLD_NEXT, #name)

#define NTH_LMDB_AS(name, parameters, arguments)                               \
    int name parameters                                                        \
    {                                                                          \
        NTH_LMDB_REAL(name);                                                   \
        return nth_lmdb_fails(#name) ? nth_lmdb.code : real arguments;         \
    }

#define NTH_LMDB_DEFINE_CALLS                                                  \
    NTH_LMDB_AS(mdb_env_create, (MDB_env * *env), (env))                       \
    NTH_LMDB_AS(mdb_env_open,                                                  \
        (MDB_env * env, const char *path, unsigned flags, mdb_mode_t mode),    \
        (env, path, flags, mode))                                              \
    NTH_LMDB_AS(mdb_env_sync, (MDB_env * env, int force), (env, force))        \
    NTH_LMDB_AS(                                                               \
        mdb_env_get_fd, (MDB_env * env, mdb_filehandle_t * fd), (env, fd))     \
    NTH_LMDB_AS(                                                               \
        mdb_env_set_mapsize, (MDB_env * env, size_t size), (env, size))        \
    NTH_LMDB_AS(                                                               \
        mdb_env_set_maxreaders, (MDB_env * env, unsigned count), (env, count)) \
    NTH_LMDB_AS(                                                               \
        mdb_env_set_maxdbs, (MDB_env * env, MDB_dbi count), (env, count))      \
    NTH_LMDB_AS(mdb_reader_check, (MDB_env * env, int *dead), (env, dead))     \
    NTH_LMDB_AS(mdb_txn_begin,                                                 \
        (MDB_env * env, MDB_txn * parent, unsigned flags, MDB_txn **txn),      \
        (env, parent, flags, txn))                                             \
    NTH_LMDB_AS(mdb_txn_renew, (MDB_txn * txn), (txn))                         \
    NTH_LMDB_AS(mdb_dbi_open,                                                  \
        (MDB_txn * txn, const char *name, unsigned flags, MDB_dbi *dbi),       \
        (txn, name, flags, dbi))                                               \
    NTH_LMDB_AS(mdb_stat, (MDB_txn * txn, MDB_dbi dbi, MDB_stat * stat),       \
        (txn, dbi, stat))                                                      \
    NTH_LMDB_AS(mdb_get,                                                       \
        (MDB_txn * txn, MDB_dbi dbi, MDB_val * key, MDB_val * value),          \
        (txn, dbi, key, value))                                                \
    NTH_LMDB_AS(mdb_put,                                                       \
        (MDB_txn * txn, MDB_dbi dbi, MDB_val * key, MDB_val * value,           \
            unsigned flags),                                                   \
        (txn, dbi, key, value, flags))                                         \
    NTH_LMDB_AS(mdb_cursor_open,                                               \
        (MDB_txn * txn, MDB_dbi dbi, MDB_cursor * *cursor),                    \
        (txn, dbi, cursor))                                                    \
    NTH_LMDB_AS(mdb_cursor_get,                                                \
        (MDB_cursor * cursor, MDB_val * key, MDB_val * value,                  \
            MDB_cursor_op op),                                                 \
        (cursor, key, value, op))                                              \
    NTH_LMDB_AS(mdb_cursor_put,                                                \
        (MDB_cursor * cursor, MDB_val * key, MDB_val * value, unsigned flags), \
        (cursor, key, value, flags))                                           \
    NTH_LMDB_AS(mdb_cursor_del, (MDB_cursor * cursor, unsigned flags),         \
        (cursor, flags))                                                       \
    int mdb_txn_commit(MDB_txn *txn)                                           \
    {                                                                          \
        NTH_LMDB_REAL(mdb_txn_commit);                                         \
        bool fails = nth_lmdb_fails("mdb_txn_commit");                         \
        if (fails && !nth_lmdb.late) {                                         \
            mdb_txn_abort(txn); /* it has ended all the same */                \
            return nth_lmdb.code;                                              \
        }                                                                      \
        int rc = real(txn);                                                    \
        return fails ? nth_lmdb.code : rc;                                     \
    }

#endif
