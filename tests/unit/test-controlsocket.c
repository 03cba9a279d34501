#include "check.h"

#include "config.h"
#include "controlsocket.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64], path[96], errors[512];
static char no_group[] = "", no_such_group[] = "no such group";
static struct config config = {
    .path = (char[]){ "x.conf" },
    .user = (char[]){ "" },
    .group = (char[]){ "" },
    .control = { .is_on = true, .socket = path, .mode = 0660, .group = no_group },
};

static void begin(void)
{
    strcpy(folder, "/tmp/test-controlsocket.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/control", folder);
}

static void end(void)
{
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

static bool has_predecessor;

static bool open_one(struct controlsocket *control)
{
    FILE *out = fmemopen(errors, sizeof errors, "w");
    assert_non_null(out);
    controlsocket_init(control);
    bool is_open = controlsocket_open(control, &config, has_predecessor, out);
    fclose(out);
    return is_open;
}

/* -1: nobody listens. */
static int connect_to(const char *where)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, where, strlen(where));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool is_listening(const char *where)
{
    int fd = connect_to(where);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

TEST(without_the_section_there_is_no_socket)
{
    struct controlsocket control;
    begin();
    config.control.is_on = false;
    assert_true(open_one(&control));
    config.control.is_on = true;
    assert_int_equal(control.fd, -1);
    assert_int_not_equal(access(path, F_OK), 0);
    controlsocket_done(&control);
    end();
}

TEST(the_file_has_the_permissions_and_goes_with_the_socket)
{
    struct controlsocket control;
    struct stat file;
    begin();
    assert_true(open_one(&control));
    assert_int_equal(lstat(path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0660);
    assert_int_equal(file.st_uid, geteuid());
    assert_int_equal(file.st_gid, getegid());
    assert_true(is_listening(path));
    controlsocket_done(&control);
    assert_int_not_equal(access(path, F_OK), 0);
    end();
}

TEST(what_a_daemon_that_is_gone_has_left_is_replaced)
{
    struct controlsocket gone, control;
    begin();
    assert_true(open_one(&gone));
    close(gone.fd);
    assert_false(is_listening(path));
    assert_true(open_one(&control));
    assert_true(is_listening(path));
    free(gone.path);
    controlsocket_done(&control);
    end();
}

TEST(one_at_which_somebody_listens_is_left_alone)
{
    struct controlsocket first, second;
    begin();
    assert_true(open_one(&first));
    assert_false(open_one(&second));
    assert_non_null(strstr(errors, "another program may be listening there"));
    assert_true(is_listening(path));
    controlsocket_done(&second);
    assert_true(is_listening(path));
    controlsocket_done(&first);
    end();
}

TEST(something_else_of_that_name_is_left_alone)
{
    struct controlsocket control;
    begin();
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    assert_false(open_one(&control));
    assert_non_null(strstr(errors, "something other than a socket"));
    assert_int_equal(access(path, F_OK), 0);
    end();
}

TEST(a_group_that_there_is_not_is_told)
{
    struct controlsocket control;
    begin();
    config.control.group = no_such_group;
    assert_false(open_one(&control));
    config.control.group = no_group;
    assert_non_null(strstr(errors, "there is no such group"));
    assert_int_not_equal(access(path, F_OK), 0);
    end();
}

TEST(the_end_of_one_leaves_its_successors_file)
{
    struct controlsocket old, new;
    begin();
    assert_true(open_one(&old));
    assert_int_equal(unlink(path), 0);
    assert_true(open_one(&new));
    controlsocket_done(&old);
    assert_true(is_listening(path));
    controlsocket_done(&new);
    end();
}

TEST(a_successor_takes_the_place_while_the_old_one_goes_on_listening)
{
    struct controlsocket old, new;
    char aside[128];
    begin();
    snprintf(aside, sizeof aside, "%s.old-%d", path, (int)getpid());
    assert_true(open_one(&old));
    has_predecessor = true;
    assert_true(open_one(&new));
    has_predecessor = false;
    controlsocket_follow(&old); /* nobody has taken its place yet */
    assert_string_equal(old.path, path);
    assert_true(controlsocket_may_take_place(&new, &config, stderr));
    assert_true(controlsocket_take_place(&new, getpid()));
    controlsocket_follow(&old);
    assert_string_equal(old.path, aside);
    assert_true(is_listening(aside) && is_listening(path));
    controlsocket_done(&old);
    assert_int_not_equal(access(aside, F_OK), 0);
    assert_true(is_listening(path));
    controlsocket_done(&new);
    end();
}

TEST(a_successor_that_fails_leaves_everything)
{
    struct controlsocket old, new;
    begin();
    assert_true(open_one(&old));
    has_predecessor = true;
    assert_true(open_one(&new));
    has_predecessor = false;
    controlsocket_done(&new);
    assert_true(is_listening(path));
    controlsocket_done(&old);
    end();
}

TEST(where_the_old_one_had_none_there_is_nothing_to_be_kept)
{
    struct controlsocket new;
    begin();
    has_predecessor = true;
    assert_true(open_one(&new));
    has_predecessor = false;
    assert_true(controlsocket_take_place(&new, 1));
    assert_true(is_listening(path));
    controlsocket_done(&new);
    end();
}

TEST(the_own_user_may_give_commands)
{
    struct controlsocket control;
    begin();
    assert_true(open_one(&control));
    int client = connect_to(path), fd = accept(control.fd, NULL, NULL);
    assert_true(fd >= 0);
    assert_true(controlsocket_admits(&control, fd));
    close(client);
    close(fd);
    controlsocket_done(&control);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_section_there_is_no_socket),
        cmocka_unit_test(the_file_has_the_permissions_and_goes_with_the_socket),
        cmocka_unit_test(what_a_daemon_that_is_gone_has_left_is_replaced),
        cmocka_unit_test(one_at_which_somebody_listens_is_left_alone),
        cmocka_unit_test(something_else_of_that_name_is_left_alone),
        cmocka_unit_test(a_group_that_there_is_not_is_told),
        cmocka_unit_test(the_end_of_one_leaves_its_successors_file),
        cmocka_unit_test(a_successor_takes_the_place_while_the_old_one_goes_on_listening),
        cmocka_unit_test(a_successor_that_fails_leaves_everything),
        cmocka_unit_test(where_the_old_one_had_none_there_is_nothing_to_be_kept),
        cmocka_unit_test(the_own_user_may_give_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
