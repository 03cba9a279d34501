/* Property: whatever a server tells, in whatever order, it hears no announcement without tracking; and what it saves
 * restores by its own commands, to the same state, in any session that is pristine, and in no other. */
#include "fuzz.h"

#include <imapstate/server.h>

#define NOW_S 1795478400u

static const struct imapstate_token_binding binding = { .user = { (const uint8_t *)"ann", 3 },
                                                        .upstream = { (const uint8_t *)"main", 4 },
                                                        .names = { (const uint8_t *)"IMAP4rev1", 9 } };
static struct imapstate_keyring *keyring;

static bool is_same(const struct imapstate_state *a, const struct imapstate_state *b)
{
    struct imapstate_buf left, right;
    imapstate_buf_init(&left, IMAPSTATE_STATE_MAX);
    imapstate_buf_init(&right, IMAPSTATE_STATE_MAX);
    CHECK(imapstate_state_encode(a, &left) && imapstate_state_encode(b, &right));
    bool is_same = imapstate_span_equal(imapstate_buf_span(&left), imapstate_buf_span(&right));
    imapstate_buf_done(&left);
    imapstate_buf_done(&right);
    return is_same;
}

/* As each command of the restore does what it did, the verdict is that the state is restored. */
static void check_restores(const struct imapstate_server *saved, struct imapstate_span token)
{
    struct imapstate_server *server = imapstate_server_new();
    struct imapstate_entry entry;
    enum imapstate_error error;
    CHECK(server);
    CHECK(imapstate_server_restore(server, keyring, &binding, NOW_S, token, &error) == IMAPSTATE_ANSWER_RUN);
    for (size_t i = 0; imapstate_state_at(imapstate_server_restoring(server), i, &entry); i++) {
        CHECK(imapstate_server_verdict(server) == IMAPSTATE_ANSWER_RUN);
        imapstate_server_ran(server, i, true, entry.value);
    }
    CHECK(imapstate_server_verdict(server) == IMAPSTATE_ANSWER_RESTORED);
    CHECK(is_same(imapstate_server_state(server), imapstate_server_state(saved)));
    bool is_pristine = imapstate_state_count(imapstate_server_state(server)) == 0; /* P7 */
    enum imapstate_answer again = imapstate_server_restore(server, keyring, &binding, NOW_S, token, &error);
    CHECK(again == (is_pristine ? IMAPSTATE_ANSWER_RUN : IMAPSTATE_ANSWER_DECLINED));
    imapstate_server_free(server);
}

static void save(const struct imapstate_server *server, struct imapstate_buf *token)
{
    uint64_t left_s;
    imapstate_buf_clear(token);
    enum imapstate_answer answer =
        imapstate_server_save(server, keyring, &binding, IMAPSTATE_TOKEN_FORMAT, NOW_S, 86400, token, &left_s, NULL);
    enum imapstate_answer wanted =
        imapstate_server_restoring(server) ? IMAPSTATE_ANSWER_NOT_SAVED : IMAPSTATE_ANSWER_SAVED;
    CHECK(answer == (imapstate_server_is_tracking(server) ? wanted : IMAPSTATE_ANSWER_NOT_TRACKING));
    if (answer == IMAPSTATE_ANSWER_SAVED)
        check_restores(server, imapstate_buf_span(token));
}

static void effect(struct imapstate_server *server, uint8_t what, struct imapstate_span value)
{
    bool was_tracking = imapstate_server_is_tracking(server);
    struct imapstate_span tag = what & 8 ? IMAPSTATE_SPAN("a]") : IMAPSTATE_SPAN("a1");
    bool is_announced = imapstate_server_took_effect(server, tag, (enum imapstate_entry_kind)(what % 4 + 1), value);
    CHECK(!is_announced || (was_tracking && !(what & 8)));
}

/* A call: which (1 octet), length (1), value. */
static void call(struct imapstate_server *server, struct imapstate_buf *token, uint8_t what,
                 struct imapstate_span value)
{
    enum imapstate_error error;
    switch (what % 12) {
    case 0:
    case 1:
    case 2:
        effect(server, what / 12, value);
        break;
    case 3:
        imapstate_server_track(server, &binding);
        break;
    case 4:
        imapstate_server_restore(server, keyring, &binding, NOW_S, imapstate_buf_span(token), &error);
        break;
    case 5:
        imapstate_server_restore(server, keyring, &binding, NOW_S, value, &error);
        break;
    case 6:
        imapstate_server_ran(server, what / 12 % 4, what & 128, value);
        break;
    case 7:
        imapstate_server_verdict(server);
        break;
    case 8:
        imapstate_server_conclude(server, &binding, (enum imapstate_outcome)(what / 12 % 4));
        break;
    case 9:
        save(server, token);
        break;
    case 10:
        imapstate_server_overflowed(server);
        imapstate_server_set_pristine(server, what / 12 % 2);
        break;
    default:
        imapstate_server_set_selected(server, (enum imapstate_selected)(what / 12 % 3));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const uint8_t key[IMAPSTATE_KEY_OCTETS] = { 1 };
    struct imapstate_server *server = imapstate_server_new();
    struct imapstate_span in = { at, len };
    struct imapstate_buf token;
    if (!keyring) {
        keyring = imapstate_keyring_new();
        CHECK(keyring && imapstate_keyring_add(keyring, 1, 0, key) == IMAPSTATE_OK);
    }
    CHECK(server);
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    while (in.len >= 2) {
        size_t octets = in.at[1] < in.len - 2 ? in.at[1] : in.len - 2;
        call(server, &token, in.at[0], (struct imapstate_span){ in.at + 2, octets });
        in = (struct imapstate_span){ in.at + 2 + octets, in.len - 2 - octets };
        CHECK((imapstate_server_state(server) != NULL) == imapstate_server_is_tracking(server));
    }
    save(server, &token);
    imapstate_buf_done(&token);
    imapstate_server_free(server);
    return 0;
}
