/* Numbers of the RDB format that several files need. */
#ifndef LARDER_SERVER_RDB_RDB_H
#define LARDER_SERVER_RDB_RDB_H

#define RDB_VERSION 10
/* Of values that only Redis 7.4 and later can read. */
#define RDB_VERSION_FIELDS 12

/* What a value's first byte says. */
enum rdb_type {
    RDB_STRING = 0,
    RDB_LIST = 1,
    RDB_SET = 2,
    RDB_ZSET = 3, /* scores as text */
    RDB_HASH = 4,
    RDB_ZSET_2 = 5, /* scores in binary */
    RDB_HASH_ZIPMAP = 9,
    RDB_LIST_ZIPLIST = 10,
    RDB_SET_INTSET = 11,
    RDB_ZSET_ZIPLIST = 12,
    RDB_HASH_ZIPLIST = 13,
    RDB_LIST_QUICKLIST = 14,
    RDB_STREAM_LISTPACKS = 15,
    RDB_HASH_LISTPACK = 16,
    RDB_ZSET_LISTPACK = 17,
    RDB_LIST_QUICKLIST_2 = 18,
    RDB_STREAM_LISTPACKS_2 = 19,
    RDB_HASH_METADATA = 24, /* hashes whose fields expire */
    RDB_HASH_LISTPACK_EX = 25,
};

/* The two highest bits of a length, and the forms of a string that is none. */
enum rdb_length { RDB_LENGTH_6, RDB_LENGTH_14, RDB_LENGTH_WIDE, RDB_ENCODED };
#define RDB_LENGTH_32 0x80
#define RDB_LENGTH_64 0x81
enum rdb_string { RDB_INT8, RDB_INT16, RDB_INT32, RDB_LZF };

/* A node of a quicklist: one element, or a listpack. */
enum rdb_node { RDB_NODE_PLAIN = 1, RDB_NODE_PACKED = 2 };

#endif
