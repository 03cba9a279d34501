/* dialog: one session with a server, flight by flight. A flight is a write that waits for its answers; each is counted.
 *
 * A function that returns false has put why into connection.error; the dialog is of no use then, but to be ended. */
#ifndef CTL_DIALOG_H
#define CTL_DIALOG_H

#include <imapstate/frame.h>
#include <imapstate/visit.h>

#include "connection.h"
#include "transcript.h"

/* Commands in one flight. */
#define DIALOG_COMMANDS_MAX 8

enum dialog_status { DIALOG_PENDING, DIALOG_OK, DIALOG_NO, DIALOG_BAD };

struct dialog_command {
    char tag[16], name[16];
    enum dialog_status status;
};

struct dialog {
    struct connection connection;
    struct transcript *transcript; /* borrowed */
    struct imapstate_visit *visit; /* owned; sees all commands and responses */
    struct imapstate_frame frame;
    struct imapstate_buf in, out; /* what has arrived; the next flight */
    struct imapstate_buf names;   /* the capability list that came last; empty: none has come */
    struct imapstate_buf refusal; /* the last NO, BAD or BYE, without line end; empty: none has come */
    struct dialog_command commands[DIALOG_COMMANDS_MAX]; /* of the last flight, or of the next one once it has any */
    size_t command_count;
    unsigned number;      /* of the last tag */
    bool has_greeting;    /* the server has spoken */
    bool is_asked;        /* the server has said "+" in the last flight */
    unsigned flights;     /* so far */
    uint64_t began_us;    /* before connecting */
    uint64_t greeted_us;  /* the greeting was there */
    uint64_t answered_us; /* the last flight was over */
};

/* Connects and reads the greeting. dialog_done() ends it, after a failure too. */
bool dialog_begin(struct dialog *dialog, const struct connection_target *target, struct transcript *transcript);
void dialog_done(struct dialog *dialog);

/* Is the word in the capability list that came last? In any case. */
bool dialog_offers(const struct dialog *dialog, const char *word);

/* Puts a command, without tag and line end, into the next flight. */
bool dialog_put(struct dialog *dialog, struct imapstate_span command);

/* The same for STATE, with the visit's token if it has one, and for SAVESTATE. */
bool dialog_put_state(struct dialog *dialog);
bool dialog_put_savestate(struct dialog *dialog);

/* Answers a "+": the line goes into the next flight, and the command that is not answered yet is its first. */
bool dialog_put_continuation(struct dialog *dialog, struct imapstate_span line);

/* Writes the flight, and waits until each of its commands is answered or the server says "+". */
bool dialog_fly(struct dialog *dialog);

/* STARTTLS, and the handshake. What was offered before is forgotten. */
bool dialog_start_tls(struct dialog *dialog);

/* How the command of that index in the last flight was answered. */
enum dialog_status dialog_status(const struct dialog *dialog, size_t index);

#endif
