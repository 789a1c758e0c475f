/* RESP request parser: bytes in, commands out. Sans-I/O and resumable: input
 * may be cut at any byte, and a long command is never parsed twice.
 *
 *   window:  [ whole commands ...... | incomplete tail ]
 *                                      ^ the caller keeps it and presents it
 *                                        again, grown, at the next call
 *
 * Arguments are slices of the caller's window. A bulk string of at least
 * RESP_BIG_BYTES is not gathered there: the parser asks for it, and the caller
 * lets the kernel write it straight into a blob. One parser a connection;
 * one thread. */
#ifndef LARDER_PROTOCOL_RESP_H
#define LARDER_PROTOCOL_RESP_H

#include "protocol/bytes.h"

#define RESP_BIG_BYTES (32 * 1024)
#define RESP_INLINE_MAX_BYTES (64 * 1024)
#define RESP_MAX_ARGS (1024 * 1024)

struct resp_limits {
    size_t max_bulk_bytes; /* proto-max-bulk-len */
    int max_args;          /* 10 before authentication, else RESP_MAX_ARGS */
    size_t max_total_bytes; /* of one command; 1 MiB before authentication */
};

/* A growable array of arguments, shared by all commands of a read; reset
 * before each read. Argument i of a command is at args[first + i]. While
 * parsing, `offset` is relative to the start of the command; resp_parse turns
 * them into bytes when the command is whole. */
struct resp_args {
    struct bytes *items;
    struct blob **blobs; /* by argument, NULL unless it came in a blob */
    size_t count, capacity;
    bool any_blob; /* some blobs[] below count is set and owned by us */
};

enum resp_result {
    RESP_COMMAND,    /* one whole command is in *command */
    RESP_INCOMPLETE, /* give more input */
    RESP_NEED_BLOB,  /* allocate parser->blob_size bytes and resp_feed_blob */
    RESP_EMPTY,      /* an empty line or *0: skip, parse on */
    RESP_ERROR,      /* parser->error: answer it and close */
};

struct resp_command {
    size_t first; /* index into the args array */
    int argc;
};

struct resp_parser {
    struct resp_limits limits;
    /* Progress inside an unfinished command. */
    int args_left;        /* -1: not inside a multibulk */
    int64_t bulk_size;    /* -1: the $ line is next */
    size_t position;      /* parsed so far, from the command's start */
    size_t total_bytes;   /* of this command's arguments */
    size_t blob_size;     /* with RESP_NEED_BLOB */
    struct blob *blob;    /* being filled; owned */
    size_t blob_filled;
    struct resp_partial *partial; /* arguments so far; heap, NULL when idle */
    char error[128];      /* the whole error line without '-' and CRLF */
};

void resp_init(struct resp_parser *parser, const struct resp_limits *limits);
void resp_finish(struct resp_parser *parser);
/* True between commands: nothing is kept. */
bool resp_idle(const struct resp_parser *parser);

/* Parses one command from window[*offset...size). On RESP_COMMAND and
 * RESP_EMPTY *offset is moved behind it. On RESP_INCOMPLETE and
 * RESP_NEED_BLOB *offset is moved behind what need not be kept: the caller
 * keeps the rest and presents it first next time. */
enum resp_result resp_parse(struct resp_parser *parser, const char *window,
    size_t size, size_t *offset, struct resp_args *args,
    struct resp_command *command);

/* RESP_NEED_BLOB: hand over a blob of parser->blob_size (NULL if it could
 * not be allocated: the parser then fails with an error). Then either parse
 * on (bytes in the window are copied into it), or, while
 * resp_blob_room(&size) is not NULL, read input directly to that address and
 * report it with resp_blob_filled. */
void resp_feed_blob(struct resp_parser *parser, struct blob *blob);
char *resp_blob_room(struct resp_parser *parser, size_t *size);
void resp_blob_filled(struct resp_parser *parser, size_t size);

void resp_args_init(struct resp_args *args);
/* Forgets all arguments; unrefs blobs nobody took. */
void resp_args_reset(struct resp_args *args);
void resp_args_finish(struct resp_args *args);

#endif
