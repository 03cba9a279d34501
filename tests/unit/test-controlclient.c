#include "check.h"

#include "controlclient.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64], path[96], asked[512], heard[512];

/* A daemon that says this after it has read a line, and hangs up. */
struct daemon {
    int fd;
    const char *says;
    pthread_t thread;
};

static void *serve(void *arg)
{
    const struct daemon *daemon = arg;
    int fd = accept(daemon->fd, NULL, NULL);
    size_t len = 0;
    while (len < sizeof asked - 1 && read(fd, asked + len, 1) == 1 && asked[len] != '\n')
        len++;
    asked[len] = '\0';
    if (write(fd, daemon->says, strlen(daemon->says)) < 0)
        abort();
    close(fd);
    return NULL;
}

static void row(void *owner, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    snprintf(heard + strlen(heard), sizeof heard - strlen(heard), "row %s\n", text);
    free(text);
}

static void note(void *owner, const char *words)
{
    snprintf(heard + strlen(heard), sizeof heard - strlen(heard), "note %s\n", words);
}

/* What comes of it when the daemon says this. */
static enum controlclient_end ask(const char *says, const char *const *words, size_t count, char ret_words[128])
{
    static const struct controlclient_reader reader = { row, note, NULL };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct daemon daemon = { .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .says = says };
    const char *told;
    strcpy(folder, "/tmp/test-controlclient.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/control", folder);
    memcpy(address.sun_path, path, strlen(path));
    assert_int_equal(bind(daemon.fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(daemon.fd, 1), 0);
    assert_int_equal(pthread_create(&daemon.thread, NULL, serve, &daemon), 0);
    *heard = '\0';
    struct controlclient *client = controlclient_open(path);
    assert_non_null(client);
    enum controlclient_end end = controlclient_ask(client, words, count, &reader, &told);
    snprintf(ret_words, 128, "%s", told);
    controlclient_free(client);
    pthread_join(daemon.thread, NULL);
    close(daemon.fd);
    unlink(path);
    rmdir(folder);
    return end;
}

static const char *const show[] = { "show", "clients" };

static const struct {
    const char *name, *says;
    enum controlclient_end end;
    const char *words, *heard;
} rows[] = {
    { "done", "{\"done\":\"2 clients\"}\n", CONTROLCLIENT_DONE, "2 clients", "" },
    { "rows and notes", "{\"row\":{\"a\":1}}\n{\"note\":\"n\"}\n{\"row\":{\"b\":2}}\n{\"done\":\"d\"}\n",
      CONTROLCLIENT_DONE, "d", "row {\"a\":1}\nnote n\nrow {\"b\":2}\n" },
    { "failed", "{\"error\":\"no\",\"kind\":\"failed\"}\n", CONTROLCLIENT_FAILED, "no", "" },
    { "usage", "{\"error\":\"no\",\"kind\":\"usage\"}\n", CONTROLCLIENT_USAGE, "no", "" },
    { "a kind that is new", "{\"error\":\"no\",\"kind\":\"new\"}\n", CONTROLCLIENT_FAILED, "no", "" },
    { "lines that are new are skipped", "{\"new\":1}\n{\"done\":\"d\"}\n", CONTROLCLIENT_DONE, "d", "" },
    { "nothing", "", CONTROLCLIENT_LOST, "the daemon has closed the connection", "" },
    { "cut after a row", "{\"row\":{\"a\":1}}\n", CONTROLCLIENT_LOST, "the daemon has closed the connection",
      "row {\"a\":1}\n" },
    { "no JSON", "* OK IMAP4rev1\r\n", CONTROLCLIENT_LOST, "the daemon's answer makes no sense", "" },
    { "no object", "[]\n", CONTROLCLIENT_LOST, "the daemon's answer makes no sense", "" },
};

TEST(the_answer_is_told_line_by_line_and_how_it_ends)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char words[128];
        CHECK_ROW(rows[i].name, ask(rows[i].says, show, 2, words) == rows[i].end);
        CHECK_ROW(rows[i].name, strcmp(words, rows[i].words) == 0);
        CHECK_ROW(rows[i].name, strcmp(heard, rows[i].heard) == 0);
        assert_string_equal(asked, "[\"show\",\"clients\"]");
    }
}

TEST(words_are_sent_as_they_are_and_octets_that_are_not_utf_8_escaped)
{
    static const char *const kick[] = { "kick", "j\xc3\xbcrg", "a\"b\\x20", "\xfc\xc3\xbc" };
    char words[128];
    ask("{\"done\":\"d\"}\n", kick, 4, words);
    assert_string_equal(asked, "[\"kick\",\"j\xc3\xbcrg\",\"a\\\"b\\\\x20\",\"\\\\xfc\\\\xc3\\\\xbc\"]");
}

TEST(where_nobody_listens_there_is_no_connection)
{
    char endless[256];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_null(controlclient_open("/no/such/socket"));
    assert_int_equal(errno, ENOENT);
    assert_null(controlclient_open(endless));
    assert_int_equal(errno, E2BIG);
    controlclient_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_is_told_line_by_line_and_how_it_ends),
        cmocka_unit_test(words_are_sent_as_they_are_and_octets_that_are_not_utf_8_escaped),
        cmocka_unit_test(where_nobody_listens_there_is_no_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
