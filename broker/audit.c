/* SPDX-License-Identifier: MIT */
#include "audit.h"

#include "journal.h"
#include "shorten.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Bytes kept free for the end of a line; of fields, for what all entries of a journal have. */
#define TAIL	     2
#define PART_MAX     400 /* of a message */
#define JOURNAL_TAIL (AUDIT_PARTS * PART_MAX + 128)

static int journal = -1;

static const char *const part_names[AUDIT_PARTS] = {
	"event", "verdict", "right", "path", "reason", "uid"};
enum { PART_EVENT, PART_VERDICT, PART_RIGHT, PART_PATH, PART_REASON, PART_UID };

/* What became of the lines of all threads: they go to the same place. */
static struct {
	pthread_mutex_t mutex;
	bool torn;
	uint64_t lost;
} all = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void add(struct audit_line *line, const char *bytes, size_t length)
{
	memcpy(line->bytes + line->used, bytes, length);
	line->used += length;
}

static size_t room(const struct audit_line *line)
{
	return sizeof(line->bytes) - (line->journal ? JOURNAL_TAIL : TAIL) - line->used;
}

/* The length of the valid UTF-8 sequence at `s` (RFC 3629: shortest form, no surrogates), or 0. */
static size_t utf8_length(const unsigned char *s, size_t left)
{
	static const struct {
		unsigned char first, last, low, high;
		unsigned char length;
	} table[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (s[0] < table[i].first || s[0] > table[i].last)
			continue;
		if (left < table[i].length || s[1] < table[i].low || s[1] > table[i].high)
			return 0;
		for (size_t k = 2; k < table[i].length; k++)
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		return table[i].length;
	}
	return 0;
}

/* Whether a valid sequence is better not shown as it is: C1 controls and the line separators. */
static unsigned int escaped_code(const unsigned char *s, size_t length)
{
	if (length == 2 && s[0] == 0xc2 && s[1] < 0xa0)
		return s[1];
	if (length == 3 && s[0] == 0xe2 && s[1] == 0x80 && (s[2] & 0xfe) == 0xa8)
		return 0x2000u | (s[2] & 0x3f);
	return 0;
}

/* Adds one character, of the `left` bytes at `s`. Returns how many bytes it was; *valid becomes false where it
 * was none. */
static size_t add_character(
	struct audit_line *line, const unsigned char *s, size_t left, bool *valid)
{
	char escape[8];

	if (*s == '"' || *s == '\\') {
		escape[0] = '\\';
		escape[1] = (char)*s;
		add(line, escape, 2);
		return 1;
	}
	if (*s >= 0x20 && *s < 0x7f) {
		add(line, (const char *)s, 1);
		return 1;
	}
	unsigned int code = *s < 0x80 ? *s : 0xfffdu;
	size_t length = *s < 0x80 ? 1 : utf8_length(s, left);
	*valid = *valid && length;
	if (length > 1)
		code = escaped_code(s, length);
	if (length > 1 && code == 0) {
		add(line, (const char *)s, length);
		return length;
	}
	snprintf(escape, sizeof(escape), "\\u%04x", code);
	add(line, escape, 6);
	return length ? length : 1;
}

/* Adds `,"name":`, or without the comma for the first. 0 if there is no room for it and a value. */
static int add_name(struct audit_line *line, const char *name, size_t value_size)
{
	size_t length = strlen(name);

	if (room(line) < length + 4 + value_size)
		return 0;
	if (line->used > 1)
		add(line, ",", 1);
	add(line, "\"", 1);
	add(line, name, length);
	add(line, "\":", 2);
	return 1;
}

static void add_hex(
	struct audit_line *line, const char *name, const unsigned char *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";

	add(line, ",\"", 2);
	add(line, name, strlen(name));
	add(line, "_hex\":\"", 7);
	for (size_t i = 0; i < length; i++) {
		line->bytes[line->used++] = digits[bytes[i] >> 4];
		line->bytes[line->used++] = digits[bytes[i] & 15];
	}
	add(line, "\"", 1);
}

/* Adds a field for the journal, and remembers where it is if its message is made of it. */
static void add_field(struct audit_line *line, const char *name, const char *value, size_t length)
{
	if (!journal_add(line->bytes, line->used + room(line), &line->used, "FDBROKER_", name,
		    value, length))
		return;
	for (size_t i = 0; i < AUDIT_PARTS; i++) {
		if (strcmp(name, part_names[i]) != 0)
			continue;
		line->parts[i].at = line->used - 1 - length;
		line->parts[i].length = length;
	}
}

void audit_bytes(struct audit_line *line, const char *name, const char *value, size_t length)
{
	const unsigned char *bytes = (const unsigned char *)value;
	bool valid = true;

	if (!value || length > sizeof(line->bytes) / 8)
		return;
	if (line->journal) {
		add_field(line, name, value, length);
		return;
	}
	if (!add_name(line, name, 8 * length + strlen(name) + 12))
		return;
	add(line, "\"", 1);
	for (size_t at = 0; at < length;)
		at += add_character(line, bytes + at, length - at, &valid);
	add(line, "\"", 1);
	if (!valid)
		add_hex(line, name, bytes, length);
}

void audit_string(struct audit_line *line, const char *name, const char *value)
{
	if (value)
		audit_bytes(line, name, value, strlen(value));
}

void audit_number(struct audit_line *line, const char *name, int64_t value)
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%lld", (long long)value);

	if (line->journal)
		add_field(line, name, digits, (size_t)length);
	else if (add_name(line, name, (size_t)length))
		add(line, digits, (size_t)length);
}

void audit_errno(struct audit_line *line, int error)
{
	const char *name = strerrorname_np(error);

	if (name)
		audit_string(line, "errno", name);
	else
		audit_number(line, "errno", error);
}

void audit_use_journal(int descriptor)
{
	journal = descriptor;
}

bool audit_is_journal(int descriptor)
{
	return descriptor >= 0 && descriptor == journal;
}

void audit_begin(struct audit_line *line, int descriptor, const char *event)
{
	struct timespec now;
	struct tm parts;
	char date[24], stamp[48];

	line->descriptor = descriptor;
	line->used = 0;
	line->journal = audit_is_journal(descriptor);
	memset(line->parts, 0, sizeof(line->parts));
	if (!line->journal)
		add(line, "{", 1);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(stamp, sizeof(stamp), "%s.%06ldZ", date, now.tv_nsec / 1000);
	audit_string(line, "time", stamp);
	audit_string(line, "event", event);
	pthread_mutex_lock(&all.mutex);
	line->lost = all.lost;
	pthread_mutex_unlock(&all.mutex);
	if (line->lost)
		audit_number(line, "lost", (int64_t)line->lost);
}

/* Writes what can be written now. */
static ssize_t put(int descriptor, const char *bytes, size_t length)
{
	ssize_t written;

	do {
		written = send(descriptor, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (written < 0 && errno == ENOTSOCK)
			written = write(descriptor, bytes, length);
	} while (written < 0 && errno == EINTR);
	return written;
}

/* ---- the journal ------------------------------------------------------------------------------
 */

struct message {
	size_t used;
	char text[AUDIT_PARTS * PART_MAX];
};

/* Adds a part of the line to the message behind `before`, for a person: without what a terminal would obey, and
 * not at any length. */
static void say(
	struct message *message, const struct audit_line *line, int part, const char *before)
{
	const unsigned char *s = (const unsigned char *)line->bytes + line->parts[part].at;
	size_t length = line->parts[part].length, step;
	char *at = message->text + message->used, *end = at + PART_MAX - strlen("\\xff...");

	if (!length)
		return;
	at = stpcpy(at, before);
	for (; length && at < end; s += step, length -= step) {
		step = *s < 0x80 ? 1 : utf8_length(s, length);
		if (step && *s >= 0x20 && *s != 0x7f && !(step > 1 && escaped_code(s, step))) {
			at = mempcpy(at, s, step);
		} else {
			step = 1;
			at += snprintf(at, 5, "\\x%02x", *s);
		}
	}
	if (length)
		at = stpcpy(at, "...");
	message->used = (size_t)(at - message->text);
}

static bool part_is(const struct audit_line *line, int part, const char *text)
{
	return line->parts[part].length == strlen(text) &&
	       memcmp(line->bytes + line->parts[part].at, text, strlen(text)) == 0;
}

static enum journal_priority priority(const struct audit_line *line)
{
	if (part_is(line, PART_VERDICT, "deny"))
		return JOURNAL_NOTICE;
	if (part_is(line, PART_VERDICT, "warning"))
		return JOURNAL_WARNING;
	if (part_is(line, PART_VERDICT, "error"))
		/* A caller's mistake is not the daemon's. */
		return part_is(line, PART_EVENT, "request") ? JOURNAL_WARNING : JOURNAL_ERROR;
	return JOURNAL_INFO;
}

/* Adds what every entry has. */
static void add_common(struct audit_line *line)
{
	struct message message = {.used = 0};
	char digit = (char)('0' + priority(line));
	static const char identifier[] = "fdbrokerd";

	say(&message, line, part_is(line, PART_EVENT, "request") ? PART_VERDICT : PART_EVENT, "");
	say(&message, line, PART_RIGHT, " ");
	say(&message, line, PART_PATH, " ");
	say(&message, line, PART_REASON, ": ");
	say(&message, line, PART_UID, ", uid ");
	journal_add(line->bytes, sizeof(line->bytes), &line->used, "", "PRIORITY", &digit, 1);
	journal_add(line->bytes, sizeof(line->bytes), &line->used, "", "SYSLOG_IDENTIFIER",
		identifier, strlen(identifier));
	journal_add(line->bytes, sizeof(line->bytes), &line->used, "", "MESSAGE", message.text,
		message.used);
}

static void end_entry(struct audit_line *line)
{
	size_t fields = line->used;
	ssize_t sent;

	add_common(line);
	sent = put(line->descriptor, line->bytes, line->used);
	if (sent < 0 && errno == EMSGSIZE) {
		journal_add(line->bytes, sizeof(line->bytes), &line->used, "FDBROKER_", "truncated",
			"1", 1);
		sent = put(line->descriptor, line->bytes + fields, line->used - fields);
	}
	line->lost = sent < 0 ? line->lost + 1 : 0;
}

/* Whether lines of any length stay apart there, whoever else appends to it. */
static bool is_file(int descriptor)
{
	struct stat status;

	return fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
}

static void end_line(struct audit_line *line)
{
	ssize_t written = 0;

	if (line->used + TAIL > PIPE_BUF && !is_file(line->descriptor))
		line->used = shorten(line->bytes, line->used, PIPE_BUF - TAIL);

	line->bytes[line->used++] = '}';
	line->bytes[line->used++] = '\n';
	if (line->torn && put(line->descriptor, "\n", 1) == 1)
		line->torn = false;
	if (!line->torn)
		written = put(line->descriptor, line->bytes, line->used);
	line->torn = line->torn || (written > 0 && (size_t)written < line->used);
	line->lost = (size_t)written == line->used ? 0 : line->lost + 1;
}

void audit_end(struct audit_line *line)
{
	int saved = errno;

	pthread_mutex_lock(&all.mutex);
	line->torn = all.torn;
	line->lost = all.lost;
	if (line->journal)
		end_entry(line);
	else
		end_line(line);
	all.torn = line->torn;
	all.lost = line->lost;
	pthread_mutex_unlock(&all.mutex);
	errno = saved;
}

int audit_open(int descriptor)
{
	char name[32];
	int log;

	/* A description of our own: O_NONBLOCK on this one would be everybody's who shares it. */
	snprintf(name, sizeof(name), "/proc/self/fd/%d", descriptor);
	log = open(name, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	/* A socket cannot be opened again, but be sent to without waiting. */
	return log < 0 ? fcntl(descriptor, F_DUPFD_CLOEXEC, 3) : log;
}
