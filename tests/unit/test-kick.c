#include "check.h"

#include "asking.h"

#define LIST "IMAP4rev1 AUTH=PLAIN"
#define BYE  "* BYE [UNAVAILABLE] The administrator has ended this session.\r\n"

struct both {
    struct asking asking;
    struct wire *ann, *ann_server, *newcomer;
};

static void begin(struct both *both)
{
    asking_begin(&both->asking, "languages = \"off\"\n" RIG_CONFIG);
    struct rig *rig = &both->asking.one.rig;
    both->ann = rig_greet(rig, LIST);
    both->ann_server = rig_log_in(rig, both->ann, "ann", LIST);
    both->newcomer = rig_greet(rig, LIST);
    assert_non_null(both->ann_server);
}

TEST(all_sessions_of_a_user_end_and_nobody_elses)
{
    struct both both;
    begin(&both);
    assert_string_equal(ask_for(&both.asking, "[\"kick\",\"ANN\"]"), "{\"done\":\"1 session of ANN ended\"}\n");
    assert_string_equal(wire_take(both.ann), BYE);
    assert_true(both.ann->is_shut);
    assert_false(both.newcomer->is_shut);
    assert_int_equal(park_count(), 0); /* what it had at the server is not kept either */
    assert_string_equal(ask_for(&both.asking, "[\"kick\",\"ann\"]"),
                        "{\"error\":\"there is no session of ann\",\"kind\":\"failed\"}\n");
    asking_end(&both.asking);
}

TEST(one_client_ends_by_its_id)
{
    struct both both;
    char line[64];
    begin(&both);
    uint64_t id =
        list_entry(both.asking.one.rig.clients.by_state[CLIENT_NOT_AUTHENTICATED].next, struct client, link)->mark.client;
    snprintf(line, sizeof line, "[\"kick\",\"#%llx\"]", (unsigned long long)id);
    assert_non_null(strstr(ask_for(&both.asking, line), "\"done\":\"1 session of #"));
    assert_true(both.newcomer->is_shut);
    assert_false(both.ann->is_shut);
    asking_end(&both.asking);
}

TEST(in_the_middle_of_a_response_there_is_no_bye)
{
    struct both both;
    begin(&both);
    rig_say(&both.asking.one.rig, both.ann, "a FETCH 1 BODY[]\r\n");
    rig_say(&both.asking.one.rig, both.ann_server, "* 1 FETCH (BODY[] {10}\r\nabc");
    assert_string_equal(wire_take(both.ann), "* 1 FETCH (BODY[] {10}\r\nabc");
    ask_for(&both.asking, "[\"kick\",\"ann\"]");
    assert_string_equal(wire_take(both.ann), "");
    assert_true(both.ann->is_shut);
    asking_end(&both.asking);
}

TEST(what_names_nobody_is_wrong)
{
    static const char *const lines[] = { "[\"kick\"]",
                                         "[\"kick\",\"\"]",
                                         "[\"kick\",\"#\"]",
                                         "[\"kick\",\"#0\"]",
                                         "[\"kick\",\"#xyz\"]",
                                         "[\"kick\",\"#-1\"]",
                                         "[\"kick\",\"#12345678901234567\"]",
                                         "[\"kick\",\"a\\\\b\"]",
                                         "[\"kick\",\"a\",\"b\"]",
                                         "[\"kick\",\"--all\"]" };
    struct both both;
    begin(&both);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        CHECK_ROW(lines[i], strstr(ask_for(&both.asking, lines[i]), "\"kind\":\"usage\""));
    assert_false(both.ann->is_shut || both.newcomer->is_shut);
    asking_end(&both.asking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_sessions_of_a_user_end_and_nobody_elses),
        cmocka_unit_test(one_client_ends_by_its_id),
        cmocka_unit_test(in_the_middle_of_a_response_there_is_no_bye),
        cmocka_unit_test(what_names_nobody_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
