#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sockets.h"

static char folder[] = "/tmp/test-sockets-XXXXXX";

static struct endpoint endpoint(const char *text)
{
    struct endpoint found;
    assert_null(endpoint_parse(text, &found));
    return found;
}

/* A socket of somebody else's, at a port that was free; with SO_REUSEPORT or without. */
static int foreign(const char *host, bool is_shared, bool listens, struct endpoint *ret_endpoint)
{
    char text[64];
    snprintf(text, sizeof text, "%s:1", host);
    struct endpoint at = endpoint(text);
    int fd = socket(at.sockaddr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    at.sockaddr.in.sin_port = 0;
    if (is_shared)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
    assert_int_equal(bind(fd, &at.sockaddr.any, at.len), 0);
    assert_int_equal(getsockname(fd, &at.sockaddr.any, &at.len), 0);
    if (listens)
        assert_int_equal(listen(fd, 8), 0);
    *ret_endpoint = (struct endpoint){ .len = at.len };
    memcpy(&ret_endpoint->sockaddr, &at.sockaddr, at.len);
    return fd;
}

static struct endpoint free_place(const char *host)
{
    struct endpoint at;
    close(foreign(host, false, false, &at));
    return at;
}

static struct endpoint unix_place(const char *name)
{
    char text[128];
    snprintf(text, sizeof text, "unix:%s/%s", folder, name);
    return endpoint(text);
}

static int come(const struct endpoint *at)
{
    int fd = socket(at->sockaddr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, &at->sockaddr.any, at->len) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool is_open(const struct endpoint *at)
{
    int fd = come(at);
    close(fd);
    return fd >= 0;
}

TEST(an_address_gets_as_many_sockets_as_are_wanted_and_keeps_those_it_has)
{
    struct sockets sockets = { 0 };
    struct endpoint at = free_place("127.0.0.1");
    assert_null(sockets_find(&sockets, &at));
    assert_null(sockets_open(&sockets, &at, 2, 0));
    assert_int_equal(sockets_find(&sockets, &at)->count, 2);
    int first = sockets_find(&sockets, &at)->fds[0];
    assert_null(sockets_open(&sockets, &at, 3, 0));
    assert_null(sockets_open(&sockets, &at, 1, 0));
    assert_int_equal(sockets_find(&sockets, &at)->count, 3);
    assert_int_equal(sockets_find(&sockets, &at)->fds[0], first);
    assert_true(is_open(&at));
    sockets_done(&sockets);
    assert_false(is_open(&at));
}

TEST(a_port_that_another_has_is_not_to_be_had_even_if_that_one_would_share_it)
{
    for (int is_shared = 0; is_shared < 2; is_shared++) {
        struct sockets sockets = { 0 };
        struct endpoint at;
        int other = foreign("127.0.0.1", is_shared, true, &at);
        assert_string_equal(sockets_open(&sockets, &at, 2, 0), strerror(EADDRINUSE));
        assert_null(sockets_find(&sockets, &at));
        close(other);
        sockets_done(&sockets);
    }
}

TEST(an_address_may_take_the_place_of_one_that_it_contains)
{
    struct sockets sockets = { 0 };
    struct endpoint narrow = free_place("127.0.0.1"), wide = endpoint("*:1");
    wide.sockaddr.in.sin_port = narrow.sockaddr.in.sin_port;
    assert_null(sockets_open(&sockets, &narrow, 1, 0));
    assert_null(sockets_open(&sockets, &wide, 1, 0));
    sockets_begin(&sockets);
    sockets_keep(&sockets, &wide);
    sockets_close_others(&sockets);
    assert_null(sockets_find(&sockets, &narrow));
    assert_non_null(sockets_find(&sockets, &wide));
    assert_true(is_open(&narrow));
    sockets_done(&sockets);
}

TEST(what_is_not_kept_is_closed)
{
    struct sockets sockets = { 0 };
    struct endpoint at[3] = { free_place("127.0.0.1"), free_place("[::1]"), unix_place("kept") };
    for (size_t i = 0; i < 3; i++)
        assert_null(sockets_open(&sockets, &at[i], 2, 0600));
    sockets_begin(&sockets);
    sockets_keep(&sockets, &at[1]);
    sockets_close_others(&sockets);
    assert_false(is_open(&at[0]) || is_open(&at[2]));
    assert_true(is_open(&at[1]));
    assert_int_equal(sockets.count, 1);
    sockets_done(&sockets);
}

static mode_t mode_of(const struct endpoint *at)
{
    struct stat found;
    assert_int_equal(lstat(at->sockaddr.un.sun_path, &found), 0);
    return found.st_mode & 0777;
}

TEST(a_unix_socket_is_one_and_its_permissions_can_change)
{
    struct sockets sockets = { 0 };
    struct endpoint at = unix_place("mode");
    assert_null(sockets_open(&sockets, &at, 4, 0600));
    assert_int_equal(sockets_find(&sockets, &at)->count, 1);
    assert_int_equal(mode_of(&at), 0600);
    assert_null(sockets_open(&sockets, &at, 4, 0666));
    assert_int_equal(mode_of(&at), 0666);
    sockets_done(&sockets);
    assert_int_equal(mode_of(&at), 0666); /* the file is never deleted: it may be a successor's by now */
}

TEST(at_a_unix_path_only_what_nobody_listens_on_is_replaced)
{
    struct sockets ours = { 0 }, theirs = { 0 };
    struct endpoint live = unix_place("live"), file = unix_place("file");
    assert_null(sockets_open(&theirs, &live, 1, 0600));
    assert_non_null(sockets_open(&ours, &live, 1, 0600));
    assert_true(is_open(&live));
    sockets_done(&theirs);
    assert_null(sockets_open(&ours, &live, 1, 0600));
    assert_true(is_open(&live));
    close(open(file.sockaddr.un.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_non_null(sockets_open(&ours, &file, 1, 0600));
    assert_int_equal(access(file.sockaddr.un.sun_path, F_OK), 0);
    sockets_done(&ours);
}

TEST(a_socket_from_elsewhere_is_found_by_its_address)
{
    struct sockets sockets = { 0 };
    static const char *const hosts[] = { "127.0.0.1", "[::1]" };
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct endpoint at;
        int fd = foreign(hosts[i], false, true, &at), waiting = come(&at);
        assert_null(sockets_adopt(&sockets, fd, true));
        assert_int_equal(sockets_find(&sockets, &at)->fds[0], fd);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        /* It is bound without SO_REUSEPORT: there are no more. */
        assert_null(sockets_open(&sockets, &at, 4, 0));
        assert_int_equal(sockets_find(&sockets, &at)->count, 1);
        assert_true(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) == 1); /* who waited is still there */
        close(waiting);
    }
    sockets_done(&sockets);
}

TEST(the_permissions_of_a_unix_socket_that_was_given_are_not_ours)
{
    struct sockets sockets = { 0 };
    struct endpoint at = unix_place("given");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, &at.sockaddr.any, at.len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(chmod(at.sockaddr.un.sun_path, 0640), 0);
    assert_null(sockets_adopt(&sockets, fd, true));
    assert_null(sockets_open(&sockets, &at, 1, 0600));
    assert_int_equal(mode_of(&at), 0640);
    sockets_done(&sockets);
}

TEST(what_does_not_listen_is_of_no_use)
{
    struct sockets sockets = { 0 };
    struct endpoint at;
    assert_non_null(sockets_adopt(&sockets, foreign("127.0.0.1", false, false, &at), false));
    assert_non_null(sockets_adopt(&sockets, open("/dev/null", O_RDONLY | O_CLOEXEC), false));
    assert_non_null(sockets_adopt(&sockets, socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), false));
    assert_int_equal(sockets.count, 0);
    assert_false(is_open(&at)); /* it was closed */
    sockets_done(&sockets);
}

/* Nothing is set on a client's own socket: the system hands on what the listening one has. */
TEST(whoever_is_accepted_has_no_delay_and_is_noticed_when_it_is_gone)
{
    static const struct {
        int level, option, want;
    } options[] = {
        { IPPROTO_TCP, TCP_NODELAY, 1 },    { SOL_SOCKET, SO_KEEPALIVE, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, 60 },
        { IPPROTO_TCP, TCP_KEEPINTVL, 20 }, { IPPROTO_TCP, TCP_KEEPCNT, 3 }, { IPPROTO_TCP, TCP_USER_TIMEOUT, 120000 },
    };
    for (unsigned is_given = 0; is_given < 2; is_given++) {
        struct sockets sockets = { 0 };
        struct endpoint at = free_place("127.0.0.1");
        if (is_given)
            assert_null(sockets_adopt(&sockets, foreign("[::1]", false, true, &at), true));
        else
            assert_null(sockets_open(&sockets, &at, 1, 0));
        int client = come(&at), fd = accept(sockets_find(&sockets, &at)->fds[0], NULL, NULL);
        assert_true(fd >= 0);
        for (size_t i = 0; i < ARRAY_LEN(options); i++) {
            int value = -1;
            socklen_t len = sizeof value;
            assert_int_equal(getsockopt(fd, options[i].level, options[i].option, &value, &len), 0);
            assert_int_equal(value, options[i].want);
        }
        close(fd);
        close(client);
        sockets_done(&sockets);
    }
}

static int make_folder(void **state)
{
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_gets_as_many_sockets_as_are_wanted_and_keeps_those_it_has),
        cmocka_unit_test(a_port_that_another_has_is_not_to_be_had_even_if_that_one_would_share_it),
        cmocka_unit_test(an_address_may_take_the_place_of_one_that_it_contains),
        cmocka_unit_test(what_is_not_kept_is_closed),
        cmocka_unit_test(a_unix_socket_is_one_and_its_permissions_can_change),
        cmocka_unit_test(at_a_unix_path_only_what_nobody_listens_on_is_replaced),
        cmocka_unit_test(a_socket_from_elsewhere_is_found_by_its_address),
        cmocka_unit_test(the_permissions_of_a_unix_socket_that_was_given_are_not_ours),
        cmocka_unit_test(what_does_not_listen_is_of_no_use),
        cmocka_unit_test(whoever_is_accepted_has_no_delay_and_is_noticed_when_it_is_gone),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
