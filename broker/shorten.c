/* SPDX-License-Identifier: MIT */
#include "shorten.h"

#include <stdbool.h>
#include <string.h>

/* Of a line; the record's have half as many. */
#define MEMBERS_MAX 48

/* U+2026 HORIZONTAL ELLIPSIS */
#define MARK	   "\xe2\x80\xa6"
#define MARK_BYTES (sizeof(MARK) - 1)
#define LIST	   ",\"shortened\":\""
/* Room for the names of what is cut: there are not more than a few that are long. */
#define LIST_BYTES 160

struct member {
	size_t name, name_length;
	size_t text, length; /* without the quotation marks; text is 0 where it is a number */
	size_t end;	     /* where its comma is, or the line ends */
	bool cut;
};

struct members {
	char *line;
	size_t used;
	struct member list[MEMBERS_MAX];
	size_t count;
};

/* Bytes of the character at `s`: an escape, or as many as its first byte says. */
static size_t step(const char *s)
{
	unsigned char first = (unsigned char)s[0];

	if (first == '\\')
		return s[1] == 'u' ? 6 : 2;
	return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Where the text that begins at `at` ends. */
static size_t find_quote(const struct members *members, size_t at)
{
	while (at < members->used && members->line[at] != '"')
		at += step(members->line + at);
	return at;
}

static void find(struct members *members)
{
	size_t at = 1;

	members->count = 0;
	while (at < members->used && members->count < MEMBERS_MAX) {
		struct member *member = &members->list[members->count++];
		*member = (struct member){.name = at + 1};
		member->end = find_quote(members, member->name);
		member->name_length = member->end - member->name;
		member->end += 2;
		if (member->end < members->used && members->line[member->end] == '"') {
			member->text = member->end + 1;
			member->end = find_quote(members, member->text);
			member->length = member->end - member->text;
			member->end++;
		} else {
			while (member->end < members->used && members->line[member->end] != ',')
				member->end++;
		}
		at = member->end + 1;
	}
}

/* Takes out `length` bytes at `at`, and puts the mark there if it is given. */
static void take_out(struct members *members, size_t at, size_t length, const char *mark)
{
	size_t put = strlen(mark);

	memmove(members->line + at + put, members->line + at + length, members->used - at - length);
	memcpy(members->line + at, mark, put);
	members->used = members->used - length + put;
}

static bool is_hex(const struct members *members, const struct member *member)
{
	return member->name_length > 4 &&
	       memcmp(members->line + member->name + member->name_length - 4, "_hex", 4) == 0;
}

/* Each follows the text whose bytes it has, which is then not all there is to know of them. */
static void drop_hex(struct members *members, bool cuts[MEMBERS_MAX])
{
	size_t dropped = 0;

	for (size_t i = 1; i < members->count; i++)
		if (is_hex(members, &members->list[i]))
			cuts[i - ++dropped] = true;
	for (size_t i = members->count; i-- > 1;) {
		const struct member *member = &members->list[i];
		/* With the comma before it: the first member is never one. */
		if (is_hex(members, member))
			take_out(members, member->name - 2, member->end - member->name + 2, "");
	}
	find(members);
}

/* Cuts the text to `keep` bytes or a few less. */
static void cut(struct members *members, size_t number, size_t keep)
{
	struct member *member = &members->list[number];
	size_t at = 0, next;

	while ((next = at + step(members->line + member->text + at)) <= keep)
		at = next;
	take_out(members, member->text + at, member->length - at, MARK);
}

/* The number of the one with the longest text. */
static size_t longest(const struct members *members)
{
	size_t best = 0;

	for (size_t i = 1; i < members->count; i++)
		if (members->list[i].length > members->list[best].length)
			best = i;
	return best;
}

static void add_list(struct members *members, const bool cuts[MEMBERS_MAX])
{
	char list[LIST_BYTES] = LIST;
	size_t used = sizeof(LIST) - 1;
	bool first = true;

	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->list[i];
		if (!cuts[i] || used + member->name_length + 3 > sizeof(list))
			continue;
		if (!first)
			list[used++] = ' ';
		first = false;
		memcpy(list + used, members->line + member->name, member->name_length);
		used += member->name_length;
	}
	list[used++] = '"';
	memcpy(members->line + members->used, list, used);
	members->used += used;
}

size_t shorten(char *line, size_t used, size_t most)
{
	struct members members = {.line = line, .used = used};
	bool cuts[MEMBERS_MAX] = {false};

	if (used <= most)
		return used;
	find(&members);
	drop_hex(&members, cuts);
	while (members.used + LIST_BYTES > most) {
		size_t number = longest(&members);
		size_t length = members.list[number].length;
		size_t excess = members.used + LIST_BYTES - most + MARK_BYTES;
		/* Nothing is left to cut: it was none of our lines. */
		if (length < 4 * MARK_BYTES)
			break;
		cut(&members, number, excess < length / 2 ? length - excess : length / 2);
		cuts[number] = true;
		find(&members);
	}
	add_list(&members, cuts);
	return members.used;
}
