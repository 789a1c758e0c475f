/* The server's log, in Redis' line format:
 *   pid:role day month year time.ms level text
 * to a file or standard output, and to syslog besides. One thread. */
#ifndef LARDER_SERVER_LOG_H
#define LARDER_SERVER_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING };

struct log {
    enum log_level level; /* lines below it are dropped */
    char *path;           /* heap; NULL or "" = standard output */
    bool to_syslog;       /* after log_syslog_open */
};

/* The file is opened and closed at each line, so that log rotation needs no
 * signal. A line is written whole or, when the disk refuses it, lost. */
void log_line(struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* syslog-enabled; once a process. Then set log->to_syslog. `ident` is kept
 * for good; facility 0 is LOG_USER, 1 to 8 are LOG_LOCAL0 to 7. (log_syslog.c,
 * which sees syslog.h: its names clash with ours.) */
void log_syslog_open(const char *ident, int facility);
void log_syslog_write(int level, const char *text);

#endif
