/* SPDX-License-Identifier: MIT */
/* file-type.h: what the types of files are called. `type` is DT_REG, DT_DIR, ... of <dirent.h>. */
#ifndef CLI_FILE_TYPE_H
#define CLI_FILE_TYPE_H

/* "regular", "directory", "link", "chardev", "blockdev", "fifo", "socket", or "unknown". Static. */
const char *file_type_name(unsigned int type);

/* What `ls -F` puts behind the name: "/", "@", "|", "=", or nothing. Static. */
const char *file_type_mark(unsigned int type);

#endif
