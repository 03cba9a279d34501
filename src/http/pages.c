#include "pages.h"

#include <stddef.h>
#include <string.h>

#include "health.h"
#include "metrics.h"
#include "statuspage.h"

static const struct {
    const char *path;
    http_page *page;
} pages[] = {
    { "/", statuspage_page },    { "/status.json", statuspage_status }, { "/metrics", metrics_page },
    { "/healthz", health_page }, { "/readyz", readiness_page },
};

http_page *pages_find(const char *path)
{
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (strcmp(pages[i].path, path) == 0)
            return pages[i].page;
    return NULL;
}
