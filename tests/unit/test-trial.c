#include "check.h"

#include "certificate.h"
#include "trial.h"

#include <errno.h>

#include "scripted.h"

#include <imapstate/visit.h>

static struct transcript transcript;

/* Parts of scripts. The greeting's list is the one before login. */
#define GREETING   "< * OK [CAPABILITY IMAP4rev1] hi\n"
#define LOGIN      "> LOGIN \"ann\" \"secret\"\n< $ OK in\n"
#define LIST(more) "> CAPABILITY\n< * CAPABILITY IMAP4rev1" more "\n< $ OK x\n"
#define EXTENDED   " ID ENABLE CONDSTORE QRESYNC NAMESPACE LANGUAGE NOTIFY"
#define ID         "> ID (\"name\" \"imapstatectl\"\n< * ID NIL\n< $ OK x\n"
#define ENABLE     "> ENABLE CONDSTORE QRESYNC\n< * ENABLED QRESYNC\n< * OK [STATECMD $] x\n< $ OK x\n"
#define NAMESPACE  "> NAMESPACE\n< * NAMESPACE NIL NIL NIL\n< $ OK x\n"
#define LANGUAGE   "> LANGUAGE i-default\n< $ NO x\n"
#define NOTIFY     "> NOTIFY SET (selected\n< * OK [STATECMD $] x\n< $ OK x\n"
#define SET_UP     ID ENABLE NAMESPACE LANGUAGE NOTIFY
#define STATE      "> STATE\n< $ OK fresh\n"
#define SAVESTATE  "> SAVESTATE\n< * SAVESTATE TOKEN\n< $ OK x\n"
#define EXAMINE    "> EXAMINE INBOX\n< $ OK x\n"
#define BYE        "> LOGOUT\n< * BYE x\n< $ OK x\n"
#define END        BYE "---\n"
#define SAVED      GREETING LOGIN LIST(" STATE" EXTENDED) STATE SET_UP SAVESTATE END
/* Login, STATE with the token and EXAMINE come in one write. */
#define RESTORED_BY(answer)                                                                                            \
    GREETING "> LOGIN \"ann\" \"secret\"\n< $ OK in\n> STATE TOKEN\n" answer "> EXAMINE INBOX\n< $ OK x\n"
#define WITHOUT GREETING LOGIN LIST(" STATE" EXTENDED) SET_UP EXAMINE END

static const struct {
    const char *name, *script;
    enum trial_result want;
    const char *error, *refusal;
    const char *restored, *not_stored;
    unsigned round_trips[TRIAL_SESSIONS];
} rows[] = {
    { "it restores",
      SAVED RESTORED_BY("< * STATE TOKEN\n< $ OK restored\n") END WITHOUT,
      TRIAL_RESTORED,
      "",
      "",
      "ENABLE, NOTIFY",
      "ID, NAMESPACE, LANGUAGE",
      { 9, 1, 8 } },
    { "nothing is stored, as nothing is offered",
      GREETING LOGIN LIST(" STATE") STATE SAVESTATE END RESTORED_BY("< * STATE TOKEN\n< $ OK x\n")
          END GREETING LOGIN LIST(" STATE") EXAMINE END,
      TRIAL_RESTORED,
      "",
      "",
      "",
      "",
      { 4, 1, 3 } },
    { "no STATE", GREETING LOGIN LIST(EXTENDED) SET_UP EXAMINE BYE, TRIAL_NO_STATE, "", "", "", "", { 0, 0, 8 } },
    { "ENABLE of what there is",
      GREETING LOGIN LIST(" ENABLE CONDSTORE") "> ENABLE CONDSTORE\n< $ OK x\n" EXAMINE BYE,
      TRIAL_NO_STATE,
      "",
      "",
      "",
      "",
      { 0, 0, 4 } },
    { "a server that says BYE and closes",
      GREETING LOGIN LIST("") EXAMINE "> LOGOUT\n< * BYE x",
      TRIAL_NO_STATE,
      "",
      "",
      "",
      "",
      { 0, 0, 3 } },
    { "no list in the greeting",
      "< * OK hi\n" LIST("") LOGIN LIST("") EXAMINE BYE,
      TRIAL_NO_STATE,
      "",
      "",
      "",
      "",
      { 0, 0, 4 } },
    { "the login is refused",
      GREETING "> LOGIN \"ann\" \"secret\"\n< $ NO [AUTHENTICATIONFAILED] bad\nZ",
      TRIAL_FAILED,
      "the login was refused",
      "NO [AUTHENTICATIONFAILED] bad",
      "",
      "",
      { 0 } },
    { "there is no way to log in",
      "< * OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2] hi\nZ",
      TRIAL_FAILED,
      "the server accepts no unencrypted passwords: leave out --plain, or use --starttls",
      "",
      "",
      "",
      { 0 } },
    { "by PLAIN, which is asked for",
      "< * OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN] hi\n> AUTHENTICATE PLAIN\n< + \n= AGFubgBzZWNyZXQ=\n"
      "< $ OK x\n" LIST("") EXAMINE BYE,
      TRIAL_NO_STATE,
      "",
      "",
      "",
      "",
      { 0, 0, 4 } },
    { "by PLAIN at once",
      "< * OK [CAPABILITY IMAP4rev1 LOGINDISABLED SASL-IR AUTH=PLAIN] hi\n> AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=\n"
      "< $ OK x\n" LIST("") EXAMINE BYE,
      TRIAL_NO_STATE,
      "",
      "",
      "",
      "",
      { 0, 0, 3 } },
    { "AUTHENTICATE is refused",
      "< * OK [CAPABILITY LOGINDISABLED AUTH=PLAIN] hi\n> AUTHENTICATE PLAIN\n< $ NO no\nZ",
      TRIAL_FAILED,
      "the server refuses AUTHENTICATE",
      "NO no",
      "",
      "",
      { 0 } },
    { "STATE is refused",
      GREETING LOGIN LIST(" STATE") "> STATE\n< $ NO x\n" BYE,
      TRIAL_NOT_RESTORED,
      "STATE was refused",
      "NO x",
      "",
      "",
      { 0 } },
    { "SAVESTATE is refused",
      GREETING LOGIN LIST(" STATE") STATE "> SAVESTATE\n< $ BAD x\n" BYE,
      TRIAL_NOT_RESTORED,
      "SAVESTATE was refused",
      "BAD x",
      "",
      "",
      { 0 } },
    { "SAVESTATE gives no token",
      GREETING LOGIN LIST(" STATE") STATE "> SAVESTATE\n< $ OK x\n" BYE,
      TRIAL_NOT_RESTORED,
      "SAVESTATE gave no token",
      "",
      "",
      "",
      { 4 } },
    /* What would be the answer the server takes for a command that is on its way. */
    { "the password is refused by a question",
      "< * OK [CAPABILITY LOGINDISABLED SASL-IR AUTH=PLAIN] hi\n> AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=\n< $ OK "
      "in\n" LIST(" STATE") STATE SAVESTATE END
      "< * OK [CAPABILITY LOGINDISABLED SASL-IR AUTH=PLAIN] hi\n> AUTHENTICATE PLAIN\n> STATE TOKEN\n"
      "> EXAMINE INBOX\n< + e30=\nE",
      TRIAL_FAILED,
      "the login was refused {}",
      "",
      "",
      "",
      { 4 } },
    { "the token is refused",
      SAVED RESTORED_BY("< $ NO gone\n") BYE,
      TRIAL_NOT_RESTORED,
      "STATE with the token was refused",
      "NO gone",
      "",
      "",
      { 9 } },
    { "OK, but nothing is restored",
      SAVED RESTORED_BY("< $ OK fresh\n") BYE,
      TRIAL_NOT_RESTORED,
      "STATE with the token was answered OK, but nothing was restored",
      "",
      "",
      "",
      { 9 } },
    { "no mailbox",
      GREETING LOGIN LIST("") "> EXAMINE INBOX\n< $ NO none\nZ",
      TRIAL_FAILED,
      "EXAMINE INBOX was refused",
      "NO none",
      "",
      "",
      { 0 } },
    { "nor in the restored session",
      SAVED GREETING
      "> LOGIN \"ann\" \"secret\"\n< $ OK in\n> STATE TOKEN\n< * STATE TOKEN\n< $ OK x\n> EXAMINE INBOX\n"
      "< $ NO none\nZ",
      TRIAL_FAILED,
      "EXAMINE INBOX was refused",
      "NO none",
      "ENABLE, NOTIFY",
      "ID, NAMESPACE, LANGUAGE",
      { 9, 1 } },
    { "closed in the middle",
      GREETING LOGIN "> CAPABILITY\n---",
      TRIAL_FAILED,
      "the server has closed the connection (waiting for the answer to CAPABILITY)",
      "",
      "",
      "",
      { 0 } },
};

static void run(const char *script, const struct account *account, struct trial *trial, enum trial_result want,
                const char *name)
{
    struct scripted server;
    scripted_begin(&server, script, NULL);
    struct connection_target target = {
        .host = "127.0.0.1", .port = server.port, .tls = CONNECTION_PLAIN, .ca_file = "", .timeout_ms = 60000
    };
    transcript_init(&transcript, fopen("/dev/null", "w"));
    assert_true(transcript_hide(&transcript, account->secret));
    CHECK_ROW(name, trial_run(trial, &target, account, &transcript) == want);
    assert_int_equal(scripted_end(&server, name), 0);
    fclose(transcript.to);
    transcript_done(&transcript);
}

TEST(a_trial_comes_to_its_result)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct account account = { .user = IMAPSTATE_SPAN("ann"), .secret = IMAPSTATE_SPAN("secret") };
        struct trial trial;
        run(rows[i].script, &account, &trial, rows[i].want, rows[i].name);
        CHECK_SPAN(rows[i].name, imapstate_buf_span(&trial.error), imapstate_span_of(rows[i].error));
        CHECK_SPAN(rows[i].name, imapstate_buf_span(&trial.refusal), imapstate_span_of(rows[i].refusal));
        CHECK_SPAN(rows[i].name, imapstate_buf_span(&trial.restored), imapstate_span_of(rows[i].restored));
        CHECK_SPAN(rows[i].name, imapstate_buf_span(&trial.not_stored), imapstate_span_of(rows[i].not_stored));
        for (size_t at = 0; at < TRIAL_SESSIONS; at++)
            CHECK_ROW(rows[i].name, trial.measures[at].round_trips == rows[i].round_trips[at]);
        trial_done(&trial);
    }
}

/* Behind a token nothing is pipelined: its refusal is a question (P11), which has to be answered. */
TEST(a_token_that_is_refused_gives_the_servers_reason)
{
    const struct account account = { .user = IMAPSTATE_SPAN("ann"),
                                     .secret = IMAPSTATE_SPAN("ya29.x"),
                                     .has_token = true };
    struct trial trial;
    run("< * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] hi\n> AUTHENTICATE XOAUTH2 \n"
        "< + eyJzdGF0dXMiOiI0MDEifQ==\n= \n< $ NO x\nZ",
        &account, &trial, TRIAL_FAILED, "XOAUTH2");
    CHECK_SPAN("the reason", imapstate_buf_span(&trial.error),
               IMAPSTATE_SPAN("the login was refused {\"status\":\"401\"}"));
    trial_done(&trial);
}

TEST(what_is_offered_is_asked_at_each_place)
{
    const struct account account = { .user = IMAPSTATE_SPAN("ann"), .secret = IMAPSTATE_SPAN("secret") };
    struct trial trial;
    run("< * OK hi\n> CAPABILITY\n< * CAPABILITY IMAP4rev1 STATE\n< $ OK x\n> LOGIN \"ann\"\n< $ OK [CAPABILITY "
        "IMAP4rev1] "
        "x\n" LIST("") EXAMINE BYE,
        &account, &trial, TRIAL_NO_STATE, "offers");
    assert_int_equal(trial.in_greeting, TRIAL_NO_LIST);
    assert_int_equal(trial.before_login, TRIAL_OFFER_YES);
    assert_int_equal(trial.with_login, TRIAL_OFFER_NO);
    assert_int_equal(trial.after_login, TRIAL_OFFER_NO);
    assert_string_equal(trial.protocol, "no TLS");
    trial_done(&trial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trial_comes_to_its_result),
        cmocka_unit_test(a_token_that_is_refused_gives_the_servers_reason),
        cmocka_unit_test(what_is_offered_is_asked_at_each_place),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
