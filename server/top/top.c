/* larder-top: a terminal view of a server's tiers, as varnishstat is of
 * Varnish. Asks for INFO again and again and shows what has changed. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "server/top/top_link.h"
#include "server/top/top_options.h"
#include "server/top/top_page.h"
#include "server/top/top_screen.h"

struct top {
    struct top_link link;
    struct top_sample before, now;
    struct top_page page;
};

static void look(struct top *top)
{
    struct top_sample sample = {0};
    if (!top_link_look(&top->link, &sample)) {
        return;
    }
    top_sample_finish(&top->before);
    top->before = top->now;
    top->now = sample;
}

static void fill(struct top *top)
{
    const struct top_options *options = top->link.options;
    top_page_clear(&top->page);
    if (options->path != NULL) {
        top_page_add(&top->page, true, "larder-top %s", options->path);
    } else {
        top_page_add(
            &top->page, true, "larder-top %s:%d", options->host, options->port);
    }
    if (top->link.error[0] != '\0') {
        top_page_add(&top->page, true, "%s%s; trying again",
            top->now.text != NULL ? "Old figures: " : "", top->link.error);
    }
    if (top->now.text != NULL) {
        top_page_fill(&top->page, &top->before, &top->now);
    }
}

static int print_once(struct top *top)
{
    look(top);
    if (top->now.text == NULL) {
        fprintf(stderr, "larder-top: %s\n", top->link.error);
        return 1;
    }
    fill(top);
    for (unsigned i = 0; i < top->page.count; i++) {
        puts(top->page.lines[i].text);
    }
    return 0;
}

/* Until it is time for the next look. False: the user has had enough. */
static bool wait_for_time(
    struct top *top, struct top_screen *screen, double until_s)
{
    for (;;) {
        top_screen_draw(screen, &top->page);
        double left_s = until_s - top_now_s();
        if (left_s <= 0) {
            return true;
        }
        switch (top_screen_wait(screen, (int)(left_s * 1000) + 1)) {
        case TOP_KEY_QUIT:
            return false;
        case TOP_KEY_LOOK:
            return true;
        case TOP_KEY_NONE:
        case TOP_KEY_OTHER:
            break;
        }
    }
}

static int show(struct top *top)
{
    struct top_screen screen = {0};
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
        !top_screen_open(&screen)) {
        fputs("larder-top: this is no terminal; -1 prints once\n", stderr);
        return 1;
    }
    double next_s;
    do {
        next_s = top_now_s() + top->link.options->interval_s;
        look(top);
        fill(top);
    } while (wait_for_time(top, &screen, next_s));
    top_screen_close(&screen);
    return 0;
}

int main(int argc, char **argv)
{
    struct top_options options;
    struct top top = {.link.options = &options};
    switch (top_options_read(&options, argc, argv)) {
    case TOP_RUN:
        break;
    case TOP_HELPED:
        return 0;
    case TOP_WRONG:
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* a lost connection is told by write() */
    int status = options.once ? print_once(&top) : show(&top);
    top_link_finish(&top.link);
    top_sample_finish(&top.before);
    top_sample_finish(&top.now);
    top_page_finish(&top.page);
    return status;
}
