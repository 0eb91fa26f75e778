/* SPDX-License-Identifier: Apache-2.0 */
#include "node/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ht_err hti_address_unix(const char *path,
                        struct sockaddr_un *ret_address,
                        const char **ret_why)
{
    size_t len = strlen(path);

    if (path[0] != '/') {
        *ret_why = "a Unix socket needs an absolute path";
        return HT_EINVAL;
    }
    if (len >= sizeof(ret_address->sun_path)) {
        *ret_why = "path of a Unix socket is longer than 107 bytes";
        return HT_EINVAL;
    }
    memset(ret_address, 0, sizeof(*ret_address));
    ret_address->sun_family = AF_UNIX;
    memcpy(ret_address->sun_path, path, len + 1);
    return HT_OK;
}

static int parse_port(const char *text)
{
    char *end;
    long port;

    if (text[0] < '0' || text[0] > '9') {
        return -1;
    }
    port = strtol(text, &end, 10);
    return *end != '\0' || port < 1 || port > 65535 ? -1 : (int)port;
}

ht_err hti_address_parse(const char *text,
                         struct hti_address *ret_address,
                         const char **ret_why)
{
    struct hti_address address = {0};
    const char *colon = strrchr(text, ':');
    const char *host = text;
    size_t len;

    if (strncmp(text, HTI_UNIX_PREFIX, sizeof(HTI_UNIX_PREFIX) - 1) == 0) {
        ht_err err = hti_address_unix(text + sizeof(HTI_UNIX_PREFIX) - 1,
                                      &address.path, ret_why);

        if (err == HT_OK) {
            address.is_unix = true;
            *ret_address = address;
        }
        return err;
    }
    *ret_why = "expected host:port, [v6]:port or unix:/path";
    if (colon == NULL || colon == text) {
        return HT_EINVAL;
    }
    len = (size_t)(colon - text);
    if (host[0] == '[') {
        if (host[len - 1] != ']' || len < 4) {
            return HT_EINVAL;
        }
        host++;
        len -= 2;
    } else if (memchr(host, ':', len) != NULL) {
        *ret_why = "an IPv6 address with a port is written [v6]:port";
        return HT_EINVAL;
    }
    if (len > HTI_HOST_BYTES_MAX) {
        *ret_why = "host name is longer than 255 bytes";
        return HT_EINVAL;
    }
    address.port = parse_port(colon + 1);
    if (address.port < 0) {
        *ret_why = "port is not a number from 1 to 65535";
        return HT_EINVAL;
    }
    memcpy(address.host, host, len);
    *ret_address = address;
    return HT_OK;
}

static const struct sockaddr_in *as_in(const struct sockaddr_storage *address)
{
    return (const struct sockaddr_in *)(const void *)address;
}

static const struct sockaddr_in6 *as_in6(const struct sockaddr_storage *address)
{
    return (const struct sockaddr_in6 *)(const void *)address;
}

const char *hti_sockaddr_format(const struct sockaddr_storage *address,
                                char *buf,
                                size_t buf_len)
{
    char text[INET6_ADDRSTRLEN] = "?";

    switch (address->ss_family) {
    case AF_INET:
        inet_ntop(AF_INET, &as_in(address)->sin_addr, text, sizeof(text));
        snprintf(buf, buf_len, "%s:%d", text, hti_sockaddr_port(address));
        break;
    case AF_INET6:
        if (IN6_IS_ADDR_V4MAPPED(&as_in6(address)->sin6_addr)) {
            inet_ntop(AF_INET, &as_in6(address)->sin6_addr.s6_addr[12], text,
                      sizeof(text));
            snprintf(buf, buf_len, "%s:%d", text, hti_sockaddr_port(address));
            break;
        }
        inet_ntop(AF_INET6, &as_in6(address)->sin6_addr, text, sizeof(text));
        snprintf(buf, buf_len, "[%s]:%d", text, hti_sockaddr_port(address));
        break;
    default:
        snprintf(buf, buf_len, "unix");
        break;
    }
    return buf;
}

int hti_sockaddr_port(const struct sockaddr_storage *address)
{
    switch (address->ss_family) {
    case AF_INET:
        return ntohs(as_in(address)->sin_port);
    case AF_INET6:
        return ntohs(as_in6(address)->sin6_port);
    default:
        return 0;
    }
}

void hti_sockaddr_key(const struct sockaddr_storage *address,
                      uint8_t ret_key[HTI_ADDRESS_KEY_BYTES])
{
    memset(ret_key, 0, HTI_ADDRESS_KEY_BYTES);
    if (address->ss_family == AF_INET) {
        ret_key[0] = 4;
        memcpy(ret_key + 1, &as_in(address)->sin_addr, 4);
    } else if (address->ss_family == AF_INET6) {
        const struct in6_addr *in6 = &as_in6(address)->sin6_addr;

        if (IN6_IS_ADDR_V4MAPPED(in6)) {
            ret_key[0] = 4;
            memcpy(ret_key + 1, in6->s6_addr + 12, 4);
        } else {
            ret_key[0] = 6;
            memcpy(ret_key + 1, in6->s6_addr, 8);
        }
    }
}
