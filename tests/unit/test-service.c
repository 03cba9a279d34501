#include "check.h"

#include "certificate.h"
#include "configfile.h"
#include "service.h"

#include <imapstate/token.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CLEAR                                                                                                          \
    "listener \"plain\" { address = \"127.0.0.1:1143\" tls = \"none\" }\n"                                             \
    "upstream \"main\" { address = \"127.0.0.1:143\" tls = \"none\" }\n"

#define KEY_A "0000000a 2020-01-01T00:00:00Z AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
#define KEY_B "0000000b 2020-01-02T00:00:00Z BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA\n"
#define KEY_Z "0000000c 9999-01-01T00:00:00Z CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA\n"

static char *errors; /* what the last load complained about */

static struct service *load(const char *text, const struct service *previous)
{
    size_t len = 0;
    free(errors);
    FILE *file = open_memstream(&errors, &len);
    struct config *config = configfile_parse("test.conf", text, file);
    assert_non_null(config);
    struct service *service = service_load(config, previous, file);
    fclose(file);
    return service;
}

static void forget_errors(void)
{
    free(errors);
    errors = NULL;
}

/* Loads with a file that holds text, which the option names. ret_path has room for 64. */
static struct service *load_file(const char *option, const char *text, mode_t mode, const struct service *previous,
                                 char *ret_path)
{
    char whole[1024];
    int fd = memfd_create("file", MFD_CLOEXEC);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    snprintf(ret_path, 64, "/proc/self/fd/%d", fd);
    snprintf(whole, sizeof whole, "%s = \"%s\"\n" CLEAR, option, ret_path);
    struct service *service = load(whole, previous);
    close(fd);
    return service;
}

static struct service *load_keys(const char *text, mode_t mode, char *ret_path)
{
    return load_file("keys_file", text, mode, NULL, ret_path);
}

static const struct {
    const char *name, *text;
    mode_t mode;
    size_t keys;        /* 0: refused */
    const char *errors; /* behind the path */
} key_files[] = {
    { "one key", KEY_A, 0600, 1, "" },
    { "several", KEY_A KEY_B KEY_Z, 0600, 3, "" },
    { "comments", "# new\n\n" KEY_A, 0600, 1, "" },
    { "others may read it", KEY_A, 0640, 1, ": warning: users other than its owner may read this file\n" },
    { "none that seals yet", KEY_Z, 0600, 1,
      ": warning: no key seals at this time: SAVESTATE is answered NO until one does\n" },
    { "a line that is no key", KEY_A "secret\n", 0600, 0, ":2: key line is malformed\n" },
    { "an id that occurs twice", KEY_A KEY_B KEY_A, 0600, 0, ":3: key id occurs twice\n" },
};

TEST(a_key_file_is_read_or_refused_with_its_line)
{
    for (size_t i = 0; i < ARRAY_LEN(key_files); i++) {
        char path[64], want[256];
        struct service *service = load_keys(key_files[i].text, key_files[i].mode, path);
        CHECK_ROW(key_files[i].name, (service != NULL) == (key_files[i].keys > 0));
        if (service)
            CHECK_ROW(key_files[i].name, imapstate_keyring_count(service->keyring) == key_files[i].keys);
        CHECK_ROW(key_files[i].name, !service || !service->has_ephemeral_key);
        snprintf(want, sizeof want, "%s%s", *key_files[i].errors ? path : "", key_files[i].errors);
        CHECK_SPAN(key_files[i].name, imapstate_span_of(errors), imapstate_span_of(want));
        service_unref(service);
    }
    forget_errors();
}

TEST(a_key_file_that_is_not_there_or_too_large_is_refused)
{
    char *large = malloc(IMAPSTATE_KEYRING_TEXT_MAX + 2), path[64];
    memset(large, '\n', IMAPSTATE_KEYRING_TEXT_MAX + 1);
    large[IMAPSTATE_KEYRING_TEXT_MAX + 1] = '\0';
    assert_null(load_keys(large, 0600, path));
    assert_non_null(strstr(errors, ": larger than 65536 octets\n"));
    large[IMAPSTATE_KEYRING_TEXT_MAX] = '\0';
    struct service *service = load_keys(large, 0600, path);
    assert_non_null(service);
    service_unref(service);
    free(large);
    assert_null(load("keys_file = \"/nonexistent/keys\"\n" CLEAR, NULL));
    assert_string_equal(errors, "/nonexistent/keys: No such file or directory\n");
    assert_null(load("keys_file = \"/proc/self\"\n" CLEAR, NULL));
    assert_non_null(strstr(errors, "/proc/self: Is a directory\n"));
    forget_errors();
}

/* --- revocations --- */

#define NO_KEYS "test.conf: warning: no keys_file: tokens are sealed with a key that ends with this process\n"

static const struct {
    const char *name, *text, *wrong; /* behind the path; NULL: it is right */
    uint64_t ann_s;
} revocation_files[] = {
    { "an empty file", "", NULL, 0 },
    { "a line", "ann 1795478400\n", NULL, 1795478400 },
    { "one that no token outlives", "ann 1000000000\n", NULL, 0 },
    { "a broken line", "ann 1795478400\nbob\n", ":2: a line must be \"USER SECONDS\"\n", 0 },
};

TEST(revocations_are_read_or_refused_with_their_line)
{
    for (size_t i = 0; i < ARRAY_LEN(revocation_files); i++) {
        char path[64], want[256] = NO_KEYS;
        struct service *service = load_file("revocations_file", revocation_files[i].text, 0644, NULL, path);
        CHECK_ROW(revocation_files[i].name, !service == (revocation_files[i].wrong != NULL));
        if (service)
            CHECK_ROW(revocation_files[i].name,
                      revocations_second(service->revocations, IMAPSTATE_SPAN("ann")) == revocation_files[i].ann_s);
        else
            snprintf(want, sizeof want, "%s%s", path, revocation_files[i].wrong);
        CHECK_SPAN(revocation_files[i].name, imapstate_span_of(errors), imapstate_span_of(want));
        service_unref(service);
    }
    forget_errors();
}

/* 3650 days, the longest token_lifetime, and two. */
TEST(a_revocation_is_forgotten_when_no_token_can_be_older)
{
    const uint64_t dies_s = 3652u * 86400u;
    char path[64], text[128];
    uint64_t now_s = (uint64_t)time(NULL);
    snprintf(text, sizeof text, "ann %llu\nbob %llu\n", (unsigned long long)(now_s - dies_s - 1),
             (unsigned long long)(now_s - dies_s + 3600));
    struct service *service = load_file("revocations_file", text, 0600, NULL, path);
    assert_int_equal(revocations_second(service->revocations, IMAPSTATE_SPAN("ann")), 0);
    assert_int_equal(revocations_second(service->revocations, IMAPSTATE_SPAN("bob")), now_s - dies_s + 3600);
    service_unref(service);
    forget_errors();
}

TEST(a_revocations_file_that_is_not_there_is_an_empty_one_but_no_other_fault)
{
    struct service *service = load("revocations_file = \"/nonexistent/revoked\"\n" CLEAR, NULL);
    assert_int_equal(revocations_count(service->revocations), 0);
    assert_string_equal(errors, "/nonexistent/revoked: warning: it is not there: no token is revoked\n" NO_KEYS);
    service_unref(service);
    assert_null(load("revocations_file = \"/proc/self\"\n" CLEAR, NULL));
    assert_string_equal(errors, "/proc/self: Is a directory\n");
    assert_null(load("revocations_file = \"/proc/self/stat/x\"\n" CLEAR, NULL));
    assert_string_equal(errors, "/proc/self/stat/x: Not a directory\n");
    forget_errors();
}

/* Whoever opens it waits for somebody who writes, unless he says that he does not. */
TEST(a_fifo_is_refused_and_not_waited_for)
{
    static const char *const options[] = { "keys_file", "revocations_file", "route_map" };
    char folder[] = "/tmp/test-service.XXXXXX", path[64], text[256], expected[128];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(expected, sizeof expected, "%s: a FIFO, which each reload would read anew\n", path);
    alarm(60);
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        snprintf(text, sizeof text, "%s = \"%s\"\n" CLEAR, options[i], path);
        CHECK_ROW(options[i], !load(text, NULL) && strstr(errors, expected));
    }
    alarm(0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    forget_errors();
}

TEST(without_a_revocations_file_no_token_is_revoked)
{
    struct service *service = load(CLEAR, NULL);
    assert_int_equal(revocations_second(service->revocations, IMAPSTATE_SPAN("ann")), 0);
    assert_string_equal(errors, NO_KEYS);
    service_unref(service);
    forget_errors();
}

/* A session may keep the service for days. */
TEST(a_service_forgets_its_revocations_and_who_has_a_reference_does_not)
{
    char path[64];
    struct service *service = load_file("revocations_file", "ann 1795478400\n", 0600, NULL, path);
    struct revocations *revocations = revocations_ref(service->revocations);
    service_forget_revocations(service);
    assert_null(service->revocations);
    assert_int_equal(revocations_second(revocations, IMAPSTATE_SPAN("ann")), 1795478400);
    service_forget_revocations(service);
    /* The next one has its own. */
    struct service *next = load_file("revocations_file", "bob 1795478401\n", 0600, service, path);
    assert_int_equal(revocations_second(next->revocations, IMAPSTATE_SPAN("bob")), 1795478401);
    assert_int_equal(revocations_second(next->revocations, IMAPSTATE_SPAN("ann")), 0);
    service_unref(next);
    service_unref(service);
    revocations_unref(revocations);
    forget_errors();
}

/* --- keys that end with the process --- */

static void sealing_key(const struct service *service, uint32_t *ret_id, uint8_t ret_octets[IMAPSTATE_KEY_OCTETS])
{
    struct imapstate_key key;
    assert_true(imapstate_keyring_sealing(service->keyring, (uint64_t)time(NULL), &key));
    *ret_id = key.id;
    memcpy(ret_octets, key.octets, IMAPSTATE_KEY_OCTETS);
}

TEST(an_ephemeral_key_lives_over_reloads)
{
    uint32_t id, id_afterwards;
    uint8_t octets[IMAPSTATE_KEY_OCTETS], octets_afterwards[IMAPSTATE_KEY_OCTETS];
    struct service *service = load(CLEAR, NULL);
    assert_true(service->has_ephemeral_key);
    sealing_key(service, &id, octets);
    for (int times = 0; times < 2; times++) {
        struct service *next = load(CLEAR, service);
        service_unref(service);
        service = next;
        sealing_key(service, &id_afterwards, octets_afterwards);
        assert_int_equal(id, id_afterwards);
        assert_memory_equal(octets, octets_afterwards, sizeof octets);
        assert_true(service->has_ephemeral_key);
    }
    /* Another process has another. */
    struct service *other = load(CLEAR, NULL);
    sealing_key(other, &id_afterwards, octets_afterwards);
    assert_memory_not_equal(octets, octets_afterwards, sizeof octets);
    service_unref(other);
    service_unref(service);
    forget_errors();
}

TEST(a_key_from_a_file_is_never_taken_for_an_ephemeral_one)
{
    char path[64];
    uint32_t id;
    uint8_t octets[IMAPSTATE_KEY_OCTETS];
    struct service *from_file = load_keys(KEY_A, 0600, path), *without = load(CLEAR, from_file);
    assert_true(without->has_ephemeral_key);
    sealing_key(without, &id, octets);
    assert_false(sodium_is_zero(octets, sizeof octets)); /* KEY_A */
    service_unref(from_file);
    service_unref(without);
    forget_errors();
}

/* Which file stands where: 'c' the certificate, 'k' its key, 'o' another key, '-' none that exists. */
static const struct {
    const char *name;
    char cert_file, key_file, ca_file;
    const char *errors;
} tls_files[] = {
    { "both there", 'c', 'k', 'c', "" },
    { "no certificate", '-', 'k', 'c', "test.conf:1: tls_cert_file /nonexistent: No such file or directory\n" },
    { "no key", 'c', '-', 'c', "test.conf:1: tls_key_file /nonexistent: No such file or directory\n" },
    { "the certificate for the key", 'c', 'c', 'c', "test.conf:1: tls_key_file /proc/self/fd/" },
    { "the key for the certificate", 'k', 'k', 'c', "test.conf:1: tls_cert_file /proc/self/fd/" },
    { "another key", 'c', 'o', 'c', "test.conf:1: tls_key_file /proc/self/fd/" },
    { "no CA", 'c', 'k', '-', "test.conf:2: tls_ca_file /nonexistent: No such file or directory\n" },
};

static const char *tls_path(const struct certificate certificates[2], char which)
{
    switch (which) {
    case 'c':
        return certificates[0].cert_file;
    case 'k':
        return certificates[0].key_file;
    case 'o':
        return certificates[1].key_file;
    default:
        return "/nonexistent";
    }
}

TEST(a_certificate_that_has_expired_is_served_with_a_warning)
{
    struct certificate certificate;
    char text[1024], want[512];
    certificate_make_timed(&certificate, "localhost", -7200, -3600);
    snprintf(text, sizeof text,
             "listener \"l\" { address = \"127.0.0.1:1993\" tls = \"implicit\" tls_cert_file = \"%s\" tls_key_file = "
             "\"%s\" }\nupstream \"u\" { address = \"127.0.0.1:143\" tls = \"none\" }\n",
             certificate.cert_file, certificate.key_file);
    struct service *service = load(text, NULL);
    assert_non_null(service);
    snprintf(want, sizeof want, "test.conf:1: warning: tls_cert_file %s: the certificate expired on 20",
             certificate.cert_file);
    assert_memory_equal(errors, want, strlen(want));
    service_unref(service);
    certificate_done(&certificate);
    forget_errors();
}

TEST(certificates_are_loaded_or_refused_with_their_line)
{
    struct certificate certificates[2];
    certificate_make(&certificates[0], "localhost");
    certificate_make(&certificates[1], "localhost");
    for (size_t i = 0; i < ARRAY_LEN(tls_files); i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "listener \"l\" { address = \"127.0.0.1:1993\" tls = \"implicit\" tls_cert_file = \"%s\" tls_key_file "
                 "= \"%s\" }\n"
                 "upstream \"u\" { address = \"127.0.0.1:993\" tls = \"implicit\" tls_ca_file = \"%s\" }\n",
                 tls_path(certificates, tls_files[i].cert_file), tls_path(certificates, tls_files[i].key_file),
                 tls_path(certificates, tls_files[i].ca_file));
        struct service *service = load(text, NULL);
        CHECK_ROW(tls_files[i].name, (service != NULL) == (*tls_files[i].errors == '\0'));
        CHECK_ROW(tls_files[i].name, strncmp(errors, tls_files[i].errors, strlen(tls_files[i].errors)) == 0);
        CHECK_ROW(tls_files[i].name, service != NULL || strchr(errors, '\n') == errors + strlen(errors) - 1);
        if (service) {
            CHECK_ROW(tls_files[i].name, service_listener_tls(service, &service->config->listeners[0]) != NULL);
            CHECK_ROW(tls_files[i].name, service_upstream_tls(service, &service->config->upstreams[0]) != NULL);
        }
        service_unref(service);
    }
    certificate_done(&certificates[0]);
    certificate_done(&certificates[1]);
    forget_errors();
}

#define TLS_LISTENER                                                                                                   \
    "listener \"l\" { address = \"127.0.0.1:1993\" tls = \"implicit\" tls_cert_file = %s tls_key_file = %s\n%s\n}\n"
#define TLS_UPSTREAM "upstream \"u\" { address = \"127.0.0.1:993\" tls = \"implicit\" tls_ca_file = \"%s\" %s }\n"

TEST(of_all_the_files_for_tls_the_one_that_is_wrong_is_named)
{
    struct certificate one, other;
    certificate_make(&one, "localhost");
    certificate_make(&other, "localhost");
    char certs[256], keys[256], client_ca[256], own[256];
    snprintf(certs, sizeof certs, "{ \"%s\", \"%s\" }", one.cert_file, other.cert_file);
    snprintf(keys, sizeof keys, "{ \"%s\", \"%s\" }", one.key_file, one.key_file);
    snprintf(client_ca, sizeof client_ca, "tls_client_certificate = required tls_client_ca_file = \"%s\"",
             one.key_file);
    snprintf(own, sizeof own, "tls_cert_file = \"%s\" tls_key_file = \"%s\"", one.cert_file, other.key_file);
    const struct {
        const char *name, *keys, *client_ca, *own, *option, *file, *errors;
    } rows[] = {
        { "the second pair", keys, "", "", "test.conf:1: tls_key_file", one.key_file,
          "it is not the key of the certificate in tls_cert_file" },
        { "the clients' CA", NULL, client_ca, "", "test.conf:1: tls_client_ca_file", one.key_file,
          "there is a private key in it, and no certificate" },
        { "the pair for an upstream", NULL, "", own, "test.conf:4: tls_key_file", other.key_file,
          "it is not the key of the certificate in tls_cert_file" },
        { "none", NULL, "", "", NULL, NULL, NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[2048], want[256], good_keys[256];
        snprintf(good_keys, sizeof good_keys, "{ \"%s\", \"%s\" }", one.key_file, other.key_file);
        snprintf(text, sizeof text, TLS_LISTENER TLS_UPSTREAM, certs, rows[i].keys ? rows[i].keys : good_keys,
                 rows[i].client_ca, one.cert_file, rows[i].own);
        snprintf(want, sizeof want, "%s %s: %s\n", rows[i].option, rows[i].file, rows[i].errors);
        struct service *service = load(text, NULL);
        CHECK_ROW(rows[i].name, (service != NULL) == !rows[i].option);
        CHECK_ROW(rows[i].name, !rows[i].option || strncmp(errors, want, strlen(want)) == 0);
        service_unref(service);
    }
    certificate_done(&one);
    certificate_done(&other);
    forget_errors();
}

TEST(the_keys_of_tickets_live_over_reloads)
{
    struct ticketkey before, now, fresh;
    for (enum tls_version version = 0; version < TLS_VERSION_COUNT; version++) {
        struct service *first = load(CLEAR, NULL);
        assert_non_null(first);
        tickets_key(&first->tickets, version, 1000000, &before);
        struct service *second = load("epoch = 7\n" CLEAR, first), *other = load(CLEAR, NULL);
        service_unref(first);
        tickets_key(&second->tickets, version, 1000000, &now);
        tickets_key(&other->tickets, version, 1000000, &fresh);
        assert_memory_equal(&before, &now, sizeof now);
        assert_memory_not_equal(before.cipher, fresh.cipher, sizeof fresh.cipher);
        service_unref(second);
        service_unref(other);
    }
    forget_errors();
}

TEST(sessions_keep_the_service_that_they_began_with)
{
    struct service *service = load(CLEAR, NULL), *session = service_ref(service);
    service_unref(service);
    assert_string_equal(session->config->upstreams[0].name, "main"); /* the sanitizer watches */
    assert_null(service_listener_tls(session, &session->config->listeners[0]));
    service_unref(session);
    service_unref(NULL);
    forget_errors();
}

#define LISTENER           "listener \"l\" { address = \"*:143\" tls = \"none\" upstream = \"a\" }\n"
#define UPSTREAM(name, at) "upstream \"" name "\" { address = \"127.0.0.1:" at "\" tls = \"none\" }\n"

TEST(what_is_known_of_ways_to_log_in_is_kept_for_the_same_server_by_the_same_name)
{
    static const struct {
        const char *name, *config;
        bool is_kept;
    } rows[] = {
        { "the same", LISTENER UPSTREAM("a", "1143"), true },
        { "another setting", "epoch = 7\n" LISTENER UPSTREAM("a", "1143"), true },
        { "behind another", LISTENER UPSTREAM("b", "2143") UPSTREAM("a", "1143"), true },
        { "another place", LISTENER UPSTREAM("a", "2143"), false },
        { "another name", LISTENER UPSTREAM("b", "1143") UPSTREAM("a", "2143"), false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct service *before = load(LISTENER UPSTREAM("a", "1143"), NULL);
        assert_non_null(before);
        struct service *now = load(rows[i].config, before);
        CHECK_ROW(rows[i].name, now != NULL);
        const struct config_upstream *upstream = now->config->listeners[0].upstream;
        /* What a session with the old one learns later counts as well, or does not. */
        ways_admit(service_ways(before, &before->config->upstreams[0]), WAY_LOGIN, 0);
        CHECK_ROW(rows[i].name, ways_lore(service_ways(now, upstream)).has_admitted == rows[i].is_kept);
        service_unref(before);
        CHECK_ROW(rows[i].name, ways_lore(service_ways(now, upstream)).has_admitted == rows[i].is_kept);
        service_unref(now);
    }
    forget_errors();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_file_is_read_or_refused_with_its_line),
        cmocka_unit_test(a_key_file_that_is_not_there_or_too_large_is_refused),
        cmocka_unit_test(revocations_are_read_or_refused_with_their_line),
        cmocka_unit_test(a_revocation_is_forgotten_when_no_token_can_be_older),
        cmocka_unit_test(a_revocations_file_that_is_not_there_is_an_empty_one_but_no_other_fault),
        cmocka_unit_test(a_fifo_is_refused_and_not_waited_for),
        cmocka_unit_test(without_a_revocations_file_no_token_is_revoked),
        cmocka_unit_test(a_service_forgets_its_revocations_and_who_has_a_reference_does_not),
        cmocka_unit_test(an_ephemeral_key_lives_over_reloads),
        cmocka_unit_test(what_is_known_of_ways_to_log_in_is_kept_for_the_same_server_by_the_same_name),
        cmocka_unit_test(a_key_from_a_file_is_never_taken_for_an_ephemeral_one),
        cmocka_unit_test(a_certificate_that_has_expired_is_served_with_a_warning),
        cmocka_unit_test(certificates_are_loaded_or_refused_with_their_line),
        cmocka_unit_test(of_all_the_files_for_tls_the_one_that_is_wrong_is_named),
        cmocka_unit_test(the_keys_of_tickets_live_over_reloads),
        cmocka_unit_test(sessions_keep_the_service_that_they_began_with),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
