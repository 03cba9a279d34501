#include "check.h"

#include "revocations.h"
#include "revoking.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW 1000u

static const struct imapstate_span ann = IMAPSTATE_SPAN("ann"), bob = IMAPSTATE_SPAN("bob");

static struct revocations *of_file(const char *text)
{
    struct imapstate_buf octets;
    size_t line;
    const char *wrong;
    imapstate_buf_init(&octets, REVOCATIONS_TEXT_MAX);
    assert_true(imapstate_buf_put(&octets, imapstate_span_of(text)));
    struct revocations *revocations = revocations_read(&octets, 0, &line, &wrong);
    assert_non_null(revocations);
    return revocations;
}

/* As a start, or a reload, does: what is then in force. */
static const struct revocations *load(const char *text)
{
    struct revocations *revocations = revoking_lay_over(of_file(text));
    assert_non_null(revocations);
    revoking_keep(revocations);
    return revocations;
}

/* Revokes, and gives what is then in force, which the caller does not own. */
static const struct revocations *revoke_of(const struct imapstate_span *user, uint64_t now_s, uint64_t *ret_second_s)
{
    struct revocations *revocations = revoking_revoke(user, now_s, ret_second_s);
    assert_non_null(revocations);
    revoking_keep(revocations);
    return revocations;
}

TEST(it_holds_at_once_beside_what_the_file_has)
{
    uint64_t second_s;
    load("bob 500\n");
    const struct revocations *now = revoke_of(&ann, NOW, &second_s);
    assert_int_equal(second_s, NOW + 1); /* format 1 knows the second of issue alone */
    assert_int_equal(revocations_second(now, ann), second_s);
    assert_int_equal(revocations_second(now, IMAPSTATE_SPAN("ANN")), second_s);
    assert_int_equal(revocations_second(now, bob), 500);
    assert_int_equal(revocations_second(now, IMAPSTATE_SPAN("cid")), 0);
    assert_int_equal(revocations_count(now), 2);
    revoking_done();
}

TEST(one_after_the_other_in_one_second_each_counts)
{
    uint64_t first_s, second_s, third_s, all_s, last_s;
    load("");
    revoke_of(&ann, NOW, &first_s);
    revoke_of(&ann, NOW, &second_s);
    assert_true(second_s > first_s);
    revoke_of(&bob, NOW, &third_s);
    const struct revocations *now = revoke_of(NULL, NOW, &all_s);
    assert_true(all_s > second_s && all_s > third_s); /* what ann saved in between is revoked too */
    assert_int_equal(revocations_second(now, IMAPSTATE_SPAN("cid")), all_s);
    revoke_of(&ann, NOW, &last_s);
    assert_true(last_s > all_s);
    revoking_done();
}

TEST(a_stamp_of_the_file_that_is_yet_to_come_is_passed_too)
{
    uint64_t second_s;
    load("ann 5000\n* 6000\n");
    revoke_of(&ann, NOW, &second_s);
    assert_int_equal(second_s, 6001);
    revoking_done();
}

TEST(a_reload_loses_nothing_of_it)
{
    uint64_t ann_s, all_s;
    load("");
    revoke_of(&ann, NOW, &ann_s);
    revoke_of(NULL, NOW, &all_s);
    const struct revocations *now = load("bob 7\n");
    assert_int_equal(revocations_second(now, ann), all_s);
    assert_int_equal(revocations_second(now, bob), all_s);
    revoking_done();
}

TEST(what_the_file_has_by_now_is_held_no_longer)
{
    uint64_t ann_s;
    char line[64];
    load("");
    revoke_of(&ann, NOW, &ann_s);
    snprintf(line, sizeof line, "ann %llu\n", (unsigned long long)ann_s);
    const struct revocations *now = load(line);
    assert_int_equal(revocations_count(now), 1);
    now = load(""); /* whoever takes it out of the file means it */
    assert_int_equal(revocations_second(now, ann), 0);
    revoking_done();
}

TEST(a_reload_that_was_refused_changes_nothing)
{
    uint64_t ann_s;
    load("bob 500\n");
    revocations_unref(revoking_lay_over(of_file("bob 900\n")));
    const struct revocations *now = revoke_of(&ann, NOW, &ann_s);
    assert_int_equal(revocations_second(now, bob), 500);
    revoking_done();
}

/* --- the file --- */

static char folder[64], path[96], text[4096];

static void begin(const char *before)
{
    strcpy(folder, "/tmp/test-revoking.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/revoked", folder);
    if (!before)
        return;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(before, file);
    fclose(file);
}

static void end(void)
{
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

static const char *contents(void)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    return text;
}

static const struct {
    const char *name, *before, *user; /* NULL: no file; everybody */
    const char *after;
} writes[] = {
    { "a new file", NULL, "ann", "ann 7\n" },
    { "an empty file", "", "ann", "ann 7\n" },
    { "what others wrote stays", "# a note\nbob 3\n\n", "ann", "# a note\nbob 3\n\nann 7\n" },
    { "a last line without its end", "bob 3", "ann", "bob 3\nann 7\n" },
    { "everybody", "", NULL, "* 7\n" },
    { "a user of that name", "", "*", "\\x2a 7\n" },
    { "one who looks like a note", "", "#1", "\\x231 7\n" },
    { "a space and a line end", "", "a b\nc 9", "a\\x20b\\x0ac\\x209 7\n" },
};

TEST(a_line_is_added_that_is_read_again)
{
    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        begin(writes[i].before);
        struct imapstate_span user = imapstate_span_of(writes[i].user);
        CHECK_ROW(writes[i].name, !revoking_write(path, writes[i].user ? &user : NULL, 7));
        CHECK_ROW(writes[i].name, strcmp(contents(), writes[i].after) == 0);
        struct revocations *read_again = of_file(contents());
        CHECK_ROW(writes[i].name, revocations_second(read_again, user) == 7);
        revocations_unref(read_again);
        end();
    }
}

TEST(permissions_stay)
{
    struct stat file;
    begin("bob 3\n");
    assert_int_equal(chmod(path, 0604), 0);
    assert_null(revoking_write(path, &ann, 7));
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0604);
    end();
}

TEST(what_cannot_be_written_is_told)
{
    begin(NULL);
    snprintf(path, sizeof path, "%s/no/such/folder", folder);
    assert_string_equal(revoking_write(path, &ann, 7), strerror(ENOENT));
    assert_string_equal(revoking_write("/dev/full", &ann, 7), strerror(ENOSPC));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_at_once_beside_what_the_file_has),
        cmocka_unit_test(one_after_the_other_in_one_second_each_counts),
        cmocka_unit_test(a_stamp_of_the_file_that_is_yet_to_come_is_passed_too),
        cmocka_unit_test(a_reload_loses_nothing_of_it),
        cmocka_unit_test(what_the_file_has_by_now_is_held_no_longer),
        cmocka_unit_test(a_reload_that_was_refused_changes_nothing),
        cmocka_unit_test(a_line_is_added_that_is_read_again),
        cmocka_unit_test(permissions_stay),
        cmocka_unit_test(what_cannot_be_written_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
