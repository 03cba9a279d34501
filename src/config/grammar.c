#include "grammar.h"

#include <assert.h>
#include <confuse.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* libconfuse closes sections silently at the end of the file. So this option is put behind the text: it has to arrive
 * in the file's own scope, else a section is still open. Nobody writes it by mistake, as control characters are
 * refused. */
#define GRAMMAR_END_MARK "\001end"

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
    bool is_wrong;                           /* there has been a complaint */
    bool is_stopped;                         /* by take, or by a complaint that ends it */
    bool is_whole;                           /* the end mark has arrived in the file's own scope ... */
    unsigned unclosed_at;                    /* ... or in the section that begins there */
    unsigned last_line;                      /* that has something in it; 0: none, or not known yet */
    unsigned open_string_at;                 /* a string that begins there is not closed; 0: all are */
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
    if (grammar->last_line != 0 && line > grammar->last_line)
        line = grammar->last_line; /* what is missing at the end is noticed behind it */
    grammar->is_wrong = true;
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
        grammar_complain(grammar, grammar->line, "%s is given more than once: first on line %u", row->keyword,
                         *begun_at);
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
            grammar_complain(grammar, grammar->line, "%s \"%s\" has no %s", row->keyword, cfg_title(grammar->now),
                             name);
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

/* libconfuse's hook for each value, in the order of the file. Not zero ends it. */
static int grammar_on_value(cfg_t *section, cfg_opt_t *opt, const char *text, void *ret_value)
{
    struct grammar *grammar = grammar_now;
    const char **kept = ret_value;
    *kept = text;
    if (!grammar_enter(grammar, section))
        return 1;
    if (strcmp(opt->name, GRAMMAR_END_MARK) == 0) {
        grammar->is_whole = grammar->section == 0;
        grammar->unclosed_at = grammar->line;
        return 0;
    }
    if (strcmp(text, GRAMMAR_END_MARK) == 0) {
        grammar_complain(grammar, (unsigned)section->line, "%s has no value", opt->name);
        grammar->is_stopped = true;
        return 1;
    }
    const struct option *options = grammar->sections[grammar->section].options;
    for (size_t i = 0; options[i].name; i++)
        if (strcmp(options[i].name, opt->name) == 0)
            return grammar_take(grammar, i, opt, text) ? 0 : 1;
    /* "listener|address" is libconfuse's way to name an option of a section from outside. */
    return grammar_complain(grammar, (unsigned)section->line, "%s does not belong here", opt->name) ? 0 : 1;
}

static void grammar_complain_of_string(struct grammar *grammar)
{
    grammar_complain(grammar, grammar->open_string_at, "the string that begins here is not closed");
}

/* libconfuse's own complaints: syntax, unknown options. It stops at the first of them. */
__attribute__((format(printf, 2, 0))) static void grammar_on_complaint(cfg_t *section, const char *format,
                                                                       va_list arguments)
{
    struct grammar *grammar = grammar_now;
    unsigned line = (unsigned)section->line;
    char text[OPTION_WRONG_MAX];
    vsnprintf(text, sizeof text, format, arguments);
    if (grammar->open_string_at != 0 && line > grammar->last_line)
        grammar_complain_of_string(grammar);
    else
        grammar_complain(grammar, line, "%s", strstr(text, GRAMMAR_END_MARK) ? "unexpected end of the file" : text);
    grammar->is_stopped = true;
}

/* --- the text as a whole --- */

/* What libconfuse would drop silently, replace from the environment, or read as a comment or not depending on what
 * stands around it. */
static const char *const only_quoted[] = { "*", "//", "${" };

static const char *grammar_find_only_quoted(const char *at)
{
    for (size_t i = 0; i < ARRAY_LEN(only_quoted); i++)
        if (strncmp(at, only_quoted[i], strlen(only_quoted[i])) == 0)
            return only_quoted[i];
    return at[0] == '+' && at[1] != '=' ? "+" : NULL;
}

/* "\0" or "\x00" in double quotes: libconfuse would drop what is behind it, silently. */
static bool grammar_is_nul_escape(const char *at)
{
    if (at[0] != '\\')
        return false;
    if (at[1] == 'x')
        return at[2] == '0' && (at[3] == '0' || !isxdigit((unsigned char)at[3]));
    size_t zeros = strspn(at + 1, "0");
    return zeros >= 1 && zeros <= 3 && !isdigit((unsigned char)at[1 + zeros]);
}

/* Blanks the rest of the line out and returns its last character. */
static char *grammar_blank_line(char *at)
{
    for (; at[1] != '\n' && at[1] != '\0'; at++)
        *at = ' ';
    *at = ' ';
    return at;
}

/* Blanks the comments out, as libconfuse 3.3 counts lines wrongly behind them, and refuses what it would not. */
static bool grammar_strip(struct grammar *grammar, char *text)
{
    char quote = '\0';                 /* that the current string will end with ... */
    unsigned line = 1, quote_line = 0; /* ... and where it begins */
    unsigned last_line = 0;
    for (char *at = text; *at != '\0'; at++) {
        const char *refused = NULL;
        if (quote == '\0')
            quote_line = line;
        else if (quote == '"' && grammar_is_nul_escape(at))
            grammar_complain(grammar, line, "a string contains a NUL");
        if (*at == '\n')
            line++;
        else if ((unsigned char)*at < 0x20 && *at != '\t' && *at != '\r')
            grammar_complain(grammar, line, "control character 0x%02x", (unsigned char)*at);
        else if (quote != '\0' && *at == '\\' && (at[1] == '\\' || at[1] == quote))
            at++;
        else if (quote != '\0')
            quote = *at == quote ? '\0' : quote;
        else if (*at == '"' || *at == '\'')
            quote = *at;
        else if (*at == '#')
            at = grammar_blank_line(at);
        else
            refused = grammar_find_only_quoted(at);
        if (quote == '"' && strncmp(at, "${", 2) == 0)
            grammar_complain(grammar, line,
                             "\"${\": environment variables are not expanded; in single quotes it stands for itself");
        else if (refused)
            grammar_complain(grammar, line, "\"%s\" is only allowed in quotes (a comment begins with \"#\")", refused);
        if (grammar->is_wrong)
            return false;
        if (!isspace((unsigned char)*at))
            last_line = line;
    }
    grammar->last_line = last_line;
    grammar->open_string_at = quote != '\0' ? quote_line : 0;
    return true;
}

/* Returns their end. */
static cfg_opt_t *grammar_fill_opts(cfg_opt_t *opts, const struct option *options)
{
    size_t count = 0;
    for (; options[count].name; count++) {
        assert(count < GRAMMAR_OPTIONS_MAX);
        cfg_flag_t flags = CFGF_NODEFAULT | (options[count].type->is_list ? CFGF_LIST : CFGF_NONE);
        opts[count] = (cfg_opt_t)CFG_STR_CB(options[count].name, NULL, flags, grammar_on_value);
    }
    opts[count++] = (cfg_opt_t)CFG_STR_CB(GRAMMAR_END_MARK, NULL, CFGF_NODEFAULT, grammar_on_value);
    opts[count] = (cfg_opt_t)CFG_END();
    return &opts[count];
}

static cfg_t *grammar_init(const struct grammar_section *sections, size_t section_count)
{
    cfg_opt_t opts[GRAMMAR_SECTIONS_MAX][GRAMMAR_OPTIONS_MAX + 1 + GRAMMAR_SECTIONS_MAX];
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

static void grammar_parse(struct grammar *grammar, const char *text)
{
    grammar->root = grammar->now = grammar_init(grammar->sections, grammar->section_count);
    if (!grammar->root) {
        grammar_complain(grammar, 0, "out of memory");
        return;
    }
    grammar_now = grammar;
    cfg_set_error_function(grammar->root, grammar_on_complaint);
    errno = 0;
    int result = cfg_parse_buf(grammar->root, text), error = errno;
    grammar_now = NULL;
    if (result != CFG_SUCCESS) {
        /* It complains of all but these. */
        if (!grammar->is_stopped)
            grammar_complain(grammar, (unsigned)grammar->now->line,
                             error == ENOMEM ? "out of memory" : "no such option ''");
    } else if (grammar->open_string_at != 0) {
        grammar_complain_of_string(grammar);
    } else if (!grammar->is_whole) {
        grammar_complain(grammar, grammar->unclosed_at,
                         "a section is not closed: \"}\" is missing at the end of the file");
    } else {
        grammar_enter(grammar, grammar->root);
        grammar_end(grammar);
    }
    cfg_free(grammar->root);
}

void grammar_read(const char *text, const struct grammar_section *sections, size_t section_count,
                  bool (*take)(void *arg, const struct grammar_event *event), void *arg)
{
    static const char mark[] = "\n" GRAMMAR_END_MARK " = 1";
    struct grammar grammar = { .sections = sections, .section_count = section_count, .take = take, .arg = arg };
    size_t len = strlen(text);
    char *marked = malloc(len + sizeof mark);
    if (!marked) {
        grammar_complain(&grammar, 0, "out of memory");
        return;
    }
    memcpy(marked, text, len + 1);
    if (grammar_strip(&grammar, marked)) {
        memcpy(marked + len, mark, sizeof mark);
        grammar_parse(&grammar, marked);
    }
    free(marked);
}
