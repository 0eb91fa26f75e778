/* SPDX-License-Identifier: Apache-2.0 */
/* cert_name.h - whose a certificate is.  Reads a file. */
#ifndef CLI_CERT_NAME_H
#define CLI_CERT_NAME_H

/* The node, NAME@HOST, that the first certificate of a PEM file is for; to be
 * freed.  NULL: it is none's or cannot be read, which has been told. */
char *cert_node_name(const char *path);

#endif /* CLI_CERT_NAME_H */
