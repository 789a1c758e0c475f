#include "server/top/top_screen.h"

#include <curses.h>

bool top_screen_open(struct top_screen *screen)
{
    screen->terminal = newterm(NULL, stdout, stdin);
    if (screen->terminal == NULL) {
        return false;
    }
    cbreak();
    noecho();
    keypad(stdscr, true);
    curs_set(0);
    return true;
}

void top_screen_close(struct top_screen *screen)
{
    endwin();
    delscreen(screen->terminal);
}

static unsigned height(void)
{
    return LINES > 0 ? (unsigned)LINES : 0;
}

void top_screen_draw(struct top_screen *screen, const struct top_page *page)
{
    unsigned last = page->count > height() ? page->count - height() : 0;
    if (screen->first > last) {
        screen->first = last;
    }
    erase();
    for (unsigned row = 0; row < height(); row++) {
        unsigned number = screen->first + row;
        if (number >= page->count) {
            break;
        }
        const struct top_line *line = &page->lines[number];
        attrset(line->heading ? A_BOLD : A_NORMAL);
        /* What does not fit is cut, not wrapped. */
        mvaddnstr((int)row, 0, line->text, COLS);
    }
    attrset(A_NORMAL);
    refresh();
}

static void scroll_by(struct top_screen *screen, long lines)
{
    long first = (long)screen->first + lines;
    screen->first = first > 0 ? (unsigned)first : 0;
}

enum top_key top_screen_wait(struct top_screen *screen, int wait_ms)
{
    timeout(wait_ms);
    int key = getch();
    switch (key) {
    case ERR:
        return TOP_KEY_NONE;
    case 'q':
    case 'Q':
        return TOP_KEY_QUIT;
    case ' ':
        return TOP_KEY_LOOK;
    case KEY_UP:
        scroll_by(screen, -1);
        break;
    case KEY_DOWN:
        scroll_by(screen, 1);
        break;
    case KEY_PPAGE:
        scroll_by(screen, -(long)height());
        break;
    case KEY_NPAGE:
        scroll_by(screen, (long)height());
        break;
    case KEY_HOME:
        screen->first = 0;
        break;
    default:
        break;
    }
    return TOP_KEY_OTHER;
}
