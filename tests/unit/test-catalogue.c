#include "check.h"

#include <string.h>

#include "catalogue.h"

/* All that there is, to loop over it. */
#include "catalogue-tables.h"

static const struct {
    const char *tag;
    const char *const *texts;
    unsigned long (*form)(unsigned long n);
    unsigned forms;
    unsigned missing;
} rows[] = { CATALOGUE_ROWS };

#define MINUTE  "Autologout; idle for %lu minute."
#define MINUTES "Autologout; idle for %lu minutes."

static unsigned language(const char *tag)
{
    for (unsigned i = 0; i < catalogue_count(); i++)
        if (strcmp(catalogue_tag(i), tag) == 0)
            return i;
    fail_msg("no language %s", tag);
    return 0;
}

TEST(the_first_language_is_i_default_and_the_second_is_english)
{
    assert_string_equal(catalogue_tag(0), "i-default");
    assert_string_equal(catalogue_tag(1), "EN");
    assert_int_equal(catalogue_count(), 2 + ARRAY_LEN(rows));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(catalogue_missing(i), 0);
        assert_string_equal(catalogue_text(i, "State restored."), "State restored.");
    }
}

TEST(a_language_that_does_not_exist_counts_as_i_default)
{
    unsigned beyond = catalogue_count();
    assert_string_equal(catalogue_tag(beyond), "i-default");
    assert_int_equal(catalogue_missing(beyond), 0);
    assert_string_equal(catalogue_text(beyond, "State restored."), "State restored.");
    assert_string_equal(catalogue_plural(beyond, MINUTE, MINUTES, 1), MINUTE);
}

TEST(what_is_no_text_of_ours_stays_as_it_is)
{
    static const char *const others[] = { "", " ", "~", "State", "State restored", "State restored.x", "Zzz" };
    for (unsigned i = 0; i < catalogue_count(); i++)
        for (size_t j = 0; j < ARRAY_LEN(others); j++)
            assert_ptr_equal(catalogue_text(i, others[j]), others[j]);
}

TEST(every_text_is_found_in_every_language)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned missing = 0;
        for (size_t j = 0; j < ARRAY_LEN(catalogue_msgids); j++) {
            const char *want = rows[i].texts[j] ? rows[i].texts[j] : catalogue_msgids[j];
            assert_string_equal(catalogue_text(language(rows[i].tag), catalogue_msgids[j]), want);
            missing += !rows[i].texts[j];
        }
        assert_int_equal(catalogue_missing(language(rows[i].tag)), missing);
    }
}

static void check_line(const char *tag, const char *text)
{
    CHECK_ROW(tag, *text != '\0' && *text != '[');
    for (; *text; text++)
        CHECK_ROW(tag, (unsigned char)*text >= ' ' && *text != 0x7f && *text != '{' && *text != '}');
}

TEST(no_translation_can_be_taken_for_anything_but_text)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t j = 0; j < ARRAY_LEN(catalogue_msgids); j++)
            check_line(rows[i].tag, catalogue_text(language(rows[i].tag), catalogue_msgids[j]));
}

TEST(german_french_and_spanish_are_complete)
{
    assert_int_equal(catalogue_missing(language("DE")), 0);
    assert_int_equal(catalogue_missing(language("FR")), 0);
    assert_int_equal(catalogue_missing(language("ES")), 0);
    assert_string_equal(catalogue_text(language("DE"), "State restored."), "Angemeldet.");
}

TEST(a_number_chooses_the_plural_form)
{
    static const struct {
        const char *tag;
        unsigned long n;
        const char *want;
    } cases[] = {
        { "i-default", 0, MINUTES },
        { "i-default", 1, MINUTE },
        { "EN", 35, MINUTES },
        { "DE", 1, "Automatische Abmeldung nach %lu Minute ohne Aktivität." },
        { "DE", 0, "Automatische Abmeldung nach %lu Minuten ohne Aktivität." },
        { "FR", 0, "Déconnexion automatique après %lu minute d’inactivité." },
        { "FR", 2, "Déconnexion automatique après %lu minutes d’inactivité." },
        { "JA", 1, "%lu分間操作がなかったため、自動的に切断します。" },
        { "AR", 2, "تسجيل خروج تلقائي بعد دقيقتين (%lu) دون نشاط." },
        { "AR", 3, "تسجيل خروج تلقائي بعد %lu دقائق دون نشاط." },
        { "AR", 110, "تسجيل خروج تلقائي بعد %lu دقائق دون نشاط." },
        { "AR", 30, "تسجيل خروج تلقائي بعد %lu دقيقة دون نشاط." },
        { "AR", 100, "تسجيل خروج تلقائي بعد %lu دقيقة دون نشاط." },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(catalogue_plural(language(cases[i].tag), MINUTE, MINUTES, cases[i].n), cases[i].want);
}

TEST(a_plural_form_always_exists)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (unsigned long n = 0; n < 1000; n++)
            CHECK_ROW(rows[i].tag, rows[i].form(n) < rows[i].forms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_language_is_i_default_and_the_second_is_english),
        cmocka_unit_test(a_language_that_does_not_exist_counts_as_i_default),
        cmocka_unit_test(what_is_no_text_of_ours_stays_as_it_is),
        cmocka_unit_test(every_text_is_found_in_every_language),
        cmocka_unit_test(no_translation_can_be_taken_for_anything_but_text),
        cmocka_unit_test(german_french_and_spanish_are_complete),
        cmocka_unit_test(a_number_chooses_the_plural_form),
        cmocka_unit_test(a_plural_form_always_exists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
