#include "grammar.h"

#include <assert.h>
#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "endpoint.h"
#include "source.h"

#define GRAMMAR_MARKS 2u /* source.h */

struct grammar {
    const struct grammar_section *sections;
    size_t section_count;
    bool (*take)(void *arg, const struct grammar_event *event);
    void *arg;
    cfg_t *root, *now;                       /* now: the section that is being read */
    size_t section;                          /* its place among the sections */
    unsigned line;                           /* where it begins; 0 for the file */
    unsigned given[2][GRAMMAR_OPTIONS_MAX];  /* values, by option: of the file, of another section */
    unsigned begun_at[GRAMMAR_SECTIONS_MAX]; /* the line of the first of its kind; 0: there is none yet */
    bool is_stopped;                         /* by take, or by a complaint that ends it */
};

/* libconfuse hands its hooks no pointer of the caller's, and its lexer is global anyway. */
static struct grammar *grammar_now;

static bool grammar_tell(struct grammar *grammar, const struct grammar_event *event)
{
    if (!grammar->is_stopped)
        grammar->is_stopped = !grammar->take(grammar->arg, event);
    return !grammar->is_stopped;
}

/* False if the reading shall end. */
__attribute__((format(printf, 3, 4))) static bool grammar_complain(struct grammar *grammar, unsigned line,
                                                                   const char *format, ...)
{
    char text[OPTION_WRONG_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return grammar_tell(grammar, &(struct grammar_event){ .kind = GRAMMAR_WRONG, .line = line, .text = text });
}

/* --- sections --- */

static size_t grammar_find_section(const struct grammar *grammar, const cfg_t *section)
{
    for (size_t i = 1; i < grammar->section_count; i++)
        if (strcmp(grammar->sections[i].keyword, section->name) == 0)
            return i;
    return 0;
}

static void grammar_complain_of_two(struct grammar *grammar, const char *keyword, unsigned first_line)
{
    char text[OPTION_WRONG_MAX];
    snprintf(text, sizeof text, "%s is given more than once: first", keyword);
    grammar_tell(grammar, &(struct grammar_event){
                              .kind = GRAMMAR_WRONG, .line = grammar->line, .text = text, .first_line = first_line });
}

/* A name stands in logs and, an upstream's, in tokens. */
static bool grammar_is_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= GRAMMAR_NAME_MAX && name[0] != '.' && endpoint_is_host_name(name);
}

static bool grammar_begin(struct grammar *grammar, cfg_t *section)
{
    const struct grammar_section *row = &grammar->sections[grammar->section];
    const char *name = row->is_named ? cfg_title(section) : "";
    unsigned *begun_at = &grammar->begun_at[grammar->section];
    memset(grammar->given[1], 0, sizeof grammar->given[1]);
    grammar->line = (unsigned)grammar->root->line; /* stays at the section's first line until its end */
    if (row->is_named && !grammar_is_name(name))
        grammar_complain(grammar, grammar->line,
                         "%s \"%s\": a name consists of up to %d letters, digits, \".\", \"-\" and \"_\"", row->keyword,
                         name, GRAMMAR_NAME_MAX);
    if (!row->is_named && *begun_at != 0)
        grammar_complain_of_two(grammar, row->keyword, *begun_at);
    if (*begun_at == 0)
        *begun_at = grammar->line;
    return grammar_tell(grammar,
                        &(struct grammar_event){
                            .kind = GRAMMAR_BEGIN, .line = grammar->line, .section = grammar->section, .text = name });
}

/* libconfuse does not say when a section begins. The first option in it does, or else its end. */
static bool grammar_enter(struct grammar *grammar, cfg_t *section)
{
    if (grammar->now == section)
        return true;
    grammar->now = section;
    grammar->section = grammar_find_section(grammar, section);
    grammar->line = 0;
    return grammar->section == 0 || grammar_begin(grammar, section);
}

static unsigned *grammar_given(struct grammar *grammar)
{
    return grammar->given[grammar->section != 0];
}

static void grammar_check_options(struct grammar *grammar)
{
    const struct grammar_section *row = &grammar->sections[grammar->section];
    const unsigned *given = grammar_given(grammar);
    for (size_t i = 0; row->options[i].name; i++) {
        const char *name = row->options[i].name;
        if (row->options[i].is_required && cfg_size(grammar->now, name) == 0)
            grammar_complain(grammar, grammar->line, row->is_named ? "%s \"%s\" has no %s" : "%s%s has no %s",
                             row->keyword, row->is_named ? cfg_title(grammar->now) : "", name);
    }
    /* "address = {}" empties what an earlier "address" had set, without a word. */
    for (size_t i = 0; row->options[i].name; i++)
        if (cfg_size(grammar->now, row->options[i].name) < given[i])
            grammar_complain(grammar, grammar->line, "%s is given more than once", row->options[i].name);
}

static bool grammar_end(struct grammar *grammar)
{
    grammar_check_options(grammar);
    for (size_t i = 1; grammar->section == 0 && i < grammar->section_count; i++)
        if (grammar->sections[i].is_required && grammar->begun_at[i] == 0)
            grammar_complain(grammar, 0, "there is no %s section", grammar->sections[i].keyword);
    return grammar_tell(
        grammar, &(struct grammar_event){ .kind = GRAMMAR_END, .line = grammar->line, .section = grammar->section });
}

/* libconfuse's hook at a section's end. Not zero ends it. */
static int grammar_on_end(cfg_t *root, cfg_opt_t *opt)
{
    struct grammar *grammar = grammar_now;
    if (!grammar_enter(grammar, cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1)) || !grammar_end(grammar))
        return 1;
    grammar_enter(grammar, root);
    return 0;
}

/* --- values --- */

/* A list's second value finds one there already; a repeated option finds none, as "=" has emptied it. */
static bool grammar_count(struct grammar *grammar, size_t i, const cfg_opt_t *opt)
{
    unsigned *given = &grammar_given(grammar)[i];
    bool is_list = grammar->sections[grammar->section].options[i].type->is_list;
    bool is_repeated = *given > 0 && !(is_list && opt->nvalues > 1);
    *given = opt->nvalues;
    return !is_repeated;
}

static bool grammar_take(struct grammar *grammar, size_t i, cfg_opt_t *opt, const char *text)
{
    const struct option *option = &grammar->sections[grammar->section].options[i];
    unsigned line = (unsigned)grammar->now->line;
    if (!grammar_count(grammar, i, opt))
        return grammar_complain(grammar, line, "%s is given more than once", option->name);
    return grammar_tell(grammar, &(struct grammar_event){
                                     .kind = GRAMMAR_VALUE,
                                     .line = line,
                                     .section = grammar->section,
                                     .option = option,
                                     .text = text,
                                     .first = opt->nvalues > 1 ? cfg_opt_getnstr(opt, 0) : NULL,
                                 });
}

/* Not zero, for libconfuse: there is no going on. */
static int grammar_give_up(struct grammar *grammar)
{
    grammar->is_stopped = true;
    return 1;
}

static bool grammar_is_mark(const char *text)
{
    return strcmp(text, SOURCE_BEGIN_MARK) == 0 || strcmp(text, SOURCE_END_MARK) == 0;
}

/* libconfuse closes sections silently at the end of the text, and knows nothing of the ends of files. */
static int grammar_take_mark(struct grammar *grammar, const cfg_opt_t *mark, unsigned line)
{
    if (grammar->section == 0)
        return 0;
    if (strcmp(mark->name, SOURCE_BEGIN_MARK) == 0)
        grammar_complain(grammar, line, "include cannot stand in a section");
    else
        grammar_complain(grammar, grammar->line, "a section is not closed: \"}\" is missing at the end of the file");
    return grammar_give_up(grammar);
}

/* libconfuse's hook for each value, in the order of the file. Not zero ends it. */
static int grammar_on_value(cfg_t *section, cfg_opt_t *opt, const char *text, void *ret_value)
{
    struct grammar *grammar = grammar_now;
    const char **kept = ret_value;
    *kept = text;
    if (!grammar_enter(grammar, section))
        return 1;
    if (grammar_is_mark(text)) {
        grammar_complain(grammar, (unsigned)section->line, "%s has no value", opt->name);
        return grammar_give_up(grammar);
    }
    if (grammar_is_mark(opt->name))
        return grammar_take_mark(grammar, opt, (unsigned)section->line);
    const struct option *options = grammar->sections[grammar->section].options;
    for (size_t i = 0; options[i].name; i++)
        if (strcmp(options[i].name, opt->name) == 0)
            return grammar_take(grammar, i, opt, text) ? 0 : 1;
    /* "listener|address" is libconfuse's way to name an option of a section from outside. */
    return grammar_complain(grammar, (unsigned)section->line, "%s does not belong here", opt->name) ? 0 : 1;
}

/* libconfuse's own complaints: syntax, unknown options. It stops at the first of them. */
__attribute__((format(printf, 2, 0))) static void grammar_on_complaint(cfg_t *section, const char *format,
                                                                       va_list arguments)
{
    struct grammar *grammar = grammar_now;
    unsigned line = (unsigned)section->line;
    char text[OPTION_WRONG_MAX];
    vsnprintf(text, sizeof text, format, arguments);
    if (strstr(text, SOURCE_END_MARK))
        grammar_complain(grammar, line, "unexpected end of the file");
    else
        grammar_complain(grammar, line, "%s", strstr(text, SOURCE_BEGIN_MARK) ? "unexpected include" : text);
    grammar_give_up(grammar);
}

/* --- the text as a whole --- */

/* Returns their end. */
static cfg_opt_t *grammar_fill_opts(cfg_opt_t *opts, const struct option *options)
{
    size_t count = 0;
    for (; options[count].name; count++) {
        assert(count < GRAMMAR_OPTIONS_MAX);
        cfg_flag_t flags = CFGF_NODEFAULT | (options[count].type->is_list ? CFGF_LIST : CFGF_NONE);
        opts[count] = (cfg_opt_t)CFG_STR_CB(options[count].name, NULL, flags, grammar_on_value);
    }
    opts[count++] = (cfg_opt_t)CFG_STR_CB(SOURCE_BEGIN_MARK, NULL, CFGF_NODEFAULT, grammar_on_value);
    opts[count++] = (cfg_opt_t)CFG_STR_CB(SOURCE_END_MARK, NULL, CFGF_NODEFAULT, grammar_on_value);
    opts[count] = (cfg_opt_t)CFG_END();
    return &opts[count];
}

static cfg_t *grammar_init(const struct grammar_section *sections, size_t section_count)
{
    cfg_opt_t opts[GRAMMAR_SECTIONS_MAX][GRAMMAR_OPTIONS_MAX + GRAMMAR_MARKS + GRAMMAR_SECTIONS_MAX];
    assert(section_count <= GRAMMAR_SECTIONS_MAX);
    cfg_opt_t *end = grammar_fill_opts(opts[0], sections[0].options);
    for (size_t i = 1; i < section_count; i++) {
        grammar_fill_opts(opts[i], sections[i].options);
        /* Without CFGF_MULTI a second section without a name would be joined with the first, unseen. */
        const cfg_flag_t title = sections[i].is_named ? CFGF_TITLE | CFGF_NO_TITLE_DUPES : CFGF_NONE;
        *end = (cfg_opt_t)CFG_SEC(sections[i].keyword, opts[i], CFGF_MULTI | title);
        end++->validcb = grammar_on_end;
    }
    *end = (cfg_opt_t)CFG_END();
    return cfg_init(opts[0], CFGF_NONE); /* copies opts */
}

void grammar_read(const char *text, const struct grammar_section *sections, size_t section_count,
                  bool (*take)(void *arg, const struct grammar_event *event), void *arg)
{
    struct grammar grammar = { .sections = sections, .section_count = section_count, .take = take, .arg = arg };
    grammar.root = grammar.now = grammar_init(sections, section_count);
    if (!grammar.root) {
        grammar_complain(&grammar, 0, "out of memory");
        return;
    }
    grammar_now = &grammar;
    cfg_set_error_function(grammar.root, grammar_on_complaint);
    errno = 0;
    int result = cfg_parse_buf(grammar.root, text), error = errno;
    grammar_now = NULL;
    if (result == CFG_SUCCESS) {
        grammar_enter(&grammar, grammar.root);
        grammar_end(&grammar);
    } else if (!grammar.is_stopped) {
        /* It complains of all but these. */
        grammar_complain(&grammar, (unsigned)grammar.now->line,
                         error == ENOMEM ? "out of memory" : "no such option ''");
    }
    cfg_free(grammar.root);
}
