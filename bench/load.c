/* A load generator that costs far less than the servers it measures: one
 * thread, epoll, requests written into a buffer, replies counted by their
 * known length unless they are to be verified.
 *
 * Key number n is a letter and n in decimal, padded with zeros; its value
 * follows from n alone, so any reply can be verified. Each connection sends a
 * batch of requests, waits for all replies, sends the next; the latency of a
 * batch counts for each of its requests. Prints one line of name=value pairs.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/load_options.h"
#include "bench/values.h"
#include "tiers/dry/clock.h"

#define STALLED_SECONDS 60
/* 32 steps a power of two of nanoseconds: 3 % wide. */
#define HISTOGRAM_STEPS 32
#define HISTOGRAM_BUCKETS (64 * HISTOGRAM_STEPS)

struct conn {
    int fd;
    char *out;
    size_t out_size, out_sent;
    char *in;
    char *expected; /* room for one reply */
    size_t in_size, in_expected;
    size_t checked_size; /* of `in`, in `checked` replies */
    unsigned checked;
    uint64_t *keys; /* of this batch's requests */
    bool *gets;
    unsigned count;
    bool blocked; /* waits to send the rest */
    uint64_t sent_ns;
};

struct load {
    struct load_options options;
    struct conn *conns;
    int epoll;
    unsigned active; /* connections with a batch under way */
    uint64_t issued, done, wrong;
    struct keys keys;
    char get_head[64], set_head[64], value_head[32], set_tail[64];
    size_t get_head_size, set_head_size, value_head_size, set_tail_size;
    uint64_t start_ns, end_ns;
    uint64_t histogram[HISTOGRAM_BUCKETS];
    uint64_t slowest_ns;
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "load: %s%s%s\n", what, errno ? ": " : "",
        errno ? strerror(errno) : "");
    exit(1);
}

static uint64_t now_ns(void)
{
    return clock_now_ns(CLOCK_MONOTONIC);
}

/* ---- requests ---- */

static char *put_key(char *at, const struct load_options *options, uint64_t key)
{
    size_t size = options->key_size;

    at[0] = options->letter;
    for (size_t i = size - 1; i > 0; i--) {
        at[i] = (char)('0' + key % 10);
        key /= 10;
    }
    return at + size;
}

static char *put_value(
    char *at, const struct load_options *options, uint64_t key)
{
    return options->json ? value_put_json(at, key, options->value_size)
                         : value_put_random(at, key, options->value_size);
}

static char *put_text(char *at, const char *text, size_t size)
{
    memcpy(at, text, size);
    return at + size;
}

static char *put_request(struct load *load, char *at, uint64_t key, bool get)
{
    const struct load_options *options = &load->options;

    if (get) {
        at = put_text(at, load->get_head, load->get_head_size);
        at = put_key(at, options, key);
    } else {
        at = put_text(at, load->set_head, load->set_head_size);
        at = put_key(at, options, key);
        at = put_text(at, load->value_head, load->value_head_size);
        at = put_value(at, options, key);
        at = put_text(at, load->set_tail, load->set_tail_size);
    }
    return put_text(at, "\r\n", 2);
}

static void heads_init(struct load *load)
{
    const struct load_options *options = &load->options;
    char seconds[24];

    load->get_head_size = (size_t)sprintf(
        load->get_head, "*2\r\n$3\r\nGET\r\n$%zu\r\n", options->key_size);
    load->set_head_size =
        (size_t)sprintf(load->set_head, "*%d\r\n$3\r\nSET\r\n$%zu\r\n",
            options->ttl_s > 0 ? 5 : 3, options->key_size);
    if (options->ttl_s > 0) {
        int digits = sprintf(seconds, "%u", options->ttl_s);
        load->set_tail_size = (size_t)sprintf(
            load->set_tail, "\r\n$2\r\nEX\r\n$%d\r\n%s", digits, seconds);
    }
    load->value_head_size =
        (size_t)sprintf(load->value_head, "\r\n$%zu\r\n", options->value_size);
}

static size_t reply_size(const struct load *load, bool get)
{
    /* A value's reply begins with the head its request has, less a CRLF. */
    return get ? load->value_head_size - 2 + load->options.value_size + 2
               : strlen("+OK\r\n");
}

static void flush(struct load *load, struct conn *conn)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    bool blocked;

    while (conn->out_sent < conn->out_size) {
        ssize_t size = send(conn->fd, conn->out + conn->out_sent,
            conn->out_size - conn->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (size < 0 && errno == EAGAIN) {
            break;
        }
        if (size < 0) {
            fail("send");
        }
        conn->out_sent += (size_t)size;
    }
    blocked = conn->out_sent < conn->out_size;
    if (blocked != conn->blocked) {
        event.events |= blocked ? EPOLLOUT : 0;
        epoll_ctl(load->epoll, EPOLL_CTL_MOD, conn->fd, &event);
        conn->blocked = blocked;
    }
}

/* Sends the next batch, or nothing when the work is all given out. */
static void send_batch(struct load *load, struct conn *conn)
{
    const struct load_options *options = &load->options;
    uint64_t left = options->requests - load->issued;
    char *at = conn->out;

    conn->count = left < options->pipeline ? (unsigned)left : options->pipeline;
    if (conn->count == 0 || conn->sent_ns > load->end_ns) {
        load->active--;
        return;
    }
    conn->in_expected = conn->in_size = 0;
    conn->checked = 0;
    conn->checked_size = 0;
    for (unsigned i = 0; i < conn->count; i++) {
        bool get = options->gets == 100 ||
                   (options->gets > 0 &&
                       keys_random(&load->keys) % 100 < options->gets);

        conn->keys[i] = options->first_key + keys_next(&load->keys);
        conn->gets[i] = get;
        at = put_request(load, at, conn->keys[i], get);
        conn->in_expected += reply_size(load, get);
    }
    load->issued += conn->count;
    conn->out_size = (size_t)(at - conn->out);
    conn->out_sent = 0;
    flush(load, conn);
}

/* ---- replies ---- */

static void note_latency(struct load *load, uint64_t ns, unsigned count)
{
    unsigned power = 63u - (unsigned)__builtin_clzll(ns | HISTOGRAM_STEPS);
    uint64_t step = ns >> (power - 5) & (HISTOGRAM_STEPS - 1);

    load->histogram[power * HISTOGRAM_STEPS + step] += count;
    if (ns > load->slowest_ns) {
        load->slowest_ns = ns;
    }
}

static double percentile_us(const struct load *load, double part)
{
    double wanted = part * (double)load->done;
    uint64_t seen = 0;

    for (unsigned i = 5 * HISTOGRAM_STEPS; i < HISTOGRAM_BUCKETS; i++) {
        seen += load->histogram[i];
        if (load->histogram[i] > 0 && (double)seen >= wanted) {
            unsigned power = i / HISTOGRAM_STEPS, step = i % HISTOGRAM_STEPS;

            return (double)(HISTOGRAM_STEPS + step + 1) *
                   (double)(UINT64_C(1) << (power - 5)) / 1000;
        }
    }
    return 0;
}

/* What the reply to a request must be, at `to`; what follows it. */
static char *put_reply(
    const struct load *load, char *to, uint64_t key, bool get)
{
    if (!get) {
        return put_text(to, "+OK\r\n", 5);
    }
    to = put_text(to, load->value_head + 2, load->value_head_size - 2);
    to = put_value(to, &load->options, key);
    return put_text(to, "\r\n", 2);
}

/* A reply of another kind or length than the one expected at `at` ends the
 * run: counting bytes would go astray. */
static void check_head(
    const struct load *load, const struct conn *conn, unsigned i)
{
    const char *at = conn->in + conn->checked_size;
    size_t size = conn->in_size - conn->checked_size;
    const char *head = conn->gets[i] ? load->value_head + 2 : "+OK\r\n";
    size_t head_size = conn->gets[i] ? load->value_head_size - 2 : 5;

    if (memcmp(at, head, size < head_size ? size : head_size) != 0) {
        fprintf(stderr, "load: key %llu: unexpected reply: %.*s\n",
            (unsigned long long)conn->keys[i], size < 60 ? (int)size : 60, at);
        exit(1);
    }
}

/* Compares the replies that have come whole since the last time. */
static void verify_replies(struct load *load, struct conn *conn)
{
    while (conn->checked < conn->count && conn->checked_size < conn->in_size) {
        unsigned i = conn->checked;
        size_t size = reply_size(load, conn->gets[i]);

        check_head(load, conn, i);
        if (conn->in_size - conn->checked_size < size) {
            break;
        }
        put_reply(load, conn->expected, conn->keys[i], conn->gets[i]);
        load->wrong +=
            memcmp(conn->expected, conn->in + conn->checked_size, size) != 0;
        conn->checked_size += size;
        conn->checked++;
    }
}

static void receive(struct load *load, struct conn *conn)
{
    ssize_t size = recv(conn->fd, conn->in + conn->in_size,
        conn->in_expected - conn->in_size, MSG_DONTWAIT);

    if (size < 0 && errno == EAGAIN) {
        return;
    }
    if (size <= 0) {
        errno = size == 0 ? 0 : errno;
        fail("connection lost");
    }
    conn->in_size += (size_t)size;
    if (load->options.verify) {
        verify_replies(load, conn);
    } else {
        check_head(load, conn, 0);
    }
    if (conn->in_size == conn->in_expected) {
        uint64_t now = now_ns();

        load->wrong += memcmp(conn->in + conn->in_size - 2, "\r\n", 2) != 0;
        note_latency(load, now - conn->sent_ns, conn->count);
        load->done += conn->count;
        if (load->options.pause_us > 0) {
            usleep(load->options.pause_us);
            now = now_ns();
        }
        conn->sent_ns = now;
        send_batch(load, conn);
    }
}

/* ---- the run ---- */

static void conn_open(struct load *load, struct conn *conn)
{
    const struct load_options *options = &load->options;
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons(options->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    size_t request = options->key_size + options->value_size + 128;
    int on = 1;

    conn->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (conn->fd < 0 ||
        connect(conn->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        fail("connect");
    }
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    conn->out = malloc(options->pipeline * request);
    conn->in = malloc(options->pipeline * request);
    conn->expected = malloc(request);
    conn->keys = malloc(options->pipeline * sizeof(*conn->keys));
    conn->gets = malloc(options->pipeline * sizeof(*conn->gets));
    if (!conn->out || !conn->in || !conn->expected || !conn->keys ||
        !conn->gets) {
        fail("malloc");
    }
    epoll_ctl(load->epoll, EPOLL_CTL_ADD, conn->fd, &event);
}

static void run(struct load *load)
{
    struct epoll_event events[64];

    load->start_ns = now_ns();
    load->end_ns =
        load->options.seconds > 0
            ? load->start_ns + (uint64_t)(load->options.seconds * 1e9)
            : UINT64_MAX;
    load->active = load->options.clients;
    for (unsigned i = 0; i < load->options.clients; i++) {
        load->conns[i].sent_ns = now_ns();
        send_batch(load, &load->conns[i]);
    }
    while (load->active > 0) {
        int count = epoll_wait(load->epoll, events, 64, STALLED_SECONDS * 1000);

        if (count == 0) {
            errno = 0;
            fail("no reply for a minute");
        }
        for (int i = 0; i < count; i++) {
            struct conn *conn = events[i].data.ptr;

            if (events[i].events & EPOLLOUT) {
                flush(load, conn);
            }
            if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
                receive(load, conn);
            }
        }
    }
    load->end_ns = now_ns();
}

static void report(const struct load *load)
{
    double seconds = (double)(load->end_ns - load->start_ns) / 1e9;
    struct rusage usage;
    double cpu;

    getrusage(RUSAGE_SELF, &usage);
    cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
          (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    printf("requests=%llu wrong=%llu seconds=%.3f rate=%.0f p50_us=%.1f "
           "p99_us=%.1f p999_us=%.1f max_us=%.1f client_cpu=%.3f\n",
        (unsigned long long)load->done, (unsigned long long)load->wrong,
        seconds, (double)load->done / seconds, percentile_us(load, 0.5),
        percentile_us(load, 0.99), percentile_us(load, 0.999),
        (double)load->slowest_ns / 1000, cpu);
}

int main(int argc, char **argv)
{
    struct load *load = calloc(1, sizeof(*load));

    if (load == NULL) {
        fail("malloc");
    }
    if (!load_options_parse(&load->options, argc, argv)) {
        return 2;
    }
    load->keys = load->options.keys;
    keys_init(&load->keys, load->options.seed);
    load->conns = calloc(load->options.clients, sizeof(*load->conns));
    load->epoll = epoll_create1(0);
    if (load->conns == NULL || load->epoll < 0) {
        fail("start");
    }
    heads_init(load);
    for (unsigned i = 0; i < load->options.clients; i++) {
        conn_open(load, &load->conns[i]);
    }
    run(load);
    report(load);
    return load->wrong > 0;
}
