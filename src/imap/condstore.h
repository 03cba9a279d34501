/* condstore: how commands other than ENABLE switch CONDSTORE on (RFC 7162 section 3.1). In a server it is one switch of
 * the connection, and nothing switches it off. Which commands do it differs (docs/protocol.md, "Implicit enabling"). No
 * I/O. */
#ifndef IMAP_CONDSTORE_H
#define IMAP_CONDSTORE_H

#include <imapstate/command.h>

enum condstore {
    CONDSTORE_BY_ENABLE = 1, /* ENABLE with its name, or QRESYNC's: what is on then ENABLED tells */
    CONDSTORE_BY_STATUS = 2, /* STATUS with HIGHESTMODSEQ: on with some servers (Dovecot), not with others (Cyrus) */
    CONDSTORE_BY_OTHERS = 4, /* any other command that can switch on nothing else */
    CONDSTORE_UNKNOWN = 8,   /* more than CONDSTORE may be on: QRESYNC, what NOTIFY brings, what no RFC knows */
};

/* What a command with these arguments may have done, whatever it is answered: one of them; 0: nothing. */
unsigned condstore_of(const struct imapstate_command *command, struct imapstate_span arguments);

/* The same of a further line of the command, behind a literal. */
unsigned condstore_of_rest(const struct imapstate_command *command, struct imapstate_span line);

/* The same of a literal, which this line announces; is_first: the line is the command's arguments from the first on. 0
 * only where every server takes it for the name of a mailbox, for what a search key looks for, or for message data. */
unsigned condstore_of_literal(const struct imapstate_command *command, struct imapstate_span line, bool is_first);

/* What it has done for certain if it is a whole command of one line, sent in the authenticated state, and answered OK:
 * BY_OTHERS: CONDSTORE is on (SELECT and EXAMINE with CONDSTORE); BY_STATUS. 0: none of these. */
unsigned condstore_asked(const struct imapstate_command *command, struct imapstate_span arguments);

#endif
