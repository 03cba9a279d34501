#include "check.h"

#include "certificate.h"
#include "clock.h"
#include "connection.h"

#include <errno.h>
#include <poll.h>

#include "scripted.h"

#define PATIENT_MS 60000 /* what is waited for comes */
#define SHORT_MS   50    /* it never does */

static struct certificate certificate;

static struct connection_target target_of(const struct scripted *server, enum connection_tls tls, const char *ca_file)
{
    return (struct connection_target){
        .host = "localhost", .port = server->port, .tls = tls, .ca_file = ca_file, .timeout_ms = PATIENT_MS
    };
}

/* Reads until the server closes. */
static void read_all(struct connection *connection, struct imapstate_buf *in)
{
    imapstate_buf_init(in, 1u << 20);
    while (connection_read(connection, in))
        ;
    assert_string_equal(connection->error, "the server has closed the connection");
}

static const struct {
    const char *name, *script;
    enum connection_tls tls;
    bool is_secured; /* by connection_secure() */
} ways[] = {
    { "no TLS", ". hello\n> NOOP\n< $ OK done", CONNECTION_PLAIN, false },
    { "TLS at once", "T\n. hello\n> NOOP\n< $ OK done", CONNECTION_IMPLICIT, false },
    { "TLS behind STARTTLS", "T\n. hello\n> NOOP\n< $ OK done", CONNECTION_STARTTLS, true },
};

TEST(octets_go_both_ways_however_they_are_cut)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct scripted server;
        struct connection connection;
        struct imapstate_buf in;
        scripted_begin(&server, ways[i].script, &certificate);
        struct connection_target target = target_of(&server, ways[i].tls, certificate.cert_file);
        CHECK_ROW(ways[i].name, connection_open(&connection, &target));
        connection_set_deadline(&connection);
        CHECK_ROW(ways[i].name, !ways[i].is_secured || connection_secure(&connection));
        CHECK_ROW(ways[i].name, connection_write(&connection, IMAPSTATE_SPAN("a1 NOOP\r\n")));
        read_all(&connection, &in);
        CHECK_SPAN(ways[i].name, imapstate_buf_span(&in), IMAPSTATE_SPAN("helloa1 OK done\r\n"));
        bool has_tls = strncmp(connection_protocol(&connection), "TLSv1.", 6) == 0;
        CHECK_ROW(ways[i].name, has_tls == (ways[i].tls != CONNECTION_PLAIN));
        connection_close(&connection);
        connection_close(&connection); /* does no harm */
        imapstate_buf_done(&in);
        assert_int_equal(scripted_end(&server, ways[i].name), 0);
    }
}

static const struct {
    const char *name, *host, *script;
    bool has_ca, is_insecure;
    const char *error; /* its begin; NULL: it is taken */
} certificates[] = {
    { "by its name", "localhost", "T\nZ", true, false, NULL },
    { "nobody trusts it", "localhost", "T\nZ", false, false, "the server's certificate is refused: self-signed cert" },
    { "of another name", "127.0.0.1", "T\nZ", true, false, "the server's certificate is refused: IP address mismatch" },
    { "not looked at", "127.0.0.1", "T\nZ", false, true, NULL },
    { "no TLS on the other side", "localhost", "< * OK hi\nZ", true, false, "TLS: " },
};

TEST(a_certificate_is_taken_or_refused_with_its_reason)
{
    for (size_t i = 0; i < ARRAY_LEN(certificates); i++) {
        struct scripted server;
        struct connection connection;
        scripted_begin(&server, certificates[i].script, &certificate);
        struct connection_target target =
            target_of(&server, CONNECTION_IMPLICIT, certificates[i].has_ca ? certificate.cert_file : "");
        target.host = certificates[i].host;
        target.is_insecure = certificates[i].is_insecure;
        const char *error = certificates[i].error;
        CHECK_ROW(certificates[i].name, connection_open(&connection, &target) == !error);
        CHECK_ROW(certificates[i].name, !error || strncmp(connection.error, error, strlen(error)) == 0);
        connection_close(&connection);
        scripted_end(&server, certificates[i].name);
    }
}

TEST(a_file_of_certificates_that_is_none_is_named)
{
    struct scripted server;
    struct connection connection;
    scripted_begin(&server, "Z", NULL);
    struct connection_target target = target_of(&server, CONNECTION_IMPLICIT, "/nonexistent/ca.pem");
    assert_false(connection_open(&connection, &target));
    assert_int_equal(strncmp(connection.error, "/nonexistent/ca.pem: ", 21), 0);
    connection_close(&connection);
    scripted_end(&server, "no CA file");
}

static const struct {
    const char *name, *script;
    enum connection_tls tls;
    const char *error;
} silent[] = {
    { "no answer", "Z", CONNECTION_PLAIN, "no answer within 0.05 s" },
    { "no handshake", "Z", CONNECTION_IMPLICIT, "no TLS handshake within 0.05 s" },
    { "no answer under TLS", "T\nZ", CONNECTION_IMPLICIT, "no answer within 0.05 s" },
    { "no end of it", "F", CONNECTION_PLAIN, "no answer within 0.05 s" },
};

TEST(each_wait_has_an_end)
{
    for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
        struct scripted server;
        struct connection connection;
        struct imapstate_buf in;
        scripted_begin(&server, silent[i].script, &certificate);
        struct connection_target target = target_of(&server, silent[i].tls, certificate.cert_file);
        /* Where there is a handshake to succeed, its time is not short. */
        target.timeout_ms = strchr(silent[i].script, 'T') ? PATIENT_MS : SHORT_MS;
        imapstate_buf_init(&in, 1u << 20);
        if (connection_open(&connection, &target)) {
            target.timeout_ms = SHORT_MS;
            connection_set_deadline(&connection);
            while (connection_read(&connection, &in))
                imapstate_buf_clear(&in);
        }
        assert_string_equal(connection.error, silent[i].error);
        connection_close(&connection);
        imapstate_buf_done(&in);
        scripted_end(&server, silent[i].name);
    }
}

/* Whoever never has to wait, as the server never stops, must heed the deadline as well. */
TEST(what_is_there_behind_the_deadline_is_not_taken)
{
    struct scripted server;
    struct connection connection;
    struct imapstate_buf in;
    scripted_begin(&server, "< * OK hi\nZ", NULL);
    struct connection_target target = target_of(&server, CONNECTION_PLAIN, "");
    assert_true(connection_open(&connection, &target));
    target.timeout_ms = 1;
    connection_set_deadline(&connection);
    struct pollfd readable = { .fd = connection.fd, .events = POLLIN };
    assert_int_equal(poll(&readable, 1, PATIENT_MS), 1);
    while (clock_us() < connection.deadline_us)
        usleep(100);
    imapstate_buf_init(&in, 1000);
    assert_false(connection_read(&connection, &in));
    assert_string_equal(connection.error, "no answer within 0.001 s");
    assert_int_equal(in.len, 0);
    connection_close(&connection);
    scripted_end(&server, "too late");
}

TEST(what_nobody_takes_is_not_waited_for_without_an_end)
{
    struct scripted server;
    struct connection connection;
    uint8_t *much = calloc(1, 64u << 20);
    assert_non_null(much);
    scripted_begin(&server, "F", NULL); /* it does not read */
    struct connection_target target = target_of(&server, CONNECTION_PLAIN, "");
    assert_true(connection_open(&connection, &target));
    target.timeout_ms = SHORT_MS;
    connection_set_deadline(&connection);
    assert_false(connection_write(&connection, (struct imapstate_span){ much, 64u << 20 }));
    assert_string_equal(connection.error, "no room to write within 0.05 s");
    connection_close(&connection);
    scripted_end(&server, "no reader");
    free(much);
}

TEST(more_than_there_is_room_for_is_said)
{
    struct scripted server;
    struct connection connection;
    struct imapstate_buf in;
    scripted_begin(&server, "F", NULL);
    struct connection_target target = target_of(&server, CONNECTION_PLAIN, "");
    assert_true(connection_open(&connection, &target));
    connection_set_deadline(&connection);
    imapstate_buf_init(&in, 1000);
    while (connection_read(&connection, &in))
        ;
    assert_string_equal(connection.error, "the server's answer is too long");
    assert_true(in.len <= 1000);
    connection_close(&connection);
    imapstate_buf_done(&in);
    scripted_end(&server, "too much");
}

TEST(nobody_there_is_said)
{
    struct scripted server;
    struct connection connection;
    scripted_begin(&server, "", NULL);
    assert_int_equal(scripted_end(&server, "gone"), 0);
    struct connection_target target = target_of(&server, CONNECTION_PLAIN, "");
    assert_false(connection_open(&connection, &target));
    assert_string_equal(connection.error, "Connection refused");
    connection_close(&connection);
    target.host = "a..b";
    assert_false(connection_open(&connection, &target));
    assert_true(*connection.error != '\0');
    connection_close(&connection);
}

static int begin(void **state)
{
    certificate_make(&certificate, "localhost");
    return 0;
}

static int end(void **state)
{
    certificate_done(&certificate);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(octets_go_both_ways_however_they_are_cut),
        cmocka_unit_test(a_certificate_is_taken_or_refused_with_its_reason),
        cmocka_unit_test(a_file_of_certificates_that_is_none_is_named),
        cmocka_unit_test(each_wait_has_an_end),
        cmocka_unit_test(what_is_there_behind_the_deadline_is_not_taken),
        cmocka_unit_test(what_nobody_takes_is_not_waited_for_without_an_end),
        cmocka_unit_test(more_than_there_is_room_for_is_said),
        cmocka_unit_test(nobody_there_is_said),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, begin, end);
}
