/* SPDX-License-Identifier: MIT */
#include "state.h"

#include "sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes. There are some for each client. */
#define SIZE_MAX_READ (256u << 20)

void state_begin(struct state *state, bool inherit)
{
	*state = (struct state){.inherit = inherit};
}

void state_open(struct state *state, int file)
{
	ssize_t length = sealed_length(file, SIZE_MAX_READ);

	*state = (struct state){.reads = true};
	if (length > 0)
		state->bytes = malloc((size_t)length);
	if (length <= 0)
		state->error = -EPROTO;
	else if (!state->bytes)
		state->error = -ENOMEM;
	else if (pread(file, state->bytes, (size_t)length, 0) != length)
		state->error = -EPROTO;
	if (!state->error)
		state->length = (size_t)length;
}

static void put(struct state *state, const void *bytes, size_t length)
{
	if (state->error)
		return;
	if (length > state->room - state->length) {
		size_t room = 2 * state->room + length + 4096;
		char *grown = realloc(state->bytes, room);
		if (!grown) {
			state->error = -ENOMEM;
			return;
		}
		state->bytes = grown;
		state->room = room;
	}
	memcpy(state->bytes + state->length, bytes, length);
	state->length += length;
}

/* False, and nothing, where there is no more. */
static bool get(struct state *state, void *bytes, size_t length)
{
	if (!state->error && length > state->length - state->at)
		state->error = -EPROTO;
	if (state->error)
		return false;
	memcpy(bytes, state->bytes + state->at, length);
	state->at += length;
	return true;
}

void state_number(struct state *state, int64_t *number)
{
	if (!state->reads)
		put(state, number, sizeof(*number));
	else if (!get(state, number, sizeof(*number)))
		*number = 0;
}

void state_descriptor(struct state *state, int *descriptor)
{
	int64_t number = *descriptor;

	state_number(state, &number);
	if (state->error) {
		if (state->reads)
			*descriptor = -1;
		return;
	}
	*descriptor = (int)number;
	if (!state->reads && state->inherit && number >= 0 && fcntl(*descriptor, F_SETFD, 0) < 0)
		state->error = -errno;
}

void state_text(struct state *state, char *text, size_t size)
{
	int64_t length = state->reads ? 0 : (int64_t)strlen(text);

	state_number(state, &length);
	if (!state->reads) {
		put(state, text, (size_t)length);
		return;
	}
	if (!state->error && (length < 0 || (size_t)length >= size))
		state->error = -EPROTO;
	if (!get(state, text, (size_t)length))
		length = 0;
	text[length] = '\0';
}

int state_finish(struct state *state)
{
	int file = state->error ? state->error : sealed_new("fdbroker-state");
	int error = file < 0 ? file : sealed_write(file, state->bytes, state->length);

	if (!error)
		error = sealed_close(file);
	if (error && file >= 0)
		close(file);
	free(state->bytes);
	return error ? error : file;
}

int state_done(struct state *state)
{
	int error = state->error;

	/* What is more was written by somebody else. */
	if (!error && state->at != state->length)
		error = -EPROTO;
	free(state->bytes);
	return error;
}
