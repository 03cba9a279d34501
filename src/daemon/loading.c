#include "loading.h"

#include <errno.h>
#include <string.h>

#include "config.h"
#include "configfile.h"
#include "log.h"
#include "service.h"

struct service *loading_read(const char *path, const struct service *previous, FILE *errors)
{
    struct config *config = configfile_read(path, errors);
    if (!config)
        return NULL;
    for (size_t i = 0; i < config->warning_count; i++)
        fprintf(errors, "%s\n", config->warnings[i]);
    return service_load(config, previous, errors);
}

void loading_log(char *text)
{
    static const char warning[] = ": warning: ";
    if (!text) {
        log_error("%s", strerror(ENOMEM));
        return;
    }
    for (char *line = text, *end; *line; line = end) {
        end = strchrnul(line, '\n');
        if (*end)
            *end++ = '\0';
        const char *kind = strstr(line, warning);
        if (kind)
            log_warning("%.*s: %s", (int)(kind - line), line, kind + sizeof warning - 1);
        else
            log_error("%s", line);
    }
}
