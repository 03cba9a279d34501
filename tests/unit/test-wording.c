#include "check.h"

#include <string.h>

#include "catalogue.h"
#include "wording.h"

static const struct imapstate_command *command(const char *name)
{
    if (!name)
        return NULL;
    return imapstate_command_find((struct imapstate_span){ (const uint8_t *)name, strlen(name) });
}

static const char *find(unsigned language, const char *name, enum status_word status, const char *code)
{
    return wording_find(language, command(name), status,
                        (struct imapstate_span){ (const uint8_t *)code, strlen(code) });
}

static const struct {
    const char *name;
    const char *command;
    enum status_word status;
    const char *code;
    const char *want;
} cases[] = {
    { "OK says that the command was carried out", "SELECT", STATUS_OK, "", "Mailbox opened." },
    { "a UID command is one of its own", "UID FETCH", STATUS_OK, "", "Fetch completed." },
    { "a code that is data changes nothing", "APPEND", STATUS_OK, "APPENDUID 38505 3955", "Append completed." },
    { "the list behind a login is data", "LOGIN", STATUS_OK, "CAPABILITY IMAP4rev1 IDLE", "Logged in." },
    { "a mailbox that can be written to is just open", "SELECT", STATUS_OK, "READ-WRITE", "Mailbox opened." },
    { "one that cannot is not", "SELECT", STATUS_OK, "READ-ONLY", "Mailbox opened, read-only." },
    { "the untagged code is news", NULL, STATUS_OK, "READ-ONLY", "The mailbox is now read-only." },
    { "the code tells that there was something to copy", "UID COPY", STATUS_OK, "COPYUID 1 2 3", "Messages copied." },
    { "of no flags", NULL, STATUS_OK, "PERMANENTFLAGS ()", "No flags are kept." },
    { "of some flags", NULL, STATUS_OK, "PERMANENTFLAGS (\\Seen)", "Flags that are kept." },
    { "of no annotations", NULL, STATUS_OK, "ANNOTATIONS NONE", "The mailbox cannot have annotations." },
    { "codes are in any case", NULL, STATUS_OK, "UidNext 5", "Next UID." },
    { "a mailbox is what SELECT misses", "SELECT", STATUS_NO, "NONEXISTENT", "The mailbox does not exist." },
    { "GETQUOTA may miss another thing", "GETQUOTA", STATUS_NO, "NONEXISTENT", "This does not exist." },
    { "quota: before", "APPEND", STATUS_NO, "OVERQUOTA", "The quota does not allow this." },
    { "quota: after", NULL, STATUS_NO, "OVERQUOTA", "The quota is exceeded." },
    { "two words make the code", "SETMETADATA", STATUS_NO, "METADATA MAXSIZE 1024", "The metadata is too large." },
    { "an unknown command can fail for a known reason", "XYZZY", STATUS_NO, "NOPERM",
      "You do not have permission for this." },
    { "BAD can be certain", "FETCH", STATUS_BAD, "UIDREQUIRED", "Messages must be identified by their UIDs." },

    { "OK of an unknown command", "XYZZY", STATUS_OK, "", NULL },
    { "OK of a command that sets or asks", "COMPARATOR", STATUS_OK, "", NULL },
    { "OK of a command that may have been ignored", "UID STORE", STATUS_OK, "", NULL },
    { "NO without a code", "SELECT", STATUS_NO, "", NULL },
    { "BAD without a code", "SELECT", STATUS_BAD, "", NULL },
    { "untagged OK without a code", NULL, STATUS_OK, "", NULL },
    { "an unknown code", "SELECT", STATUS_OK, "XYZZY 1", NULL },
    { "a code that only begins like one", NULL, STATUS_OK, "UIDNEXTED 5", NULL },
    { "half a code", NULL, STATUS_OK, "UIDNEX", NULL },
    { "a code without its second word", "SETMETADATA", STATUS_NO, "METADATA", NULL },
    { "a code with another status", "SELECT", STATUS_NO, "UIDNEXT 5", NULL },
    { "a tagged code untagged", NULL, STATUS_NO, "NONEXISTENT", NULL },
    { "an untagged code tagged", "SELECT", STATUS_OK, "UIDNEXT 5", NULL },
    { "the list in the greeting", NULL, STATUS_OK, "CAPABILITY IMAP4rev1", NULL },
    { "data on an unknown command", "XYZZY", STATUS_OK, "APPENDUID 1 2", NULL },
    { "what is impossible only the text says", "CREATE", STATUS_NO, "CANNOT", NULL },
    { "what is too much only the text says", "STORE", STATUS_NO, "LIMIT", NULL },
    { "what the administrator needs stays", "FETCH", STATUS_NO, "SERVERBUG", NULL },
    { "a parser's complaint stays", NULL, STATUS_OK, "PARSE", NULL },
    { "an empty word is no code", NULL, STATUS_OK, " ", NULL },
    { "octets are no code", NULL, STATUS_OK, "\xff\x01", NULL },
};

TEST(status_code_and_command_tell_the_text)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *got = find(0, cases[i].command, cases[i].status, cases[i].code);
        if (cases[i].want)
            CHECK_ROW(cases[i].name, got && strcmp(got, cases[i].want) == 0);
        else
            CHECK_ROW(cases[i].name, !got);
    }
}

TEST(an_alert_always_keeps_its_words)
{
    static const char *const alerts[] = { "ALERT", "alert", "ALERT x" };
    const struct imapstate_command *command;
    for (size_t i = 0; i < ARRAY_LEN(alerts); i++)
        for (enum status_word status = STATUS_OK; status <= STATUS_BAD; status++) {
            assert_null(find(0, NULL, status, alerts[i]));
            for (size_t row = 0; (command = imapstate_command_at(row)); row++)
                assert_null(find(0, command->name, status, alerts[i]));
        }
}

TEST(every_command_has_its_text_but_those_that_are_left_out)
{
    static const char *const left_out[] = { "COMPARATOR", "COMPRESS",  "COPY",      "LANGUAGE",      "LOGOUT",
                                            "MOVE",       "SAVESTATE", "STARTTLS",  "STATE",         "STORE",
                                            "UID COPY",   "UID MOVE",  "UID STORE", "UNAUTHENTICATE" };
    const struct imapstate_command *command;
    for (size_t row = 0; (command = imapstate_command_at(row)); row++) {
        bool is_left_out = false;
        for (size_t i = 0; i < ARRAY_LEN(left_out); i++)
            is_left_out |= strcmp(command->name, left_out[i]) == 0;
        CHECK_ROW(command->name, !find(0, command->name, STATUS_OK, "") == is_left_out);
    }
}

TEST(the_text_is_in_the_language_that_is_asked_for)
{
    for (unsigned language = 0; language < catalogue_count(); language++) {
        const char *want = strcmp(catalogue_tag(language), "DE") == 0   ? "Postfach geöffnet."
                           : strcmp(catalogue_tag(language), "FR") == 0 ? "Boîte aux lettres ouverte."
                           : strcmp(catalogue_tag(language), "ES") == 0 ? "Buzón abierto."
                                                                        : catalogue_text(language, "Mailbox opened.");
        assert_string_equal(find(language, "SELECT", STATUS_OK, ""), want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_code_and_command_tell_the_text),
        cmocka_unit_test(an_alert_always_keeps_its_words),
        cmocka_unit_test(every_command_has_its_text_but_those_that_are_left_out),
        cmocka_unit_test(the_text_is_in_the_language_that_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
