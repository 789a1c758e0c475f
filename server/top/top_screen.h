/* The terminal: shows a page, tells what keys were pressed. */
#ifndef LARDER_SERVER_TOP_TOP_SCREEN_H
#define LARDER_SERVER_TOP_TOP_SCREEN_H

#include "server/top/top_page.h"

enum top_key { TOP_KEY_NONE, TOP_KEY_QUIT, TOP_KEY_LOOK, TOP_KEY_OTHER };

struct top_screen {
    void *terminal; /* of curses */
    unsigned first; /* line of the page that is at the top */
};

/* False when it is none that curses knows. */
bool top_screen_open(struct top_screen *screen);
void top_screen_close(struct top_screen *screen);
/* Shows as much of the page as fits. */
void top_screen_draw(struct top_screen *screen, const struct top_page *page);
/* Waits at most `wait_ms` for a key. Scrolls by itself; TOP_KEY_OTHER: draw
 * again, as after a change of size. */
enum top_key top_screen_wait(struct top_screen *screen, int wait_ms);

#endif
