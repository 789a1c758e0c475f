/* What the stream commands share: ids as arguments, entries as replies, and
 * opening a stream or one of its groups. One thread. */
#ifndef LARDER_SERVER_COMMANDS_STREAM_H
#define LARDER_SERVER_COMMANDS_STREAM_H

#include "server/commands/typed.h"
#include "tiers/values/stream_entries.h"

/* ---- ids: "ms-seq", or "ms" alone, of which `missing_seq` completes it ----
 */

/* False: it is none; nothing has been answered. */
bool stream_parse_id(
    struct bytes text, uint64_t missing_seq, struct stream_id *id);
/* The rest: false after an error has been answered. */
bool stream_arg_id(struct request *request, int index, struct stream_id *id);
/* The same for XADD: "ms-*" is allowed, and sets *any_seq. */
bool stream_arg_new_id(
    struct request *request, int index, bool *any_seq, struct stream_id *id);
/* The lower and the upper end of an interval, inclusive: an id, "-", "+", or
 * "(" and an id that does not belong to it. */
bool stream_arg_start(struct request *request, int index, struct stream_id *id);
bool stream_arg_end(struct request *request, int index, struct stream_id *id);
/* The ids in arguments `first` to the last, in scratch memory; NULL after an
 * error. */
struct stream_id *stream_arg_ids(struct request *request, int first);

/* "*" and the like, as Redis compares them: up to a zero byte. */
bool stream_arg_is_sign(const struct request *request, int index, char sign);

/* ---- replies ---- */

void stream_reply_id(struct reply *reply, struct stream_id id);
/* The id, then the fields and values. */
void stream_reply_entry(
    struct reply *reply, const struct stream_cursor *cursor);

/* ---- trimming (stream_trim.c) ---- */

enum stream_trim_by { STREAM_TRIM_NOT, STREAM_TRIM_LENGTH, STREAM_TRIM_ID };

struct stream_trim {
    enum stream_trim_by by;
    int64_t length;      /* keep so many entries, */
    struct stream_id id; /* or those from this one on */
    bool about;          /* "~": nodes as a whole, as Redis has them */
    uint64_t limit;      /* take away at most so many, 0: all */
};

/* What XADD says behind the options. */
struct stream_new {
    bool no_create;
    bool next_id;  /* "*" */
    bool next_seq; /* "ms-*" */
    struct stream_id id;
};

/* Reads options from argument 2 on: of XTRIM when `new` is NULL, else of XADD
 * up to the id, whose index is returned. -1 after an error. */
int stream_trim_parse(
    struct request *request, struct stream_trim *trim, struct stream_new *new);
/* How many entries were taken away. */
uint64_t stream_trim_apply(const struct request *request, struct value *value,
    const struct stream_trim *trim);

/* ---- groups ---- */

/* Opens the stream in argument 1 and its group in argument 2, to look at
 * them (which counts as a read) or to change them in place. TYPED_ABSENT:
 * there is no such stream or no such group. End it with stream_end. */
enum typed_open stream_open_group(struct request *request,
    struct collection *collection, struct stream_group **group);
/* Answers NOGROUP for the key and the group in arguments 1 and 2. */
void stream_error_no_group(struct request *request);
/* How many bytes of a name an error text shows ("%.*s"). */
int stream_shown(struct bytes name);
/* Ends a change of `changes` things that no key watcher is told of. When only
 * a consumer was seen, that is 0, and nothing is written to disk for it. */
void stream_end(
    struct request *request, struct collection *collection, uint64_t changes);
/* Ends the removal of `removed` entries and tells of it; it is nothing that
 * anybody waits for. */
void stream_end_removal(struct request *request, struct collection *collection,
    uint64_t removed, const char *event);
/* The consumer of that name, seen now; added (and that counted and told of)
 * when it is new. */
struct stream_consumer *stream_consumer_get(struct request *request,
    struct collection *collection, struct stream_group *group,
    struct bytes name, uint64_t *changes);

#endif
