#include "check.h"

#include "client.h"
#include "rewrite.h"
#include "rig.h"

#define LIST "IMAP4rev1"

/* What the client sees of a line of the server's. language: of the client; NULL: none was chosen. */
static const struct {
    const char *name, *language, *command, *line, *seen;
} rows[] = {
    { "a line as it is", NULL, NULL, "* 3 EXISTS\r\n", "* 3 EXISTS\r\n" },
    { "with LF alone", NULL, NULL, "* OK hi\n", "* OK hi\n" },
    { "a list, as this client sees it", NULL, NULL, "* CAPABILITY IMAP4rev1 STARTTLS COMPRESS=DEFLATE X-A\r\n",
      "* CAPABILITY IMAP4rev1 X-A LITERAL+ LANGUAGE STATE\r\n" },
    { "in a response code, with the text behind it", NULL, "LOGIN",
      "a OK [CAPABILITY IMAP4rev1 STARTTLS] in [CAPABILITY x]\r\n",
      "a OK [CAPABILITY IMAP4rev1 LITERAL+ LANGUAGE STATE] in [CAPABILITY x]\r\n" },
    { "not in the text", NULL, NULL, "* OK see [CAPABILITY STARTTLS]\r\n", "* OK see [CAPABILITY STARTTLS]\r\n" },
    { "nor in a mailbox's name", NULL, NULL, "* LIST () \"/\" CAPABILITY\r\n", "* LIST () \"/\" CAPABILITY\r\n" },
    { "an empty one", NULL, NULL, "* CAPABILITY\r\n", "* CAPABILITY\r\n" },
    { "words of the client's language", "de", "NOOP", "a OK NOOP completed.\r\n",
      "a OK NOOP-Befehl ausgef\303\274hrt.\r\n" },
    { "but not behind a code that only the server knows", "de", "NOOP", "a OK [X-Y 1] whatever\r\n",
      "a OK [X-Y 1] whatever\r\n" },
    { "the list as well, as this client sees it", "de", "NOOP", "a OK [CAPABILITY IMAP4rev1 STARTTLS] done\r\n",
      "a OK [CAPABILITY IMAP4rev1 LITERAL+ LANGUAGE STATE] NOOP-Befehl ausgef\303\274hrt.\r\n" },
    { "what is nobody's command keeps its own", "de", NULL, "* OK still here\r\n", "* OK still here\r\n" },
    { "an alert is the server's to say", "de", "NOOP", "a OK [ALERT] full\r\n", "a OK [ALERT] full\r\n" },
    { "the front of a line, of which the rest follows", "de", "NOOP", "a OK NOOP compl", "a OK NOOP compl" },
    { "no text, none to translate", "de", "NOOP", "a OK\r\n", "a OK\r\n" },
};

static struct client *log_in(struct rig *rig, struct wire **ret_wire)
{
    rig_begin(rig, "languages = { \"de\" }\n" RIG_CONFIG);
    *ret_wire = rig_greet(rig, LIST);
    assert_non_null(rig_log_in(rig, *ret_wire, "ann", LIST));
    return list_entry(rig->clients.by_state[CLIENT_AUTHENTICATED].next, struct client, link);
}

TEST(a_client_sees_its_own_list_and_its_own_language)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rig rig;
        struct wire *wire;
        char seen[512];
        struct client *client = log_in(&rig, &wire);
        if (rows[i].language)
            rig_say(&rig, wire, "b LANGUAGE de\r\n");
        wire_take(wire);
        const struct imapstate_command *command =
            rows[i].command ? imapstate_command_find(imapstate_span_of(rows[i].command)) : NULL;
        bool is_put = rewrite_put_line(client, imapstate_span_of(rows[i].line), command);
        stream_flush(&client->stream);
        snprintf(seen, sizeof seen, "%s", wire_take(wire));
        rig_end(&rig);
        CHECK_ROW(rows[i].name, is_put);
        CHECK_SPAN(rows[i].name, imapstate_span_of(seen), imapstate_span_of(rows[i].seen));
    }
}

/* P1: what cannot be rewritten must not be seen. */
TEST(a_list_that_is_too_long_ends_the_session)
{
    struct rig rig;
    struct wire *wire;
    static char line[70000] = "* CAPABILITY IMAP4rev1";
    struct client *client = log_in(&rig, &wire);
    for (size_t len = strlen(line); len + 20 < sizeof line;)
        len += (size_t)sprintf(line + len, " X-%08zu", len);
    strcat(line, "\r\n");
    assert_false(rewrite_put_line(client, imapstate_span_of(line), NULL));
    assert_true(client_is_ending(client));
    rig_pass(&rig, 0);
    stream_flush(&client->stream);
    assert_string_equal(wire_take(wire), "* BYE [UNAVAILABLE] The mail server's answer makes no sense.\r\n");
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_sees_its_own_list_and_its_own_language),
        cmocka_unit_test(a_list_that_is_too_long_ends_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
