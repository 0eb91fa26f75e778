/* SPDX-License-Identifier: Apache-2.0 */
/* address.h - addresses as people write them: host:port, [v6]:port,
 * unix:/path; and as sockets have them. */
#ifndef HTI_NODE_ADDRESS_H
#define HTI_NODE_ADDRESS_H

#include <hardtack/base.h>
#include <sys/socket.h>
#include <sys/un.h>

#define HTI_HOST_BYTES_MAX    255
#define HTI_ADDRESS_TEXT_MAX  300
#define HTI_UNIX_PREFIX       "unix:"
#define HTI_ADDRESS_KEY_BYTES 9

struct hti_address {
    bool is_unix;
    char host[HTI_HOST_BYTES_MAX + 1]; /* without brackets */
    int port;
    struct sockaddr_un path; /* is_unix */
};

/* HT_EINVAL; *ret_why says what is wrong with it. */
HT_MUSTUSE ht_err hti_address_parse(const char *text,
                                    struct hti_address *ret_address,
                                    const char **ret_why);
/* The part after unix:. HT_EINVAL. */
HT_MUSTUSE ht_err hti_address_unix(const char *path,
                                   struct sockaddr_un *ret_address,
                                   const char **ret_why);
/* "1.2.3.4:5", "[::1]:5"; returns buf. */
const char *hti_sockaddr_format(const struct sockaddr_storage *address,
                                char *buf,
                                size_t buf_len);
int hti_sockaddr_port(const struct sockaddr_storage *address);
/* Who is behind an address, for limits: an IPv4 address, mapped or not, or an
 * IPv6 network of 64 bits, which is what one customer has. */
void hti_sockaddr_key(const struct sockaddr_storage *address,
                      uint8_t ret_key[HTI_ADDRESS_KEY_BYTES]);

#endif /* HTI_NODE_ADDRESS_H */
