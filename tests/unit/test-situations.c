/* Every situation of a session, and what may happen in it: that nobody has thought of, too. The nouns have tests of
 * their own name. */
#include "check.h"

#include "clients.h"
#include "dialog.h"
#include "login.h"
#include "park.h"
#include "restore.h"
#include "rig.h"

#include <sys/mman.h>
#include <unistd.h>

#define LIST "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2 AUTH=SCRAM-SHA-256 ID IDLE ENABLE CONDSTORE NAMESPACE UNSELECT"

/* One client at a time: another one makes it give its place away, or is refused. */
#define CONFIG "max_clients = 2\n" RIG_LISTENER("") RIG_UPSTREAM("")

/* --- what a client is in the middle of --- */

static void come(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, CONFIG);
    *ret_client = rig_come(rig);
    *ret_server = NULL;
}

static void come_by_proxy(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, RIG_LISTENER("accept_proxy = true trusted_networks = { \"127.0.0.2\" }") RIG_UPSTREAM(""));
    *ret_client = rig_come(rig);
    *ret_server = NULL;
}

static void greet(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, CONFIG);
    *ret_client = rig_greet(rig, LIST);
    *ret_server = NULL;
}

static void log_in(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    greet(rig, ret_client, ret_server);
    *ret_server = rig_log_in(rig, *ret_client, "ann", LIST);
    assert_non_null(*ret_server);
}

static void accept_ann(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, CONFIG);
    *ret_server = rig_greet_beside_parked(rig, LIST, ret_client);
    rig_say(rig, *ret_client, "l LOGIN ann secret\r\n");
    wire_take(*ret_client);
}

static void accept_ann_late(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, CONFIG);
    *ret_server = rig_greet_beside_parked(rig, LIST, ret_client);
    rig_pass(rig, 30000);
    rig_say(rig, *ret_client, "l LOGIN ann secret\r\n");
    wire_take(*ret_client);
}

static char token[2049];

static void save(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    log_in(rig, ret_client, ret_server);
    rig_say(rig, *ret_client, "s STATE\r\ns ENABLE CONDSTORE\r\n");
    rig_say(rig, *ret_server, "* ENABLED CONDSTORE\r\ns OK 1\r\n");
    wire_take(*ret_client);
    rig_say(rig, *ret_client, "s SAVESTATE\r\n");
    assert_int_equal(sscanf(wire_take(*ret_client), "* SAVESTATE %2048s", token), 1);
    dialog_token = token;
    wire_end(*ret_client);
    rig_pass(rig, 0);
    assert_int_equal(park_count(), 1);
    *ret_client = rig_greet(rig, LIST);
    wire_take(*ret_server);
}

static void come_back_warm(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    save(rig, ret_client, ret_server);
    rig_say(rig, *ret_client, "l LOGIN ann secret\r\n");
    wire_take(*ret_client);
}

static void come_back_cold(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    save(rig, ret_client, ret_server);
    wire_end(*ret_server);
    rig_say(rig, *ret_client, "l LOGIN ann secret\r\nb STATE ");
    rig_say(rig, *ret_client, token);
    rig_say(rig, *ret_client, "\r\n");
    wire_take(*ret_client);
}

#define HELLO                                                                                                          \
    {                                                                                                                  \
        SERVER, "* OK [CAPABILITY " LIST "] ready\r\n"                                                                 \
    }
#define COMES                                                                                                          \
    {                                                                                                                  \
        SERVER_COMES, NULL                                                                                             \
    }
#define XOAUTH2 "dXNlcj1hbm4BYXV0aD1CZWFyZXIgdG9rAQE="
#define LET_IN                                                                                                         \
    {                                                                                                                  \
        SERVER, "imapstate OK [CAPABILITY " LIST "] in\r\n"                                                            \
    }
#define SAYS(it)                                                                                                       \
    {                                                                                                                  \
        CLIENT, it "\r\n"                                                                                              \
    }
#define HEARS(it)                                                                                                      \
    {                                                                                                                  \
        SERVER, it "\r\n"                                                                                              \
    }

static const struct {
    const char *name, *place; /* place_of() */
    dialog_begin *begin;
    struct dialog dialog; /* steps alone count */
    bool is_within;       /* a literal: its octets may look like answers */
} situations[] = {
    { "half a PROXY header", "PROXYING", come_by_proxy, { .steps = { { CLIENT, "PROXY TCP4 1" } } } },
    { "waiting for the list", "GREETING", come, { 0 } },
    { "asked for the list", "GREETING", come, { .steps = { COMES, HELLO } } },
    { "greeted", "NOT_AUTHENTICATED", greet, { 0 } },
    { "in a line", "NOT_AUTHENTICATED", greet, { .steps = { { CLIENT, "a LOGIN an" } } } },
    { "in a literal", "NOT_AUTHENTICATED collecting", greet, { .steps = { { CLIENT, "a LOGIN {3}\r\na" } } }, true },
    { "prompting", "LOGGING_IN PROMPTING", greet, { .steps = { SAYS("a AUTHENTICATE PLAIN") } } },
    { "connecting", "LOGGING_IN TRYING CONNECTING", greet, { .steps = { SAYS("a LOGIN ann secret") } } },
    { "preparing", "LOGGING_IN TRYING CONNECTING", greet, { .steps = { SAYS("a LOGIN ann secret"), COMES } } },
    { "introducing",
      "LOGGING_IN TRYING CONNECTING",
      greet,
      { .steps = { SAYS("i ID NIL"), SAYS("a LOGIN ann secret"), COMES, HELLO } } },
    { "logging in", "LOGGING_IN TRYING ANSWERING", greet, { .steps = { SAYS("a LOGIN ann secret"), COMES, HELLO } } },
    { "challenged",
      "LOGGING_IN TRYING CHALLENGED",
      greet,
      { .steps = { SAYS("a AUTHENTICATE XOAUTH2 " XOAUTH2), COMES, HELLO, HEARS("+ e30=") } } },
    { "withdrawn",
      "LOGGING_IN TRYING WITHDRAWN",
      greet,
      { .steps = { SAYS("a AUTHENTICATE XOAUTH2 " XOAUTH2 "\r\nb NOOP"), COMES, HELLO, HEARS("+ e30=") } } },
    { "asking for the list after login",
      "LOGGING_IN TRYING ASKING",
      greet,
      { .steps = { SAYS("a LOGIN ann secret"), COMES, HELLO, HEARS("a OK in") } } },
    { "another way",
      "LOGGING_IN TRYING CONNECTING",
      greet,
      { .steps = { SAYS("a LOGIN ann secret"), COMES, HELLO, HEARS("a NO no") } } },
    { "delaying",
      "LOGGING_IN DELAYING",
      greet,
      { .steps = { SAYS("a LOGIN ann secret"), COMES, HELLO, HEARS("a NO [AUTHENTICATIONFAILED] no") } } },
    { "at rest", "AUTHENTICATED", log_in, { 0 } },
    { "in flight", "AUTHENTICATED", log_in, { .steps = { SAYS("b NOOP\r\nc SELECT x") } } },
    { "awaiting the + of a literal", "AUTHENTICATED AWAITS_GO", log_in, { .steps = { SAYS("b CREATE {4}") } } },
    { "of one that is there",
      "AUTHENTICATED AWAITS_GO_UNASKED",
      log_in,
      { .steps = { SAYS("b CREATE {4+}\r\nabcd") } } },
    { "in a literal that goes up",
      "AUTHENTICATED SENDING",
      log_in,
      { .steps = { SAYS("b CREATE {4}"), HEARS("+ go"), { CLIENT, "ab" } } },
      true },
    { "swallowing",
      "AUTHENTICATED SWALLOWING",
      log_in,
      { .steps = { SAYS("b CREATE {4+}"), HEARS("b NO no"), { CLIENT, "ab" } } },
      true },
    { "swallowed",
      "AUTHENTICATED SWALLOWED",
      log_in,
      { .steps = { SAYS("b CREATE {4+}"), { SERVER, "b NO no\r\n* 1 FETCH (BODY[] {9}\r\nab" }, SAYS("abcd") } },
      true },
    { "asking for IDLE", "AUTHENTICATED IDLE_ASKED", log_in, { .steps = { SAYS("b IDLE") } } },
    { "idling", "AUTHENTICATED IDLING", log_in, { .steps = { SAYS("b IDLE"), HEARS("+ idling") } } },
    { "idle no more", "AUTHENTICATED", log_in, { .steps = { SAYS("b IDLE"), HEARS("+ idling"), SAYS("DONE") } } },
    { "in a response", "AUTHENTICATED", log_in, { .steps = { { SERVER, "* 1 FETCH (BODY[] {9}\r\nab" } } }, true },
    { "in the line of one", "AUTHENTICATED", log_in, { .steps = { { SERVER, "* OK half" } } } },
    { "behind the barrier", "AUTHENTICATED complete", log_in, { .steps = { SAYS("b NOOP\r\nc STATE") } } },
    { "owing a +",
      "AUTHENTICATED owes",
      log_in,
      { .steps = { { SERVER, "* 1 FETCH (BODY[] {9}\r\nab" }, SAYS("b STATE {1}") } },
      true },
    { "asking for namespaces", "AUTHENTICATED asking", log_in, { .steps = { SAYS("b LANGUAGE de") } } },
    { "resting",
      "AUTHENTICATED complete resting",
      log_in,
      { .steps = { SAYS("b SELECT x"), HEARS("b OK 1"), SAYS("c LOGOUT") } } },
    { "after BYE", "AUTHENTICATED", log_in, { .steps = { SAYS("b NOOP"), HEARS("* BYE bye") } } },
    { "closing", "CLOSING", log_in, { .steps = { SAYS("b LOGOUT") } } },
    { "undecided", "AUTHENTICATED", accept_ann, { 0 } },
    { "woken", "AUTHENTICATED woken", accept_ann, { .steps = { SAYS("b NOOP") } } },
    { "woken for what may not run twice", "AUTHENTICATED woken", accept_ann, { .steps = { SAYS("b CREATE x") } } },
    { "asking for life", "AUTHENTICATED woken", accept_ann_late, { .steps = { SAYS("b CREATE x") } } },
    { "replacing", "AUTHENTICATED CONNECTING", accept_ann, { .steps = { SAYS("b NOOP"), { SERVER_ENDS, NULL } } } },
    { "replaced, logging in",
      "AUTHENTICATED ANSWERING",
      accept_ann,
      { .steps = { SAYS("b NOOP"), { SERVER_ENDS, NULL }, COMES, HELLO } } },
    { "asking again",
      "AUTHENTICATED ANSWERING asking",
      accept_ann,
      { .steps = { SAYS("b LANGUAGE de"), { SERVER_ENDS, NULL }, COMES, HELLO } } },
    { "restored", "AUTHENTICATED woken", come_back_warm, { .steps = { SAYS("b STATE $") } } },
    { "restored, not alive yet", "AUTHENTICATED woken", come_back_warm, { .steps = { SAYS("b STATE $\r\nc NOOP") } } },
    { "restoring again",
      "AUTHENTICATED REPLAYING",
      come_back_warm,
      { .steps = { SAYS("b STATE $\r\nc NOOP"), { SERVER_ENDS, NULL }, COMES, HELLO, LET_IN } } },
    { "choosing for a restore", "AUTHENTICATED CONNECTING CHOOSING", come_back_cold, { 0 } },
    { "replaying", "AUTHENTICATED REPLAYING", come_back_cold, { .steps = { COMES, HELLO, LET_IN } } },
    { "replacing what failed",
      "AUTHENTICATED CONNECTING REPLACING",
      come_back_cold,
      { .steps = { COMES, HELLO, LET_IN, HEARS("imapstate1 NO 1") } } },
    { "logging in for it",
      "AUTHENTICATED ANSWERING REPLACING",
      come_back_cold,
      { .steps = { COMES, HELLO, LET_IN, HEARS("imapstate1 NO 1"), COMES, HELLO } } },
};

/* --- what may happen then --- */

#define EVENT(step, says)                                                                                              \
    {                                                                                                                  \
#step " " #says, { { step, says } }, NULL, NULL                                                                \
    }

/* Those that may come second stand first. */
#define EVENTS_SECOND 13u

static const struct dialog events[] = {
    EVENT(CLIENT, "x NOOP\r\n"),
    EVENT(CLIENT_ENDS, NULL),
    EVENT(CLIENT_IS_LOST, NULL),
    EVENT(SERVER, "* BYE bye\r\n"),
    EVENT(SERVER, "+ go\r\n"),
    EVENT(SERVER, "a OK [CAPABILITY IMAP4rev1] 1\r\n"),
    EVENT(SERVER, "b OK 1\r\n"),
    EVENT(SERVER, "imapstate OK [CAPABILITY IMAP4rev1] 1\r\n"),
    EVENT(SERVER_ENDS, NULL),
    EVENT(SERVER_COMES, NULL),
    EVENT(SERVER_REFUSES, NULL),
    EVENT(WAIT, "2400000"),
    EVENT(STOP, NULL),
    EVENT(CLIENT, "x LOGOUT\r\n"),
    EVENT(CLIENT, "*\r\n"),
    EVENT(CLIENT, "DONE\r\n"),
    EVENT(CLIENT, "cd\r\n"),
    EVENT(CLIENT, "x AUTHENTICATE {3}\r\n"),
    EVENT(CLIENT_COMES, NULL),
    EVENT(SERVER, "* OK [ALERT] hi\r\n"),
    EVENT(SERVER, "* BAD what\r\n"),
    EVENT(SERVER, "* 1 FETCH (MODSEQ (1))\r\n"),
    EVENT(SERVER, "* CAPABILITY IMAP4rev1 LANGUAGE\r\n"),
    EVENT(SERVER, "what {9}\r\n"),
    EVENT(SERVER, "b NO [UNAVAILABLE] 1\r\n"),
    EVENT(SERVER, "imapstate NO 1\r\n"),
    EVENT(SERVER, "imapstate1 OK 1\r\n"),
    EVENT(SERVER, "imapstate-ask OK 1\r\n"),
    EVENT(SERVER, "imapstate-wake OK 1\r\n"),
    EVENT(SERVER_IS_LOST, NULL),
    EVENT(SWEEP, NULL),
};

static bool is_by_server(enum dialog_step what)
{
    return what == SERVER || what == SERVER_ENDS || what == SERVER_IS_LOST;
}

static void happen(struct dialog_world *world, const struct dialog *dialog)
{
    for (size_t step = 0; dialog->steps[step].step != DIALOG_END; step++)
        if (world->servers.count > 0 || !is_by_server(dialog->steps[step].step))
            dialog_play_step(world, dialog, step, &(struct dialog_cut){ .step = SIZE_MAX });
}

/* Without a turn of the loop, if it is a peer's doing. */
static void happen_ahead(struct dialog_world *world, const struct dialog *event)
{
    const struct dialog_peers *peers = is_by_server(event->steps[0].step) ? &world->servers : &world->clients;
    if (peers->count == 0)
        return;
    switch (event->steps[0].step) {
    case CLIENT:
    case SERVER:
        wire_feed(dialog_peer(peers), imapstate_span_of(event->steps[0].says));
        break;
    case CLIENT_ENDS:
    case SERVER_ENDS:
        wire_end(dialog_peer(peers));
        break;
    case CLIENT_IS_LOST:
    case SERVER_IS_LOST:
        wire_reset(dialog_peer(peers));
        break;
    default:
        happen(world, event);
    }
}

/* How many lines of text begin by the tag, and by an answer's status if that is wanted. */
static unsigned count_lines(const char *text, char tag, bool is_answer)
{
    unsigned count = 0;
    for (const char *line = text; *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : "")
        count += line[0] == tag && line[1] == ' ' &&
                 (!is_answer || strncmp(line + 2, "OK ", 3) == 0 || strncmp(line + 2, "NO ", 3) == 0 ||
                  strncmp(line + 2, "BAD ", 4) == 0);
    return count;
}

static unsigned count_said(const struct dialog *dialog, char tag)
{
    unsigned count = 0;
    for (size_t step = 0; dialog->steps[step].step != DIALOG_END; step++)
        if (dialog->steps[step].step == CLIENT)
            count += count_lines(dialog->steps[step].says, tag, false);
    return count;
}

static void begin_situation(struct dialog_world *world, size_t situation)
{
    struct wire *client, *server;
    situations[situation].begin(&world->rig, &client, &server);
    dialog_add_peer(&world->clients, client);
    dialog_add_peer(&world->servers, server);
    happen(world, &situations[situation].dialog);
}

static const char *play_pair(size_t situation, const struct dialog *first, const struct dialog *second, bool at_once)
{
    static char heard[DIALOG_HEARD_MAX];
    struct dialog_world world = { 0 };
    begin_situation(&world, situation);
    struct wire *client = world.clients.wires[0];
    (at_once ? happen_ahead : happen)(&world, first);
    happen(&world, second);
    rig_pass(&world.rig, 0);
    snprintf(heard, sizeof heard, "%s", wire_take(client));
    rig_end(&world.rig);
    return heard;
}

/* Where the client is: what of it is under way. */
static const char *place_of(const struct clients *clients)
{
    static const char *const states[] = { "PROXYING",   "SECURING",      "GREETING", "NOT_AUTHENTICATED",
                                          "LOGGING_IN", "AUTHENTICATED", "CLOSING" };
    static const char *const logins[] = { " PROMPTING", " ROUTING", " TRYING", " DELAYING" };
    static const char *const admissions[] = { " CONNECTING", " ANSWERING", " CHALLENGED", " WITHDRAWN", " ASKING" };
    static const char *const downs[] = {
        "", " AWAITS_GO", " AWAITS_GO_UNASKED", " SENDING", " SWALLOWING", " SWALLOWED", " IDLE_ASKED", " IDLING"
    };
    static const char *const restores[] = { " CHOOSING", " REPLAYING", " REPLACING" };
    static const char *const requests[] = { "", " collecting", " owes", " complete", " asking" };
    static char text[128] = "";
    for (size_t state = 0; state < CLIENT_DEAD; state++)
        list_each_safe(link, &clients->by_state[state])
        {
            const struct client *client = list_entry(link, struct client, link);
            snprintf(text, sizeof text, "%s%s%s%s%s%s%s%s", states[client->state],
                     client->login ? logins[client->login->phase] : "",
                     client->admission ? admissions[client->admission->phase] : "", downs[client->down],
                     client->restore ? restores[client->restore->phase] : "", requests[client->request.phase],
                     client->resting ? " resting" : "", client->upstream && client->upstream->is_woken ? " woken" : "");
        }
    return text;
}

/* For the next test: a situation that is not there tests nothing. */
TEST(each_situation_is_what_it_says)
{
    for (size_t i = 0; i < ARRAY_LEN(situations); i++) {
        char place[128];
        struct dialog_world world = { 0 };
        begin_situation(&world, i);
        snprintf(place, sizeof place, "%s", place_of(&world.rig.clients));
        rig_end(&world.rig);
        if (strcmp(place, situations[i].place) != 0)
            fail_msg("%s: %s rather than %s", situations[i].name, place, situations[i].place);
    }
}

/* No command has two answers, whatever happens. */
static void check_pair(size_t situation, const struct dialog *first, const struct dialog *second, bool at_once)
{
    const char *heard = play_pair(situation, first, second, at_once);
    for (const char *tag = "acx"; *tag && !situations[situation].is_within; tag++) {
        unsigned said =
            count_said(&situations[situation].dialog, *tag) + count_said(first, *tag) + count_said(second, *tag);
        if (count_lines(heard, *tag, true) > said)
            fail_msg("%s, then %s, %s %s: the client hears\n%s", situations[situation].name, first->name,
                     at_once ? "at once with" : "then", second->name, heard);
    }
}

static void watch_log(int *ret_stderr, int *ret_log)
{
    *ret_stderr = dup(STDERR_FILENO);
    *ret_log = memfd_create("log", MFD_CLOEXEC);
    assert_true(*ret_stderr >= 0 && *ret_log >= 0);
    dup2(*ret_log, STDERR_FILENO);
}

/* A move that no diagram draws ends one connection only; but here none is known. */
static void unwatch_log(int real_stderr, int log, const char *name)
{
    char line[512];
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    lseek(log, 0, SEEK_SET);
    FILE *file = fdopen(log, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (strstr(line, "is not foreseen"))
            fail_msg("%s: %s", name, line);
    fclose(file);
}

TEST(whatever_happens_in_whatever_state_ends_with_no_connection_left_and_one_answer_at_most)
{
    for (size_t i = 0; i < ARRAY_LEN(situations); i++) {
        int real_stderr, log;
        watch_log(&real_stderr, &log);
        for (size_t first = 0; first < ARRAY_LEN(events); first++)
            for (size_t second = 0; second < EVENTS_SECOND; second++)
                for (int at_once = 0; at_once < 2; at_once++)
                    check_pair(i, &events[first], &events[second], at_once);
        unwatch_log(real_stderr, log, situations[i].name);
    }
}

/* --- events of a past that is over --- */

static struct client *client_of(struct rig *rig)
{
    for (size_t state = 0; state < CLIENT_DEAD; state++)
        if (!list_is_empty(&rig->clients.by_state[state]))
            return list_entry(rig->clients.by_state[state].next, struct client, link);
    return NULL;
}

/* Of a connection that is not the client's (any more), and of its own at a moment when nobody waits for that. */
TEST(what_nobody_waits_for_is_dropped)
{
    static const enum upstream_event all[] = { UPSTREAM_PREPARED, UPSTREAM_TOLD,   UPSTREAM_HEARD,
                                               UPSTREAM_DRAINED,  UPSTREAM_RESTED, UPSTREAM_LOST };
    for (size_t i = 0; i < ARRAY_LEN(situations); i++) {
        struct dialog_world world = { 0 };
        begin_situation(&world, i);
        struct client *client = client_of(&world.rig);
        struct upstream foreign = { .state = UPSTREAM_DEAD };
        const struct upstream *own = client->upstream;
        for (size_t event = 0; event < ARRAY_LEN(all); event++)
            world.rig.clients.on_upstream(client, all[event], &foreign, IMAPSTATE_SPAN("* BYE [ALERT] bye\r\n"));
        if (own && !client->admission)
            world.rig.clients.on_upstream(client, UPSTREAM_TOLD, client->upstream, IMAPSTATE_SPAN("* BYE bye\r\n"));
        if (own && !client->admission)
            world.rig.clients.on_upstream(client, UPSTREAM_PREPARED, client->upstream, IMAPSTATE_SPAN(""));
        CHECK_ROW(situations[i].name, client->upstream == own);
        CHECK_ROW(situations[i].name, strcmp(place_of(&world.rig.clients), situations[i].place) == 0);
        rig_end(&world.rig);
    }
}

/* --- the end --- */

TEST(whatever_is_under_way_ends_at_once_if_the_daemon_does)
{
    for (size_t i = 0; i < ARRAY_LEN(situations); i++) {
        struct dialog_world world = { 0 };
        begin_situation(&world, i);
        clients_stop(&world.rig.clients, true);
        rig_pass(&world.rig, 0);
        for (size_t state = 0; state < CLIENT_CLOSING; state++)
            CHECK_ROW(situations[i].name, list_is_empty(&world.rig.clients.by_state[state]));
        clients_stop(&world.rig.clients, true);
        rig_pass(&world.rig, 0);
        CHECK_ROW(situations[i].name, list_is_empty(&world.rig.clients.by_state[CLIENT_CLOSING]));
        rig_end(&world.rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_situation_is_what_it_says),
        cmocka_unit_test(what_nobody_waits_for_is_dropped),
        cmocka_unit_test(whatever_is_under_way_ends_at_once_if_the_daemon_does),
        cmocka_unit_test(whatever_happens_in_whatever_state_ends_with_no_connection_left_and_one_answer_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
