/* SPDX-License-Identifier: MIT */
#include "connect.h"

#include "clock.h"
#include "questions.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

/* The lane tells apart what may hang by a number (lane.h): those of addresses are beyond those of directories. */
#define LANE_ADDRESSES (1u << 31)

_Static_assert(ENDPOINT_UNIX == (int)POLICY_UNIX &&
		       ENDPOINT_UNIX_DATAGRAM == (int)POLICY_UNIX_DATAGRAM &&
		       ENDPOINT_TCP == (int)POLICY_TCP && ENDPOINT_UDP == (int)POLICY_UDP,
	"the maker and the policy number protocols alike");

/* ---- loading ---------------------------------------------------------------------------------- */

static void write_rule(const struct policy_socket *socket, struct endpoint *endpoint)
{
	*endpoint = (struct endpoint){
		.protocol = socket->protocol,
		.rights = (socket->rights & POLICY_CONNECT ? ENDPOINT_CONNECT : 0) |
			  (socket->rights & POLICY_BIND ? ENDPOINT_BIND : 0),
		.mode = socket->mode,
		.owner = socket->owner == POLICY_OWNER_CALLER ? ENDPOINT_CALLER : socket->owner,
		.group = socket->group == POLICY_GROUP_CALLER ? ENDPOINT_CALLER : socket->group,
		.abstract = socket->abstract,
		.family = socket->family,
		.prefix = socket->prefix,
		.port_low = socket->port_low,
		.port_high = socket->port_high,
	};
	memcpy(endpoint->ip, socket->ip, sizeof(endpoint->ip));
}

int connect_name_rules(const struct policy *policy, struct questions *questions)
{
	struct channel_message message = {.type = CHANNEL_SOCKET, .descriptor = -1};
	size_t count;
	const struct policy_socket *sockets = policy_sockets(policy, &count);
	int error = 0;

	for (size_t i = 0; i < count && !error; i++) {
		const char *name = sockets[i].name ? sockets[i].name : "";
		if (strlen(name) > CHANNEL_TEXT_MAX)
			return -ENAMETOOLONG;
		message.index = (uint32_t)i;
		strcpy(message.text, name);
		write_rule(&sockets[i], &message.endpoint);
		error = questions_tell(questions, &message);
	}
	return error;
}

/* ---- serving ---------------------------------------------------------------------------------- */

/* Reads what is asked for. 0 or -EINVAL, with the reason in `outcome`. */
static int read_request(const struct request *request, struct policy_address *address,
	struct endpoint *asked, struct outcome *outcome)
{
	outcome->verdict = VERDICT_ERROR;
	outcome->rights = 0;
	outcome->reason = NULL;
	outcome->opened[0] = '\0';
	if (policy_address_parse(request->path, request->path_length, address)) {
		outcome->reason = "no address, or not a single one";
		return -EINVAL;
	}
	*asked = (struct endpoint){
		.protocol = address->protocol,
		.family = address->ip6 ? 6 : 4,
		.port_low = address->port,
		.port_high = address->port,
		.scope = address->scope,
		.type = (uint32_t)request->flags & ~(uint32_t)SOCK_CLOEXEC,
	};
	memcpy(asked->ip, address->ip, sizeof(asked->ip));
	if (request->flags > UINT32_MAX || request->mode ||
		!endpoint_has_type(asked->protocol, asked->type & ~(uint32_t)SOCK_NONBLOCK)) {
		outcome->reason =
			"a type of socket that is not one of the address, other flags, or a mode";
		return -EINVAL;
	}
	return 0;
}

/* One that does not answer takes its own share of the lane, and not that of others under the same rule. */
static uint32_t number_for_lane(const struct request *request)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < request->path_length; i++)
		hash = (hash ^ (unsigned char)request->path[i]) * 16777619u;
	return LANE_ADDRESSES | hash;
}

static int ask_maker(const struct resolver *resolver, uint32_t right,
	const struct policy_decision *decision, struct endpoint *asked)
{
	struct channel_message message = {
		.type = right == POLICY_BIND ? CHANNEL_BIND : CHANNEL_CONNECT,
		.index = decision->directory,
		.attributes = resolver->number,
		.descriptor = resolver->client,
	};
	int64_t left = resolver->deadline - clock_ms();

	if (left <= 0)
		return -ETIMEDOUT;
	asked->mode = decision->mode;
	asked->time = (uint32_t)left;
	message.endpoint = *asked;
	int error = questions_ask(resolver->questions, &message, (int)left);
	if (error)
		return error;
	if (message.error)
		return -message.error;
	return message.descriptor >= 0 ? message.descriptor : -EPROTO;
}

static int make(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, uint32_t right, struct outcome *outcome)
{
	struct policy_address address;
	struct endpoint asked;
	int error = read_request(request, &address, &asked, outcome);

	if (error)
		return error;
	outcome->rights = right;
	policy_decide_address(resolver->policy, peer->caller, resolver->scratch, right, &address,
		&outcome->decision);
	if (outcome->decision.reason != POLICY_ALLOWED) {
		outcome->verdict = VERDICT_DENY;
		return -EACCES;
	}
	if (resolver->patience != PATIENCE_ALL) {
		outcome->decision.directory = number_for_lane(request);
		return -EINPROGRESS;
	}
	int made = ask_maker(resolver, right, &outcome->decision, &asked);
	if (made == -ELOOP) {
		outcome->reason =
			"a symbolic link is on the way of the socket: write its real path";
		return -EACCES;
	}
	if (made == -EPERM)
		outcome->reason = "the broker may not act as this user";
	else if (made == -EACCES)
		outcome->reason = "the system refuses it";
	return made;
}

int connect_socket(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome)
{
	return make(resolver, peer, request, POLICY_CONNECT, outcome);
}

int connect_bind(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome)
{
	return make(resolver, peer, request, POLICY_BIND, outcome);
}
