/* wording: which text belongs to a server's status response, where its meaning is certain from status, response code
 * and command. Its own words can then be replaced by a translation. */
#ifndef IMAP_WORDING_H
#define IMAP_WORDING_H

#include <imapstate/command.h>

#include "status.h"

/* The text for a response, in the language (catalogue.h); UTF-8, one line, static. command: the one that a tagged
 * response answers; NULL: the response is untagged. BYE and PREAUTH have none. code: what is between "[" and "]";
 * empty: there is no code. NULL where the server's own words have to stay: they say more than the code does, or nobody
 * knows what they say. For ALERT it is always NULL. */
const char *wording_find(unsigned language, const struct imapstate_command *command, enum status_word status,
                         struct imapstate_span code);

#endif
