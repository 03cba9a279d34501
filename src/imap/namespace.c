#include "namespace.h"

#include <imapstate/command.h>
#include <imapstate/frame.h>

#include <errno.h>
#include <iconv.h>
#include <string.h>

#include "catalogue.h"

enum { NAMESPACE_PERSONAL, NAMESPACE_OTHER_USERS, NAMESPACE_SHARED, NAMESPACE_CLASSES };

/* ("prefix" "delimiter" *("EXTENSION" ("value" ...))); spans borrow from the line. */
struct descriptor {
    struct imapstate_span octets; /* all of it */
    struct imapstate_span prefix; /* quoted, as it stands there */
    uint8_t delimiter;            /* 0 for NIL: the namespace is flat */
    bool has_translation;
};

/* --- reading --- */

static bool namespace_take(struct imapstate_span *in, const char *octets)
{
    struct imapstate_span want = imapstate_span_of(octets);
    if (in->len < want.len || !imapstate_span_equal_nocase((struct imapstate_span){ in->at, want.len }, want))
        return false;
    in->at += want.len;
    in->len -= want.len;
    return true;
}

static bool namespace_take_quoted(struct imapstate_span *in, struct imapstate_buf *ret_value)
{
    imapstate_buf_clear(ret_value);
    return in->len > 0 && *in->at == '"' && imapstate_command_astring(in, ret_value) == IMAPSTATE_OK;
}

static bool namespace_take_extension(struct imapstate_span *in, struct imapstate_buf *value, bool *ret_is_translation)
{
    if (!namespace_take(in, " ") || !namespace_take_quoted(in, value))
        return false;
    *ret_is_translation |= imapstate_span_equal_nocase(imapstate_buf_span(value), IMAPSTATE_SPAN("TRANSLATION"));
    if (!namespace_take(in, " ("))
        return false;
    do {
        if (!namespace_take_quoted(in, value))
            return false;
    } while (namespace_take(in, " "));
    return namespace_take(in, ")");
}

/* value is scratch. */
static bool namespace_take_descriptor(struct imapstate_span *in, struct imapstate_buf *value,
                                      struct descriptor *ret_descriptor)
{
    struct descriptor descriptor = { .octets = *in };
    if (!namespace_take(in, "("))
        return false;
    descriptor.prefix = *in;
    if (!namespace_take_quoted(in, value))
        return false;
    descriptor.prefix.len -= in->len;
    if (!namespace_take(in, " "))
        return false;
    if (!namespace_take(in, "NIL")) {
        if (!namespace_take_quoted(in, value) || value->len != 1)
            return false;
        descriptor.delimiter = *value->at;
    }
    while (in->len > 0 && *in->at == ' ')
        if (!namespace_take_extension(in, value, &descriptor.has_translation))
            return false;
    if (!namespace_take(in, ")"))
        return false;
    descriptor.octets.len -= in->len;
    *ret_descriptor = descriptor;
    return true;
}

static bool namespace_take_class(struct imapstate_span *in, struct imapstate_buf *value,
                                 struct imapstate_span *ret_class)
{
    struct descriptor descriptor;
    *ret_class = *in;
    if (!namespace_take(in, "NIL")) {
        if (!namespace_take(in, "("))
            return false;
        do {
            if (!namespace_take_descriptor(in, value, &descriptor))
                return false;
        } while (!namespace_take(in, ")"));
    }
    ret_class->len -= in->len;
    return true;
}

static bool namespace_parse(struct imapstate_span line, struct imapstate_buf *value,
                            struct imapstate_span ret_classes[static NAMESPACE_CLASSES])
{
    struct imapstate_span in = imapstate_span_without_line_end(line);
    if (in.len == line.len || !namespace_take(&in, "* NAMESPACE"))
        return false;
    for (size_t i = 0; i < NAMESPACE_CLASSES; i++)
        if (!namespace_take(&in, " ") || !namespace_take_class(&in, value, &ret_classes[i]))
            return false;
    return in.len == 0;
}

/* --- translating --- */

static bool namespace_is_plain(struct imapstate_span name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] >= 0x7f || name.at[i] < ' ' || name.at[i] == '&')
            return false;
    return true;
}

static bool namespace_put_utf7(const char *text, struct imapstate_buf *ret_name)
{
    iconv_t converter = iconv_open("UTF-7-IMAP", "UTF-8");
    if (converter == (iconv_t)-1)
        return false;
    char *from = (char *)text; /* iconv() does not write there */
    size_t from_len = strlen(text);
    bool is_good = true, is_whole = false;
    while (is_good && !is_whole) {
        char chunk[256], *to = chunk;
        size_t to_len = sizeof chunk;
        /* Without a source it ends what is in BASE64. */
        bool is_ending = from_len == 0;
        size_t result =
            is_ending ? iconv(converter, NULL, NULL, &to, &to_len) : iconv(converter, &from, &from_len, &to, &to_len);
        is_good = (result != (size_t)-1 || errno == E2BIG) &&
                  imapstate_buf_put(ret_name, (struct imapstate_span){ (const uint8_t *)chunk, sizeof chunk - to_len });
        is_whole = is_ending && result != (size_t)-1;
    }
    iconv_close(converter);
    return is_good;
}

/* What servers call the namespaces of other users, and shared ones. */
static const char *const namespace_names[] = {
    /* TRANSLATORS: down to "users": a mailbox below which those of other users are, or those that are shared. */
    N_("Other Users"), N_("Other users"),    N_("Users"),          N_("Public Folders"), N_("Public folders"),
    N_("Public"),      N_("Shared Folders"), N_("Shared folders"), N_("Shared"),         N_("other users"),
    N_("public"),      N_("shared"),         N_("user"),           N_("users"),
};

/* Empty if there is none. */
static const char *namespace_find(struct imapstate_span name, unsigned language)
{
    for (size_t i = 0; i < sizeof namespace_names / sizeof namespace_names[0]; i++)
        if (imapstate_span_equal(name, imapstate_span_of(namespace_names[i])))
            return catalogue_text(language, namespace_names[i]);
    return "";
}

/* One part of a prefix; true if it has become another. */
static bool namespace_put_part(struct imapstate_span part, uint8_t delimiter, unsigned language, bool is_utf8,
                               struct imapstate_buf *ret_name)
{
    const char *text = namespace_find(part, language);
    struct imapstate_span translated = imapstate_span_of(text);
    size_t len_before = ret_name->len;
    bool is_usable = translated.len > 0 && !memchr(text, delimiter, translated.len) &&
                     !imapstate_span_equal(translated, part) &&
                     (is_utf8 || namespace_is_plain(translated) ? imapstate_buf_put(ret_name, translated)
                                                                : namespace_put_utf7(text, ret_name));
    if (!is_usable) {
        ret_name->len = len_before;
        imapstate_buf_put(ret_name, part);
    }
    return is_usable;
}

/* False if no part of the prefix has a translation. */
static bool namespace_put_translation(struct imapstate_span prefix, uint8_t delimiter, unsigned language, bool is_utf8,
                                      struct imapstate_buf *ret_name)
{
    bool is_changed = false;
    while (prefix.len > 0) {
        const uint8_t *end = delimiter ? memchr(prefix.at, delimiter, prefix.len) : NULL;
        struct imapstate_span part = { prefix.at, end ? (size_t)(end - prefix.at) : prefix.len };
        is_changed |= namespace_put_part(part, delimiter, language, is_utf8, ret_name);
        if (end && !imapstate_buf_put_byte(ret_name, delimiter))
            return false;
        prefix.at += part.len + (end ? 1 : 0);
        prefix.len -= part.len + (end ? 1 : 0);
    }
    return is_changed;
}

static bool namespace_holds(struct imapstate_span octets, struct imapstate_span quoted)
{
    return octets.len > 0 && memmem(octets.at, octets.len, quoted.at, quoted.len);
}

/* Appends the descriptor, less its last ")", and the translation, if there is one to be given. class: as it came;
 * begin: where in ret_line it begins. */
static bool namespace_put_descriptor(const struct descriptor *descriptor, unsigned language, bool is_utf8,
                                     struct imapstate_span class, size_t begin, struct imapstate_buf *ret_line,
                                     bool *ret_is_changed)
{
    struct imapstate_buf prefix, name, quoted;
    struct imapstate_span rest = descriptor->prefix;
    imapstate_buf_init(&prefix, IMAPSTATE_LINE_MAX);
    imapstate_buf_init(&name, IMAPSTATE_LINE_MAX);
    imapstate_buf_init(&quoted, IMAPSTATE_LINE_MAX);
    bool has_one =
        !descriptor->has_translation && namespace_take_quoted(&rest, &prefix) &&
        namespace_put_translation(imapstate_buf_span(&prefix), descriptor->delimiter, language, is_utf8, &name) &&
        imapstate_command_put_quoted(&quoted, imapstate_buf_span(&name));
    struct imapstate_span said = { ret_line->at + begin, ret_line->len - begin }, more = imapstate_buf_span(&quoted);
    has_one = has_one && !namespace_holds(said, more) && !namespace_holds(class, more);
    bool fits =
        imapstate_buf_put(ret_line, (struct imapstate_span){ descriptor->octets.at, descriptor->octets.len - 1 });
    if (has_one)
        fits = fits && imapstate_buf_put(ret_line, IMAPSTATE_SPAN(" \"TRANSLATION\" (")) &&
               imapstate_buf_put(ret_line, more) && imapstate_buf_put_byte(ret_line, ')');
    *ret_is_changed |= has_one;
    imapstate_buf_done(&prefix);
    imapstate_buf_done(&name);
    imapstate_buf_done(&quoted);
    return fits && imapstate_buf_put_byte(ret_line, ')');
}

/* value is scratch. */
static bool namespace_put_class(struct imapstate_span class, unsigned language, bool is_utf8,
                                struct imapstate_buf *value, struct imapstate_buf *ret_line, bool *ret_is_changed)
{
    struct imapstate_span in = class;
    struct descriptor descriptor;
    if (!namespace_take(&in, "("))
        return imapstate_buf_put(ret_line, class); /* NIL */
    bool fits = imapstate_buf_put_byte(ret_line, '(');
    size_t begin = ret_line->len;
    while (fits && namespace_take_descriptor(&in, value, &descriptor))
        fits = namespace_put_descriptor(&descriptor, language, is_utf8, class, begin, ret_line, ret_is_changed);
    return fits && imapstate_buf_put_byte(ret_line, ')');
}

bool namespace_translate(struct imapstate_span line, unsigned language, bool is_utf8, struct imapstate_buf *ret_line)
{
    struct imapstate_span classes[NAMESPACE_CLASSES];
    struct imapstate_buf value;
    imapstate_buf_init(&value, IMAPSTATE_LINE_MAX);
    size_t begin = ret_line->len;
    bool is_changed = false;
    bool fits = namespace_parse(line, &value, classes);
    if (fits) {
        /* What a user's own mailboxes are called is the user's (RFC 5255 section 3.4 speaks of the others only). */
        size_t kept = (size_t)(classes[NAMESPACE_OTHER_USERS].at - line.at);
        fits = imapstate_buf_put(ret_line, (struct imapstate_span){ line.at, kept });
    }
    for (size_t i = NAMESPACE_OTHER_USERS; fits && i < NAMESPACE_CLASSES; i++)
        fits = (i == NAMESPACE_OTHER_USERS || imapstate_buf_put_byte(ret_line, ' ')) &&
               namespace_put_class(classes[i], language, is_utf8, &value, ret_line, &is_changed);
    size_t text_len = imapstate_span_without_line_end(line).len;
    fits = fits && imapstate_buf_put(ret_line, (struct imapstate_span){ line.at + text_len, line.len - text_len });
    imapstate_buf_done(&value);
    if (!fits || !is_changed)
        ret_line->len = begin;
    return fits && is_changed;
}
