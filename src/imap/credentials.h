/* credentials: what a client logs in with, read from its messages, and written for an upstream, which may accept them
 * in another form. No I/O. */
#ifndef IMAP_CREDENTIALS_H
#define IMAP_CREDENTIALS_H

#include "capability.h"
#include "sasl.h"
#include "way.h"

struct credentials {
    const struct sasl_mechanism *mechanism; /* static; NULL for the LOGIN command */
    struct sasl_identity identity;
    struct imapstate_buf given;         /* what the client has called the user, if that was changed; else empty */
    struct imapstate_buf first_message; /* the first message of a relayed mechanism, decoded; empty if the server speaks
                                         * first */
};

void credentials_init(struct credentials *credentials, const struct sasl_mechanism *mechanism);
void credentials_done(struct credentials *credentials); /* wipes */

/* How the client sent them: the mechanism's name, or "LOGIN". Static. */
const char *credentials_name(const struct credentials *credentials);

/* That of the mechanism; for the LOGIN command SASL_CONVERTED. */
enum sasl_passing credentials_passing(const struct credentials *credentials);

/* What the user, and whoever acts for him, is called at the upstream; acting is empty if nobody does. The first message
 * of a relayed mechanism says so too. False: this mechanism cannot say these names, or memory is out; then they are as
 * they were, or of no use. */
bool credentials_rename(struct credentials *credentials, struct imapstate_span user, struct imapstate_span acting);

/* AUTH=LOGIN: the next message will be the user, and one more follows. */
bool credentials_want_user(const struct credentials *credentials);

/* Reads the client's next message from its line (no line end; is_initial: sasl_decode()). Call it for the messages that
 * come before the upstream is asked, and for the one that answers CRAM-MD5's challenge. After an error nothing more can
 * be read. */
enum sasl_error credentials_read(struct credentials *credentials, struct imapstate_span line, bool is_initial);

/* What logs in to an upstream: the command, without its tag and the SP after that, then a part for each "+". */
#define CREDENTIALS_PARTS_MAX 3
struct credentials_parts {
    struct imapstate_buf part[CREDENTIALS_PARTS_MAX];
    uint8_t count;
};

enum credentials_result {
    CREDENTIALS_WRITTEN,
    CREDENTIALS_NOT_OFFERED, /* the upstream offers no way to use these */
    CREDENTIALS_TOO_LONG,    /* for a limit, or for the memory that is left */
};

/* The way by which the client sent its password; WAY_NONE: it sent none that could go another way. */
enum way credentials_own_way(const struct credentials *credentials);

/* offers: the upstream's, before login. way: way_choose()'s, for a password. ret_parts is written in any case; free it
 * with credentials_parts_done(). */
enum credentials_result credentials_write(const struct credentials *credentials, const struct capabilities *offers,
                                          enum way way, struct credentials_parts *ret_parts);

void credentials_parts_done(struct credentials_parts *parts); /* wipes; accepts all zero */

#endif
