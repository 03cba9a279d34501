/* dialog: an exchange with a server over a connection; its flights are counted and timed.
 *
 * After a function has returned false, dialog_error() says why; the dialog can then only be ended. */
#ifndef CTL_DIALOG_H
#define CTL_DIALOG_H

#include "connection.h"
#include "exchange.h"

struct dialog {
    struct connection connection;
    struct exchange exchange;
    unsigned flights;     /* so far */
    uint64_t began_us;    /* before connecting */
    uint64_t greeted_us;  /* the greeting was there */
    uint64_t answered_us; /* the last flight was over */
};

/* Connects and reads the greeting. Ends with dialog_done(), even after a failure. */
bool dialog_begin(struct dialog *dialog, const struct connection_target *target, struct transcript *transcript);
void dialog_done(struct dialog *dialog);

/* Writes the flight that was put into the exchange, and waits until it is over. */
bool dialog_fly(struct dialog *dialog);

/* STARTTLS, and the handshake. What was offered before is forgotten. */
bool dialog_start_tls(struct dialog *dialog);

/* Valid as long as the dialog. */
const char *dialog_error(const struct dialog *dialog);

#endif
