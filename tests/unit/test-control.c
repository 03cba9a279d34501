#include "check.h"

#include "config.h"
#include "control.h"
#include "inquiry.h"
#include "loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64], path[96];
static struct config config = {
    .path = (char[]){ "x.conf" },
    .user = (char[]){ "" },
    .group = (char[]){ "" },
    .control = { .is_on = true, .socket = path, .mode = 0600, .group = (char[]){ "" } },
};
static struct control control;
static struct loop loop;
static struct inquiries inquiries;
static const struct control_actions *no_actions;

static void on_told(struct loop *told)
{
}

static void begin(void)
{
    strcpy(folder, "/tmp/test-control.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/control", folder);
    assert_true(loop_init(&loop, 254, on_told));
    inquiries_init(&inquiries, &loop);
    control_init(&control);
    assert_true(control_open(&control, &config, false, stderr));
    assert_true(control_start(&control, &loop, &inquiries, no_actions));
}

static void end(void)
{
    control_done(&control);
    inquiries_done(&inquiries);
    loop_done(&loop);
    assert_int_equal(rmdir(folder), 0);
}

static int come(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void turn(void)
{
    for (int i = 0; i < 10; i++)
        event_base_loop(loop.base, EVLOOP_NONBLOCK);
}

static const char *hear(int fd)
{
    static char heard[4096];
    turn();
    ssize_t got = read(fd, heard, sizeof heard - 1);
    heard[got > 0 ? got : 0] = '\0';
    return heard;
}

TEST(a_command_is_answered)
{
    begin();
    int fd = come();
    turn();
    assert_int_equal(write(fd, "[\"nix\"]\n", 8), 8);
    assert_string_equal(hear(fd), "{\"error\":\"there is no command \\\"nix\\\"\",\"kind\":\"usage\"}\n");
    close(fd);
    end();
}

TEST(one_connection_too_many_is_told_so_and_the_others_stay)
{
    int fds[CONTROL_PEERS_MAX + 1];
    begin();
    for (size_t i = 0; i <= CONTROL_PEERS_MAX; i++) {
        fds[i] = come();
        turn();
    }
    assert_string_equal(hear(fds[CONTROL_PEERS_MAX]),
                        "{\"error\":\"too many control connections\",\"kind\":\"failed\"}\n");
    assert_int_equal(read(fds[CONTROL_PEERS_MAX], folder + 60, 1), 0);
    assert_int_equal(control.peers.count, CONTROL_PEERS_MAX);
    close(fds[0]);
    turn();
    close(fds[CONTROL_PEERS_MAX]);
    fds[0] = come();
    assert_int_equal(write(fds[0], "[]\n", 3), 3);
    assert_non_null(strstr(hear(fds[0]), "a command is missing"));
    for (size_t i = 0; i < CONTROL_PEERS_MAX; i++)
        close(fds[i]);
    end();
}

TEST(without_the_section_nothing_is_opened)
{
    config.control.is_on = false;
    control_init(&control);
    assert_true(control_open(&control, &config, false, stderr));
    assert_true(control_start(&control, &loop, &inquiries, no_actions));
    control_done(&control);
    config.control.is_on = true;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_is_answered),
        cmocka_unit_test(one_connection_too_many_is_told_so_and_the_others_stay),
        cmocka_unit_test(without_the_section_nothing_is_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
