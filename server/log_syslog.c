/* syslog(3), apart because its LOG_... macros would shadow log.h's names. */
#include <syslog.h>

/* Declared in server/log.h. */
void log_syslog_open(const char *ident, int facility);
void log_syslog_write(int level, const char *text);

void log_syslog_open(const char *ident, int facility)
{
    static const int facilities[] = {LOG_USER, LOG_LOCAL0, LOG_LOCAL1,
        LOG_LOCAL2, LOG_LOCAL3, LOG_LOCAL4, LOG_LOCAL5, LOG_LOCAL6, LOG_LOCAL7};
    openlog(ident, LOG_PID | LOG_NDELAY | LOG_NOWAIT, facilities[facility]);
}

void log_syslog_write(int level, const char *text)
{
    static const int priorities[] = {
        LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING};
    syslog(priorities[level], "%s", text);
}
