#include "check.h"

#include "health.h"
#include "metrics.h"
#include "pages.h"
#include "statuspage.h"

static const struct {
    const char *path;
    http_page *page;
} rows[] = {
    { "/", statuspage_page },
    { "/status.json", statuspage_status },
    { "/status", NULL },
    { "/metrics", metrics_page },
    { "/healthz", health_page },
    { "/readyz", readiness_page },
    { "/metrics/", NULL },
    { "/Metrics", NULL },
    { "metrics", NULL },
    { "//metrics", NULL },
    { "/../metrics", NULL },
    { "/%6detrics", NULL },
    { "", NULL },
};

TEST(a_path_is_that_of_a_page_or_of_none)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_ROW(rows[i].path, pages_find(rows[i].path) == rows[i].page);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_path_is_that_of_a_page_or_of_none) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
