#include "server/keyspace.h"

void keyspace_changed(struct request *request, struct bytes key)
{
    (void)request;
    (void)key;
}

void keyspace_event(struct request *request, enum keyspace_class class,
    const char *event, struct bytes key)
{
    (void)request;
    (void)class;
    (void)event;
    (void)key;
}
