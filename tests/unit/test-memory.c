/* Saving and restoring a session, and parking its connection, with each allocation failing once: nothing leaks, nothing
 * is half done, and what comes next works. The linker has malloc() and its like pass here first; that holds for our own
 * code, not for the libraries'. */
#include "check.h"

#include <imapstate/imapstate.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "capability.h"
#include "compression.h"
#include "offers.h"
#include "parking.h"
#include "prelude.h"
#include "proof.h"
#include "record.h"
#include "resolver.h"
#include "session.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
void *__real_reallocarray(void *at, size_t count, size_t size);
char *__real_strdup(const char *text);
void *__real_sodium_malloc(size_t size);
void __real_free(void *at);
void __real_sodium_free(void *at);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *at, size_t size);
void *__wrap_reallocarray(void *at, size_t count, size_t size);
char *__wrap_strdup(const char *text);
void *__wrap_sodium_malloc(size_t size);
void __wrap_free(void *at);
void __wrap_sodium_free(void *at);

static unsigned long asked, fails_at; /* the number of the allocation that fails; 0: none */
static long alive;                    /* allocations that were not freed */

static bool fails(void)
{
    return ++asked == fails_at;
}

static void *count(void *at)
{
    alive += at != NULL;
    return at;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : count(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : count(__real_calloc(n, size));
}

void *__wrap_realloc(void *at, size_t size)
{
    if (fails())
        return NULL;
    void *grown = __real_realloc(at, size);
    alive += grown && !at;
    return grown;
}

void *__wrap_reallocarray(void *at, size_t n, size_t size)
{
    if (fails())
        return NULL;
    void *grown = __real_reallocarray(at, n, size);
    alive += grown && !at;
    return grown;
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : count(__real_strdup(text));
}

void *__wrap_sodium_malloc(size_t size)
{
    return fails() ? NULL : count(__real_sodium_malloc(size));
}

void __wrap_free(void *at)
{
    alive -= at != NULL;
    __real_free(at);
}

void __wrap_sodium_free(void *at)
{
    alive -= at != NULL;
    __real_sodium_free(at);
}

static struct service *service;

/* --- what is done with the library --- */

static const uint8_t key_octets[IMAPSTATE_KEY_OCTETS] = { 1 };
#define NOW_S 1700000000u

static const struct imapstate_token_binding token_binding = {
    .user = { (const uint8_t *)"ann", 3 },
    .upstream = { (const uint8_t *)"main", 4 },
    .names = { (const uint8_t *)"IMAP4rev1 ENABLE NOTIFY LANGUAGE", 32 },
};

static bool set_up(struct imapstate_state *state)
{
    return imapstate_state_record(state, IMAPSTATE_ENTRY_ENABLE, IMAPSTATE_SPAN("QRESYNC CONDSTORE")) == IMAPSTATE_OK &&
           imapstate_state_record(state, IMAPSTATE_ENTRY_LANGUAGE, IMAPSTATE_SPAN("de")) == IMAPSTATE_OK &&
           imapstate_state_record(state, IMAPSTATE_ENTRY_COMPARATOR, IMAPSTATE_SPAN("i;octet")) == IMAPSTATE_OK &&
           imapstate_state_record(state, IMAPSTATE_ENTRY_NOTIFY,
                                  IMAPSTATE_SPAN("SET (mailboxes {3}\r\nf\xc3\xa4 (MessageNew))")) == IMAPSTATE_OK &&
           imapstate_state_record(state, IMAPSTATE_ENTRY_LANGUAGE, IMAPSTATE_SPAN("fr")) == IMAPSTATE_OK;
}

/* A session's state as a token. */
static bool save(const struct imapstate_keyring *keyring, struct imapstate_buf *ret_token)
{
    struct imapstate_buf encoded;
    struct imapstate_key key;
    uint64_t left_s;
    imapstate_buf_init(&encoded, IMAPSTATE_STATE_MAX);
    struct imapstate_state *state = imapstate_state_new(IMAPSTATE_STATE_MAX);
    bool is_saved = state && set_up(state) && imapstate_keyring_sealing(keyring, NOW_S, &key) &&
                    imapstate_state_encode(state, &encoded) &&
                    imapstate_token_seal(&key, &token_binding, NOW_S, 3600, imapstate_buf_span(&encoded), ret_token,
                                         &left_s) == IMAPSTATE_OK;
    imapstate_state_free(state);
    imapstate_buf_done(&encoded);
    return is_saved;
}

/* Answers whatever the replay asks for, as a server does that takes everything. */
static bool answer_all(struct imapstate_replay *replay)
{
    static const char *const answers[] = {
        "* ENABLED QRESYNC CONDSTORE\r\n",
        "x1 OK done\r\n",
        "* COMPARATOR i;octet\r\n",
        "x2 OK done\r\n",
        "+ go\r\n",
        "x3 OK done\r\n",
        "* LANGUAGE (fr)\r\n",
        "x4 OK done\r\n",
    };
    imapstate_replay_output(replay);
    for (size_t i = 0; i < ARRAY_LEN(answers) && imapstate_replay_status(replay) == IMAPSTATE_REPLAY_RUNNING; i++) {
        imapstate_replay_answer(replay, imapstate_span_of(answers[i]));
        imapstate_replay_output(replay);
    }
    return imapstate_replay_status(replay) == IMAPSTATE_REPLAY_RESTORED;
}

static bool restore(const struct imapstate_keyring *keyring, struct imapstate_span token)
{
    struct imapstate_buf encoded;
    imapstate_buf_init(&encoded, IMAPSTATE_STATE_MAX);
    struct imapstate_state *state = imapstate_state_new(IMAPSTATE_STATE_MAX);
    struct imapstate_replay *replay = NULL;
    bool is_restored = state && imapstate_token_open(keyring, &token_binding, NOW_S, token, &encoded) == IMAPSTATE_OK &&
                       imapstate_state_decode(state, imapstate_buf_span(&encoded)) == IMAPSTATE_OK &&
                       (replay = imapstate_replay_new(state, (struct imapstate_replay_literals){ 0 }, "x")) &&
                       answer_all(replay);
    imapstate_replay_free(replay);
    imapstate_state_free(state);
    imapstate_buf_done(&encoded);
    return is_restored;
}

static bool save_and_restore(void)
{
    static const char text[] = "0000000a 2020-01-01T00:00:00Z AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
    struct imapstate_buf token;
    size_t line;
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    struct imapstate_keyring *keyring = imapstate_keyring_new();
    bool is_done = keyring && imapstate_keyring_read(keyring, imapstate_span_of(text), &line) == IMAPSTATE_OK &&
                   imapstate_keyring_add(keyring, 11, NOW_S - 1, key_octets) == IMAPSTATE_OK && save(keyring, &token) &&
                   restore(keyring, imapstate_buf_span(&token));
    imapstate_keyring_free(keyring);
    imapstate_buf_done(&token);
    return is_done;
}

/* A visit that sets up and saves, or one that recalls that and sets up what was not restored. */
static bool visit_server(struct imapstate_buf *kept, const char *state_answer, uint64_t now_s,
                         struct imapstate_buf *out)
{
    struct imapstate_span command;
    size_t at = 0;
    struct imapstate_visit *visit = imapstate_visit_new();
    bool is_done = visit && imapstate_visit_want(visit, IMAPSTATE_SPAN("NOTIFY NONE")) == IMAPSTATE_OK &&
                   imapstate_visit_recall(visit, imapstate_buf_span(kept)) == IMAPSTATE_OK &&
                   imapstate_visit_put_state(visit, IMAPSTATE_SPAN("s"), out);
    if (is_done) {
        imapstate_visit_response(visit, imapstate_span_of(state_answer));
        imapstate_visit_response(visit, IMAPSTATE_SPAN("s OK x\r\n"));
        if (imapstate_visit_next(visit, &at, &command)) {
            is_done = kept->len == 0 && imapstate_visit_sent(visit, IMAPSTATE_SPAN("a"), command) == IMAPSTATE_OK;
            imapstate_visit_response(visit, IMAPSTATE_SPAN("* OK [STATECMD a] x\r\n"));
            imapstate_visit_response(visit, IMAPSTATE_SPAN("a OK x\r\n"));
        }
        is_done = is_done && imapstate_visit_put_savestate(visit, IMAPSTATE_SPAN("v"), now_s, out);
        imapstate_visit_response(visit, IMAPSTATE_SPAN("* SAVESTATE T\r\n"));
        imapstate_visit_response(visit, IMAPSTATE_SPAN("v OK x\r\n"));
        imapstate_buf_clear(kept);
        is_done = is_done && !imapstate_visit_is_due(visit, now_s, 1) && imapstate_visit_keep(visit, kept);
    }
    imapstate_visit_free(visit);
    return is_done;
}

static bool visit_twice(void)
{
    struct imapstate_buf kept, out;
    imapstate_buf_init(&kept, IMAPSTATE_VISIT_KEPT_MAX);
    imapstate_buf_init(&out, 1000);
    bool is_done = visit_server(&kept, "* OK\r\n", NOW_S, &out) && kept.len > 0;
    imapstate_buf_clear(&out);
    is_done = is_done && visit_server(&kept, "* STATE T\r\n", NOW_S + 1, &out) && kept.len > 0 &&
              imapstate_span_equal(imapstate_buf_span(&out), IMAPSTATE_SPAN("s STATE T\r\nv SAVESTATE\r\n"));
    imapstate_buf_done(&kept);
    imapstate_buf_done(&out);
    return is_done;
}

/* --- a server of its own --- */

static bool serve_restore(struct imapstate_server *server, const struct imapstate_keyring *keyring,
                          const struct imapstate_token_binding *binding, struct imapstate_span token)
{
    if (imapstate_server_restore(server, keyring, binding, 1, token, NULL) != IMAPSTATE_ANSWER_RUN)
        return false;
    imapstate_server_ran(server, 0, true, IMAPSTATE_SPAN("QRESYNC"));
    return imapstate_server_verdict(server) == IMAPSTATE_ANSWER_RESTORED;
}

static bool serve_twice(void)
{
    static const uint8_t octets[IMAPSTATE_KEY_OCTETS] = { 9 };
    const struct imapstate_token_binding binding = { .user = IMAPSTATE_SPAN("ann"),
                                                     .upstream = IMAPSTATE_SPAN("main"),
                                                     .names = IMAPSTATE_SPAN("IMAP4rev1 ENABLE") };
    struct imapstate_keyring *keyring = imapstate_keyring_new();
    struct imapstate_server *first = imapstate_server_new(), *second = imapstate_server_new();
    struct imapstate_buf token;
    uint64_t left_s;
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    bool is_done =
        keyring && first && second && imapstate_keyring_add(keyring, 1, 0, octets) == IMAPSTATE_OK &&
        imapstate_server_track(first, &binding) == IMAPSTATE_ANSWER_TRACKING &&
        imapstate_server_took_effect(first, IMAPSTATE_SPAN("a"), IMAPSTATE_ENTRY_ENABLE, IMAPSTATE_SPAN("QRESYNC")) &&
        imapstate_server_save(first, keyring, &binding, IMAPSTATE_TOKEN_FORMAT, 1, 60, &token, &left_s, NULL) ==
            IMAPSTATE_ANSWER_SAVED &&
        serve_restore(second, keyring, &binding, imapstate_buf_span(&token));
    imapstate_buf_done(&token);
    imapstate_server_free(first);
    imapstate_server_free(second);
    imapstate_keyring_free(keyring);
    return is_done;
}

/* --- what the gateway keeps of a session --- */

/* Runs a command of each storable kind, which the server does whether or not memory is out here. *ret_ran: how many. */
static bool session_runs(struct session *session, struct pipeline *pipeline, size_t *ret_ran)
{
    static const struct {
        const char *command, *arguments, *response;
    } runs[] = {
        { "ENABLE", "QRESYNC", "* ENABLED QRESYNC\r\n" },
        { "LANGUAGE", "de", "* LANGUAGE (de)\r\n" },
        { "COMPARATOR", "i;octet", "* COMPARATOR i;octet\r\n" },
        { "NOTIFY", "NONE", "* OK\r\n" },
    };
    bool is_stored = true;
    for (*ret_ran = 0; *ret_ran < ARRAY_LEN(runs); ++*ret_ran) {
        const char *arguments = runs[*ret_ran].arguments;
        const struct imapstate_command *command = imapstate_command_find(imapstate_span_of(runs[*ret_ran].command));
        struct flight *flight = pipeline_push(pipeline, command, IMAPSTATE_SPAN("a"));
        if (!flight)
            return false;
        imapstate_buf_init(&flight->arguments, 64);
        flight->is_too_large = !imapstate_buf_put(&flight->arguments, imapstate_span_of(arguments));
        session_sent_line(session, command, imapstate_span_of(arguments));
        session_saw_response(session, pipeline, imapstate_span_of(runs[*ret_ran].response));
        is_stored &= session_completed(session, flight, STATUS_OK);
        flight_free(pipeline_take(pipeline, IMAPSTATE_SPAN("a")));
    }
    return is_stored;
}

static size_t count_entries(const struct imapstate_buf *encoded)
{
    unsigned long asked_before = asked, fails_at_before = fails_at;
    fails_at = 0;
    struct imapstate_state *state = imapstate_state_new(IMAPSTATE_STATE_MAX);
    assert_true(encoded->len == 0 || imapstate_state_decode(state, imapstate_buf_span(encoded)) == IMAPSTATE_OK);
    size_t count = imapstate_state_count(state);
    imapstate_state_free(state);
    asked = asked_before;
    fails_at = fails_at_before;
    return count;
}

static bool begins_to_track(const struct session *session)
{
    struct imapstate_token_binding binding = session_binding(session, "main");
    return imapstate_server_track(session->server, &binding) == IMAPSTATE_ANSWER_TRACKING;
}

/* What was done to the connection is in the state that it would be parked in, or it is not parked at all. */
static bool run_session(void)
{
    struct session session;
    struct pipeline pipeline = { 0 };
    struct imapstate_buf state;
    size_t ran = 0;
    session_init(&session);
    imapstate_buf_init(&state, IMAPSTATE_STATE_MAX);
    struct offers *offers = offers_new(IMAPSTATE_SPAN("IMAP4rev1"));
    bool is_done = offers && session_begin(&session, IMAPSTATE_SPAN("ann"), true, offers, offers, 0) &&
                   begins_to_track(&session) && session_runs(&session, &pipeline, &ran);
    bool is_parkable = session_is_parkable(&session, &state);
    if (is_parkable)
        assert_int_equal(count_entries(&state), ran);
    struct record *record = session_take_record(&session);
    bool is_on_record = !record_is_empty(record);
    record_free(record);
    session_done(&session);
    offers_unref(offers);
    pipeline_done(&pipeline);
    imapstate_buf_done(&state);
    return is_done && is_parkable && is_on_record;
}

/* A connection is parked and taken. Whatever fails, nothing is left of the account. */
static bool visit_park(void)
{
    struct proof_identity identity = parking_identity("ann", "secret");
    struct proof *proof = park_prove(&identity, 1), *matched = NULL;
    struct parked *parked = proof ? parked_new() : NULL;
    if (parked) {
        parked->kept.proof = park_proof_ref(proof);
        parked->service = service_ref(service);
        parked->config = &service->config->upstreams[0];
        parked->member = &parked->config->members[0];
        park_put(parked, 1);
        parked = park_match(&identity, 1, &matched);
    }
    bool is_taken = parked != NULL;
    parked_free(parked);
    assert_int_equal(is_taken ? 0 : park_yield(identity.upstream, identity.user, false, 1).ended, park_count());
    park_proof_unref(matched);
    park_proof_unref(proof);
    return is_taken;
}

static bool learn(void)
{
    struct imapstate_buf names, id;
    imapstate_buf_init(&names, CAPABILITY_LIST_MAX);
    imapstate_buf_init(&id, CAPABILITY_LIST_MAX);
    uint32_t round;
    prelude_take_turn("main", "mx1:143", 1, &round);
    struct prelude_lesson lesson = { .greeting_names = IMAPSTATE_SPAN("IMAP4rev1"),
                                     .names = IMAPSTATE_SPAN("IMAP4rev1 ID"),
                                     .id = IMAPSTATE_SPAN("NIL"),
                                     .alerts = IMAPSTATE_SPAN("* OK [ALERT] x\r\n") };
    prelude_end_round("main", "mx1:143", &lesson, 1);
    prelude_alerts("main", "mx1:143", &names);
    struct offers *offers = prelude_offers_for_greeting("main", "mx1:143", IMAPSTATE_SPAN("IMAP4rev1"), 1);
    bool is_known = prelude_round_has_ended("main", "mx1:143", round) && names.len > 0 && offers &&
                    prelude_id("main", "mx1:143", &id);
    offers_unref(offers);
    prelude_done();
    imapstate_buf_done(&names);
    imapstate_buf_done(&id);
    return is_known;
}

static bool resolve(void)
{
    static struct resolver_addresses found;
    struct resolver_answer answer = { .why = "" };
    struct resolver_wait wait = { 0 };
    char name[RESOLVER_NAME_MAX];
    uint32_t era = resolver_era();
    bool is_asked = resolver_look_up("mail.example.org", 143, &wait, 1, &found) == RESOLVER_ASKED;
    assert_true(is_asked || !resolver_take_wanted(era, name));
    if (is_asked && resolver_take_wanted(era, name))
        resolver_learn(name, era, &answer, 1);
    resolver_done();
    return is_asked;
}

/* What a client sent compressed is read, and answered compressed. */
static bool compress(void)
{
    static const char words[] = "* 1 EXISTS\r\n";
    struct pool pool = { 0 };
    struct imapstate_buf packed;
    uint8_t octets[64], *room = NULL;
    size_t got = 0;
    imapstate_buf_init(&packed, 4096);
    struct compression *compression = compression_new(&pool);
    bool is_done = compression && compression_pack(compression, imapstate_span_of(words), &packed) &&
                   compression_flush(compression, &packed) && (room = compression_room(compression));
    if (is_done) {
        memcpy(room, packed.at, packed.len);
        compression_arrived(compression, packed.len);
        is_done = compression_unpack(compression, octets, sizeof octets, &got);
    }
    assert_true(!is_done || (got == sizeof words - 1 && memcmp(octets, words, got) == 0));
    compression_free(compression);
    imapstate_buf_done(&packed);
    pool_done(&pool);
    return is_done;
}

static bool read_configuration(void)
{
    static const char text[] = "user = mail\nlanguages = { DE, FR }\npark { max = 9 }\n"
                               "listener l { address = { \"127.0.0.1:1\", \"unix:/s\" } tls = none upstream = v\n"
                               "accept_proxy = true trusted_networks = { \"10.0.0.0/8\", \"unix\" }\n"
                               "id_trusted_networks = { \"10.0.0.0/8\", \"unix\" } }\n"
                               "upstream u { address = \"unix:/u\" tls_name = mail.example.org }\n"
                               "upstream v { address = mail.example.org }\n";
    FILE *errors = fopen("/dev/null", "w");
    struct config *config = configfile_parse("test.conf", text, errors);
    fclose(errors);
    bool is_read = config != NULL;
    config_unref(config);
    return is_read;
}

/* --- making each allocation fail once --- */

static const struct {
    const char *name;
    bool (*does)(void); /* false: something was not done */
} works[] = {
    { "a state is saved and restored", save_and_restore },
    { "a client visits a server twice", visit_twice },
    { "a server saves a state and restores it", serve_twice },
    { "a session runs", run_session },
    { "a connection is parked and taken", visit_park },
    { "an upstream's list is learned", learn },
    { "a name is looked up", resolve },
    { "octets are packed and unpacked", compress },
    { "a configuration is read", read_configuration },
};

static bool run_failing_at(size_t work, unsigned long number)
{
    long before = alive;
    asked = 0;
    fails_at = number;
    bool is_done = works[work].does();
    fails_at = 0;
    CHECK_ROW(works[work].name, alive == before);
    return is_done;
}

TEST(whatever_allocation_fails_nothing_leaks_and_the_failure_is_told)
{
    for (size_t work = 0; work < ARRAY_LEN(works); work++) {
        CHECK_ROW(works[work].name, run_failing_at(work, 0));
        unsigned long total = asked, refusals = 0;
        CHECK_ROW(works[work].name, total > 3);
        for (unsigned long number = 1; number <= total; number++) {
            refusals += !run_failing_at(work, number);
            CHECK_ROW(works[work].name, asked >= number);
        }
        CHECK_ROW(works[work].name, refusals == total);
        /* Nothing was broken for those that come after. */
        CHECK_ROW(works[work].name, run_failing_at(work, 0));
    }
}

static int begin(void **state)
{
    service = parking_service("upstream \"main\" { address = \"127.0.0.1:143\" tls = \"none\" }\n");
    park_configure(service->config);
    return 0;
}

static int end(void **state)
{
    park_done();
    service_unref(service);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_allocation_fails_nothing_leaks_and_the_failure_is_told),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, begin, end);
}
