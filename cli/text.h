/* SPDX-License-Identifier: MIT */
/* text.h: prints bytes that somebody else has chosen, to standard output if nothing else is said. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum text_form {
	TEXT_RAW,     /* as it is, for a program */
	TEXT_ESCAPED, /* control characters (C1 among them) and what is not UTF-8 as \xNN, for people */
	TEXT_JSON, /* in quotes, as RFC 8259 has it; what is not UTF-8 as U+FFFD */
};

/* What a name is printed in: escaped for a terminal, else as it is. */
enum text_form text_form_of_output(void);

void text_print(const char *bytes, size_t length, enum text_form form);

/*
 * Prints text of one or more lines for people: escaped, save newlines and tabs, and with a newline at the
 * end, unless it is empty.
 */
void text_print_lines(FILE *stream, const char *text);

/*
 * Prints a member of a JSON object: "name": "bytes". Where they are not UTF-8, which the string cannot
 * say, it is followed by another one: "name_hex", their hexadecimal digits.
 */
void text_print_member(const char *name, const char *bytes, size_t length);

/* Whether it can stand in JSON as a number: a whole one that every reader keeps exactly. */
bool text_is_number(const char *text);

/* Reads a uid or a gid in digits; false where it is none, as 4294967295, which is nobody's. */
bool text_read_id(const char *text, uint32_t *id);

/* Prints a number for JSON, as a string where a reader might round it. */
void text_print_number(uint64_t number);

#endif
