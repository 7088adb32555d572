/* SPDX-License-Identifier: MIT */
/*
 * views-links.c: on which watches a view depends, and which views depend on a watch.
 */
#include "views-table.h"

#include "watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct link **bucket(struct views *views, int watch)
{
	return &views->buckets[(unsigned int)watch % BUCKETS];
}

void links_drop(struct views *views, struct view *view)
{
	for (int i = 0; i < view->link_count; i++) {
		struct link **at = bucket(views, view->links[i].watch);
		while (*at != &view->links[i])
			at = &(*at)->next;
		*at = view->links[i].next;
	}
	free(view->links);
	view->links = NULL;
	view->link_count = 0;
}

int links_take(struct views *views, struct view *view, const char *text)
{
	struct link *links;
	int count = *text != '\0';

	for (const char *at = text; (at = strchr(at, ' ')); at++)
		count++;
	if (count > WATCH_DEPTH_MAX)
		return -EPROTO;
	links = calloc((size_t)count + 1, sizeof(*links));
	if (!links)
		return -ENOMEM;
	for (int i = 0; i < count; i++) {
		char *end;
		links[i].watch = (int)strtol(text, &end, 10);
		links[i].view = (uint32_t)(view - views->list);
		links[i].depth = (unsigned int)i;
		links[i].next = *bucket(views, links[i].watch);
		*bucket(views, links[i].watch) = &links[i];
		text = end;
	}
	view->links = links;
	view->link_count = count;
	return 0;
}

const struct link *links_of(struct views *views, int watch)
{
	return *bucket(views, watch);
}
