/* Whether a command may write into the namespaces of its keys. One thread. */
#ifndef LARDER_SERVER_ADMISSION_H
#define LARDER_SERVER_ADMISSION_H

#include <stdbool.h>

struct request;

/* False after an error: the command may need memory, and one of the keys it
 * writes is in a namespace that is full and evicts nothing. */
bool admission_by_namespace(struct request *request);

#endif
