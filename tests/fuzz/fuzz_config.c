/* libFuzzer target: a configuration file. It is read or refused; nothing
 * else happens. Files it names are left alone: such inputs are skipped. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool names_files(const uint8_t *data, size_t size)
{
    static const char *const words[] = {"include", "dir", "load", "file"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t length = strlen(words[i]);
        for (size_t at = 0; at + length <= size; at++) {
            if (strncasecmp((const char *)data + at, words[i], length) == 0) {
                return true;
            }
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[40], name[] = "larder-server";
    char *arguments[] = {name, path, NULL};
    struct config config, copy;
    if (names_files(data, size)) {
        return 0;
    }
    int fd = memfd_create("larder.conf", 0);
    check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    config_init(&config);
    if (config_load(&config, 2, arguments)) {
        config_copy(&copy, &config);
        config_finish(&copy);
    }
    config_finish(&config);
    close(fd);
    return 0;
}
