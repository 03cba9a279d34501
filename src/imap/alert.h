/* alert: what a server wants its user to know (RFC 9051 section 7.1, ALERT), kept until it is told. No I/O.
 *
 * Alerts are whole lines, one after the other: "* OK [ALERT] text", as they go to a client. */
#ifndef IMAP_ALERT_H
#define IMAP_ALERT_H

#include <imapstate/span.h>

/* How many octets of alerts are kept in one place; more are dropped. */
#define ALERTS_MAX 4096u

/* If line, a whole response line, is an alert with a text that is not among alerts: appends it, untagged, and a BYE as
 * a NO, since it is not the client's connection that ends. False: it is not an alert, is already there, or does not
 * fit. */
bool alerts_add(struct imapstate_buf *alerts, struct imapstate_span line);

/* Takes the first alert off. False: there is none. */
bool alerts_next(struct imapstate_span *alerts, struct imapstate_span *ret_line);

/* Does one of the alerts have the text of line, which is an alert? */
bool alerts_have(struct imapstate_span alerts, struct imapstate_span line);

#endif
