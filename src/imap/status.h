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
    bool has_alert; /* the code is ALERT: the text is for the user, unchanged (RFC 9051 section 7.1) */
};

/* Takes one whole response line, including the line end, apart. False: it is not a status response. response.h says
 * where a code ends. If its end cannot be found, it is unknown where the text begins, and both are empty. */
bool status_parse(struct imapstate_span line, struct status *ret_status);

/* Is name (upper case) the code's name? */
bool status_has_code(const struct status *status, const char *name);

/* Does it say that the server could not carry out a command, whether the fault is the client's or the connection's? BAD
 * (Exchange: "BAD User is authenticated but not connected."), and the codes that name problems of the server's own (RFC
 * 5530). */
bool status_doubts_connection(const struct status *status);

/* Appends as much of text as fits to ret_words, for a status response of ours that quotes it. Anything but printable
 * UTF-8, including control characters, becomes "?", and no character is cut. */
void status_quote(struct imapstate_span text, struct imapstate_buf *ret_words);

#endif
