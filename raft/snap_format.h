/* SPDX-License-Identifier: Apache-2.0 */
/* snap_format.h - numbers of a snapshot's file; snap.h has its shape. */
#ifndef HTI_RAFT_SNAP_FORMAT_H
#define HTI_RAFT_SNAP_FORMAT_H

#define HTI_SNAP_MAGIC   "HTraftSN"
#define HTI_SNAP_VERSION 1
#define HTI_SNAP_FIXED   24 /* bytes before what the head's crc is of */
#define HTI_SNAP_HEAD    68 /* bytes without conf */

#endif /* HTI_RAFT_SNAP_FORMAT_H */
