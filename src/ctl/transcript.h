/* transcript: what the two sides said, line by line, with every secret masked.
 *
 * Secrets are those that it is told, in all forms in which they can be said, and tokens, which it finds by itself. They
 * are masked wherever they occur, also in text from the server. */
#ifndef CTL_TRANSCRIPT_H
#define CTL_TRANSCRIPT_H

#include <imapstate/span.h>

#include <stdio.h>

#define TRANSCRIPT_SECRETS_MAX 16

struct transcript {
    FILE *to;                                             /* borrowed */
    struct imapstate_buf secrets[TRANSCRIPT_SECRETS_MAX]; /* longest first */
    size_t count;
};

/* transcript_done() wipes. */
void transcript_init(struct transcript *transcript, FILE *to);
void transcript_done(struct transcript *transcript);

/* Masks secret from now on; copied. An empty one is ignored. False if memory or TRANSCRIPT_SECRETS_MAX is full. */
bool transcript_hide(struct transcript *transcript, struct imapstate_span secret);

/* A heading. */
void transcript_title(const struct transcript *transcript, const char *title);

/* A line, with or without its end. What follows STATE in a command, and STATE or SAVESTATE in a response, is hidden
 * from now on. Control characters and non-ASCII octets are shown as \xNN: a server must not control the terminal. False
 * if a token could not be hidden; then the line is not shown. */
bool transcript_client(struct transcript *transcript, struct imapstate_span line);
bool transcript_server(struct transcript *transcript, struct imapstate_span line);

/* Of a literal only the length is shown. */
void transcript_literal(struct transcript *transcript, uint32_t octets);

/* Prints text, secrets masked and control characters shown as above, without a line end. */
void transcript_print(const struct transcript *transcript, FILE *to, struct imapstate_span text);

#endif
