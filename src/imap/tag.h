/* tag: what begins the tags of the gateway's own commands to an upstream.
 *
 * They are only in flight when none of the client's commands is, so they cannot be confused. The exception is the one
 * that goes ahead on a woken connection; a client's command with the same tag waits for it. */
#ifndef IMAP_TAG_H
#define IMAP_TAG_H

#define UPSTREAM_TAG "imapstate"

#endif
