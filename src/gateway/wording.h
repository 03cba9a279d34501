/* wording: which text belongs to a server's status response, as far as status, response code and command tell for
 * certain what it says. Its own words can then be replaced by a translation. */
#ifndef GATEWAY_WORDING_H
#define GATEWAY_WORDING_H

#include <imapstate/command.h>

#include "status.h"

/* The text for a response, in the language (catalogue.h); UTF-8, one line, static. command: the one that a tagged
 * response answers; NULL: the response is untagged. BYE and PREAUTH have none. code: what stands between "[" and "]";
 * empty: there is no code. NULL where the server's own words have to stay: they say more than the code does, or nobody
 * knows what they say. ALERT always has NULL. */
const char *wording_find(unsigned language, const struct imapstate_command *command, enum status_word status,
                         struct imapstate_span code);

/* Names that servers give to the namespaces of other users and to shared ones, for catalogue_text(). A translation is
 * part of a mailbox name: it holds no hierarchy delimiter that a server uses. */
#define WORDING_NAMESPACES                                                                                             \
    /* TRANSLATORS: names of folders, from here to "users": of those of other users, or of those that are shared. */   \
    N_("Other Users"), N_("Other users"), N_("Users"), N_("Public Folders"), N_("Public folders"), N_("Public"),       \
        N_("Shared Folders"), N_("Shared folders"), N_("Shared"), N_("other users"), N_("public"), N_("shared"),       \
        N_("user"), N_("users")

#endif
