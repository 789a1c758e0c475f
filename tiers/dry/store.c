#include "tiers/dry/store.h"

const char *dry_result_text(enum dry_result result)
{
    static const char *const texts[] = {
        [DRY_OK] = "ok",
        [DRY_NOT_FOUND] = "no such record",
        [DRY_FULL] = "no room on disk",
        [DRY_IO] = "disk error",
        [DRY_CORRUPT] = "damaged data on disk",
        [DRY_FOREIGN] = "not a store of this format",
    };
    check((size_t)result < sizeof(texts) / sizeof(texts[0]));
    return texts[result];
}
