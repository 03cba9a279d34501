/* evidence: what a server's response shows to be on, whoever switched it on. A connection is only handed on, and a
 * token only restored, if the record accounts for everything that was seen. No I/O. */
#ifndef IMAP_EVIDENCE_H
#define IMAP_EVIDENCE_H

#include <imapstate/state.h>

#include "pipeline.h"

/* The response that proves a storable command of a kind that has one: ENABLED, LANGUAGE, COMPARATOR (storable.h). */
#define EVIDENCE_OF_KIND(kind) (1u << ((kind)-1))

enum evidence {
    EVIDENCE_ENABLED = EVIDENCE_OF_KIND(IMAPSTATE_ENTRY_ENABLE),
    EVIDENCE_LANGUAGE = EVIDENCE_OF_KIND(IMAPSTATE_ENTRY_LANGUAGE),
    EVIDENCE_COMPARATOR = EVIDENCE_OF_KIND(IMAPSTATE_ENTRY_COMPARATOR),
    EVIDENCE_STATUS = 8,     /* STATUS: without a command for it, it is NOTIFY's (RFC 5465 section 5) */
    EVIDENCE_METADATA = 16,  /* METADATA: the same, or that of ENABLE METADATA (RFC 5464 section 4.4.2) */
    EVIDENCE_VANISHED = 32,  /* QRESYNC (RFC 7162 section 3.2.10), or UIDONLY */
    EVIDENCE_MODSEQ = 64,    /* FETCH with MODSEQ: CONDSTORE (RFC 7162 section 3.2) */
    EVIDENCE_UIDFETCH = 128, /* UIDONLY (RFC 9586 section 3.3) */
    EVIDENCE_OVERFLOW = 256, /* [NOTIFICATIONOVERFLOW]: NOTIFY was on, and is off (RFC 5465 section 5.8) */
};

/* What the first line of a response, or the part of it that has arrived, shows; 0 if nothing. In a part that may be cut
 * anywhere after its name only the name counts, except for FETCH. */
unsigned evidence_read(struct imapstate_span line);

/* The evidence without what answers a command in flight. pipeline: the client's commands. */
unsigned evidence_unasked(unsigned evidence, const struct pipeline *pipeline);

/* Is all of it something that a connection in this state says unasked? state may be NULL: pristine. */
bool evidence_is_accounted(unsigned evidence, const struct imapstate_state *state);

/* Do names, separated by SP, switch this one on, either directly or because another one implies it (RFC 7162 section
 * 3.2.3: QRESYNC implies CONDSTORE, whether or not the server says so)? */
bool evidence_names_enable(struct imapstate_span names, struct imapstate_span name);

/* Has the state this name enabled? */
bool evidence_has_enabled(const struct imapstate_state *state, struct imapstate_span name);

#endif
