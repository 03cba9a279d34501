/* What whoever asks by HTTP sends that is ours to read: Accept, and the path. Whatever stands there, a form is chosen;
 * the same if it is said twice, and the same if something is added that nobody speaks. */
#include "fuzz.h"

#include "negotiation.h"
#include "pages.h"

#include <string.h>

static void check_path(const char *path)
{
    CHECK(pages_find(path) == NULL || path[0] == '/');
    CHECK(pages_find(path) != NULL || strcmp(path, "/metrics") != 0);
}

/* All of it is one text, as libevent gives it. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    char *once = calloc(1, len + 1), *more = calloc(2, len + 16);
    CHECK(once && more);
    memcpy(once, at, len);
    enum exposition_form form = negotiation_form(once);
    CHECK(form == EXPOSITION_TEXT || strcasestr(once, "application/openmetrics-text"));
    if (!strchr(once, '"')) { /* within quotes that do not end, a comma is none */
        snprintf(more, 2 * (len + 16), "%s,%s", once, once);
        CHECK(negotiation_form(more) == form);
        snprintf(more, 2 * (len + 16), "x/y, %s ,\tx/z;q=1", once);
        CHECK(negotiation_form(more) == form);
    }
    check_path(once);
    free(once);
    free(more);
    return 0;
}
