#include "catalogue.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue-tables.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

struct catalogue {
    const char *tag;
    const char *const *texts;               /* beside catalogue_msgids; NULL: the msgids are the text */
    unsigned long (*form)(unsigned long n); /* which of the plural forms */
    unsigned forms;
    unsigned missing;
};

static const struct catalogue catalogues[] = { { .tag = "i-default" }, { .tag = "EN" }, CATALOGUE_ROWS };

static const struct catalogue *catalogue_at(unsigned language)
{
    return &catalogues[language < ARRAY_LEN(catalogues) ? language : 0];
}

unsigned catalogue_count(void)
{
    return ARRAY_LEN(catalogues);
}

const char *catalogue_tag(unsigned language)
{
    return catalogue_at(language)->tag;
}

unsigned catalogue_missing(unsigned language)
{
    return catalogue_at(language)->missing;
}

static int catalogue_compare(const void *msgid, const void *row)
{
    return strcmp(msgid, *(const char *const *)row);
}

/* NULL where there is no translation. */
static const char *catalogue_find(const struct catalogue *catalogue, const char *msgid)
{
    if (!catalogue->texts)
        return NULL;
    const char *const *row =
        bsearch(msgid, catalogue_msgids, ARRAY_LEN(catalogue_msgids), sizeof *row, catalogue_compare);
    return row ? catalogue->texts[row - catalogue_msgids] : NULL;
}

const char *catalogue_text(unsigned language, const char *msgid)
{
    const char *text = catalogue_find(catalogue_at(language), msgid);
    return text ? text : msgid;
}

const char *catalogue_plural(unsigned language, const char *msgid, const char *msgid_plural, unsigned long n)
{
    const struct catalogue *catalogue = catalogue_at(language);
    const char *text = catalogue_find(catalogue, msgid);
    if (!text)
        return n == 1 ? msgid : msgid_plural;
    unsigned long form = catalogue->form(n);
    for (unsigned long i = 0; i < form && i + 1 < catalogue->forms; i++)
        text += strlen(text) + 1;
    return text;
}
