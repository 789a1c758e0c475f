/* Whether a command may write into the namespaces of its keys. One thread. */
#ifndef LARDER_SERVER_ADMISSION_H
#define LARDER_SERVER_ADMISSION_H

#include "tiers/engine.h"

struct request;

/* Of a command that may need memory, by the keys it writes. ENGINE_REFUSE_OOM
 * after an error: the namespace of one is full and evicts nothing.
 * ENGINE_PARK: one is above its limit and has to wait for the disk. */
enum engine_admission admission_by_namespace(struct request *request);

#endif
