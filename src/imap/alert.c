#include "alert.h"

#include <string.h>

#include "status.h"

bool alerts_next(struct imapstate_span *alerts, struct imapstate_span *ret_line)
{
    const uint8_t *lf = alerts->len > 0 ? memchr(alerts->at, '\n', alerts->len) : NULL;
    if (!lf)
        return false;
    size_t len = (size_t)(lf - alerts->at) + 1;
    *ret_line = (struct imapstate_span){ alerts->at, len };
    *alerts = (struct imapstate_span){ alerts->at + len, alerts->len - len };
    return true;
}

bool alerts_have(struct imapstate_span alerts, struct imapstate_span line)
{
    struct status want, other;
    struct imapstate_span told;
    if (!status_parse(line, &want))
        return false;
    while (alerts_next(&alerts, &told))
        if (status_parse(told, &other) && imapstate_span_equal(other.text, want.text))
            return true;
    return false;
}

/* As it came, but for the tag. BYE and PREAUTH are about a connection that is not the client's. */
static bool alert_put(struct imapstate_buf *alerts, struct imapstate_span line, const struct status *status)
{
    const uint8_t *rest = status->tag.at + status->tag.len;
    if (status->word <= STATUS_BAD)
        return imapstate_buf_put_byte(alerts, '*') &&
               imapstate_buf_put(alerts, (struct imapstate_span){ rest, (size_t)(line.at + line.len - rest) });
    return imapstate_buf_put(alerts, status->word == STATUS_BYE ? IMAPSTATE_SPAN("* NO [ALERT] ")
                                                                : IMAPSTATE_SPAN("* OK [ALERT] ")) &&
           imapstate_buf_put(alerts, status->text) && imapstate_buf_put(alerts, IMAPSTATE_SPAN("\r\n"));
}

bool alerts_add(struct imapstate_buf *alerts, struct imapstate_span line)
{
    struct status status;
    size_t before = alerts->len;
    if (!status_parse(line, &status) || !status.has_alert || alerts_have(imapstate_buf_span(alerts), line))
        return false;
    bool fits = alert_put(alerts, line, &status);
    if (!fits)
        alerts->len = before;
    return fits;
}
