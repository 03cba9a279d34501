/* record: what a server has answered to the ENABLEs that a session began with, and to a NAMESPACE among them. Another
 * session of the same user that begins in the same way can be answered from it, before it has a connection.
 *
 * Two ENABLEs with the same names, in any order and case, are the same. */
#ifndef IMAP_RECORD_H
#define IMAP_RECORD_H

#include <imapstate/span.h>

/* Octets of names, asked for and answered, in one record. */
#define RECORD_MAX 1024u

struct record;

struct record *record_new(void);         /* NULL: out of memory */
void record_free(struct record *record); /* accepts NULL */

/* All but what was heard for the command in flight. NULL: out of memory. */
struct record *record_copy(const struct record *record);

/* Has an ENABLE been answered? record may be NULL. */
bool record_is_empty(const struct record *record);

/* Were the same ENABLEs answered alike? */
bool record_begins_alike(const struct record *record, const struct record *other);

/* What the untagged ENABLED says that came for the ENABLE in flight: its names. The other forgets it: another ENABLE is
 * in flight now. */
void record_hear(struct record *record, struct imapstate_span names);
void record_forget_heard(struct record *record);

/* The ENABLE with these names was answered OK, with what was heard. False: it does not fit, or out of memory; then
 * the record says nothing of how a session went on, and is of no more use. */
bool record_add(struct record *record, struct imapstate_span request);

enum record_answer {
    RECORD_UNKNOWN, /* no session that began so is on record */
    RECORD_SILENT,  /* there was no ENABLED */
    RECORD_ENABLED, /* the names it had were appended to ret_names */
};

/* What was answered to a session that began as told says (NULL: it has just begun), when it sent this ENABLE. */
enum record_answer record_look_up(const struct record *record, const struct record *told, struct imapstate_span request,
                                  struct imapstate_buf *ret_names);

/* The only command in flight is NAMESPACE, and this untagged response came, a whole line; another NAMESPACE is in
 * flight now, and it is forgotten; it was answered OK. What is too long is not kept. A later answer in the same state
 * takes its place; one in another is not kept. */
void record_hear_namespace(struct record *record, struct imapstate_span line);
void record_forget_heard_namespace(struct record *record);
void record_add_namespace(struct record *record);

/* What was answered to NAMESPACE in a session that was then as told says. False: that is not on record. */
bool record_namespace(const struct record *record, const struct record *told, struct imapstate_buf *ret_line);

/* Is it on record what was answered to this ENABLE, or with NULL to NAMESPACE, in a session that was as told says? */
bool record_knows(const struct record *record, const struct record *told, const struct imapstate_span *enable);

#endif
