/* RESP request parser: bytes in, commands out. Sans-I/O and resumable: input
 * may be cut at any byte, and a long command is never parsed twice.
 *
 *   window:  [ whole commands ...... | incomplete tail ]
 *                                      ^ *offset: the caller keeps this and
 *                                        presents it first at the next call
 *
 * The tail is at most RESP_TAIL_MAX_BYTES: of a long unfinished command the
 * parser keeps the finished arguments itself. Arguments are slices of the
 * caller's window or of what the parser kept. A bulk string of at least
 * RESP_BIG_BYTES that is not whole in the window is gathered in a blob, which
 * the caller may fill directly from the socket. Blobs grow as data arrives,
 * never by what was declared.
 *
 * One parser a connection, one resp_args for all connections; one thread. */
#ifndef LARDER_PROTOCOL_RESP_H
#define LARDER_PROTOCOL_RESP_H

#include "protocol/bytes.h"

#define RESP_BIG_BYTES (32 * 1024)
#define RESP_LINE_MAX_BYTES (64 * 1024)
/* An unfinished command shorter than this is parsed again rather than kept:
 * most cut commands are tiny, and keeping them would cost an allocation. */
#define RESP_REPARSE_MAX_BYTES 1024
#define RESP_TAIL_MAX_BYTES (RESP_LINE_MAX_BYTES + RESP_REPARSE_MAX_BYTES + 1)
#define RESP_UNAUTHENTICATED_MAX_ARGS 10
#define RESP_UNAUTHENTICATED_MAX_BULK_BYTES (16 * 1024)

struct resp_limits {
    size_t max_bulk_bytes;  /* proto-max-bulk-len; at least 1000 */
    size_t max_total_bytes; /* kept for one command; client-query-buffer-limit
                               or SIZE_MAX */
    bool unauthenticated;   /* the two limits above apply as well */
};

/* A growable array of arguments, shared by all commands of a read; reset
 * before each read. Argument i of a command is items[first + i]; the array
 * moves when it grows, so keep indexes until parsing is done. */
struct resp_args {
    struct bytes *items;
    struct blob **blobs; /* by argument: the blob it lies in, or NULL. Whoever
                            takes one over sets its place to NULL. NULL as a
                            whole until the first blob */
    size_t count, capacity;
    bool any_blob;              /* blobs[] has something below count */
    struct resp_partial *spent; /* what kept arguments lie in */
    struct scratch text;        /* unquoted inline arguments */
};

enum resp_result {
    RESP_COMMAND,    /* one whole command is in *command */
    RESP_INCOMPLETE, /* give more input */
    RESP_EMPTY,      /* an empty line or *0: parse on */
    RESP_ERROR,      /* answer parser->error unless it is "", and close */
};

struct resp_command {
    size_t first; /* index into the args array */
    int argc;
};

struct resp_parser {
    const struct resp_limits *limits; /* borrowed; may be exchanged between
                                         calls (AUTH) */
    int args_left; /* of an unfinished command; -1 between commands */
    bool failed;   /* errors stay */
    struct resp_partial *partial; /* kept arguments; heap, NULL when none */
    struct blob *blob;            /* being filled; owned */
    size_t blob_size;             /* declared */
    size_t blob_filled;           /* the two bytes of line end included */
    char error[64];               /* without '-' and CRLF */
};

/* Caller's memory. `limits` must outlive the parser. */
void resp_init(struct resp_parser *parser, const struct resp_limits *limits);
void resp_finish(struct resp_parser *parser);
/* True when the parser holds no heap and no progress; the caller's tail may
 * still begin a command. */
bool resp_idle(const struct resp_parser *parser);
/* Heap held for the unfinished command. */
size_t resp_held_bytes(const struct resp_parser *parser);

/* Parses one command from window[*offset...size) and moves *offset behind
 * what was used up, in every case but RESP_ERROR. The window may be empty
 * (to go on after resp_blob_filled). */
enum resp_result resp_parse(struct resp_parser *parser, const char *window,
    size_t size, size_t *offset, struct resp_args *args,
    struct resp_command *command);

/* After RESP_INCOMPLETE: where the next input may be put directly, at most
 * *size bytes; NULL when no blob is being filled (the tail is then empty).
 * Report what was put there with resp_blob_filled. Once it returns NULL,
 * call resp_parse. */
char *resp_blob_room(struct resp_parser *parser, size_t *size);
void resp_blob_filled(struct resp_parser *parser, size_t size);

void resp_args_init(struct resp_args *args);
/* Forgets all arguments; unrefs blobs nobody took. */
void resp_args_reset(struct resp_args *args);
void resp_args_finish(struct resp_args *args);

#endif
