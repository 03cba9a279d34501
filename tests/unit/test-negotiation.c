#include "check.h"

#include "negotiation.h"

#define OPENMETRICS EXPOSITION_OPENMETRICS
#define TEXT        EXPOSITION_TEXT

static const struct {
    const char *name, *accept;
    enum exposition_form form;
} rows[] = {
    { "none", NULL, TEXT },
    { "an empty one", "", TEXT },
    { "anything", "*/*", TEXT },
    { "a browser's", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT },
    { "Prometheus 2.42's",
      "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
      "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
      OPENMETRICS },
    { "Prometheus 2.54's",
      "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
      "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
      "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
      OPENMETRICS },
    { "an old one's", "text/plain;version=0.0.4;q=1,*/*;q=0.1", TEXT },
    { "it likes text better", "application/openmetrics-text;q=0.3, text/plain;q=0.4", TEXT },
    { "it likes both", "application/openmetrics-text, text/plain", TEXT },
    { "only OpenMetrics", "application/openmetrics-text", OPENMETRICS },
    { "in other letters, with blanks", " Application/OpenMetrics-Text ;\tQ=0.9 , text/plain ; q = 0.5", OPENMETRICS },
    { "it does not want it", "application/openmetrics-text;q=0", TEXT },
    { "a version that nobody speaks", "application/openmetrics-text;version=2.0.0", TEXT },
    { "protocol buffers first",
      "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,"
      "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.1",
      OPENMETRICS },
    { "a comma within quotes", "text/plain;x=\"a,application/openmetrics-text\"", TEXT },
    { "a quote within quotes", "text/plain;x=\"\\\",application/openmetrics-text\"", TEXT },
    { "quotes that do not end", "text/plain;x=\",application/openmetrics-text", TEXT },
    { "a quality above 1", "application/openmetrics-text;q=1.001", TEXT },
    { "a quality of too many digits", "application/openmetrics-text;q=0.5555", TEXT },
    { "a quality that is none", "application/openmetrics-text;q=much", TEXT },
    { "an empty quality", "application/openmetrics-text;q=", TEXT },
    { "q without a value", "application/openmetrics-text;q", TEXT },
    { "no type", ";q=1", TEXT },
    { "nothing but separators", ",;,;,=", TEXT },
    { "the smallest difference", "application/openmetrics-text;q=0.002,text/plain;q=0.001", OPENMETRICS },
};

TEST(a_form_is_chosen_by_what_is_liked_best)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_ROW(rows[i].name, negotiation_form(rows[i].accept) == rows[i].form);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_form_is_chosen_by_what_is_liked_best) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
