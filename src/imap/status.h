/* status: a status response, taken apart (RFC 9051 section 7.1): "A1 NO [CODE ...] text", "* OK text". */
#ifndef IMAP_STATUS_H
#define IMAP_STATUS_H

#include <imapstate/span.h>

enum status_word { STATUS_OK, STATUS_NO, STATUS_BAD, STATUS_BYE, STATUS_PREAUTH };

/* Borrowed from the line. */
struct status {
    struct imapstate_span tag;  /* "*" of an untagged one */
    struct imapstate_span code; /* with its arguments, without the brackets; empty if there is none */
    struct imapstate_span text; /* what people read, without the line end; may be empty */
    enum status_word word;
    bool has_alert; /* the code is ALERT: the text is for the user, as it is (RFC 9051 section 7.1) */
};

/* Takes one whole response line, line end included, apart. False: it is no status response. Where a code ends stands in
 * response.h. If its end cannot be found, where the text begins is unknown, and both are empty. */
bool status_parse(struct imapstate_span line, struct status *ret_status);

/* Is name (upper case) the code's name? */
bool status_has_code(const struct status *status, const char *name);

/* Does it say that the server could not carry a command out as it stands, be the fault the client's or the
 * connection's? BAD (Exchange: "BAD User is authenticated but not connected."), and the codes that name the server's
 * own troubles (RFC 5530). */
bool status_doubts_connection(const struct status *status);

/* Appends as much of text as fits to ret_words, for a status response of ours that quotes it: what is no printable
 * UTF-8 becomes "?", control characters among it, and no character is cut. */
void status_quote(struct imapstate_span text, struct imapstate_buf *ret_words);

#endif
