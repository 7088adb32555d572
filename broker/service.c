/* SPDX-License-Identifier: MIT */
#include "service.h"

#include "channel.h"
#include "clock.h"
#include "report.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

void service_init(struct service *service, int ready)
{
	*service = (struct service){.ready = ready};
	notify_init(&service->notify);
}

/* As s6 and others wait for it: a line feed, and then the end. */
static void tell_descriptor(struct service *service)
{
	struct pollfd room = {.fd = service->ready, .events = POLLOUT};

	if (service->ready < 0)
		return;
	if (poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT))
		report_failure("--ready-fd", -EAGAIN);
	else if (write(service->ready, "\n", 1) != 1)
		report_failure("--ready-fd", -errno);
	close(service->ready);
	service->ready = -1;
}

void service_ready(struct service *service, const char *summary)
{
	heartbeat_start(&service->heartbeat, 2 * service->notify.watchdog, clock_ms());
	tell_descriptor(service);
	notify_ready(&service->notify, summary);
}

void service_interrupted(struct service *service)
{
	/* Once, however many die before one is ready. */
	if (heartbeat_wait(&service->heartbeat, 0) < 0)
		return;
	heartbeat_stop(&service->heartbeat);
	notify_status(&service->notify, "The worker is gone; another one is being started");
}

void service_stopping(struct service *service)
{
	heartbeat_stop(&service->heartbeat);
	notify_stopping(&service->notify);
}

static int ask_worker(struct service *service, int channel)
{
	struct channel_message message = {.type = CHANNEL_PING, .descriptor = -1};

	switch (heartbeat_turn(&service->heartbeat, clock_ms())) {
	case HEARTBEAT_NONE:
		return 0;
	case HEARTBEAT_LATE:
		return -ETIMEDOUT;
	case HEARTBEAT_ASK:
		break;
	}
	int error = channel_send(channel, &message);
	if (!error)
		heartbeat_asked(&service->heartbeat);
	return error == -EAGAIN ? 0 : error;
}

int service_turn(struct service *service, int channel, int *wait)
{
	int error = channel >= 0 ? ask_worker(service, channel) : 0;
	int sign = notify_turn(&service->notify, channel >= 0 && !error);
	int beat = channel >= 0 ? heartbeat_wait(&service->heartbeat, clock_ms()) : -1;

	*wait = sign < 0 || (beat >= 0 && beat < sign) ? beat : sign;
	return error;
}

bool service_answered(struct service *service)
{
	return heartbeat_answered(&service->heartbeat, clock_ms());
}

void service_close(struct service *service)
{
	notify_close(&service->notify);
	if (service->ready >= 0)
		close(service->ready);
	service->ready = -1;
}
