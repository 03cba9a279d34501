/* server: a well-behaved IMAP server at the other end of the gateway's connections (wire.h). It reads what has been
 * written to it and answers, each command by what there is to say to it, when it is told to. */
#ifndef TEST_SERVER_H
#define TEST_SERVER_H

#include <imapstate/span.h>
#include <stdbool.h>

#include "wire.h"

#define SERVER_PASSWORD "secret" /* of everybody */
#define SERVER_NAME_MAX 32u

enum server_answer { SERVER_OK, SERVER_NO, SERVER_BAD };

struct server {
    struct wire *wire; /* borrowed */
    const char *list;  /* its capabilities, the same before and after login */
    bool is_well;      /* nobody but this has spoken for it, and it has framed all that came */
    bool is_greeted, is_idling, is_in_command, is_authenticating, is_selected, has_left;
    size_t literal_left;
    struct imapstate_buf in;      /* not looked at yet */
    struct imapstate_buf command; /* that is under way: all its octets */
    char user[SERVER_NAME_MAX];   /* who is logged in; empty: nobody */
    /* The first line of a command has come; line without its end. NULL: nobody wants to know. */
    void (*heard)(struct server *server, struct imapstate_span line);
    /* Other data of whoever plays it. */
    unsigned long last_number;
    unsigned last_client;
};

void server_init(struct server *server, struct wire *wire, const char *list);
void server_done(struct server *server);

/* Reads on until it has answered one command, asked for a literal, or can do nothing more. False: nothing was done. */
bool server_step(struct server *server, enum server_answer answer);

#endif
