/* libimapstate: the IMAP STATE extension without sockets, clocks or globals. docs/protocol.md has the rules,
 * docs/library.md the order in which to call what. */
#ifndef IMAPSTATE_H
#define IMAPSTATE_H

#include <imapstate/api.h>
#include <imapstate/command.h>
#include <imapstate/error.h>
#include <imapstate/frame.h>
#include <imapstate/keyring.h>
#include <imapstate/replay.h>
#include <imapstate/server.h>
#include <imapstate/span.h>
#include <imapstate/state.h>
#include <imapstate/storable.h>
#include <imapstate/token.h>
#include <imapstate/version.h>
#include <imapstate/visit.h>

#endif
