#include "check.h"

#include "fitness.h"
#include "rig.h"

#include <string.h>

#define LIST "IMAP4rev1 ID UNSELECT"

static const struct {
    const char *name;
    bool has_id;         /* an ID has gone ahead */
    const char *command; /* the session's first; NULL: none has gone up */
    const char *line;    /* the first on the connection that was parked */
    enum fitness fitness;
    size_t from; /* so many octets tell; 0: all of them must be there */
} rows[] = {
    { "data", false, "b NOOP\r\n", "* 1 EXISTS\r\n", FITNESS_FIT, 3 },
    { "data that begins as BYE does", false, "b NOOP\r\n", "* BAR\r\n", FITNESS_FIT, 4 },
    { "an OK", false, "b NOOP\r\n", "b OK 1\r\n", FITNESS_FIT, 0 },
    { "in LF alone", false, "b NOOP\r\n", "b OK 1\n", FITNESS_FIT, 0 },
    { "a NO that says nothing of the connection", false, "b SELECT x\r\n", "b NO no such\r\n", FITNESS_FIT, 0 },
    { "one that does", false, "b SELECT x\r\n", "b NO [UNAVAILABLE] x\r\n", FITNESS_UNFIT, 0 },
    { "or may", false, "b SELECT x\r\n", "b NO [serverbug] x\r\n", FITNESS_UNFIT, 0 },
    { "BAD", false, "b NOOP\r\n", "b BAD x\r\n", FITNESS_UNFIT, 0 },
    { "BAD to another tag", false, "b NOOP\r\n", "bx BAD x\r\n", FITNESS_FIT, 0 },
    { "BAD to none", false, "b NOOP\r\n", "* BAD x\r\n", FITNESS_FIT, 4 },
    { "to what cannot be said again", false, "b CREATE x\r\n", "b NO [UNAVAILABLE] x\r\n", FITNESS_FIT, 1 },
    { "to what stays in effect", false, "b ENABLE X\r\n", "b BAD x\r\n", FITNESS_FIT, 1 },
    { "BYE", false, "b NOOP\r\n", "* bye expired\r\n", FITNESS_EXPIRED, 0 },
    { "BYE without a command", false, NULL, "* BYE expired\r\n", FITNESS_EXPIRED, 0 },
    { "BYE without a word", false, "b NOOP\r\n", "* BYE\r\n", FITNESS_EXPIRED, 0 },
    { "BYE that is an alert", false, "b NOOP\r\n", "* BYE [ALERT] expired\r\n", FITNESS_FIT, 0 },
    { "BYE to what may run twice only", false, "b CREATE x\r\n", "* BYE expired\r\n", FITNESS_FIT, 0 },
    { "a BYE that is a tagged answer", false, "b NOOP\r\n", "b BYE x\r\n", FITNESS_FIT, 0 },
    { "a continuation", false, "b NOOP\r\n", "+ go\r\n", FITNESS_FIT, 1 },
    { "noise", false, "b NOOP\r\n", "\r\n", FITNESS_FIT, 1 },
    { "the answer to the ID that went ahead", true, "b NOOP\r\n", "* ID NIL\r\n", FITNESS_OWN, 0 },
    { "and its end", true, "b NOOP\r\n", "imapstate-wake OK 1\r\n", FITNESS_OWN, 0 },
    { "however it ends", true, "b NOOP\r\n", "imapstate-wake BAD 1\r\n", FITNESS_OWN, 0 },
    { "not of what was not said", false, "b NOOP\r\n", "imapstate-wake OK 1\r\n", FITNESS_FIT, 1 },
    { "the session's own answer overtakes it", true, "b NOOP\r\n", "b OK 1\r\n", FITNESS_FIT, 0 },
};

static struct client *let_in(struct rig *rig, size_t row, struct wire **ret_server)
{
    struct wire *wire;
    rig_begin(rig, RIG_CONFIG);
    *ret_server = rig_greet_beside_parked(rig, LIST, &wire);
    if (rows[row].has_id)
        rig_say(rig, wire, "i ID (\"name\" \"mua\")\r\n");
    rig_say(rig, wire, "a LOGIN ann secret\r\n");
    if (rows[row].command)
        rig_say(rig, wire, rows[row].command);
    else
        rig_pass(rig, CHOICE_DELAY_MS);
    struct client *client = list_entry(rig->clients.by_state[CLIENT_AUTHENTICATED].next, struct client, link);
    assert_non_null(client->upstream);
    assert_true(client->upstream->is_woken);
    return client;
}

static enum fitness read_after(size_t row, size_t len)
{
    struct rig rig;
    struct wire *server;
    struct client *client = let_in(&rig, row, &server);
    wire_feed(server, (struct imapstate_span){ (const uint8_t *)rows[row].line, len });
    assert_true(stream_read_now(&client->upstream->stream));
    enum fitness fitness = fitness_read(client, client->upstream);
    rig_end(&rig);
    return fitness;
}

TEST(what_comes_first_tells_of_a_connection_as_soon_as_it_can)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t all = strlen(rows[i].line), from = rows[i].from ? rows[i].from : all;
        for (size_t len = 1; len <= all; len++)
            if (read_after(i, len) != (len < from ? FITNESS_MORE : rows[i].fitness))
                fail_msg("row \"%s\" at octet %zu: %d", rows[i].name, len, (int)read_after(i, len));
    }
}

/* Nobody waits for the end of a line that has none. */
TEST(a_line_without_an_end_is_the_sessions)
{
    struct rig rig;
    struct wire *server;
    static uint8_t much[70000];
    struct client *client = let_in(&rig, 0, &server);
    memset(much, 'x', sizeof much);
    wire_feed(server, IMAPSTATE_SPAN("* BYE "));
    wire_feed(server, (struct imapstate_span){ much, sizeof much });
    while (!stream_is_full(&client->upstream->stream))
        assert_true(stream_read_now(&client->upstream->stream));
    assert_int_equal(fitness_read(client, client->upstream), FITNESS_FIT);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_first_tells_of_a_connection_as_soon_as_it_can),
        cmocka_unit_test(a_line_without_an_end_is_the_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
