#include "check.h"

#include "capability.h"
#include "sasl.h"

#include <stdlib.h>
#include <string.h>

/* As these servers said them, Debian 12, Dovecot with all its mechanisms on. */
#define DOVECOT_BEFORE                                                                                                 \
    "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ STARTTLS AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5 "          \
    "AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256 AUTH=XOAUTH2 AUTH=OAUTHBEARER"
#define DOVECOT_AFTER                                                                                                  \
    "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS "                \
    "THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED "        \
    "I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE "             \
    "SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW STATUS=SIZE SAVEDATE LITERAL+ NOTIFY METADATA"
#define CYRUS_BEFORE "IMAP4rev1 LITERAL+ ID ENABLE AUTH=PLAIN AUTH=LOGIN SASL-IR"
#define CYRUS_FIRST                                                                                                    \
    "IMAP4rev1 LITERAL+ ID ENABLE ACL ANNOTATE-EXPERIMENT-1 BINARY CATENATE CHILDREN CONDSTORE CREATE-SPECIAL-USE "    \
    "ESEARCH ESORT LIST-EXTENDED LIST-MYRIGHTS LIST-STATUS "
#define CYRUS_COMMON                                                                                                   \
    "METADATA MOVE MULTIAPPEND NAMESPACE "                                                                             \
    "OBJECTID PREVIEW QRESYNC QUOTA RIGHTS=kxten SAVEDATE SEARCH=FUZZY SORT SORT=DISPLAY SPECIAL-USE STATUS=SIZE "     \
    "THREAD=ORDEREDSUBJECT THREAD=REFERENCES UIDPLUS UNSELECT URLAUTH URLAUTH=BINARY WITHIN DIGEST=SHA1 "              \
    "LIST-METADATA NO_ATOMIC_RENAME SCAN SORT=MODSEQ SORT=UID THREAD=REFS X-CREATEDMODSEQ X-REPLICATION "              \
    "X-SIEVE-MAILBOX XLIST XMOVE "
#define CYRUS_QUOTA                                                                                                    \
    "X-QUOTA=STORAGE X-QUOTA=MESSAGE X-QUOTA=X-ANNOTATION-STORAGE X-QUOTA=X-NUM-FOLDERS IDLE APPENDLIMIT=4294967295"
#define CYRUS_AFTER CYRUS_FIRST "MAILBOX-REFERRALS " CYRUS_COMMON "LOGINDISABLED COMPRESS=DEFLATE " CYRUS_QUOTA
#define COURIER                                                                                                        \
    "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE ACL ACL2=UNION "     \
    "STARTTLS ENABLE UTF8=ACCEPT"

static const struct capability_view in_clear = { .is_before_login = true,
                                                 .offers_starttls = true,
                                                 .mechanisms = SASL_BITS };
static const struct capability_view in_clear_allowed = {
    .is_before_login = true, .offers_starttls = true, .may_login = true, .has_state = true, .mechanisms = SASL_BITS
};
static const struct capability_view before = {
    .is_before_login = true, .may_login = true, .has_state = true, .mechanisms = SASL_BITS
};
static const struct capability_view after = { .may_login = true, .has_state = true, .mechanisms = SASL_BITS };
static const struct capability_view after_in_clear = {
    .offers_starttls = true, .may_login = true, .has_state = true, .mechanisms = SASL_BITS
};
static const struct capability_view after_uncertain = { .may_login = true, .mechanisms = SASL_BITS };
static const struct capability_view before_plain_only = {
    .is_before_login = true, .may_login = true, .has_state = true, .mechanisms = SASL_BIT(SASL_PLAIN)
};
static const struct capability_view before_without_passwords = { .is_before_login = true,
                                                                 .may_login = true,
                                                                 .has_state = true,
                                                                 .mechanisms = SASL_BIT(SASL_SCRAM_SHA_256) |
                                                                               SASL_BIT(SASL_OAUTHBEARER) };
static const struct capability_view after_without_passwords = {
    .may_login = true, .has_state = true, .mechanisms = SASL_BIT(SASL_SCRAM_SHA_256) | SASL_BIT(SASL_OAUTHBEARER)
};
static const struct capability_view before_hiding = {
    .is_before_login = true, .may_login = true, .has_state = true, .hides_proofs = true, .mechanisms = SASL_BITS
};
static const struct capability_view after_hiding = {
    .may_login = true, .has_state = true, .hides_proofs = true, .mechanisms = SASL_BITS
};
static const struct capability_view before_hiding_without_passwords = { .is_before_login = true,
                                                                        .may_login = true,
                                                                        .has_state = true,
                                                                        .hides_proofs = true,
                                                                        .mechanisms = SASL_BIT(SASL_SCRAM_SHA_256) |
                                                                                      SASL_BIT(SASL_OAUTHBEARER) };
static const struct capability_view before_compat = {
    .is_before_login = true, .may_login = true, .has_ximapproxy = true, .mechanisms = SASL_BITS
};
static const struct capability_view after_compat = { .may_login = true,
                                                     .has_ximapproxy = true,
                                                     .mechanisms = SASL_BITS };
static const struct capability_view before_compress = {
    .is_before_login = true, .may_login = true, .has_state = true, .has_compress = true, .mechanisms = SASL_BITS
};
static const struct capability_view after_compress = {
    .may_login = true, .has_state = true, .has_compress = true, .mechanisms = SASL_BITS
};
static const struct capability_view in_clear_compat = {
    .is_before_login = true, .offers_starttls = true, .has_ximapproxy = true, .mechanisms = SASL_BITS
};

static const struct capability_view before_languages = {
    .is_before_login = true, .may_login = true, .has_state = true, .has_language = true, .mechanisms = SASL_BITS
};
static const struct capability_view in_clear_languages = {
    .is_before_login = true, .offers_starttls = true, .has_language = true, .mechanisms = SASL_BITS
};
static const struct capability_view after_languages = {
    .may_login = true, .has_state = true, .has_language = true, .mechanisms = SASL_BITS
};

static const struct {
    const char *name;
    const char *names;
    const struct capability_view *view;
    const char *want;
} rewrites[] = {
    { "Dovecot's list, TLS", DOVECOT_BEFORE, &before,
      "IMAP4rev1 SASL-IR ID ENABLE IDLE LITERAL+ AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5 AUTH=SCRAM-SHA-1 "
      "AUTH=SCRAM-SHA-256 AUTH=XOAUTH2 AUTH=OAUTHBEARER STATE" },
    { "Dovecot's list, in clear where TLS is demanded", DOVECOT_BEFORE, &in_clear,
      "IMAP4rev1 ID ENABLE IDLE LITERAL+ STARTTLS LOGINDISABLED" },
    { "Dovecot's list, in clear where TLS is offered", DOVECOT_BEFORE, &in_clear_allowed,
      "IMAP4rev1 SASL-IR ID ENABLE IDLE LITERAL+ AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5 AUTH=SCRAM-SHA-1 "
      "AUTH=SCRAM-SHA-256 AUTH=XOAUTH2 AUTH=OAUTHBEARER STARTTLS STATE" },
    { "Dovecot's list after login", DOVECOT_AFTER, &after,
      "IMAP4rev1 SASL-IR ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS THREAD=ORDEREDSUBJECT "
      "MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE "
      "QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY PREVIEW=FUZZY "
      "PREVIEW STATUS=SIZE SAVEDATE LITERAL+ NOTIFY METADATA STATE" },
    { "Cyrus' short list", CYRUS_BEFORE, &before, "IMAP4rev1 LITERAL+ ID ENABLE AUTH=PLAIN AUTH=LOGIN SASL-IR STATE" },
    { "Cyrus' list after login, LOGINDISABLED in it", CYRUS_AFTER, &after,
      CYRUS_FIRST CYRUS_COMMON CYRUS_QUOTA " STATE" },
    { "Courier's only list, before login", COURIER, &before,
      "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE ACL ACL2=UNION "
      "ENABLE UTF8=ACCEPT LITERAL+ STATE" },
    { "Courier's only list, after login", COURIER, &after_in_clear,
      "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE ACL ACL2=UNION "
      "ENABLE UTF8=ACCEPT LITERAL+ STATE" },
    { "no STATE for whom it is not offered", "IMAP4rev1 STATE IDLE", &after_uncertain, "IMAP4rev1 IDLE LITERAL+" },
    { "an upstream's STATE is replaced by ours", "IMAP4rev1 STATE IDLE", &after, "IMAP4rev1 IDLE LITERAL+ STATE" },
    { "in any case", "IMAP4rev1 State idle", &after, "IMAP4rev1 idle LITERAL+ STATE" },
    { "a word that only begins with STATE stays", "IMAP4rev1 STATEMENT STATUS=SIZE", &after,
      "IMAP4rev1 STATEMENT STATUS=SIZE LITERAL+ STATE" },
    { "-PLUS mechanisms cannot pass", "IMAP4rev1 AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1-PLUS",
      &before, "IMAP4rev1 AUTH=SCRAM-SHA-256 LITERAL+ STATE" },
    { "nor those that authenticate the gateway or add a layer",
      "IMAP4rev1 AUTH=EXTERNAL AUTH=GSSAPI AUTH=NTLM AUTH=DIGEST-MD5 AUTH=GS2-KRB5 AUTH=ANONYMOUS AUTH=PLAIN", &before,
      "IMAP4rev1 AUTH=PLAIN LITERAL+ STATE" },
    { "nor does an AUTH= without a name", "IMAP4rev1 AUTH= auth=plain", &before,
      "IMAP4rev1 auth=plain LITERAL+ STATE" },
    { "after login mechanisms are filtered too", "IMAP4rev1 UNAUTHENTICATE AUTH=EXTERNAL AUTH=PLAIN SASL-IR", &after,
      "IMAP4rev1 UNAUTHENTICATE AUTH=PLAIN SASL-IR LITERAL+ STATE" },
    { "COMPRESS cannot pass", "IMAP4rev1 COMPRESS=DEFLATE compress=deflate", &after, "IMAP4rev1 LITERAL+ STATE" },
    { "an upstream's LOGINDISABLED is not the client's", "IMAP4rev1 LOGINDISABLED STARTTLS", &before,
      "IMAP4rev1 LITERAL+ STATE" },
    { "our LANGUAGE where the upstream has none, before login", "IMAP4rev1 I18NLEVEL=1", &before_languages,
      "IMAP4rev1 I18NLEVEL=1 LITERAL+ LANGUAGE STATE" },
    { "behind what else is ours", "IMAP4rev1", &in_clear_languages,
      "IMAP4rev1 LITERAL+ STARTTLS LOGINDISABLED LANGUAGE" },
    { "and after login", "IMAP4rev1 I18NLEVEL=1", &after_languages, "IMAP4rev1 I18NLEVEL=1 LITERAL+ LANGUAGE STATE" },
    { "where the upstream has it, it is the upstream's", "IMAP4rev1 Language ID", &after_languages,
      "IMAP4rev1 Language ID LITERAL+ STATE" },
    { "which nobody could answer before login", "IMAP4rev1 Language ID", &before_languages,
      "IMAP4rev1 ID LITERAL+ STATE" },
    { "a word that only begins with LANGUAGE is another", "IMAP4rev1 LANGUAGES", &after_languages,
      "IMAP4rev1 LANGUAGES LITERAL+ LANGUAGE STATE" },
    { "LANGUAGE is not offered before login", "IMAP4rev1 LANGUAGE I18NLEVEL=2", &before,
      "IMAP4rev1 I18NLEVEL=2 LITERAL+ STATE" },
    { "but after it", "IMAP4rev1 LANGUAGE I18NLEVEL=2", &after, "IMAP4rev1 LANGUAGE I18NLEVEL=2 LITERAL+ STATE" },
    { "a word that occurs twice counts once", "IMAP4rev1 IDLE ID idle IMAP4REV1 ID", &after,
      "IMAP4rev1 IDLE ID LITERAL+ STATE" },
    { "odd spacing is mended", "  IMAP4rev1   IDLE\t\tID  ", &after, "IMAP4rev1 IDLE ID LITERAL+ STATE" },
    { "what could end a code or announce a literal goes", "IMAP4rev1 a]b X=(y) \"q\" IDLE {12}", &after,
      "IMAP4rev1 IDLE LITERAL+ STATE" },
    { "what is not ASCII is no capability", "IMAP4rev1 \xc3\xa9 IDLE", &after, "IMAP4rev1 IDLE LITERAL+ STATE" },
    { "only the mechanisms that the listener offers", "IMAP4rev1 AUTH=CRAM-MD5 auth=plain AUTH=SCRAM-SHA-1 SASL-IR",
      &before_plain_only, "IMAP4rev1 auth=plain SASL-IR LITERAL+ STATE" },
    { "without a password's mechanism there is no LOGIN", DOVECOT_BEFORE, &before_without_passwords,
      "IMAP4rev1 SASL-IR ID ENABLE IDLE LITERAL+ AUTH=SCRAM-SHA-256 AUTH=OAUTHBEARER LOGINDISABLED STATE" },
    { "after login it does not matter", "IMAP4rev1 AUTH=PLAIN AUTH=SCRAM-SHA-256 LOGINDISABLED",
      &after_without_passwords, "IMAP4rev1 AUTH=SCRAM-SHA-256 LITERAL+ STATE" },
    { "what parking cannot match is hidden", DOVECOT_BEFORE, &before_hiding,
      "IMAP4rev1 SASL-IR ID ENABLE IDLE LITERAL+ AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER STATE" },
    { "in a list after login too", "IMAP4rev1 AUTH=CRAM-MD5 AUTH=PLAIN", &after_hiding,
      "IMAP4rev1 AUTH=PLAIN LITERAL+ STATE" },
    { "wherever in the list a password's way stands", "IMAP4rev1 AUTH=SCRAM-SHA-512 auth=login", &before_hiding,
      "IMAP4rev1 auth=login LITERAL+ STATE" },
    { "but not where a password has no other way", "IMAP4rev1 AUTH=CRAM-MD5 AUTH=SCRAM-SHA-1", &before_hiding,
      "IMAP4rev1 AUTH=CRAM-MD5 AUTH=SCRAM-SHA-1 LITERAL+ STATE" },
    { "for which a bearer token's is none", "IMAP4rev1 AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=SCRAM-SHA-256",
      &before_hiding, "IMAP4rev1 AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=SCRAM-SHA-256 LITERAL+ STATE" },
    { "nor one that the listener does not take", "IMAP4rev1 AUTH=PLAIN AUTH=SCRAM-SHA-256 AUTH=OAUTHBEARER",
      &before_hiding_without_passwords, "IMAP4rev1 AUTH=SCRAM-SHA-256 AUTH=OAUTHBEARER LITERAL+ LOGINDISABLED STATE" },
    { "XIMAPPROXY in STATE's place before login", COURIER, &before_compat,
      "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE ACL ACL2=UNION "
      "ENABLE UTF8=ACCEPT LITERAL+ XIMAPPROXY" },
    { "and after it", "IMAP4rev1 STATE IDLE", &after_compat, "IMAP4rev1 IDLE LITERAL+ XIMAPPROXY" },
    { "and behind what else is ours", "IMAP4rev1 IDLE", &in_clear_compat,
      "IMAP4rev1 IDLE LITERAL+ STARTTLS LOGINDISABLED XIMAPPROXY" },
    { "an upstream's XIMAPPROXY goes", "IMAP4rev1 XIMAPPROXY ximapproxy IDLE", &after,
      "IMAP4rev1 IDLE LITERAL+ STATE" },
    { "or is replaced by ours", "IMAP4rev1 ximapproxy IDLE", &after_compat, "IMAP4rev1 IDLE LITERAL+ XIMAPPROXY" },
    { "an upstream's COMPRESS= goes", "IMAP4rev1 COMPRESS=DEFLATE compress=zstd IDLE", &after,
      "IMAP4rev1 IDLE LITERAL+ STATE" },
    { "or is replaced by ours", "IMAP4rev1 compress=deflate IDLE", &after_compress,
      "IMAP4rev1 IDLE LITERAL+ STATE COMPRESS=DEFLATE" },
    { "which is for whoever has logged in", "IMAP4rev1 COMPRESS=DEFLATE IDLE", &before_compress,
      "IMAP4rev1 IDLE LITERAL+ STATE" },
    { "a word that only begins with XIMAPPROXY stays", "IMAP4rev1 XIMAPPROXY2", &after,
      "IMAP4rev1 XIMAPPROXY2 LITERAL+ STATE" },
    { "literals need not be waited for, be it said how it may", "IMAP4rev1 LITERAL- literal- IDLE", &after,
      "IMAP4rev1 IDLE LITERAL+ STATE" },
    { "nor where that is said already", "IMAP4rev1 literal+ LITERAL- IDLE", &after, "IMAP4rev1 literal+ IDLE STATE" },
    { "an empty list", "", &after, "LITERAL+ STATE" },
    { "an empty list, and nothing of ours", " ", &after_uncertain, "LITERAL+" },
};

TEST(p01_a_client_sees_the_list_of_the_upstream_with_state)
{
    for (size_t i = 0; i < ARRAY_LEN(rewrites); i++) {
        struct imapstate_buf got;
        imapstate_buf_init(&got, 65536);
        CHECK_ROW(rewrites[i].name, capability_rewrite(imapstate_span_of(rewrites[i].names), rewrites[i].view, &got));
        CHECK_SPAN(rewrites[i].name, imapstate_buf_span(&got), imapstate_span_of(rewrites[i].want));
        imapstate_buf_done(&got);
    }
}

TEST(a_list_rewritten_once_more_is_the_same)
{
    for (size_t i = 0; i < ARRAY_LEN(rewrites); i++) {
        struct imapstate_buf got;
        /* Before login a LANGUAGE that is there counts for the upstream's, which goes. */
        if (rewrites[i].view->is_before_login && rewrites[i].view->has_language)
            continue;
        imapstate_buf_init(&got, 65536);
        CHECK_ROW(rewrites[i].name, capability_rewrite(imapstate_span_of(rewrites[i].want), rewrites[i].view, &got));
        CHECK_SPAN(rewrites[i].name, imapstate_buf_span(&got), imapstate_span_of(rewrites[i].want));
        imapstate_buf_done(&got);
    }
}

TEST(a_list_is_appended_whole_or_not_at_all)
{
    const struct imapstate_span begin = IMAPSTATE_SPAN("* CAPABILITY ");

    for (size_t i = 0; i < ARRAY_LEN(rewrites); i++) {
        size_t want_len = strlen(rewrites[i].want);
        for (size_t room = 0; room <= want_len; room++) {
            struct imapstate_buf got;
            imapstate_buf_init(&got, begin.len + room);
            assert_true(imapstate_buf_put(&got, begin));
            bool fits = capability_rewrite(imapstate_span_of(rewrites[i].names), rewrites[i].view, &got);
            CHECK_ROW(rewrites[i].name, fits == (room == want_len));
            CHECK_ROW(rewrites[i].name, got.len == begin.len + (fits ? want_len : 0));
            CHECK_ROW(rewrites[i].name, memcmp(got.at, begin.at, begin.len) == 0);
            imapstate_buf_done(&got);
        }
    }
}

TEST(the_login_command_goes_with_the_mechanisms_of_passwords)
{
    for (enum sasl_id id = 0; id < SASL_ID_MAX; id++) {
        struct capability_view view = { .may_login = true, .mechanisms = SASL_BIT(id) };
        CHECK_ROW(sasl_get(id)->name, capability_may_use_login(&view) == (sasl_get(id)->passing == SASL_CONVERTED));
        view.may_login = false;
        CHECK_ROW(sasl_get(id)->name, !capability_may_use_login(&view));
    }
}

#define MECHANISMS_DOVECOT                                                                                             \
    (SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_LOGIN) | SASL_BIT(SASL_CRAM_MD5) | SASL_BIT(SASL_SCRAM_SHA_1) |              \
     SASL_BIT(SASL_SCRAM_SHA_256) | SASL_BIT(SASL_XOAUTH2) | SASL_BIT(SASL_OAUTHBEARER))

static const struct {
    const char *name;
    const char *names;
    struct capabilities want;
} parses[] = {
    { "Dovecot's list before login",
      DOVECOT_BEFORE,
      { .literal_plus = true, .sasl_ir = true, .id = true, .starttls = true, .mechanisms = MECHANISMS_DOVECOT } },
    { "Dovecot's list after login",
      DOVECOT_AFTER,
      { .literal_plus = true, .sasl_ir = true, .id = true, .binary = true, .unselect = true, .namespace = true } },
    { "Cyrus' list before login",
      CYRUS_BEFORE,
      { .literal_plus = true,
        .sasl_ir = true,
        .id = true,
        .mechanisms = SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_LOGIN) } },
    { "Cyrus' list after login",
      CYRUS_AFTER,
      { .literal_plus = true,
        .id = true,
        .binary = true,
        .unselect = true,
        .logindisabled = true,
        .namespace = true } },
    { "Courier's list", COURIER, { .starttls = true, .namespace = true } },
    { "LANGUAGE", "IMAP4rev1 language LANGUAGES", { .language = true } },
    { "LITERAL- and UNAUTHENTICATE", "LITERAL- UNAUTHENTICATE", { .literal_minus = true, .unauthenticate = true } },
    { "any case and odd spacing",
      "\t id  Auth=Scram-Sha-512 unselect ",
      { .id = true, .unselect = true, .mechanisms = SASL_BIT(SASL_SCRAM_SHA_512) } },
    { "IMAP4rev2 brings what it includes",
      "IMAP4rev2",
      { .literal_minus = true, .sasl_ir = true, .unselect = true, .namespace = true } },
    { "mechanisms that cannot pass are not there", "AUTH=EXTERNAL AUTH=SCRAM-SHA-1-PLUS AUTH=", { .id = false } },
    { "a mechanism without AUTH= is none", "PLAIN XAUTH=PLAIN", { .id = false } },
    { "parts of words are no words", "IDLE LITERAL++ XBINARY SASL-IRX", { .id = false } },
    { "an empty list", "", { .id = false } },
};

static bool capabilities_equal(const struct capabilities *a, const struct capabilities *b)
{
    return a->literal_plus == b->literal_plus && a->literal_minus == b->literal_minus && a->binary == b->binary &&
           a->sasl_ir == b->sasl_ir && a->id == b->id && a->starttls == b->starttls &&
           a->logindisabled == b->logindisabled && a->unauthenticate == b->unauthenticate &&
           a->unselect == b->unselect && a->language == b->language && a->namespace == b->namespace &&
           a->mechanisms == b->mechanisms;
}

TEST(what_the_gateway_acts_on_is_read_from_the_list)
{
    for (size_t i = 0; i < ARRAY_LEN(parses); i++) {
        struct capabilities got;
        memset(&got, 0xff, sizeof got);
        capability_parse(imapstate_span_of(parses[i].names), &got);
        CHECK_ROW(parses[i].name, capabilities_equal(&got, &parses[i].want));
    }
}

static const struct {
    const char *name;
    const char *line;
    const char *want; /* NULL: there is no list */
} finds[] = {
    { "an untagged list", "* CAPABILITY IMAP4rev1 IDLE\r\n", "IMAP4rev1 IDLE" },
    { "in any case", "* Capability IMAP4rev1 IDLE\r\n", "IMAP4rev1 IDLE" },
    { "with a bare LF", "* CAPABILITY IMAP4rev1\n", "IMAP4rev1" },
    { "with odd spacing", "*  CAPABILITY   IMAP4rev1  IDLE  \r\n", "IMAP4rev1  IDLE" },
    { "Dovecot's greeting", "* OK [CAPABILITY IMAP4rev1 ID] Dovecot (Debian) ready.\r\n", "IMAP4rev1 ID" },
    { "a PREAUTH greeting", "* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n", "IMAP4rev1" },
    { "a code in the answer to a login", "a1 OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n", "IMAP4rev1 IDLE" },
    { "a code without text", "a1 OK [CAPABILITY IMAP4rev1]\r\n", "IMAP4rev1" },
    { "a code in any case", "a1 ok [capability IMAP4rev1 ] x\r\n", "IMAP4rev1" },
    { "a code in a NO", "a1 NO [CAPABILITY IMAP4rev1] not now\r\n", "IMAP4rev1" },
    { "a code ends at the first bracket", "* OK [CAPABILITY A B] see [CAPABILITY C]\r\n", "A B" },
    { "but for one in quotes", "* OK [CAPABILITY A X=\"]\" B] x\r\n", "A X=\"]\" B" },
    { "two SP in the status", "a1  OK  [CAPABILITY A B] x\r\n", "A B" },
    { "a tag may be any word", "CAPABILITY OK [CAPABILITY A] x\r\n", "A" },
    { "text that holds a list is none", "* OK see [CAPABILITY A] there\r\n", NULL },
    { "text behind another code is none", "* OK [ALERT] [CAPABILITY A] x\r\n", NULL },
    { "a code that does not end is none", "* OK [CAPABILITY A B\r\n", NULL },
    { "nor one without a name", "* OK [CAPABILITY] x\r\n", NULL },
    { "nor one without a space", "* OK [CAPABILITYA] x\r\n", NULL },
    { "nor another code", "* OK [UIDNEXT 7] x\r\n", NULL },
    { "an empty list is none", "* CAPABILITY\r\n", NULL },
    { "nor is one of spaces", "* CAPABILITY  \r\n", NULL },
    { "a tagged CAPABILITY is no response", "a1 CAPABILITY IMAP4rev1\r\n", NULL },
    { "a continuation is no status response", "+ OK [CAPABILITY A] x\r\n", NULL },
    { "data that holds a list is none", "* LIST () \"/\" [CAPABILITY A]\r\n", NULL },
    { "a list of capabilities that are on", "* ENABLED CAPABILITY A\r\n", NULL },
    { "a leading space", " * CAPABILITY A\r\n", NULL },
    { "only a star", "*\r\n", NULL },
    { "an empty line", "\r\n", NULL },
    { "nothing", "", NULL },
};

TEST(a_list_is_found_where_it_can_stand_and_only_there)
{
    for (size_t i = 0; i < ARRAY_LEN(finds); i++) {
        struct imapstate_span line = imapstate_span_of(finds[i].line), names = { NULL, 0 };
        bool is_found = capability_find(line, &names);
        CHECK_ROW(finds[i].name, is_found == (finds[i].want != NULL));
        if (!is_found)
            continue;
        CHECK_SPAN(finds[i].name, names, imapstate_span_of(finds[i].want));
        CHECK_ROW(finds[i].name, names.at >= line.at && names.at + names.len <= line.at + line.len);
    }
}

TEST(what_could_be_read_as_something_else_is_left_out)
{
    static const struct {
        const char *name;
        struct imapstate_span names;
        const char *want;
    } rows[] = {
        { "blanks", IMAPSTATE_SPAN("\tIMAP4rev1 \t ID  "), "IMAP4rev1 ID LITERAL+" },
        { "a quoted string", IMAPSTATE_SPAN("IMAP4rev1 X=\"]\""), "IMAP4rev1 LITERAL+" },
        { "the end of a code", IMAPSTATE_SPAN("IMAP4rev1 X] ID"), "IMAP4rev1 ID LITERAL+" },
        { "a bracket that opens", IMAPSTATE_SPAN("IMAP4rev1 X[ ID"), "IMAP4rev1 ID LITERAL+" },
        { "a literal", IMAPSTATE_SPAN("IMAP4rev1 {3}"), "IMAP4rev1 LITERAL+" },
        { "a control",
          IMAPSTATE_SPAN("IMAP4rev1 I\x01"
                         "D I\0D ID"),
          "IMAP4rev1 ID LITERAL+" },
        { "8-bit octets", IMAPSTATE_SPAN("IMAP4rev1 \xc3\xa4 ID\xff"), "IMAP4rev1 LITERAL+" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct capability_view view = { 0 };
        struct imapstate_buf list;
        imapstate_buf_init(&list, 256);
        CHECK_ROW(rows[i].name, capability_rewrite(rows[i].names, &view, &list));
        CHECK_SPAN(rows[i].name, imapstate_buf_span(&list), imapstate_span_of(rows[i].want));
        imapstate_buf_done(&list);
    }
}

/* On memory of the exact size, so that a sanitizer sees a read behind the end. */
TEST(a_line_that_is_cut_gives_no_name_that_was_not_in_it)
{
    for (size_t i = 0; i < ARRAY_LEN(finds); i++)
        for (size_t len = 1; len < strlen(finds[i].line); len++) {
            uint8_t *cut = malloc(len);
            assert_non_null(cut);
            memcpy(cut, finds[i].line, len);
            struct imapstate_span names;
            bool is_found = capability_find((struct imapstate_span){ cut, len }, &names);
            CHECK_ROW(finds[i].name, !is_found || finds[i].want);
            if (is_found)
                CHECK_ROW(finds[i].name, memcmp(finds[i].want, names.at, names.len) == 0);
            free(cut);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p01_a_client_sees_the_list_of_the_upstream_with_state),
        cmocka_unit_test(a_list_rewritten_once_more_is_the_same),
        cmocka_unit_test(a_list_is_appended_whole_or_not_at_all),
        cmocka_unit_test(the_login_command_goes_with_the_mechanisms_of_passwords),
        cmocka_unit_test(what_the_gateway_acts_on_is_read_from_the_list),
        cmocka_unit_test(a_list_is_found_where_it_can_stand_and_only_there),
        cmocka_unit_test(what_could_be_read_as_something_else_is_left_out),
        cmocka_unit_test(a_line_that_is_cut_gives_no_name_that_was_not_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
