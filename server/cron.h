/* What is done from time to time, `hz` times a second. One thread. */
#ifndef LARDER_SERVER_CRON_H
#define LARDER_SERVER_CRON_H

struct server;

void cron_start(struct server *server);
/* CONFIG SET hz. */
void cron_set_hz(struct server *server);

#endif
