#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "asking.h"

static char map_path[] = "/tmp/test-routelist-XXXXXX";

#define LISTENER "listener \"l\" { address = \"127.0.0.1:1143\" tls = \"none\" }\n"
#define TWO                                                                                                            \
    "upstream \"one\" { address = \"127.0.0.1:2001\" tls = \"none\" user_strip_domain = true }\n"                      \
    "upstream \"two\" { address = \"127.0.0.1:2002\" tls = \"none\" user_lowercase = true }\n"
#define SECTION    "route \"x.example\" { upstream = \"two\" }\n"
#define DEFAULT    "route_default = \"one\"\n"
#define HTTP(host) "route_http { url = \"http://" host ":9000/secret\" upstream = \"two\" }\n"
#define ROW(rest)  "{\"row\":{\"listener\":\"l\"," rest "}}\n{\"done\":\"1 listener\"}\n"

static const struct {
    const char *name, *more, *user;
    const char *said; /* "MAP" stands for the path of the map */
} rows[] = {
    { "his own line", DEFAULT, "ANN@y.example",
      ROW("\"upstream\":\"one\",\"address\":null,\"user\":\"ANN\",\"rule\":\"route_map\",\"matched\":\"user\","
          "\"by\":\"MAP:2\"") },
    { "at an address, by another name", DEFAULT, "bob",
      ROW("\"upstream\":\"two\",\"address\":\"10.0.0.7:143\",\"user\":\"R\\\\x20b\",\"rule\":\"route_map\","
          "\"matched\":\"user\",\"by\":\"MAP:4\"") },
    { "his domain's line", DEFAULT, "Carl@y.example",
      ROW("\"upstream\":\"two\",\"address\":null,\"user\":\"carl@y.example\",\"rule\":\"route_map\","
          "\"matched\":\"domain\",\"by\":\"MAP:3\"") },
    { "a section", SECTION DEFAULT, "Carl@X.example",
      ROW("\"upstream\":\"two\",\"address\":null,\"user\":\"carl@x.example\",\"rule\":\"route\",\"matched\":null,"
          "\"by\":\"rig.conf:5\"") },
    { "the default", SECTION DEFAULT, "carl@z.example",
      ROW("\"upstream\":\"one\",\"address\":null,\"user\":\"carl\",\"rule\":\"route_default\",\"matched\":null,"
          "\"by\":null") },
    { "none", SECTION, "carl@z.example",
      ROW("\"upstream\":null,\"address\":null,\"user\":null,\"rule\":\"none\",\"matched\":null,\"by\":null") },
    { "somebody would be asked, whose path is a secret", HTTP("127.0.0.1"), "carl",
      ROW("\"upstream\":\"two\",\"address\":null,\"user\":null,\"rule\":\"route_http\",\"matched\":null,"
          "\"by\":\"asks http://127.0.0.1:9000\"") },
    { "at IPv6", HTTP("[::1]") DEFAULT, "carl",
      ROW("\"upstream\":\"two\",\"address\":null,\"user\":null,\"rule\":\"route_http\",\"matched\":null,"
          "\"by\":\"asks http://[::1]:9000\"") },
    { "a name with what is not ASCII", DEFAULT, "j\\\\xC3\\\\xBCrg@z",
      ROW("\"upstream\":\"one\",\"address\":null,\"user\":\"j\\\\xc3\\\\xbcrg\",\"rule\":\"route_default\","
          "\"matched\":null,\"by\":null") },
    { "no name", DEFAULT, "a\\\\b", "{\"error\":\"no such name can be\",\"kind\":\"failed\"}\n" },
    { "a listener that names an upstream",
      "listener \"m\" { address = \"127.0.0.1:1144\" tls = \"none\" upstream = two }\n", "CARL",
      "{\"row\":{\"listener\":\"l\",\"upstream\":null,\"address\":null,\"user\":null,\"rule\":\"none\","
      "\"matched\":null,\"by\":null}}\n"
      "{\"row\":{\"listener\":\"m\",\"upstream\":\"two\",\"address\":null,\"user\":\"carl\",\"rule\":\"listener\","
      "\"matched\":null,\"by\":\"rig.conf:5\"}}\n{\"done\":\"2 listeners\"}\n" },
};

/* Takes the path of the map out, so that it can be compared. */
static void drop_path(char *said)
{
    char *at = strstr(said, map_path);
    if (!at)
        return;
    memcpy(at, "MAP", 3);
    memmove(at + 3, at + strlen(map_path), strlen(at + strlen(map_path)) + 1);
}

TEST(a_row_says_where_a_user_goes_and_by_which_rule)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct asking asking;
        char config[2048], line[128];
        snprintf(config, sizeof config, LISTENER TWO "route_map = \"%s\"\n%s", map_path, rows[i].more);
        asking_begin(&asking, config);
        snprintf(line, sizeof line, "[\"route\",\"%s\"]", rows[i].user);
        ask_for(&asking, line);
        drop_path(asking.said);
        if (strcmp(asking.said, rows[i].said) != 0)
            fail_msg("%s: %s", rows[i].name, asking.said);
        assert_null(rig_server(&asking.one.rig)); /* nothing is opened */
        asking_end(&asking);
    }
}

TEST(where_there_is_one_upstream_all_go_there)
{
    struct asking asking;
    asking_begin(&asking, RIG_CONFIG);
    assert_non_null(strstr(ask_for(&asking, "[\"route\",\"ann\"]"),
                           "\"upstream\":\"main\",\"address\":null,\"user\":\"ann\",\"rule\":\"listener\""));
    assert_non_null(strstr(ask_for(&asking, "[\"route\"]"), "usage: route USER"));
    assert_non_null(strstr(ask_for(&asking, "[\"route\",\"a\",\"b\"]"), "usage: route USER"));
    asking_end(&asking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_says_where_a_user_goes_and_by_which_rule),
        cmocka_unit_test(where_there_is_one_upstream_all_go_there),
    };
    int fd = mkstemp(map_path);
    FILE *map = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!map)
        return 1;
    fputs("# users\nann@y.example one\n@y.example two\nbob two user=R\\x20b address=10.0.0.7:143\n", map);
    fclose(map);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(map_path);
    return failed;
}
