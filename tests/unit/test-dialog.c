#include "check.h"

#include "../../src/ctl/dialog.h" /* the tests have one, too */
#include "certificate.h"

#include <errno.h>

#include "scripted.h"

static struct certificate certificate;
static struct transcript transcript;

/* What is waited for comes; where it never does, the row has a short time. */
#define PATIENT_MS 60000

static const struct {
    const char *name, *script;
    enum connection_tls tls;
    int timeout_ms;
    const char *commands[3]; /* a flight each; "STARTTLS" is dialog_start_tls() */
    const char *error;       /* NULL: all of it succeeds */
    unsigned flights;
} rows[] = {
    { "a greeting", "< * OK hi\nZ", CONNECTION_PLAIN, PATIENT_MS, { NULL }, NULL, 0 },
    { "cut at every octet", ". * OK hi\n< \nZ", CONNECTION_PLAIN, PATIENT_MS, { NULL }, NULL, 0 },
    { "two flights",
      "< * OK hi\n> NOOP\n< $ OK x\n> CHECK\n. * 3 EX\n< ISTS\n< $ NO x\nZ",
      CONNECTION_PLAIN,
      PATIENT_MS,
      { "NOOP", "CHECK" },
      NULL,
      2 },
    { "no greeting", "Z", CONNECTION_PLAIN, 50, { NULL }, "no answer within 0.05 s (waiting for the greeting)", 0 },
    { "no more of it",
      ". * OK hi\nZ",
      CONNECTION_PLAIN,
      50,
      { NULL },
      "no answer within 0.05 s (waiting for the greeting)",
      0 },
    { "closed before the greeting",
      "---",
      CONNECTION_PLAIN,
      PATIENT_MS,
      { NULL },
      "the server has closed the connection (waiting for the greeting)",
      0 },
    { "closed before the answer",
      "< * OK hi\n> LIST\n< * LIST () \"/\" INBOX",
      CONNECTION_PLAIN,
      PATIENT_MS,
      { "LIST \"\" *" },
      "the server has closed the connection (waiting for the answer to LIST)",
      1 },
    { "another protocol",
      "< 220 mail ESMTP\nZ",
      CONNECTION_PLAIN,
      PATIENT_MS,
      { NULL },
      "this is not an IMAP server",
      0 },
    { "STARTTLS",
      "< * OK [CAPABILITY IMAP4rev1 STARTTLS] hi\n> STARTTLS\n< $ OK go\nT\n> NOOP\n< $ OK x\nZ",
      CONNECTION_STARTTLS,
      PATIENT_MS,
      { "STARTTLS", "NOOP" },
      NULL,
      2 },
    { "is refused",
      "< * OK hi\n> STARTTLS\n< $ NO x\nZ",
      CONNECTION_STARTTLS,
      PATIENT_MS,
      { "STARTTLS" },
      "the server refuses STARTTLS",
      1 },
    /* In one write: behind the answer there is something that nobody has encrypted. */
    { "is answered with more",
      "< * OK hi\n> STARTTLS\n< $ OK go~* CAPABILITY X\nZ",
      CONNECTION_STARTTLS,
      PATIENT_MS,
      { "STARTTLS" },
      "unencrypted octets came after the answer to STARTTLS",
      1 },
};

TEST(a_dialog_goes_flight_by_flight_or_says_why_not)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct scripted server;
        struct dialog dialog;
        scripted_begin(&server, rows[i].script, &certificate);
        struct connection_target target = { .host = "localhost",
                                            .port = server.port,
                                            .tls = rows[i].tls,
                                            .ca_file = certificate.cert_file,
                                            .timeout_ms = rows[i].timeout_ms };
        bool is_fine = dialog_begin(&dialog, &target, &transcript);
        CHECK_ROW(rows[i].name, !is_fine || dialog.greeted_us >= dialog.began_us);
        for (size_t at = 0; is_fine && at < 3 && rows[i].commands[at]; at++)
            is_fine =
                strcmp(rows[i].commands[at], "STARTTLS") == 0
                    ? dialog_start_tls(&dialog)
                    : exchange_put(&dialog.exchange, imapstate_span_of(rows[i].commands[at])) && dialog_fly(&dialog);
        CHECK_ROW(rows[i].name, is_fine == !rows[i].error);
        if (!is_fine)
            assert_string_equal(dialog_error(&dialog), rows[i].error);
        CHECK_ROW(rows[i].name, dialog.flights == rows[i].flights);
        CHECK_ROW(rows[i].name, !is_fine || dialog.answered_us >= dialog.greeted_us);
        dialog_done(&dialog);
        scripted_end(&server, rows[i].name);
    }
}

/* What was offered before is forgotten: somebody in between may have said it (RFC 9051 section 11.3). */
TEST(a_list_from_before_tls_counts_for_nothing)
{
    struct scripted server;
    struct dialog dialog;
    scripted_begin(&server, "< * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN STARTTLS] hi\n> STARTTLS\n< $ OK go\nT\nZ",
                   &certificate);
    struct connection_target target = { .host = "localhost",
                                        .port = server.port,
                                        .tls = CONNECTION_STARTTLS,
                                        .ca_file = certificate.cert_file,
                                        .timeout_ms = PATIENT_MS };
    assert_true(dialog_begin(&dialog, &target, &transcript));
    assert_true(exchange_offers(&dialog.exchange, "AUTH=PLAIN"));
    assert_true(dialog_start_tls(&dialog));
    assert_false(exchange_offers(&dialog.exchange, "AUTH=PLAIN"));
    dialog_done(&dialog);
    scripted_end(&server, "STARTTLS");
}

static int begin(void **state)
{
    FILE *nowhere = fopen("/dev/null", "w");
    transcript_init(&transcript, nowhere);
    certificate_make(&certificate, "localhost");
    return nowhere ? 0 : -1;
}

static int end(void **state)
{
    fclose(transcript.to);
    transcript_done(&transcript);
    certificate_done(&certificate);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dialog_goes_flight_by_flight_or_says_why_not),
        cmocka_unit_test(a_list_from_before_tls_counts_for_nothing),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, begin, end);
}
