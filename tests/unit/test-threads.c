#include "check.h"

#include <imapstate/command.h>
#include <imapstate/error.h>
#include <imapstate/frame.h>
#include <imapstate/keyring.h>
#include <imapstate/replay.h>
#include <imapstate/state.h>
#include <imapstate/storable.h>
#include <imapstate/token.h>
#include <imapstate/visit.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4u
#define ROUNDS  200u
#define NOW_S   1795478400u

/* What the headers allow several threads to share. Nothing here has called libsodium before they begin: the first of
 * them initialises it, while the others want it too. tests/tsan watches them. */
struct shared {
    pthread_barrier_t begin;
    struct imapstate_keyring *keyring; /* made by thread 0 */
    struct imapstate_state *state;
    struct imapstate_token_binding binding;
};

struct thread {
    struct shared *shared;
    unsigned number;
    pthread_t id;
    char hash[17];
    uint8_t fingerprint[IMAPSTATE_FINGERPRINT_OCTETS];
    struct imapstate_buf token; /* the last that it sealed */
    unsigned good;              /* rounds in which all was as it must be */
};

static bool seals_and_opens(struct thread *thread)
{
    const struct shared *shared = thread->shared;
    struct imapstate_buf encoded, opened;
    struct imapstate_key key;
    uint64_t left_s;
    imapstate_buf_init(&encoded, IMAPSTATE_STATE_MAX);
    imapstate_buf_init(&opened, IMAPSTATE_STATE_MAX);
    imapstate_buf_clear(&thread->token);
    bool is_good =
        imapstate_state_encode(shared->state, &encoded) && imapstate_keyring_sealing(shared->keyring, NOW_S, &key) &&
        imapstate_token_seal(&key, &shared->binding, NOW_S, 3600, imapstate_buf_span(&encoded), &thread->token,
                             &left_s) == IMAPSTATE_OK &&
        imapstate_token_open(shared->keyring, &shared->binding, NOW_S, imapstate_buf_span(&thread->token), &opened) ==
            IMAPSTATE_OK &&
        imapstate_span_equal(imapstate_buf_span(&encoded), imapstate_buf_span(&opened));
    imapstate_buf_done(&encoded);
    imapstate_buf_done(&opened);
    return is_good;
}

static bool replays(const struct shared *shared)
{
    struct imapstate_replay *replay = imapstate_replay_new(shared->state, (struct imapstate_replay_literals){ 0 }, "x");
    struct imapstate_frame frame;
    struct imapstate_piece piece;
    struct imapstate_command_line line;
    imapstate_frame_init(&frame, IMAPSTATE_FRAME_COMMANDS);
    bool is_good = replay &&
                   imapstate_frame_next(&frame, imapstate_replay_output(replay), &piece) == IMAPSTATE_FRAME_LINE &&
                   imapstate_command_parse(piece.octets, &line) == IMAPSTATE_OK &&
                   strcmp(imapstate_storable_find(line.command->stored)->command, line.command->name) == 0;
    imapstate_replay_free(replay);
    return is_good;
}

static bool visits(void)
{
    struct imapstate_visit *visit = imapstate_visit_new();
    struct imapstate_buf out;
    imapstate_buf_init(&out, 256);
    bool is_good = visit && imapstate_visit_want(visit, IMAPSTATE_SPAN("ENABLE QRESYNC")) == IMAPSTATE_OK &&
                   imapstate_visit_put_state(visit, IMAPSTATE_SPAN("a1"), &out);
    imapstate_visit_free(visit);
    imapstate_buf_done(&out);
    return is_good;
}

static void *thread_run(void *data)
{
    struct thread *thread = data;
    struct shared *shared = thread->shared;
    pthread_barrier_wait(&shared->begin);
    if (thread->number == 0) {
        static const uint8_t octets[IMAPSTATE_KEY_OCTETS] = "an example key, 32 octets long.";
        shared->keyring = imapstate_keyring_new();
        if (!shared->keyring || imapstate_keyring_add(shared->keyring, 7, 0, octets) != IMAPSTATE_OK)
            abort();
    } else if (thread->number == 1) {
        imapstate_visit_free(imapstate_visit_new());
    }
    imapstate_token_hash(IMAPSTATE_SPAN("a token"), thread->hash);
    bool has_fingerprint = imapstate_token_fingerprint(IMAPSTATE_SPAN("IMAP4rev1 STATE"), 0, thread->fingerprint);
    pthread_barrier_wait(&shared->begin);
    for (unsigned i = 0; i < ROUNDS; i++)
        thread->good += has_fingerprint && seals_and_opens(thread) && replays(shared) && visits();
    return NULL;
}

TEST(threads_share_keys_states_and_tables)
{
    struct shared shared = { .binding = { .user = IMAPSTATE_SPAN("ann"),
                                          .upstream = IMAPSTATE_SPAN("main"),
                                          .names = IMAPSTATE_SPAN("IMAP4rev1 STATE") } };
    struct thread threads[THREADS] = { 0 };
    assert_int_equal(pthread_barrier_init(&shared.begin, NULL, THREADS), 0);
    shared.state = imapstate_state_new(1000);
    assert_int_equal(imapstate_state_record(shared.state, IMAPSTATE_ENTRY_ENABLE, IMAPSTATE_SPAN("QRESYNC")),
                     IMAPSTATE_OK);
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i].shared = &shared;
        threads[i].number = i;
        imapstate_buf_init(&threads[i].token, IMAPSTATE_TOKEN_MAX);
        assert_int_equal(pthread_create(&threads[i].id, NULL, thread_run, &threads[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i].id, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(threads[i].good, ROUNDS);
        assert_string_equal(threads[i].hash, threads[0].hash);
        assert_memory_equal(threads[i].fingerprint, threads[0].fingerprint, sizeof threads[i].fingerprint);
        CHECK_SPAN("P14", imapstate_buf_span(&threads[i].token), imapstate_buf_span(&threads[0].token));
    }
    for (unsigned i = 0; i < THREADS; i++)
        imapstate_buf_done(&threads[i].token);
    imapstate_state_free(shared.state);
    imapstate_keyring_free(shared.keyring);
    pthread_barrier_destroy(&shared.begin);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_share_keys_states_and_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
