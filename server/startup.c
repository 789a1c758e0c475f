#include "server/startup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/server.h"

/* Descriptors for everything but clients: files, threads, the loop. */
#define RESERVED_FDS 32

bool startup_daemonize(void)
{
    pid_t pid = fork();
    if (pid < 0) {
        return false;
    }
    if (pid > 0) {
        _exit(0);
    }
    setsid();
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    dup2(fd, STDIN_FILENO);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    if (fd > STDERR_FILENO) {
        close(fd);
    }
    return true;
}

void startup_log_banner(struct server *server)
{
    struct log *log = &server->log;
    log_line(
        log, LOG_WARNING, "oO0OoO0OoO0Oo larder is starting oO0OoO0OoO0Oo");
    log_line(log, LOG_WARNING, "larder version=%s, bits=%d, pid=%d",
        LARDER_VERSION, (int)sizeof(void *) * 8, (int)getpid());
    if (server->config.config_path[0] != '\0') {
        log_line(log, LOG_WARNING, "Configuration loaded");
    } else {
        log_line(log, LOG_WARNING,
            "No configuration file given: defaults and command line apply");
    }
    config_log_warnings(&server->config, log);
    log_line(log, LOG_NOTICE, "Running mode=standalone, port=%lld.",
        (long long)server->config.port);
}

void startup_raise_limits(struct server *server)
{
    struct config *config = &server->config;
    rlim_t wanted = (rlim_t)config->maxclients + RESERVED_FDS;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) {
        return;
    }
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= wanted) {
        return;
    }
    int64_t clients = (int64_t)limit.rlim_cur - RESERVED_FDS;
    if (clients < 1) {
        clients = 1;
    }
    log_line(&server->log, LOG_WARNING,
        "The limit of %llu open files does not allow for maxclients %lld: it "
        "is reduced to %lld. Raise it with 'ulimit -n'.",
        (unsigned long long)limit.rlim_cur, (long long)config->maxclients,
        (long long)clients);
    config->maxclients = clients;
}

void startup_write_pidfile(struct server *server)
{
    const char *path = server->config.pidfile;
    if (path[0] == '\0') {
        return;
    }
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        log_line(&server->log, LOG_WARNING, "Cannot write the pid file %s: %s",
            path, strerror(errno));
        return;
    }
    fprintf(file, "%d\n", (int)getpid());
    fclose(file);
}

void startup_remove_pidfile(struct server *server)
{
    if (server->config.pidfile[0] != '\0') {
        log_line(&server->log, LOG_NOTICE, "Removing the pid file.");
        unlink(server->config.pidfile);
    }
}

void startup_notify(struct server *server, const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int mode = server->config.supervised;
    if ((mode != SUPERVISED_SYSTEMD && mode != SUPERVISED_AUTO) ||
        path == NULL || strlen(path) >= sizeof(address.sun_path)) {
        return;
    }
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* the abstract name space */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    socklen_t size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    sendto(fd, state, strlen(state), MSG_NOSIGNAL,
        (const struct sockaddr *)&address, size);
    close(fd);
}

void startup_make_run_id(char out[41])
{
    unsigned char random[20];
    check(getrandom(random, sizeof(random), 0) == (ssize_t)sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++) {
        snprintf(out + 2 * i, 3, "%02x", random[i]);
    }
}
