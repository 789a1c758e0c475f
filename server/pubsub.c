/* Three tables of names (channels, patterns, shard channels), each with the
 * list of its subscriptions, and one table of all subscriptions by (name,
 * connection). Names are chosen by clients, so their hashes are seeded. */
#include "server/pubsub.h"

#include <stdlib.h>
#include <sys/random.h>
#include <utlist.h>
#include <xxhash.h>

#include "protocol/glob.h"
#include "server/conn.h"
#include "server/server.h"

/* A name that somebody listens to. */
struct topic {
    UT_hash_handle hh; /* pubsub->topics[kind] */
    struct subscription *subscriptions;
    size_t count;
    size_t name_size;
    char name[];
};

struct subscription {
    struct subscription_key {
        struct topic *topic;
        struct conn *conn;
    } key;
    UT_hash_handle hh;                /* pubsub->subscriptions */
    struct subscription *prev, *next; /* of its topic */
    struct subscription *prev_of_conn, *next_of_conn;
};

/* What a connection with subscriptions has in addition. */
struct subscriber {
    struct subscription *first[PUBSUB_KINDS]; /* the oldest first */
    unsigned count[PUBSUB_KINDS];
    size_t bytes;
};

struct pubsub {
    struct topic *topics[PUBSUB_KINDS];
    struct subscription *subscriptions;
    struct reply built[2]; /* the message under way in RESP2, RESP3 */
    uint64_t seed;
    size_t bytes;
};

struct pubsub *pubsub_create(void)
{
    struct pubsub *pubsub = xcalloc(1, sizeof(*pubsub));
    check(getrandom(&pubsub->seed, sizeof(pubsub->seed), 0) ==
          (ssize_t)sizeof(pubsub->seed));
    for (unsigned i = 0; i < 2; i++) {
        reply_init(&pubsub->built[i]);
        pubsub->built[i].version = (uint8_t)(2 + i);
    }
    return pubsub;
}

void pubsub_destroy(struct pubsub *pubsub)
{
    if (pubsub == NULL) {
        return;
    }
    check(pubsub->subscriptions == NULL);
    for (unsigned i = 0; i < 2; i++) {
        reply_finish(&pubsub->built[i]);
    }
    free(pubsub);
}

/* ---- names ---- */

static struct bytes name_of(const struct topic *topic)
{
    return bytes_of(topic->name, topic->name_size);
}

static unsigned seeded_hash(const struct pubsub *pubsub, struct bytes key)
{
    return (unsigned)XXH3_64bits_withSeed(key.data, key.size, pubsub->seed);
}

static struct topic *find_topic(
    const struct pubsub *pubsub, enum pubsub_kind kind, struct bytes name)
{
    struct topic *topic;
    const char *key = name.data == NULL ? "" : name.data;
    HASH_FIND_BYHASHVALUE(hh, pubsub->topics[kind], key, name.size,
        seeded_hash(pubsub, name), topic);
    return topic;
}

static struct topic *create_topic(
    struct pubsub *pubsub, enum pubsub_kind kind, struct bytes name)
{
    struct topic *topic = xmalloc(sizeof(*topic) + name.size);
    *topic = (struct topic){.name_size = name.size};
    if (name.size > 0) {
        memcpy(topic->name, name.data, name.size);
    }
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, pubsub->topics[kind], topic->name,
        name.size, seeded_hash(pubsub, name), topic);
    return topic;
}

/* ---- subscriptions ---- */

static struct subscription *find_subscription(
    const struct pubsub *pubsub, struct topic *topic, struct conn *conn)
{
    struct subscription *found;
    struct subscription_key key = {.topic = topic, .conn = conn};
    unsigned hash = seeded_hash(pubsub, bytes_of(&key, sizeof(key)));
    HASH_FIND_BYHASHVALUE(
        hh, pubsub->subscriptions, &key, sizeof(key), hash, found);
    return found;
}

static size_t subscription_bytes(const struct topic *topic)
{
    return sizeof(struct subscription) + sizeof(*topic) + topic->name_size;
}

bool pubsub_subscribe(
    struct conn *conn, enum pubsub_kind kind, struct bytes name)
{
    struct pubsub *pubsub = conn->server->pubsub;
    struct topic *topic = find_topic(pubsub, kind, name);
    if (topic == NULL) {
        topic = create_topic(pubsub, kind, name);
    } else if (find_subscription(pubsub, topic, conn) != NULL) {
        return false;
    }
    if (conn->subscriber == NULL) {
        conn->subscriber = xcalloc(1, sizeof(*conn->subscriber));
    }
    struct subscriber *subscriber = conn->subscriber;
    struct subscription *added = xcalloc(1, sizeof(*added));
    added->key = (struct subscription_key){.topic = topic, .conn = conn};
    struct bytes key = bytes_of(&added->key, sizeof(added->key));
    HASH_ADD_BYHASHVALUE(hh, pubsub->subscriptions, key, sizeof(added->key),
        seeded_hash(pubsub, key), added);
    DL_APPEND(topic->subscriptions, added);
    topic->count++;
    DL_APPEND2(subscriber->first[kind], added, prev_of_conn, next_of_conn);
    subscriber->count[kind]++;
    subscriber->bytes += subscription_bytes(topic);
    pubsub->bytes += subscription_bytes(topic);
    return true;
}

static void end_subscription(
    struct subscription *subscription, enum pubsub_kind kind)
{
    struct topic *topic = subscription->key.topic;
    struct subscriber *subscriber = subscription->key.conn->subscriber;
    struct pubsub *pubsub = subscription->key.conn->server->pubsub;
    subscriber->bytes -= subscription_bytes(topic);
    pubsub->bytes -= subscription_bytes(topic);
    DL_DELETE2(
        subscriber->first[kind], subscription, prev_of_conn, next_of_conn);
    subscriber->count[kind]--;
    DL_DELETE(topic->subscriptions, subscription);
    topic->count--;
    HASH_DELETE(hh, pubsub->subscriptions, subscription);
    free(subscription);
    if (topic->count == 0) {
        HASH_DELETE(hh, pubsub->topics[kind], topic);
        free(topic);
    }
}

/* Frees what a connection without subscriptions needs no more. */
static void end_subscriber(struct conn *conn)
{
    for (unsigned kind = 0; kind < PUBSUB_KINDS; kind++) {
        if (conn->subscriber->count[kind] > 0) {
            return;
        }
    }
    free(conn->subscriber);
    conn->subscriber = NULL;
}

bool pubsub_unsubscribe(
    struct conn *conn, enum pubsub_kind kind, struct bytes name)
{
    struct pubsub *pubsub = conn->server->pubsub;
    struct topic *topic = find_topic(pubsub, kind, name);
    struct subscription *found =
        topic == NULL ? NULL : find_subscription(pubsub, topic, conn);
    if (found == NULL) {
        return false;
    }
    end_subscription(found, kind);
    end_subscriber(conn);
    return true;
}

void pubsub_forget(struct conn *conn)
{
    struct subscriber *subscriber = conn->subscriber;
    if (subscriber == NULL) {
        return;
    }
    for (unsigned kind = 0; kind < PUBSUB_KINDS; kind++) {
        struct subscription *next = subscriber->first[kind];
        while (next != NULL) {
            struct subscription *ended = next;
            next = ended->next_of_conn;
            end_subscription(ended, kind);
        }
    }
    end_subscriber(conn);
}

unsigned pubsub_count(const struct conn *conn, enum pubsub_kind kind)
{
    return conn->subscriber == NULL ? 0 : conn->subscriber->count[kind];
}

bool pubsub_first(
    const struct conn *conn, enum pubsub_kind kind, struct bytes *name)
{
    if (pubsub_count(conn, kind) == 0) {
        return false;
    }
    *name = name_of(conn->subscriber->first[kind]->key.topic);
    return true;
}

bool pubsub_each_subscription(const struct conn *conn, enum pubsub_kind kind,
    pubsub_subscription_fn *fn, void *context)
{
    if (pubsub_count(conn, kind) == 0) {
        return true;
    }
    const struct subscription *at = conn->subscriber->first[kind];
    for (; at != NULL; at = at->next_of_conn) {
        if (!fn(context, name_of(at->key.topic))) {
            return false;
        }
    }
    return true;
}

bool pubsub_is_subscriber(const struct conn *conn)
{
    return conn->subscriber != NULL;
}

size_t pubsub_conn_bytes(const struct conn *conn)
{
    return conn->subscriber == NULL
               ? 0
               : sizeof(*conn->subscriber) + conn->subscriber->bytes;
}

/* ---- figures ---- */

size_t pubsub_name_count(const struct pubsub *pubsub, enum pubsub_kind kind)
{
    return HASH_COUNT(pubsub->topics[kind]);
}

size_t pubsub_subscriber_count(
    const struct pubsub *pubsub, enum pubsub_kind kind, struct bytes name)
{
    const struct topic *topic = find_topic(pubsub, kind, name);
    return topic == NULL ? 0 : topic->count;
}

void pubsub_each_name(const struct pubsub *pubsub, enum pubsub_kind kind,
    pubsub_name_fn *fn, void *context)
{
    for (const struct topic *topic = pubsub->topics[kind]; topic != NULL;
         topic = topic->hh.next) {
        fn(context, name_of(topic));
    }
}

size_t pubsub_bytes(const struct pubsub *pubsub)
{
    return pubsub->bytes;
}

/* ---- delivery ---- */

struct message {
    const char *word;     /* "message", "pmessage", "smessage" */
    struct bytes pattern; /* that matched; NULL data: none */
    struct bytes channel;
    struct bytes content;
    struct blob *blob; /* the content again, or NULL */
};

/* The message in a protocol version; built when first asked for. */
static const struct reply *built_message(
    struct pubsub *pubsub, const struct message *message, unsigned version)
{
    struct reply *built = &pubsub->built[version == 3];
    if (built->size > 0) {
        return built;
    }
    bool has_pattern = message->pattern.data != NULL;
    reply_push(built, has_pattern ? 4 : 3);
    reply_bulk_text(built, message->word);
    if (has_pattern) {
        reply_bulk(built, message->pattern);
    }
    reply_bulk(built, message->channel);
    if (message->blob != NULL) {
        reply_bulk_blob(built, message->blob);
    } else {
        reply_bulk(built, message->content);
    }
    return built;
}

/* conn_send closes nobody here: no answers wait any more. So the list stays
 * as it is. */
static size_t deliver(struct pubsub *pubsub, const struct topic *topic,
    const struct message *message)
{
    const struct subscription *subscription;
    DL_FOREACH(topic->subscriptions, subscription)
    {
        struct conn *conn = subscription->key.conn;
        conn_send_reply(
            conn, built_message(pubsub, message, conn->resp_version));
    }
    reply_clear(&pubsub->built[0]);
    reply_clear(&pubsub->built[1]);
    return topic->count;
}

uint64_t pubsub_publish(struct server *server, enum pubsub_kind kind,
    struct bytes channel, struct bytes content, struct blob *blob)
{
    struct pubsub *pubsub = server->pubsub;
    if (pubsub->subscriptions == NULL) {
        return 0;
    }
    conn_send_answers(server);
    struct message message = {
        .word = kind == PUBSUB_SHARD ? "smessage" : "message",
        .channel = channel,
        .content = content,
        .blob = blob,
    };
    uint64_t count = 0;
    const struct topic *topic = find_topic(pubsub, kind, channel);
    if (topic != NULL) {
        count += deliver(pubsub, topic, &message);
    }
    if (kind == PUBSUB_SHARD) {
        return count;
    }
    message.word = "pmessage";
    for (topic = pubsub->topics[PUBSUB_PATTERN]; topic != NULL;
         topic = topic->hh.next) {
        if (glob_match(name_of(topic), channel, false)) {
            message.pattern = name_of(topic);
            count += deliver(pubsub, topic, &message);
        }
    }
    return count;
}
