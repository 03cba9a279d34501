/* negotiation: which form whoever asks wants, by its Accept (RFC 9110 section 12.5.1). */
#ifndef HTTP_NEGOTIATION_H
#define HTTP_NEGOTIATION_H

#include "exposition.h"

/* accept: the header's value; NULL: there is none. OpenMetrics only for who names it, and likes it better than plain
 * text. What cannot be read counts as if it was not there: nobody is refused. */
enum exposition_form negotiation_form(const char *accept);

#endif
