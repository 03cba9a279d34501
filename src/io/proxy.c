#include "proxy.h"

#include <netinet/in.h>
#include <string.h>

#define V1_HEADER_MIN   15u  /* "PROXY UNKNOWN" CRLF; less than the fixed part of version 2 */
#define V1_HEADER_MAX   107u /* section 2.1, line end included */
#define V2_FIXED_OCTETS 16u
#define V2_VERSION      0x20
#define V2_LOCAL        0x0
#define V2_PROXY        0x1
#define V2_UNSPEC       0x0
#define V2_STREAM       0x1
#define V2_DGRAM        0x2
#define V2_INET         0x1
#define V2_INET6        0x2
#define V2_UNIX         0x3
#define V2_TCP4         (V2_INET << 4 | V2_STREAM)
#define V2_TCP6         (V2_INET6 << 4 | V2_STREAM)
#define V2_UNIX_OCTETS  216u

static const uint8_t v2_signature[12] = { '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n' };

/* Does in begin with these octets, as far as it goes? */
static bool may_begin(struct imapstate_span in, const void *octets, size_t len)
{
    return in.len == 0 || memcmp(in.at, octets, in.len < len ? in.len : len) == 0;
}

/* Takes what stands before the next SP, or all if there is none, off line. Exactly one SP is between two fields: the
 * second of two gives an empty field, which is no address and no port. */
static struct imapstate_span take_field(struct imapstate_span *line)
{
    const uint8_t *space = line->len ? memchr(line->at, ' ', line->len) : NULL;
    struct imapstate_span field = { line->at, space ? (size_t)(space - line->at) : line->len };
    size_t taken = space ? field.len + 1 : field.len;

    line->at += taken;
    line->len -= taken;
    return field;
}

static bool read_v1_addresses(struct imapstate_span line, int family, struct address *ret_source,
                              struct address *ret_destination)
{
    uint8_t source[16], destination[16];
    uint16_t source_port, destination_port;

    if (!address_read_host(take_field(&line), family, source) ||
        !address_read_host(take_field(&line), family, destination))
        return false;
    /* The last field goes up to the line end, so one more field or SP makes it no port. */
    if (!address_read_port(take_field(&line), &source_port) || !address_read_port(line, &destination_port))
        return false;
    address_set_raw(ret_source, family, source, source_port);
    address_set_raw(ret_destination, family, destination, destination_port);
    return true;
}

/* The whole line without "PROXY " and CRLF. */
static enum proxy_result read_v1_line(struct imapstate_span line, struct address *ret_source,
                                      struct address *ret_destination)
{
    struct imapstate_span protocol = take_field(&line);

    if (imapstate_span_equal(protocol, IMAPSTATE_SPAN("UNKNOWN")))
        return PROXY_LOCAL; /* section 2.1: whatever follows is ignored */
    bool is_tcp4 = imapstate_span_equal(protocol, IMAPSTATE_SPAN("TCP4"));
    if (!is_tcp4 && !imapstate_span_equal(protocol, IMAPSTATE_SPAN("TCP6")))
        return PROXY_BAD;
    if (!read_v1_addresses(line, is_tcp4 ? AF_INET : AF_INET6, ret_source, ret_destination))
        return PROXY_BAD;
    return PROXY_OK;
}

static enum proxy_result read_v1(struct imapstate_span in, size_t *ret_octets, struct address *ret_source,
                                 struct address *ret_destination)
{
    size_t looked_at = in.len < V1_HEADER_MAX ? in.len : V1_HEADER_MAX;
    const uint8_t *cr = memchr(in.at, '\r', looked_at);
    const uint8_t *lf = memchr(in.at, '\n', looked_at);

    if (!lf)
        return in.len < V1_HEADER_MAX && (!cr || cr + 1 == in.at + in.len) ? PROXY_MORE : PROXY_BAD;
    if (!cr || cr + 1 != lf) /* section 2.1: neither a CR nor an LF alone */
        return PROXY_BAD;
    size_t begin = sizeof "PROXY " - 1;
    struct imapstate_span line = { in.at + begin, (size_t)(cr - in.at) - begin };
    enum proxy_result result = read_v1_line(line, ret_source, ret_destination);
    if (result != PROXY_BAD)
        *ret_octets = (size_t)(lf - in.at) + 1;
    return result;
}

static uint16_t read_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* How long the addresses of a PROXY command are; false if section 2.2 knows no such family or protocol. */
static bool v2_address_octets(uint8_t family, uint8_t protocol, size_t *ret_octets)
{
    static const size_t octets[] = { [V2_UNSPEC] = 0, [V2_INET] = 12, [V2_INET6] = 36, [V2_UNIX] = V2_UNIX_OCTETS };

    if (family > V2_UNIX || protocol > V2_DGRAM)
        return false;
    *ret_octets = octets[family];
    return true;
}

/* at: the addresses, all there. */
static void read_v2_addresses(const uint8_t *at, uint8_t family, struct address *ret_source,
                              struct address *ret_destination)
{
    if (family == V2_UNIX) {
        *ret_source = *ret_destination = (struct address){ .family = AF_UNIX };
        return;
    }
    size_t host_octets = family == V2_INET ? 4 : 16;
    int sockaddr_family = family == V2_INET ? AF_INET : AF_INET6;
    const uint8_t *ports = at + 2 * host_octets;
    address_set_raw(ret_source, sockaddr_family, at, read_u16(ports));
    address_set_raw(ret_destination, sockaddr_family, at + host_octets, read_u16(ports + 2));
}

/* What follows the addresses (TLVs) is passed over, as section 2.2 allows: nothing in it is of use here. */
static enum proxy_result read_v2(struct imapstate_span in, size_t *ret_octets, struct address *ret_source,
                                 struct address *ret_destination)
{
    if (in.len < V2_FIXED_OCTETS)
        return PROXY_MORE;
    uint8_t command = in.at[12] & 0x0f, family = in.at[13] >> 4, protocol = in.at[13] & 0x0f;
    size_t follow_octets = read_u16(in.at + 14), address_octets;

    if ((in.at[12] & 0xf0) != V2_VERSION || command > V2_PROXY || follow_octets > PROXY_HEADER_MAX - V2_FIXED_OCTETS)
        return PROXY_BAD;
    if (command == V2_PROXY &&
        (!v2_address_octets(family, protocol, &address_octets) || follow_octets < address_octets))
        return PROXY_BAD;
    if (in.len - V2_FIXED_OCTETS < follow_octets)
        return PROXY_MORE;
    *ret_octets = V2_FIXED_OCTETS + follow_octets;
    /* A datagram is no way to us: taken as unspecified, which section 2.2 lets receivers do. */
    if (command == V2_LOCAL || family == V2_UNSPEC || protocol != V2_STREAM)
        return PROXY_LOCAL;
    read_v2_addresses(in.at + V2_FIXED_OCTETS, family, ret_source, ret_destination);
    return PROXY_OK;
}

enum proxy_result proxy_read(struct imapstate_span in, size_t *ret_octets, struct address *ret_source,
                             struct address *ret_destination)
{
    static const char v1_begin[] = { 'P', 'R', 'O', 'X', 'Y', ' ' };

    if (in.len == 0)
        return PROXY_MORE;
    if (may_begin(in, v2_signature, sizeof v2_signature))
        return read_v2(in, ret_octets, ret_source, ret_destination);
    if (!may_begin(in, v1_begin, sizeof v1_begin))
        return PROXY_BAD;
    return in.len < sizeof v1_begin ? PROXY_MORE : read_v1(in, ret_octets, ret_source, ret_destination);
}

size_t proxy_octets_wanted(struct imapstate_span in)
{
    if (in.len < V1_HEADER_MIN)
        return V1_HEADER_MIN - in.len;
    if (in.at[0] != v2_signature[0])
        return in.at[in.len - 1] == '\r' ? 1 : 2;
    if (in.len < V2_FIXED_OCTETS)
        return V2_FIXED_OCTETS - in.len;
    return V2_FIXED_OCTETS + read_u16(in.at + 14) - in.len;
}

static void write_u16(uint8_t *at, uint16_t number)
{
    at[0] = (uint8_t)(number >> 8);
    at[1] = (uint8_t)number;
}

/* Both are of one family in a header: beside IPv6, IPv4 is mapped (RFC 4291 section 2.5.5.2). Of a unix socket nothing
 * is known, and all octets are 0. */
static void write_host(uint8_t *at, const struct address *address, size_t host_octets)
{
    bool is_mapped = address->family == AF_INET && host_octets == 16;
    if (is_mapped)
        at[10] = at[11] = 0xff;
    if (address->family != AF_UNIX)
        memcpy(at + (is_mapped ? 12 : 0), address->octets, is_mapped ? 4 : host_octets);
}

bool proxy_write(const struct address *source, const struct address *destination, struct imapstate_buf *ret_octets)
{
    uint8_t header[V2_FIXED_OCTETS + 36] = { 0 };
    bool is_local = source->family == AF_UNIX, is_inet = source->family == AF_INET && destination->family != AF_INET6;
    size_t host_octets = is_inet ? 4 : 16;
    size_t follow_octets = is_local ? 0 : 2 * host_octets + 4;

    memcpy(header, v2_signature, sizeof v2_signature);
    header[12] = V2_VERSION | (is_local ? V2_LOCAL : V2_PROXY);
    write_u16(header + 14, (uint16_t)follow_octets);
    if (!is_local) {
        uint8_t *at = header + V2_FIXED_OCTETS;
        header[13] = is_inet ? V2_TCP4 : V2_TCP6;
        write_host(at, source, host_octets);
        write_host(at + host_octets, destination, host_octets);
        write_u16(at + 2 * host_octets, source->port);
        write_u16(at + 2 * host_octets + 2, destination->port);
    }
    return imapstate_buf_put(ret_octets, (struct imapstate_span){ header, V2_FIXED_OCTETS + follow_octets });
}
