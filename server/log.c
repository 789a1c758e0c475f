#include "server/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* As Redis: a longer text is cut. */
#define LOG_TEXT_BYTES 1024

/* The head of a line: "pid:M 21 Nov 2026 10:28:54.123 * ". */
static int write_head(char *out, size_t size, enum log_level level)
{
    static const char marks[] = {'.', '-', '*', '#'};
    struct timeval now;
    struct tm local;
    char date[40];
    gettimeofday(&now, NULL);
    localtime_r(&now.tv_sec, &local);
    strftime(date, sizeof(date), "%d %b %Y %H:%M:%S", &local);
    return snprintf(out, size, "%d:M %s.%03d %c ", (int)getpid(), date,
        (int)(now.tv_usec / 1000), marks[level]);
}

static void write_out(const struct log *log, const char *line, size_t size)
{
    int fd = STDOUT_FILENO;
    bool to_file = log->path != NULL && log->path[0] != '\0';
    if (to_file) {
        fd = open(log->path, O_APPEND | O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        if (fd < 0) {
            return;
        }
    }
    while (size > 0) {
        ssize_t done = write(fd, line, size);
        if (done <= 0) {
            break; /* nobody could be told */
        }
        line += done;
        size -= (size_t)done;
    }
    if (to_file) {
        close(fd);
    }
}

void log_line(struct log *log, enum log_level level, const char *format, ...)
{
    if (level < log->level) {
        return;
    }
    char line[LOG_TEXT_BYTES + 80];
    int head = write_head(line, sizeof(line), level);
    va_list arguments;
    va_start(arguments, format);
    int text = vsnprintf(line + head, LOG_TEXT_BYTES, format, arguments);
    va_end(arguments);
    if (text < 0) {
        return;
    }
    if (text >= LOG_TEXT_BYTES) {
        text = LOG_TEXT_BYTES - 1;
    }
    if (log->to_syslog) {
        log_syslog_write(level, line + head);
    }
    line[head + text] = '\n';
    write_out(log, line, (size_t)head + (size_t)text + 1);
}
