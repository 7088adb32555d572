/* SPDX-License-Identifier: MIT */
/*
 * views-shown.c: what a view shows, for as long as anybody uses it.
 */
#include "views-table.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void shown_let_go(struct shown *shown)
{
	if (shown && --shown->holders == 0) {
		close(shown->descriptor);
		free(shown);
	}
}

void view_close(struct view *view)
{
	shown_let_go(view->shown);
	view->shown = NULL;
	view->error = -ENOENT;
	view->stale = true;
}
