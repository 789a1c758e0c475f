/* The first line of a script or library: "#!lua name=mylib flags=no-writes".
 */
#ifndef LARDER_SERVER_SCRIPTING_SHEBANG_H
#define LARDER_SERVER_SCRIPTING_SHEBANG_H

#include "server/command.h"

/* Of a script: *flags from it, and *source without it (the line's end stays,
 * so that lines count as they should). False after an error. */
bool shebang_of_script(
    struct request *request, struct bytes *source, uint32_t *flags);
/* Of a library: its name, checked, into *name, which lies in *source. False
 * after an error. */
bool shebang_of_library(
    struct request *request, struct bytes *source, struct bytes *name);
/* Whether a library or function may have this name. */
bool shebang_name_is_valid(struct bytes name);

#endif
