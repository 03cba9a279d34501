#include "authority.h"

#include <arpa/inet.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Octets of a name, including its NUL (RFC 1035 section 3.1, as text). */
#define AUTHORITY_NAME_MAX 256u

/* "[2001:db8::1]:9143" and "mail.example.org.:9143" without brackets, port and last dot. False: it is too long. */
static bool authority_read(const char *host, char ret_name[AUTHORITY_NAME_MAX])
{
    bool is_in_brackets = *host == '[';
    size_t len = is_in_brackets ? strcspn(++host, "]") : strcspn(host, ":");
    if (!is_in_brackets && len > 0 && host[len - 1] == '.')
        len--;
    if (len == 0 || len >= AUTHORITY_NAME_MAX)
        return false;
    memcpy(ret_name, host, len);
    ret_name[len] = '\0';
    return true;
}

static bool authority_is_address(const char *name)
{
    unsigned char octets[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, octets) == 1 || inet_pton(AF_INET6, name, octets) == 1;
}

static bool authority_is_this_host(const char *name)
{
    char own[HOST_NAME_MAX + 1];
    return gethostname(own, sizeof own) == 0 && strcasecmp(name, own) == 0;
}

bool authority_is_ours(const char *host, char *const *names, size_t count)
{
    char name[AUTHORITY_NAME_MAX];
    if (!host)
        return true;
    if (!authority_read(host, name))
        return false;
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return !strchr(name, '.') || authority_is_address(name) || authority_is_this_host(name);
}
