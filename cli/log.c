// SPDX-License-Identifier: MIT
/*
 * log.c: the subcommand log: shows the record to a person.
 *
 * Reads the daemon's lines of JSON, or what `journalctl -o json` makes of its entries. Other lines (what the daemon
 * says on standard error, which may be the same file) are shown as they are, but harmless for a terminal.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "follow.h"
#include "report.h"
#include "text.h"

#define JOURNAL_PREFIX "FDBROKER_"
#define FIELD_MAX      8192
#define TIME_MAX       32

struct options {
	const char *file;
	bool follow, json, colours;
	bool by_uid;
	uid_t uid;
	const char *subject;
	const char *verdicts; /* NULL: all */
	char since
		[TIME_MAX]; /* "": from the beginning; as the record writes it, or the beginning of that */
};

/* One value, as bytes. */
struct field {
	size_t length;
	char bytes[FIELD_MAX];
};

/* ---- the fields of a record ------------------------------------------------------------------- */

static json_t *find(const json_t *record, const char *name)
{
	char key[64];
	json_t *value = json_object_get(record, name);

	if (value)
		return value;
	snprintf(key, sizeof(key), JOURNAL_PREFIX "%s", name);
	for (char *c = key; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return json_object_get(record, key);
}

static int hex_digit(char digit)
{
	const char *digits = "0123456789abcdef", *at = digit ? strchr(digits, digit) : NULL;

	return at ? (int)(at - digits) : 0;
}

static void put(struct field *field, int byte)
{
	if (field->length < FIELD_MAX - 1)
		field->bytes[field->length++] = (char)byte;
}

static void decode(const json_t *value, bool hex, struct field *field)
{
	const char *text = json_string_value(value);
	size_t length = text ? json_string_length(value) : 0;

	field->length = 0;
	for (size_t i = 0; hex && i + 1 < length; i += 2)
		put(field, hex_digit(text[i]) << 4 | hex_digit(text[i + 1]));
	for (size_t i = 0; !hex && i < length; i++)
		put(field, text[i]);
	/* So the journal's JSON has what is not plain text. */
	for (size_t i = 0; i < json_array_size(value); i++)
		put(field, (int)json_integer_value(json_array_get(value, i)));
	if (json_is_integer(value))
		field->length = (size_t)snprintf(field->bytes, FIELD_MAX, "%" JSON_INTEGER_FORMAT,
			json_integer_value(value));
	field->bytes[field->length] = '\0';
}

/* The field of that name; where it is not UTF-8, its true bytes (NAME_hex). False where there is none. */
static bool get(const json_t *record, const char *name, struct field *field)
{
	char hex[64];

	snprintf(hex, sizeof(hex), "%s_hex", name);
	const json_t *value = find(record, hex);
	bool is_hex = value != NULL;
	if (!value)
		value = find(record, name);
	decode(value, is_hex, field);
	return value != NULL;
}

static bool is_equal(const json_t *record, const char *name, const char *wanted)
{
	struct field field;

	return get(record, name, &field) && field.length == strlen(wanted) &&
	       memcmp(field.bytes, wanted, field.length) == 0;
}

/* ---- printing --------------------------------------------------------------------------------- */

static void print(const struct field *field)
{
	text_print(field->bytes, field->length, TEXT_ESCAPED);
}

static void print_with(
	const json_t *record, const char *name, const char *before, const char *after)
{
	struct field field;

	if (!get(record, name, &field))
		return;
	fputs(before, stdout);
	print(&field);
	fputs(after, stdout);
}

/* As this machine's clock shows it. */
static void print_time(const json_t *record)
{
	struct field field;
	struct tm parts = {0};
	char text[32];

	get(record, "time", &field);
	if (!strptime(field.bytes, "%Y-%m-%dT%H:%M:%S", &parts)) {
		print(&field);
		return;
	}
	time_t time = timegm(&parts);
	if (localtime_r(&time, &parts) && strftime(text, sizeof(text), "%F %T", &parts))
		fputs(text, stdout);
}

static void print_user(const json_t *record)
{
	static uid_t last = (uid_t)-1;
	static char name[64];
	struct field field;

	if (!get(record, "uid", &field)) {
		fputs("many", stdout);
		return;
	}
	uid_t uid = (uid_t)strtoul(field.bytes, NULL, 10);
	if (uid != last) {
		const struct passwd *user = getpwuid(uid);
		snprintf(name, sizeof(name), "%.63s", user ? user->pw_name : field.bytes);
		last = uid;
	}
	text_print(name, strlen(name), TEXT_ESCAPED);
}

static void print_coloured(const struct options *options, const char *word, int width)
{
	static const struct {
		const char *word, *colour;
	} colours[] = {{"deny", "31"}, {"error", "33"}, {"warning", "33"}, {"allow", "32"}};
	const char *colour = NULL;

	for (size_t i = 0; options->colours && i < sizeof(colours) / sizeof(colours[0]); i++)
		if (strcmp(word, colours[i].word) == 0)
			colour = colours[i].colour;
	if (colour)
		printf("\033[%sm", colour);
	text_print(word, strlen(word), TEXT_ESCAPED);
	if (colour)
		fputs("\033[0m", stdout);
	for (int i = (int)strlen(word); i < width; i++)
		putchar(' ');
}

/* Who, what, and why. */
static void print_request(const struct options *options, const json_t *record)
{
	struct field verdict;

	get(record, "verdict", &verdict);
	print_coloured(options, verdict.bytes, 6);
	print_user(record);
	print_with(record, "comm", " ", "");
	print_with(record, "subject", " (", ")");
	print_with(record, "right", " ", "");
	print_with(record, "path", " ", "");
	print_with(record, "to", " to ", "");
	print_with(record, "opened", " -> ", "");
	print_with(record, "reason", ": ", "");
	print_with(record, "errno", ", ", "");
	print_with(record, "rule", " [", "]");
	print_with(record, "repeated", ", ", " times more");
	if (is_equal(record, "verdict", "allow"))
		print_with(record, "us", ", ", " us");
}

/* A field's own name; NULL for what is no field, or printed already. */
static const char *field_name(const char *key, char *buffer, size_t size)
{
	static const char *const printed[] = {"time", "event", "verdict", "uid", "lost"};
	const size_t length = strlen(JOURNAL_PREFIX);
	size_t i;

	if (strncmp(key, JOURNAL_PREFIX, length) == 0)
		key += length;
	else if (isupper((unsigned char)*key) || *key == '_')
		return NULL;
	for (i = 0; key[i] && i < size - 1; i++)
		buffer[i] = (char)tolower((unsigned char)key[i]);
	buffer[i] = '\0';
	for (size_t j = 0; j < sizeof(printed) / sizeof(printed[0]); j++)
		if (strcmp(buffer, printed[j]) == 0)
			return NULL;
	return i > 4 && strcmp(buffer + i - 4, "_hex") == 0 ? NULL : buffer;
}

/* What else the daemon tells: all that it says of it. */
static void print_event(const struct options *options, json_t *record)
{
	struct field event, verdict;
	const char *key;
	json_t *value;

	get(record, "event", &event);
	text_print(event.bytes, event.length, TEXT_ESCAPED);
	if (get(record, "verdict", &verdict)) {
		putchar(' ');
		print_coloured(options, verdict.bytes, 0);
	}
	if (find(record, "uid")) {
		fputs(" user=", stdout);
		print_user(record);
	}
	json_object_foreach(record, key, value)
	{
		char name[64], before[72];

		if (!field_name(key, name, sizeof(name)))
			continue;
		snprintf(before, sizeof(before), " %s=", name);
		print_with(record, name, before, "");
	}
}

static void print_record(const struct options *options, json_t *record)
{
	print_time(record);
	putchar(' ');
	if (is_equal(record, "event", "request"))
		print_request(options, record);
	else
		print_event(options, record);
	print_with(record, "lost", "; lines lost before it: ", "");
	putchar('\n');
}

/* ---- choosing --------------------------------------------------------------------------------- */

static bool is_filtered(const struct options *options)
{
	return options->by_uid || options->subject || options->verdicts || options->since[0];
}

static bool in_list(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (; list; list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL)
		if (length && strncmp(list, word, length) == 0 &&
			(list[length] == ',' || !list[length]))
			return true;
	return false;
}

static bool is_wanted(const struct options *options, const json_t *record)
{
	struct field field;

	if (options->by_uid &&
		(!get(record, "uid", &field) || strtoul(field.bytes, NULL, 10) != options->uid))
		return false;
	if (options->subject && !is_equal(record, "subject", options->subject))
		return false;
	if (options->verdicts &&
		(!get(record, "verdict", &field) || !in_list(options->verdicts, field.bytes)))
		return false;
	return !options->since[0] ||
	       (get(record, "time", &field) && strcmp(field.bytes, options->since) >= 0);
}

static json_t *read_record(const char *line, size_t length)
{
	json_t *record = json_loadb(line, length, JSON_ALLOW_NUL, NULL);

	if (record && json_is_object(record) && find(record, "event") && find(record, "time"))
		return record;
	json_decref(record);
	return NULL;
}

static int show(const struct options *options)
{
	struct follow *follow = follow_open(options->file, options->follow);
	unsigned long others = 0;
	char *line;
	size_t length;
	int got;

	if (!follow)
		return report_failure("log", options->file, errno);
	while ((got = follow_line(follow, &line, &length)) == 1) {
		json_t *record = read_record(line, length);

		if (!record && (is_filtered(options) || options->json)) {
			others += length > 0;
		} else if (!record) {
			text_print(line, length, TEXT_ESCAPED);
			putchar('\n');
		} else if (is_wanted(options, record) && options->json) {
			fwrite(line, 1, length, stdout);
			putchar('\n');
		} else if (is_wanted(options, record)) {
			print_record(options, record);
		}
		json_decref(record);
	}
	follow_close(follow);
	if (others)
		fprintf(stderr, "fdbroker: log: %lu lines are no record\n", others);
	if (got < 0)
		return report_failure("log", options->file, -got);
	return report_printed("log", EXIT_DONE);
}

/* ---- options ---------------------------------------------------------------------------------- */

static int read_user(const struct command *self, const char *text, struct options *options)
{
	const struct passwd *user;

	options->by_uid = true;
	if (text_read_id(text, &options->uid))
		return 0;
	user = getpwnam(text);
	if (!user)
		return command_misused(self, "there is no user '%s'", text);
	options->uid = user->pw_uid;
	return 0;
}

static int read_verdicts(const struct command *self, const char *text, struct options *options)
{
	char copy[64], *save;

	snprintf(copy, sizeof(copy), "%s", text);
	options->verdicts = text;
	for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save))
		if (!in_list("allow,deny,error,warning", word))
			return command_misused(self,
				"'%s' is no verdict: there are allow, deny, error and warning",
				word);
	return *copy ? 0 : command_misused(self, "--verdict needs one");
}

/* "90s", "30m", "2h", "1d": so long ago. */
static bool read_age(const char *text, struct options *options)
{
	static const struct {
		char letter;
		time_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (!isdigit((unsigned char)*text) || number > 1000000 || !*end || end[1])
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (*end != units[i].letter)
			continue;
		time_t then = time(NULL) - (time_t)number * units[i].seconds;
		struct tm parts;
		return gmtime_r(&then, &parts) &&
		       strftime(options->since, TIME_MAX, "%Y-%m-%dT%H:%M:%S", &parts);
	}
	return false;
}

static int read_since(const struct command *self, const char *text, struct options *options)
{
	static const char form[] = "0000-00-00T00:00:00";
	size_t length = strlen(text), i;

	if (read_age(text, options))
		return 0;
	length -= length && text[length - 1] == 'Z';
	for (i = 0; i < length && i < strlen(form); i++)
		if (form[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != form[i])
			break;
	if (i < length || (length != 10 && length != 16 && length != 19))
		return command_misused(
			self, "--since takes a time as 2026-11-20T18:29, or 30m, 2h, 1d");
	memcpy(options->since, text, length);
	options->since[length] = '\0';
	return 0;
}

static bool wants_colours(void)
{
	const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && terminal && strcmp(terminal, "dumb") != 0;
}

int command_log(const struct command *self, int argc, char **argv)
{
	static const struct option long_options[] = {
		{"file", required_argument, NULL, 'i'},
		{"follow", no_argument, NULL, 'f'},
		{"uid", required_argument, NULL, 'u'},
		{"subject", required_argument, NULL, 's'},
		{"verdict", required_argument, NULL, 'v'},
		{"since", required_argument, NULL, 't'},
		{"json", no_argument, NULL, 'j'},
		COMMAND_COMMON_OPTIONS,
	};
	struct options options = {.file = LOG_DEFAULT_FILE, .colours = wants_colours()};
	int option, status = 0;

	while (!status && (option = command_option(self, argc, argv, long_options)) != -1) {
		if (option == 'i')
			options.file = optarg;
		else if (option == 'f')
			options.follow = true;
		else if (option == 'u')
			status = read_user(self, optarg, &options);
		else if (option == 's')
			options.subject = optarg;
		else if (option == 'v')
			status = read_verdicts(self, optarg, &options);
		else if (option == 't')
			status = read_since(self, optarg, &options);
		else
			options.json = true;
	}
	if (status)
		return status;
	if (optind < argc)
		return command_misused(
			self, "it takes no argument `%s`; the record is --file", argv[optind]);
	return show(&options);
}
