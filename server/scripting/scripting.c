/* What there is for scripts as long as the server lives. */
#include "server/scripting/scripting.h"

#include <stdlib.h>

#include "server/scripting/library.h"

struct scripting *scripting_create(struct server *server)
{
    if (!server->config.scripting) {
        return NULL;
    }
    struct scripting *scripting = xcalloc(1, sizeof(*scripting));
    scripting->server = server;
    /* As of a C library whose random numbers nobody has seeded. */
    memcpy(scripting->random, (unsigned short[3]){0x330e, 0xabcd, 0x1234},
        sizeof(scripting->random));
    reply_init(&scripting->reply);
    vm_init(&scripting->eval, scripting, script_cap_bytes(server));
    vm_init(&scripting->function_vm, scripting, script_cap_bytes(server));
    return scripting;
}

void scripting_destroy(struct scripting *scripting)
{
    if (scripting == NULL) {
        return;
    }
    cache_flush(scripting);
    library_flush(scripting);
    vm_finish(&scripting->eval);
    vm_finish(&scripting->function_vm);
    reply_finish(&scripting->reply);
    free(scripting->argv);
    free(scripting->digits);
    free(scripting);
}

static void count_functions(
    const struct scripting *scripting, struct scripting_figures *figures)
{
    for (const struct library *library = scripting->libraries; library != NULL;
         library = library->hh.next) {
        figures->libraries++;
        figures->function_bytes += sizeof(*library) + library->code_bytes;
    }
    for (const struct function *function = scripting->functions;
         function != NULL; function = function->by_name.next) {
        figures->functions++;
        figures->function_bytes += sizeof(*function) + strlen(function->name) +
                                   function->description_bytes;
    }
}

void scripting_figures(
    const struct scripting *scripting, struct scripting_figures *figures)
{
    *figures = (struct scripting_figures){0};
    if (scripting == NULL) {
        return;
    }
    figures->eval_vm_bytes = scripting->eval.used_bytes;
    figures->function_vm_bytes = scripting->function_vm.used_bytes;
    figures->cached_scripts = scripting->script_count;
    figures->eval_scripts_bytes =
        scripting->script_count * sizeof(struct script);
    count_functions(scripting, figures);
}
