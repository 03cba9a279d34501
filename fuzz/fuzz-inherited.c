/* What a process that drains says of itself: whatever it is, what is kept of it can stand in a page for Prometheus as a
 * line of its own, with the label that says whose it is, and takes no more memory than there is. */
#include "fuzz.h"

#include "inherited.h"

#include <string.h>

#define ROOM 65536u

static void check_sample(const struct inherited_sample *sample)
{
    static const char label[] = "{process=\"old-1\"";
    const char *text = sample->text, *end = strrchr(text, '}');
    CHECK(strncmp(text, "imapstate_", 10) == 0 && strncmp(text + sample->name_len, label, strlen(label)) == 0);
    CHECK(end && end[1] == ' ' && end[2] && strspn(end + 2, "0123456789.") == strlen(end + 2));
    for (; *text; text++)
        CHECK((unsigned char)*text >= 0x20 && (unsigned char)*text < 0x7f);
}

static size_t octets_of(const struct inherited *inherited)
{
    size_t octets = inherited->room * sizeof *inherited->samples;
    for (size_t i = 0; i < inherited->count; i++)
        octets += strlen(inherited->samples[i].text) + 1;
    return octets;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct inherited inherited;
    size_t octets_left = ROOM;
    enum inherited_end end = INHERITED_GOES_ON;
    CHECK(inherited_init(&inherited, "old-1"));
    while (len > 0 && end == INHERITED_GOES_ON) {
        const uint8_t *lf = memchr(at, '\n', len);
        size_t line = lf ? (size_t)(lf - at) : len;
        end = inherited_read(&inherited, (const char *)at, line, &octets_left);
        at += line + (lf != NULL);
        len -= line + (lf != NULL);
    }
    CHECK(octets_left <= ROOM && (end != INHERITED_WHOLE || inherited.count > 0));
    /* At first there is room for some more than there are. */
    CHECK(octets_of(&inherited) <= ROOM + 256 * sizeof *inherited.samples);
    for (size_t i = 0; i < inherited.count; i++)
        check_sample(&inherited.samples[i]);
    inherited_done(&inherited);
    return 0;
}
