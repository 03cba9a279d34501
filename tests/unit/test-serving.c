#include "check.h"

#include "capture.h"
#include "client.h"
#include "loguser.h"
#include "park.h"
#include "rig.h"
#include "serving.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LIST "IMAP4rev1 ID"

/* What serving_put() adds. */
static const char *put(const struct serving *serving)
{
    static struct logline line;
    logline_begin(&line, LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOGLINE_SYSLOG);
    serving_put(serving, &line);
    logline_end(&line);
    line.octets[line.len - 1] = '\0';
    return line.octets;
}

TEST(a_connection_is_told_by_its_address_and_by_another_sessions_name)
{
    struct client client = { .mark = { .client = 1, .session = 1 } };
    char own[LOGMARK_SESSION_MAX], other[] = "an other", want[64];
    struct sockaddr_in server = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof server;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listening >= 0 && fd >= 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&server, len), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&server, &len), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&server, len), 0);
    struct address address;
    assert_true(address_of_peer(fd, &address));
    logmark_session(&client.mark, own);
    const struct {
        char *session;
        const char *behind;
    } rows[] = { { NULL, "" }, { own, "" }, { other, " upstream_session=an\\x20other" }, { NULL, "" } };
    assert_string_equal(put(&client.serving), "");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kept kept = { .session = rows[i].session };
        serving_note(&client, &address, &kept);
        snprintf(want, sizeof want, "address=127.0.0.1:%u%s", ntohs(server.sin_port), rows[i].behind);
        assert_string_equal(put(&client.serving), want);
    }
    serving_done(&client.serving);
    assert_string_equal(put(&client.serving), "");
    close(fd);
    close(listening);
}

/* In what was captured, is there a line with all of these in it? */
static bool has_line(const char *text, const char *user, const char *words)
{
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        char whole[1024];
        snprintf(whole, sizeof whole, "%.*s", (int)strcspn(line, "\n"), line);
        if (strstr(whole, user) && strstr(whole, words))
            return true;
    }
    return false;
}

TEST(a_user_on_the_list_is_logged_at_debug_from_the_login_on_and_nobody_else)
{
    struct rig rig;
    rig_begin(&rig, RIG_CONFIG);
    struct wire *client = rig_greet(&rig, LIST), *other = rig_greet(&rig, LIST);
    capture_begin();
    assert_true(loguser_add(IMAPSTATE_SPAN("Ann")));
    rig_log_in(&rig, other, "bob", LIST);
    struct wire *server = rig_log_in(&rig, client, "ann", LIST);
    rig_say(&rig, client, "a LOGOUT\r\n");
    char *got = capture_end();
    assert_non_null(server);
    assert_true(has_line(got, "user=ann", "LOGGING_IN -> AUTHENTICATED"));
    assert_true(has_line(got, "session=" RIG_SESSION " upstream=main", "READY -> LOGGING_IN"));
    assert_true(has_line(got, "user=ann", "closing: logout"));
    assert_null(strstr(got, "user=bob"));
    free(got);

    /* One whose session is open already, at its next turn. */
    capture_begin();
    assert_true(loguser_add(IMAPSTATE_SPAN("bob")));
    rig_say(&rig, other, "a SAVESTATE\r\n");
    rig_say(&rig, other, "b LOGOUT\r\n");
    got = capture_end();
    assert_true(has_line(got, "user=bob", "closing: logout"));
    free(got);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_told_by_its_address_and_by_another_sessions_name),
        cmocka_unit_test(a_user_on_the_list_is_logged_at_debug_from_the_login_on_and_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
