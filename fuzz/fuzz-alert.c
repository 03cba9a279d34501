/* Alerts that are kept are whole lines, each of which tells an alert and is there once; nothing else is kept. A text
 * that is quoted is printable, and quoted once more it is the same. */
#include "fuzz.h"

#include "alert.h"
#include "status.h"

#include <string.h>

static void check_quote(struct imapstate_span text)
{
    struct imapstate_buf once, twice;
    imapstate_buf_init(&once, 100);
    imapstate_buf_init(&twice, 100);
    status_quote(text, &once);
    status_quote(imapstate_buf_span(&once), &twice);
    CHECK(once.len <= 100 && imapstate_span_equal(imapstate_buf_span(&once), imapstate_buf_span(&twice)));
    for (size_t i = 0; i < once.len; i++)
        CHECK(once.at[i] >= 0x20 && once.at[i] != 0x7f);
    imapstate_buf_done(&once);
    imapstate_buf_done(&twice);
}

static void check_kept(struct imapstate_span alerts)
{
    struct imapstate_span line, rest = alerts;
    struct status status;
    while (alerts_next(&rest, &line)) {
        CHECK(status_parse(line, &status) && status.has_alert && status.word <= STATUS_BAD);
        CHECK(*line.at == '*' && alerts_have(alerts, line));
    }
    CHECK(rest.len == 0);
}

/* The input is lines, as a server says them. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct imapstate_buf alerts;
    imapstate_buf_init(&alerts, 512);
    check_quote((struct imapstate_span){ at, len });
    for (const uint8_t *lf; (lf = len ? memchr(at, '\n', len) : NULL);) {
        struct imapstate_span line = { at, (size_t)(lf - at) + 1 };
        struct status status;
        bool is_alert = status_parse(line, &status) && status.has_alert;
        bool is_added = alerts_add(&alerts, line);
        CHECK(is_alert || !is_added);
        CHECK(!is_added || alerts_have(imapstate_buf_span(&alerts), line));
        CHECK(!alerts_add(&alerts, line));
        len -= line.len;
        at += line.len;
    }
    check_kept(imapstate_buf_span(&alerts));
    imapstate_buf_done(&alerts);
    return 0;
}
