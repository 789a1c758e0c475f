/* The server's log, in Redis' line format:
 *   pid:role day month year time.ms level text
 * to a file, standard output or syslog. One thread. */
#ifndef LARDER_SERVER_LOG_H
#define LARDER_SERVER_LOG_H

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING };

struct log {
    enum log_level level; /* lines below it are dropped */
    char *path;           /* heap; "" = standard output */
};

/* Opened and closed at each line, so that log rotation needs no signal. */
void log_line(struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
