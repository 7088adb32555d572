/* SPDX-License-Identifier: MIT */
/* place.h: names that no other run of a test has, for brokers to listen at. */
#ifndef TEST_PLACE_H
#define TEST_PLACE_H

extern char place_directory[]; /* an empty directory that everybody may search */
extern char place_abstract[];  /* "@..." */
extern char place_pathname[];  /* a path in the directory */

/* Set-up and tear-down of a group of tests. */
int place_make(void **state);
int place_remove(void **state);

/* Connects to `address`, opens something there, and disconnects: 0, or the errno of what failed. */
int place_try(const char *address);

#endif
