/* tag: what begins the tags of the gateway's own commands to an upstream.
 *
 * They are in flight only when none of the client's is, so they cannot be taken for one another; but for the one that
 * goes ahead on a woken connection, for which a command of the client's with the same tag waits. */
#ifndef IMAP_TAG_H
#define IMAP_TAG_H

#define UPSTREAM_TAG "imapstate"

#endif
