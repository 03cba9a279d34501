#include "wording.h"

#include <string.h>

#include "catalogue.h"
#include "response.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* What a tagged OK without a code says, by the command that it answers. Not here:
 *
 *   COMPRESS, LOGOUT, SAVESTATE,       the gateway answers them itself
 *   STARTTLS, STATE, UNAUTHENTICATE
 *   COMPARATOR, LANGUAGE               they set something or ask, and OK does not tell which
 *   COPY, MOVE                         Dovecot says OK too if there is none of the messages
 *   STORE                              Dovecot says OK too if it ignores it, in a mailbox that is read-only */
static const struct {
    const char *command;
    const char *text;
} wording_commands[] = {
    /* clang-format off */
    /* TRANSLATORS: the answer to APPEND, which puts a message into a mailbox. */
    { "APPEND",         N_("Append completed.") },
    { "AUTHENTICATE",   N_("Logged in.") },
    /* TRANSLATORS: the client no longer wants to hear how the result of a search changes. */
    { "CANCELUPDATE",   N_("Search updates cancelled.") },
    { "CAPABILITY",     N_("Capability completed.") },
    /* TRANSLATORS: the answer to CHECK, by which a server does what housekeeping it likes. */
    { "CHECK",          N_("Check completed.") },
    { "CLOSE",          N_("Mailbox closed.") },
    { "CONVERSIONS",    N_("Conversions listed.") },
    { "CONVERT",        N_("Conversion completed.") },
    { "CREATE",         N_("Mailbox created.") },
    { "DELETE",         N_("Mailbox deleted.") },
    { "DELETEACL",      N_("Access rights changed.") },
    { "ENABLE",         N_("Enable completed.") },
    { "ESEARCH",        N_("Search completed.") },
    { "EXAMINE",        N_("Mailbox opened, read-only.") },
    /* TRANSLATORS: the answer to EXPUNGE, which removes messages that are marked as deleted. */
    { "EXPUNGE",        N_("Expunge completed.") },
    /* TRANSLATORS: the answer to FETCH, which gives messages or parts of them. */
    { "FETCH",          N_("Fetch completed.") },
    { "GENURLAUTH",     N_("URLs listed.") },
    { "GETACL",         N_("Access rights listed.") },
    { "GETANNOTATION",  N_("Annotations listed.") },
    { "GETJMAPACCESS",  N_("JMAP access listed.") },
    { "GETMETADATA",    N_("Metadata listed.") },
    { "GETQUOTA",       N_("Quotas listed.") },
    { "GETQUOTAROOT",   N_("Quotas listed.") },
    { "ID",             N_("ID completed.") },
    /* TRANSLATORS: the answer to IDLE, by which a client waits for news. */
    { "IDLE",           N_("Idle completed.") },
    { "LIST",           N_("Mailboxes listed.") },
    { "LISTRIGHTS",     N_("Access rights listed.") },
    { "LOGIN",          N_("Logged in.") },
    { "LSUB",           N_("Mailboxes listed.") },
    { "MYRIGHTS",       N_("Access rights listed.") },
    { "NAMESPACE",      N_("Namespaces listed.") },
    { "NOOP",           N_("NOOP completed.") },
    /* TRANSLATORS: the answer to NOTIFY, by which a client says what it wants to hear of. */
    { "NOTIFY",         N_("Notify completed.") },
    { "RENAME",         N_("Mailbox renamed.") },
    { "REPLACE",        N_("Message replaced.") },
    /* TRANSLATORS: the keys by which a mailbox's URLs are authorized. */
    { "RESETKEY",       N_("Keys changed.") },
    { "RLIST",          N_("Mailboxes listed.") },
    { "RLSUB",          N_("Mailboxes listed.") },
    { "SEARCH",         N_("Search completed.") },
    { "SELECT",         N_("Mailbox opened.") },
    { "SETACL",         N_("Access rights changed.") },
    { "SETANNOTATION",  N_("Annotations changed.") },
    { "SETMETADATA",    N_("Metadata changed.") },
    { "SETQUOTA",       N_("Quota changed.") },
    { "SORT",           N_("Sort completed.") },
    { "STATUS",         N_("Status completed.") },
    { "SUBSCRIBE",      N_("Mailbox subscribed.") },
    /* TRANSLATORS: threads: messages that answer one another. */
    { "THREAD",         N_("Threads listed.") },
    { "UID CONVERT",    N_("Conversion completed.") },
    { "UID EXPUNGE",    N_("Expunge completed.") },
    { "UID FETCH",      N_("Fetch completed.") },
    { "UID REPLACE",    N_("Message replaced.") },
    { "UID SEARCH",     N_("Search completed.") },
    { "UID SORT",       N_("Sort completed.") },
    { "UID THREAD",     N_("Threads listed.") },
    /* TRANSLATORS: UIDs, cut into parts of a size that a client can cope with. */
    { "UIDBATCHES",     N_("UID batches listed.") },
    { "UNSELECT",       N_("Mailbox closed.") },
    { "UNSUBSCRIBE",    N_("Mailbox unsubscribed.") },
    { "URLFETCH",       N_("Fetch completed.") },
    { "XLIST",          N_("Mailboxes listed.") },
    /* clang-format on */
};

#define OK  (1u << STATUS_OK)
#define NO  (1u << STATUS_NO)
#define BAD (1u << STATUS_BAD)

/* Which responses a row of codes is about, where it is not those to one command. */
static const char TAGGED[] = "tagged", UNTAGGED[] = "untagged", EITHER[] = "either";

/* The code is data and changes nothing: the text is the one that the command has without it. */
static const char wording_as_without[] = "as without";

/* What a response with a code says, from RFC 9051 section 7.1, RFC 5530 and the extensions; the first row that fits
 * counts. Not here, so that the server's own words stay:
 *
 *   ALERT, PARSE, REFERRAL, NEWNAME    RFC 9051 section 7.1, RFC 3501, RFC 2221: the text is the message
 *   CANNOT, LIMIT, CLIENTBUG           the text says what is impossible, too much, or wrong
 *   CONTACTADMIN, SERVERBUG            the text is for the administrator, with the time, say, or the place of the log
 *   COMPRESSIONACTIVE                  the gateway answers COMPRESS itself
 *   NO and BAD without a code          only the text says why
 *   untagged OK without a code         may be anything ("Still here", "Searched 30% of the mailbox") */
static const struct {
    const char *code;      /* the words that it begins with */
    unsigned statuses;     /* a set */
    const char *responses; /* TAGGED, UNTAGGED, EITHER, or the command that a tagged one answers */
    const char *text;
} wording_codes[] = {
    /* clang-format off */
    { "ALREADYEXISTS",        NO,      "CREATE",      N_("The mailbox already exists.") },
    { "ALREADYEXISTS",        NO,      "RENAME",      N_("The mailbox already exists.") },
    /* TRANSLATORS: "This" is whatever the command names, here and in the next ones. */
    { "ALREADYEXISTS",        NO,      TAGGED,        N_("This already exists.") },
    { "ANNOTATE TOOBIG",      NO,      TAGGED,        N_("The annotation is too large.") },
    { "ANNOTATE TOOMANY",     NO,      TAGGED,        N_("There are too many annotations.") },
    { "ANNOTATIONS NONE",     OK,      UNTAGGED,      N_("The mailbox cannot have annotations.") },
    { "ANNOTATIONS",          OK,      UNTAGGED,      N_("Annotations that the mailbox can have.") },
    { "APPENDUID",            OK,      TAGGED,        wording_as_without },
    { "AUTHENTICATIONFAILED", NO,      TAGGED,        N_("Authentication failed.") },
    { "AUTHORIZATIONFAILED",  NO,      TAGGED,        N_("You may not act for this user.") },
    { "BADCHARSET",           NO,      TAGGED,        N_("The character set is not supported.") },
    { "BADCOMPARATOR",        NO,      TAGGED,        N_("The comparator is not supported.") },
    { "BADEVENT",             NO,      TAGGED,        N_("Some of the events are not supported.") },
    { "BADURL",               NO,      TAGGED,        N_("The URL cannot be used.") },
    { "CAPABILITY",           OK,      TAGGED,        wording_as_without },
    { "CLOSED",               OK,      UNTAGGED,      N_("The previous mailbox is closed.") },
    { "COPYUID",              OK,      UNTAGGED,      N_("UIDs of the messages in their new mailbox.") },
    { "COPYUID",              OK,      "COPY",        N_("Messages copied.") },
    { "COPYUID",              OK,      "MOVE",        N_("Messages moved.") },
    { "COPYUID",              OK,      "UID COPY",    N_("Messages copied.") },
    { "COPYUID",              OK,      "UID MOVE",    N_("Messages moved.") },
    { "CORRUPTION",           NO,      TAGGED,        N_("Data on the mail server is damaged.") },
    { "DOWNGRADED",           OK,      EITHER,        N_("Some messages are shown in a simplified form.") },
    { "EXPIRED",              NO,      TAGGED,        N_("The password has expired.") },
    { "EXPUNGEISSUED",        OK | NO, TAGGED,        N_("Some of the messages no longer exist.") },
    { "HASCHILDREN",          NO,      TAGGED,        N_("There are mailboxes below this one.") },
    { "HIGHESTMODSEQ",        OK,      UNTAGGED,      N_("Highest modification sequence.") },
    { "HIGHESTMODSEQ",        OK,      TAGGED,        wording_as_without },
    { "INPROGRESS",           OK,      UNTAGGED,      N_("The command is still running.") },
    { "INUSE",                NO,      TAGGED,        N_("This is in use elsewhere.") },
    { "MAILBOXID",            OK,      UNTAGGED,      N_("Identifier of the mailbox.") },
    { "MAILBOXID",            OK,      TAGGED,        wording_as_without },
    { "MAXCONVERTMESSAGES",   NO,      TAGGED,        N_("Too many messages to convert at once.") },
    { "MAXCONVERTPARTS",      NO,      TAGGED,        N_("Too many parts to convert at once.") },
    { "MESSAGELIMIT",         OK | NO, TAGGED,        N_("There are too many messages for one command.") },
    { "METADATA LONGENTRIES", OK,      TAGGED,        N_("Metadata listed, without entries that are too long.") },
    { "METADATA MAXSIZE",     NO,      TAGGED,        N_("The metadata is too large.") },
    { "METADATA NOPRIVATE",   NO,      TAGGED,        N_("Private metadata is not supported.") },
    { "METADATA TOOMANY",     NO,      TAGGED,        N_("There are too many metadata entries.") },
    { "MODIFIED",             OK | NO, TAGGED,        N_("Some messages were changed in the meantime and were left as they are.") },
    { "NOMODSEQ",             OK,      UNTAGGED,      N_("The mailbox keeps no modification sequences.") },
    { "NONEXISTENT",          NO,      "DELETE",      N_("The mailbox does not exist.") },
    { "NONEXISTENT",          NO,      "EXAMINE",     N_("The mailbox does not exist.") },
    { "NONEXISTENT",          NO,      "RENAME",      N_("The mailbox does not exist.") },
    { "NONEXISTENT",          NO,      "SELECT",      N_("The mailbox does not exist.") },
    { "NONEXISTENT",          NO,      "STATUS",      N_("The mailbox does not exist.") },
    { "NONEXISTENT",          NO,      TAGGED,        N_("This does not exist.") },
    { "NOPERM",               NO,      TAGGED,        N_("You do not have permission for this.") },
    { "NOTIFICATIONOVERFLOW", OK,      UNTAGGED,      N_("Too many notifications; no more will be sent.") },
    { "NOTSAVED",             NO,      TAGGED,        N_("The search result was not saved.") },
    { "NOUPDATE",             NO,      UNTAGGED,      N_("The search will not be kept up to date.") },
    { "OVERQUOTA",            NO,      TAGGED,        N_("The quota does not allow this.") },
    { "OVERQUOTA",            NO,      UNTAGGED,      N_("The quota is exceeded.") },
    { "PERMANENTFLAGS ()",    OK,      UNTAGGED,      N_("No flags are kept.") },
    { "PERMANENTFLAGS",       OK,      UNTAGGED,      N_("Flags that are kept.") },
    { "PRIVACYREQUIRED",      NO,      TAGGED,        N_("This requires an encrypted connection.") },
    { "READ-ONLY",            OK,      "EXAMINE",     N_("Mailbox opened, read-only.") },
    { "READ-ONLY",            OK,      "SELECT",      N_("Mailbox opened, read-only.") },
    { "READ-ONLY",            OK,      UNTAGGED,      N_("The mailbox is now read-only.") },
    { "READ-WRITE",           OK,      "SELECT",      wording_as_without },
    { "READ-WRITE",           OK,      UNTAGGED,      N_("The mailbox can now be changed.") },
    { "TEMPFAIL",             NO,      "CONVERT",     N_("The conversion is not possible at the moment.") },
    { "TEMPFAIL",             NO,      "UID CONVERT", N_("The conversion is not possible at the moment.") },
    { "TOOBIG",               NO,      TAGGED,        N_("The message would be too large.") },
    { "TRYCREATE",            NO,      TAGGED,        N_("The mailbox does not exist, but can be created.") },
    { "UIDNEXT",              OK,      UNTAGGED,      N_("Next UID.") },
    { "UIDNOTSTICKY",         OK | NO, UNTAGGED,      N_("The mailbox does not keep its UIDs.") },
    { "UIDREQUIRED",          BAD,     TAGGED,        N_("Messages must be identified by their UIDs.") },
    { "UIDVALIDITY",          OK,      UNTAGGED,      N_("UIDs are valid.") },
    { "UNAVAILABLE",          NO,      TAGGED,        N_("Temporarily unavailable; try again later.") },
    { "UNDEFINED-FILTER",     NO,      TAGGED,        N_("The filter does not exist.") },
    { "UNKNOWN-CTE",          NO,      TAGGED,        N_("The content transfer encoding is unknown.") },
    { "UNSEEN",               OK,      UNTAGGED,      N_("First unseen message.") },
    /* TRANSLATORS: a list follows or precedes, of mechanisms that make URLs usable without a login. */
    { "URLMECH",              OK,      UNTAGGED,      N_("Ways to authorize URLs.") },
    { "URLMECH",              OK,      "RESETKEY",    wording_as_without },
    { "USEATTR",              NO,      TAGGED,        N_("The special use is not possible.") },
    /* clang-format on */
};

static bool wording_is_about(const char *responses, const struct imapstate_command *command)
{
    if (responses == EITHER)
        return true;
    if (!command)
        return responses == UNTAGGED;
    return responses == TAGGED || strcmp(responses, command->name) == 0;
}

static const char *wording_of_code(const struct imapstate_command *command, enum status_word status,
                                   struct imapstate_span code)
{
    for (size_t i = 0; i < ARRAY_LEN(wording_codes); i++)
        if (imapstate_response_is_code(code, wording_codes[i].code, NULL) && wording_codes[i].statuses & 1u << status &&
            wording_is_about(wording_codes[i].responses, command))
            return wording_codes[i].text;
    return NULL;
}

static const char *wording_of_command(const struct imapstate_command *command)
{
    for (size_t i = 0; command && i < ARRAY_LEN(wording_commands); i++)
        if (strcmp(command->name, wording_commands[i].command) == 0)
            return wording_commands[i].text;
    return NULL;
}

const char *wording_find(unsigned language, const struct imapstate_command *command, enum status_word status,
                         struct imapstate_span code)
{
    const char *msgid = code.len > 0 ? wording_of_code(command, status, code) : wording_as_without;
    if (msgid == wording_as_without)
        msgid = status == STATUS_OK ? wording_of_command(command) : NULL;
    return msgid ? catalogue_text(language, msgid) : NULL;
}
