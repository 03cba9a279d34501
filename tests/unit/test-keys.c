#include "check.h"
#include "keys.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A folder of the test's own, which it is in. */
static int enter_folder(void **state)
{
    static char folder[64];
    snprintf(folder, sizeof folder, "/tmp/test-keys.XXXXXX");
    umask(0);
    *state = folder;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", (const char *)*state);
    return chdir("/") == 0 ? system(command) : -1;
}

static void write_file(const char *path, struct imapstate_span text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, text.at, text.len) == (ssize_t)text.len);
    close(fd);
}

/* What was written to errors by the call between these. */
static struct {
    FILE *file;
    char *text;
    size_t len;
} errors;

static FILE *errors_begin(void)
{
    free(errors.text);
    errors.file = open_memstream(&errors.text, &errors.len);
    assert_non_null(errors.file);
    return errors.file;
}

static const char *errors_end(void)
{
    fclose(errors.file);
    return errors.text;
}

static size_t key_count(const char *path)
{
    struct keys_file file;
    assert_true(keys_read(path, &file, errors_begin()));
    assert_string_equal(errors_end(), "");
    size_t count = 0;
    for (size_t i = 0; i < file.text.len; i++)
        count += file.text.at[i] == '\n';
    keys_done(&file);
    return count;
}

TEST(a_file_with_one_key_is_made_for_its_owner_alone)
{
    uint32_t id;
    struct stat stat_of;
    struct keys_file file;
    struct imapstate_key key;
    assert_true(keys_create("new", 5, &id, errors_begin()));
    assert_string_equal(errors_end(), "");
    assert_int_equal(stat("new", &stat_of), 0);
    assert_int_equal(stat_of.st_mode, S_IFREG | 0600);
    assert_true(keys_read("new", &file, errors_begin()));
    errors_end();
    assert_true(imapstate_keyring_find(file.keyring, id, &key));
    assert_int_equal(key.seals_from_s, 5);
    keys_done(&file);
    keys_done(&file); /* does no harm */
}

TEST(what_is_there_is_never_touched)
{
    uint32_t id;
    struct keys_file file;
    write_file("there", IMAPSTATE_SPAN("# mine\n"));
    assert_int_equal(symlink("nowhere", "link"), 0);
    assert_false(keys_create("there", 0, &id, errors_begin()));
    assert_string_equal(errors_end(), "there: exists already; \"rotate\" adds a key to it\n");
    assert_false(keys_create("link", 0, &id, errors_begin()));
    assert_string_equal(errors_end(), "link: exists already; \"rotate\" adds a key to it\n");
    assert_int_equal(access("nowhere", F_OK), -1);
    assert_false(keys_create("no/folder", 0, &id, errors_begin()));
    assert_string_equal(errors_end(), "no/folder: cannot create: No such file or directory\n");
    keys_read("there", &file, errors_begin());
    errors_end();
    CHECK_SPAN("as it was", imapstate_buf_span(&file.text), IMAPSTATE_SPAN("# mine\n"));
    keys_done(&file);
}

TEST(what_is_no_key_file_is_refused_with_its_reason)
{
    static const struct {
        const char *name, *path, *want;
    } rows[] = {
        { "none", "absent", "absent: cannot open: No such file or directory\n" },
        { "a folder", ".", ".: is not a regular file\n" },
        { "a FIFO is not waited for", "fifo", "fifo: is not a regular file\n" },
        { "too long", "long", "long: is longer than 64 KiB\n" },
    };
    struct keys_file file;
    char *text = malloc(IMAPSTATE_KEYRING_TEXT_MAX + 1);
    assert_non_null(text);
    memset(text, '#', IMAPSTATE_KEYRING_TEXT_MAX + 1);
    write_file("long", (struct imapstate_span){ (uint8_t *)text, IMAPSTATE_KEYRING_TEXT_MAX + 1 });
    free(text);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_ROW(rows[i].name, !keys_read(rows[i].path, &file, errors_begin()));
        assert_string_equal(errors_end(), rows[i].want);
        keys_done(&file);
    }
    write_file("wrong", IMAPSTATE_SPAN("# one\n# two\nthree\n"));
    assert_false(keys_read("wrong", &file, errors_begin()));
    assert_int_equal(strncmp(errors_end(), "wrong:3: ", 9), 0);
    keys_done(&file);
}

TEST(a_key_file_that_is_cut_anywhere_is_read_or_refused)
{
    uint32_t id;
    struct keys_file whole, cut;
    assert_true(keys_create("whole", 5, &id, errors_begin()));
    errors_end();
    assert_true(keys_read("whole", &whole, errors_begin()));
    errors_end();
    for (size_t len = 0; len < whole.text.len; len++) {
        write_file("cut", (struct imapstate_span){ whole.text.at, len });
        bool is_read = keys_read("cut", &cut, errors_begin());
        assert_true(is_read == (*errors_end() == '\0'));
        /* None at all is no error of the file's, and a line that only lacks its end is whole. */
        assert_true(!is_read || len == 0 || len + 1 == whole.text.len);
        keys_done(&cut);
    }
    keys_done(&whole);
}

TEST(a_rotation_adds_a_key_and_keeps_what_is_there)
{
    uint32_t first, second;
    struct keys_file file;
    struct stat before, after;
    assert_true(keys_create("keys", 1, &first, errors_begin()));
    errors_end();
    assert_int_equal(chmod("keys", 0644), 0);
    assert_int_equal(symlink("keys", "alias"), 0);
    assert_int_equal(stat("keys", &before), 0);
    assert_true(keys_rotate("alias", 2, &second, errors_begin()));
    assert_string_equal(errors_end(), "");
    assert_int_equal(key_count("keys"), 2);
    assert_true(keys_read("keys", &file, errors_begin()));
    errors_end();
    assert_true(first != second && imapstate_keyring_find(file.keyring, first, NULL) &&
                imapstate_keyring_find(file.keyring, second, NULL));
    keys_done(&file);
    assert_int_equal(lstat("alias", &after), 0);
    assert_true(S_ISLNK(after.st_mode)); /* what it names is replaced, by another file */
    assert_int_equal(stat("keys", &after), 0);
    assert_true(before.st_ino != after.st_ino);
    assert_int_equal(after.st_mode & 0777, 0600);
    assert_int_equal(access("keys.new", F_OK), -1);
}

TEST(a_last_line_without_its_end_is_ended)
{
    uint32_t id;
    struct keys_file file;
    assert_true(keys_create("open", 1, &id, errors_begin()));
    errors_end();
    assert_true(keys_read("open", &file, errors_begin()));
    errors_end();
    write_file("open", (struct imapstate_span){ file.text.at, file.text.len - 1 });
    keys_done(&file);
    assert_true(keys_rotate("open", 2, &id, errors_begin()));
    errors_end();
    assert_int_equal(key_count("open"), 2);
}

TEST(one_rotation_at_a_time)
{
    uint32_t id;
    struct keys_file file;
    assert_true(keys_create("busy", 1, &id, errors_begin()));
    errors_end();
    write_file("busy.new", IMAPSTATE_SPAN("half"));
    assert_false(keys_rotate("busy", 2, &id, errors_begin()));
    assert_non_null(strstr(errors_end(), "/busy.new: exists: a rotation is under way, or one was cut off"));
    assert_int_equal(key_count("busy"), 1);
    assert_int_equal(access("busy.new", F_OK), 0); /* the other's */
    /* What cannot be read is not replaced, and leaves no new file behind. */
    write_file("broken", IMAPSTATE_SPAN("no key\n"));
    assert_false(keys_rotate("broken", 2, &id, errors_begin()));
    assert_non_null(strstr(errors_end(), "/broken:1: "));
    assert_int_equal(access("broken.new", F_OK), -1);
    assert_false(keys_rotate("absent", 2, &id, errors_begin()));
    assert_string_equal(errors_end(), "absent: cannot open: No such file or directory\n");
    assert_false(keys_read("broken", &file, errors_begin()));
    errors_end();
    CHECK_SPAN("as it was", imapstate_buf_span(&file.text), IMAPSTATE_SPAN("no key\n"));
    keys_done(&file);
}

TEST(a_full_file_takes_no_key)
{
    uint32_t id;
    struct keys_file file;
    struct imapstate_buf text;
    assert_true(keys_create("full", 1, &id, errors_begin()));
    errors_end();
    assert_true(keys_read("full", &file, errors_begin()));
    errors_end();
    imapstate_buf_init(&text, IMAPSTATE_KEYRING_TEXT_MAX);
    assert_true(imapstate_buf_put(&text, imapstate_buf_span(&file.text)));
    while (text.len < text.max)
        assert_true(imapstate_buf_put_byte(&text, text.len + 1 == text.max ? '\n' : '#'));
    write_file("full", imapstate_buf_span(&text));
    keys_done(&file);
    imapstate_buf_done(&text);
    assert_false(keys_rotate("full", 2, &id, errors_begin()));
    assert_non_null(strstr(errors_end(), "/full: is full (64 KiB); remove keys whose tokens have all expired\n"));
    assert_int_equal(access("full.new", F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_with_one_key_is_made_for_its_owner_alone),
        cmocka_unit_test(what_is_there_is_never_touched),
        cmocka_unit_test(what_is_no_key_file_is_refused_with_its_reason),
        cmocka_unit_test(a_key_file_that_is_cut_anywhere_is_read_or_refused),
        cmocka_unit_test(a_rotation_adds_a_key_and_keeps_what_is_there),
        cmocka_unit_test(a_last_line_without_its_end_is_ended),
        cmocka_unit_test(one_rotation_at_a_time),
        cmocka_unit_test(a_full_file_takes_no_key),
    };
    int failed = cmocka_run_group_tests(tests, enter_folder, leave_folder);
    free(errors.text);
    return failed;
}
