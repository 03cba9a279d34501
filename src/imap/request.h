/* request: a command that the gateway itself answers, collected whole: its line and its literals. */
#ifndef IMAP_REQUEST_H
#define IMAP_REQUEST_H

#include <imapstate/command.h>
#include <imapstate/frame.h>

/* Octets of one literal in such a command (a token may have fewer, P2), and of the whole command. */
#define REQUEST_LITERAL_MAX 65536u
#define REQUEST_MAX         (96u * 1024)

enum request_phase {
    REQUEST_NONE,
    REQUEST_COLLECTING, /* more of it is to come */
    REQUEST_OWES_GO,    /* a synchronizing literal was announced, and the client waits for "+" */
    REQUEST_COMPLETE,   /* it can be answered as soon as its turn comes */
    REQUEST_ASKING,     /* the upstream is being asked for what the answer needs */
};

struct request {
    struct imapstate_buf octets; /* as it came, including literals; no line end is added or removed */
    const struct imapstate_command *command;
    const char *complaint; /* static; it is answered BAD with these words, and no more of it is kept */
    uint32_t tag_len;      /* the tag stands at the front of octets; 0: none that an answer could carry */
    uint32_t arguments_at; /* where in octets the arguments begin; 0: no SP follows the name */
    uint8_t phase;         /* enum request_phase; request_enter() alone writes it */
};

void request_init(struct request *request);
void request_done(struct request *request); /* wipes; it can begin again */

/* The first line of a command. complaint as above, or NULL. */
void request_begin(struct request *request, const struct imapstate_command *command, const struct imapstate_piece *line,
                   const char *complaint);

/* The complaint about a piece that is refused. */
const char *request_to_refused(enum imapstate_error refused);

/* A further piece. */
void request_add(struct request *request, const struct imapstate_piece *piece);

/* OWES_GO: "+" has been said. */
void request_said_go(struct request *request);

/* COMPLETE: the upstream is being asked; request_done() follows. */
void request_asks(struct request *request);

/* The tag ("*" if there is none that an answer could carry), and what follows the command's name and its SP, without
 * the line end. Borrowed from the request. */
bool request_has_arguments(const struct request *request); /* an SP follows the name, even if nothing else does */
struct imapstate_span request_tag(const struct request *request);
struct imapstate_span request_arguments(const struct request *request);

#endif
