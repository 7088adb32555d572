// SPDX-License-Identifier: MIT
/*
 * text.c: prints bytes that somebody else has chosen: names of files, what a broker says of itself.
 *
 * A terminal takes some bytes for orders, and a reader of JSON refuses others, so neither must ever
 * see them raw.
 */
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The length of the UTF-8 character at `text`, within `left` bytes (1 at least), as RFC 3629 allows
 * them; 0 where there is none. */
static size_t utf8_length(const char *text, size_t left)
{
	const unsigned char *byte = (const unsigned char *)text;
	size_t length, i;

	if (byte[0] < 0x80)
		return 1;
	if (byte[0] < 0xc2 || byte[0] > 0xf4)
		return 0;
	length = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
	if (length > left)
		return 0;
	for (i = 1; i < length; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Overlong forms, surrogates, and what lies beyond U+10FFFF. */
	if ((byte[0] == 0xe0 && byte[1] < 0xa0) || (byte[0] == 0xed && byte[1] > 0x9f) ||
		(byte[0] == 0xf0 && byte[1] < 0x90) || (byte[0] == 0xf4 && byte[1] > 0x8f))
		return 0;
	return length;
}

enum text_form text_form_of_output(void)
{
	return isatty(STDOUT_FILENO) ? TEXT_ESCAPED : TEXT_RAW;
}

/* What JSON has between its quotes, or the escaped form; `kept` are control characters to leave alone. */
static void print_safely(
	FILE *stream, const char *bytes, size_t length, bool json, const char *kept)
{
	const char *end = bytes + length;
	size_t size;

	for (; bytes < end; bytes += size) {
		unsigned char byte = (unsigned char)*bytes;

		size = utf8_length(bytes, (size_t)(end - bytes));
		if (size == 0) {
			fprintf(stream, json ? "\\ufffd" : "\\x%02x", byte);
			size = 1;
		} else if (byte != '\0' && strchr(kept, byte)) {
			putc(byte, stream);
		} else if (byte < ' ' || byte == 0x7f) {
			fprintf(stream, json ? "\\u%04x" : "\\x%02x", byte);
		} else if (size == 2 && byte == 0xc2 && (unsigned char)bytes[1] < 0xa0) {
			fprintf(stream, json ? "\\u%04x" : "\\x%02x", (unsigned char)bytes[1]);
		} else {
			if (json && (byte == '"' || byte == '\\'))
				putc('\\', stream);
			fwrite(bytes, 1, size, stream);
		}
	}
}

void text_print(const char *bytes, size_t length, enum text_form form)
{
	if (form == TEXT_RAW) {
		fwrite(bytes, 1, length, stdout);
		return;
	}
	if (form == TEXT_JSON)
		putchar('"');
	print_safely(stdout, bytes, length, form == TEXT_JSON, "");
	if (form == TEXT_JSON)
		putchar('"');
}

void text_print_lines(FILE *stream, const char *text)
{
	size_t length = strlen(text);

	print_safely(stream, text, length, false, "\n\t");
	if (length > 0 && text[length - 1] != '\n')
		putc('\n', stream);
}

void text_print_member(const char *name, const char *bytes, size_t length)
{
	size_t at, size;

	printf("\"%s\": ", name);
	text_print(bytes, length, TEXT_JSON);
	for (at = 0; at < length; at += size) {
		size = utf8_length(bytes + at, length - at);
		if (size == 0)
			break;
	}
	if (at == length)
		return;
	printf(", \"%s_hex\": \"", name);
	for (at = 0; at < length; at++)
		printf("%02x", (unsigned char)bytes[at]);
	putchar('"');
}

bool text_is_number(const char *text)
{
	size_t digits;

	if (*text == '-')
		text++;
	digits = strspn(text, "0123456789");
	return text[digits] == '\0' && digits >= 1 && digits <= 15 &&
	       (text[0] != '0' || digits == 1);
}

bool text_read_id(const char *text, uint32_t *id)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || number >= UINT32_MAX)
		return false;
	*id = (uint32_t)number;
	return true;
}

void text_print_number(uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	printf(text_is_number(text) ? "%s" : "\"%s\"", text);
}
