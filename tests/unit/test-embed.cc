/* A program in C++ that has only what is installed: the public headers and the shared library. It uses something of
 * every header. What a function does in detail is tested elsewhere; here it is found, called by its name and answers.
 */
#include <imapstate/imapstate.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                       \
            std::exit(1);                                                                                              \
        }                                                                                                              \
    } while (0)

namespace
{
const uint64_t NOW_S = 1795478400;
const uint8_t KEY_OCTETS[] = "an example key, 32 octets long.";

std::string text_of(imapstate_span span)
{
    return std::string(reinterpret_cast<const char *>(span.at), span.len);
}

class Buf
{
  public:
    explicit Buf(size_t max)
    {
        imapstate_buf_init(&buf, max);
    }
    ~Buf()
    {
        imapstate_buf_done(&buf);
    }
    Buf(const Buf &) = delete;
    Buf &operator=(const Buf &) = delete;
    imapstate_buf *operator&()
    {
        return &buf;
    }
    imapstate_span span() const
    {
        return imapstate_buf_span(&buf);
    }

  private:
    imapstate_buf buf;
};

void spans_and_buffers()
{
    Buf buf(64);
    CHECK(imapstate_buf_put(&buf, IMAPSTATE_SPAN("octets")) && imapstate_buf_put_byte(&buf, ' '));
    CHECK(imapstate_buf_printf(&buf, "%d", 42) && text_of(buf.span()) == "octets 42");
    imapstate_buf_drop(&buf, 7);
    CHECK(imapstate_span_equal(buf.span(), imapstate_span_of("42")));
    imapstate_buf_clear(&buf);
    CHECK(buf.span().len == 0);
    CHECK(imapstate_span_equal_nocase(IMAPSTATE_SPAN("state"), IMAPSTATE_SPAN("STATE")));
    CHECK(imapstate_span_contains_nocase(IMAPSTATE_SPAN("IMAP4rev1 STATE"), IMAPSTATE_SPAN("state")));
    CHECK(text_of(imapstate_span_without_line_end(IMAPSTATE_SPAN("a1 OK\r\n"))) == "a1 OK");
}

void errors()
{
    CHECK(std::strcmp(imapstate_strerror(IMAPSTATE_TOKEN_EXPIRED), "token is past its lifetime") == 0);
    CHECK(imapstate_error_is_final(IMAPSTATE_TOKEN_EXPIRED) && !imapstate_error_is_final(IMAPSTATE_NO_MEMORY));
}

void frames_and_commands()
{
    imapstate_frame frame;
    imapstate_piece piece;
    imapstate_span in = IMAPSTATE_SPAN("a1 ENABLE QRESYNC\r\n");
    imapstate_frame_init(&frame, IMAPSTATE_FRAME_COMMANDS);
    CHECK(imapstate_frame_next(&frame, in, &piece) == IMAPSTATE_FRAME_LINE && piece.begins && piece.ends);
    CHECK(imapstate_frame_is_between(&frame) && imapstate_frame_error(&frame) == IMAPSTATE_OK);

    imapstate_command_line line;
    CHECK(imapstate_command_parse(piece.octets, &line) == IMAPSTATE_OK);
    CHECK(text_of(line.tag) == "a1" && text_of(line.arguments) == "QRESYNC");
    CHECK(line.command->id == IMAPSTATE_COMMAND_ENABLE && line.command->stored == IMAPSTATE_ENTRY_ENABLE);
    CHECK(imapstate_command_find(IMAPSTATE_SPAN("enable")) == line.command);
    CHECK(imapstate_command_may_enable(line.command, line.arguments));

    Buf quoted(64), value(64);
    CHECK(imapstate_command_is_quotable(IMAPSTATE_SPAN("a \"b\"")));
    CHECK(imapstate_command_put_quoted(&quoted, IMAPSTATE_SPAN("a \"b\"")));
    imapstate_span rest = quoted.span();
    CHECK(imapstate_command_astring(&rest, &value) == IMAPSTATE_OK && text_of(value.span()) == "a \"b\"");
}

void states_and_replays()
{
    imapstate_state *state = imapstate_state_new(IMAPSTATE_STATE_MAX);
    imapstate_entry entry;
    CHECK(state && imapstate_state_record(state, IMAPSTATE_ENTRY_ENABLE, IMAPSTATE_SPAN("QRESYNC")) == IMAPSTATE_OK);
    CHECK(imapstate_state_count(state) == 1 && imapstate_state_at(state, 0, &entry));
    CHECK(std::strcmp(imapstate_storable_find(entry.kind)->command, "ENABLE") == 0);

    imapstate_span names = entry.value, name;
    CHECK(imapstate_enable_next(&names, &name) && text_of(name) == "QRESYNC" && !imapstate_enable_next(&names, &name));

    imapstate_replay_literals literals = {};
    imapstate_replay *replay = imapstate_replay_new(state, literals, "x");
    CHECK(replay && text_of(imapstate_replay_output(replay)) == "x1 ENABLE QRESYNC\r\n");
    CHECK(imapstate_replay_answer(replay, IMAPSTATE_SPAN("* ENABLED QRESYNC\r\n")) == IMAPSTATE_REPLAY_HIDE);
    CHECK(imapstate_replay_answer(replay, IMAPSTATE_SPAN("x1 OK\r\n")) == IMAPSTATE_REPLAY_HIDE);
    CHECK(imapstate_replay_status(replay) == IMAPSTATE_REPLAY_RESTORED);
    imapstate_replay_free(replay);
    imapstate_state_free(state);
}

/* Seals an empty state, and opens the token again. */
void keys_and_tokens()
{
    imapstate_keyring *keyring = imapstate_keyring_new();
    imapstate_key key;
    CHECK(keyring && imapstate_keyring_add(keyring, 7, 0, KEY_OCTETS) == IMAPSTATE_OK);
    CHECK(imapstate_keyring_sealing(keyring, NOW_S, &key) && key.id == 7);

    imapstate_token_binding binding = {};
    binding.user = IMAPSTATE_SPAN("ann");
    binding.upstream = IMAPSTATE_SPAN("main");
    binding.names = IMAPSTATE_SPAN("IMAP4rev1 STATE");
    imapstate_state *state = imapstate_state_new(imapstate_token_state_max(&binding));
    Buf encoded(IMAPSTATE_STATE_MAX), token(IMAPSTATE_TOKEN_MAX), opened(IMAPSTATE_STATE_MAX);
    uint64_t left_s = 0;
    CHECK(state && imapstate_state_encode(state, &encoded));
    CHECK(imapstate_token_seal(&key, &binding, NOW_S, 3600, encoded.span(), &token, &left_s) == IMAPSTATE_OK);
    CHECK(imapstate_token_open(keyring, &binding, NOW_S, token.span(), &opened) == IMAPSTATE_OK && left_s >= 3600);
    CHECK(imapstate_state_decode(state, opened.span()) == IMAPSTATE_OK && imapstate_state_count(state) == 0);
    imapstate_state_free(state);
    imapstate_keyring_free(keyring);
}

/* A session that saves, and one that is restored. */
void servers()
{
    imapstate_keyring *keyring = imapstate_keyring_new();
    CHECK(keyring && imapstate_keyring_add(keyring, 7, 0, KEY_OCTETS) == IMAPSTATE_OK);
    imapstate_token_binding binding = {};
    binding.user = IMAPSTATE_SPAN("ann");
    binding.upstream = IMAPSTATE_SPAN("main");
    imapstate_server *server = imapstate_server_new(), *next = imapstate_server_new();
    Buf out(256), token(IMAPSTATE_TOKEN_MAX);
    uint64_t left_s = 0;
    CHECK(server && imapstate_server_track(server, &binding) == IMAPSTATE_ANSWER_TRACKING);
    CHECK(
        imapstate_server_took_effect(server, IMAPSTATE_SPAN("a2"), IMAPSTATE_ENTRY_ENABLE, IMAPSTATE_SPAN("QRESYNC")));
    CHECK(imapstate_answer_put_statecmd(IMAPSTATE_SPAN("a2"), &out));
    CHECK(text_of(out.span()).find("* OK [STATECMD a2] ") == 0);
    CHECK(imapstate_server_save(server, keyring, &binding, IMAPSTATE_TOKEN_FORMAT, NOW_S, 3600, &token, &left_s,
                                nullptr) == IMAPSTATE_ANSWER_SAVED);

    imapstate_entry entry;
    CHECK(imapstate_server_restore(next, keyring, &binding, NOW_S, token.span(), nullptr) == IMAPSTATE_ANSWER_RUN);
    CHECK(imapstate_state_at(imapstate_server_restoring(next), 0, &entry) && text_of(entry.value) == "QRESYNC");
    imapstate_server_ran(next, 0, true, entry.value);
    CHECK(imapstate_server_verdict(next) == IMAPSTATE_ANSWER_RESTORED);
    imapstate_buf_clear(&out);
    CHECK(imapstate_answer_put(IMAPSTATE_ANSWER_SAVED, IMAPSTATE_SPAN("a3"), IMAPSTATE_SPAN("t"), left_s, &out));
    CHECK(text_of(out.span()).find("* SAVESTATE t\r\na3 OK [STATEEXPIRES ") == 0);
    imapstate_server_free(server);
    imapstate_server_free(next);
    imapstate_keyring_free(keyring);
}

void visits()
{
    imapstate_visit *visit = imapstate_visit_new();
    Buf out(256);
    CHECK(visit && imapstate_visit_want(visit, IMAPSTATE_SPAN("ENABLE QRESYNC")) == IMAPSTATE_OK);
    CHECK(imapstate_visit_put_state(visit, IMAPSTATE_SPAN("a2"), &out) && text_of(out.span()) == "a2 STATE\r\n");
    imapstate_visit_response(visit, IMAPSTATE_SPAN("a2 OK tracking\r\n"));
    CHECK(imapstate_visit_status(visit) == IMAPSTATE_VISIT_TRACKING);
    imapstate_visit_free(visit);
}

template <typename Struct> bool is_reserved(const Struct &filled)
{
    for (size_t i = 0; i < sizeof filled.reserved / sizeof filled.reserved[0]; i++)
        if (filled.reserved[i] != 0)
            return false;
    return true;
}

template <typename Struct> Struct rubbish()
{
    Struct filled;
    std::memset(static_cast<void *>(&filled), 0xff, sizeof filled);
    return filled;
}

/* A later library will find in it what this program means: nothing; and this program, what a later one will say. */
void what_is_reserved_is_0()
{
    imapstate_frame frame = rubbish<imapstate_frame>();
    imapstate_frame_init(&frame, IMAPSTATE_FRAME_RESPONSES);
    CHECK(is_reserved(frame));
    imapstate_piece piece = rubbish<imapstate_piece>(), part = piece, literal = piece;
    CHECK(imapstate_frame_next(&frame, IMAPSTATE_SPAN("* 1 FETCH (BODY[] {3}\r\n"), &piece) == IMAPSTATE_FRAME_LINE);
    CHECK(imapstate_frame_next(&frame, IMAPSTATE_SPAN("abc"), &literal) == IMAPSTATE_FRAME_LITERAL);
    CHECK(imapstate_frame_next(&frame, IMAPSTATE_SPAN(" FLAGS"), &part) == IMAPSTATE_FRAME_MORE);
    CHECK(imapstate_frame_pass(&frame, IMAPSTATE_SPAN(" FLAGS"), &part));
    CHECK(is_reserved(piece) && is_reserved(literal) && is_reserved(part));

    imapstate_command_line line = rubbish<imapstate_command_line>(), wrong = line;
    CHECK(imapstate_command_parse(IMAPSTATE_SPAN("a1 NOOP\r\n"), &line) == IMAPSTATE_OK && is_reserved(line));
    CHECK(imapstate_command_parse(IMAPSTATE_SPAN("(\r\n"), &wrong) == IMAPSTATE_SYNTAX && is_reserved(wrong));

    imapstate_state *state = imapstate_state_new(IMAPSTATE_STATE_MAX);
    imapstate_entry entry = rubbish<imapstate_entry>();
    imapstate_notify_part notify = rubbish<imapstate_notify_part>();
    imapstate_span arguments = IMAPSTATE_SPAN("NONE");
    CHECK(state && imapstate_state_record(state, IMAPSTATE_ENTRY_NOTIFY, arguments) == IMAPSTATE_OK);
    CHECK(imapstate_state_at(state, 0, &entry) && is_reserved(entry));
    CHECK(imapstate_notify_next(&arguments, &notify) == IMAPSTATE_OK && is_reserved(notify));
    imapstate_state_free(state);

    imapstate_keyring *keyring = imapstate_keyring_new();
    imapstate_key found = rubbish<imapstate_key>(), sealing = found, at = found;
    CHECK(keyring && imapstate_keyring_add(keyring, 7, 0, KEY_OCTETS) == IMAPSTATE_OK);
    CHECK(imapstate_keyring_find(keyring, 7, &found) && is_reserved(found));
    CHECK(imapstate_keyring_sealing(keyring, NOW_S, &sealing) && is_reserved(sealing));
    CHECK(imapstate_keyring_at(keyring, 0, &at) && is_reserved(at));
    imapstate_keyring_free(keyring);
}

void versions()
{
    CHECK(imapstate_version() == IMAPSTATE_VERSION);
    CHECK(std::strcmp(imapstate_version_text(), IMAPSTATE_VERSION_TEXT) == 0);
}
} // namespace

int main()
{
    spans_and_buffers();
    errors();
    frames_and_commands();
    states_and_replays();
    keys_and_tokens();
    servers();
    visits();
    what_is_reserved_is_0();
    versions();
    return 0;
}
