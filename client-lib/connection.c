// SPDX-License-Identifier: MIT
/*
 * connection.c: makes, keeps and ends connections to a broker.
 *
 * A connection is a socket, and one exchange is under way on it at a time: its mutex is held from
 * the request to the reply. Whoever wants more at once makes more connections.
 *
 * fork(2). The child must not use the parent's socket: the replies would be anybody's, and who is
 * calling was settled for the parent. Nor may it find a mutex locked by a thread that it does not
 * have. So all connections are in a list, and a handler of pthread_atfork(3) goes through it in the
 * child, while that has a single thread: it closes the child's copy of each socket, makes each
 * mutex anew, and leaves each connection either to be dialled again when it is next used, or, where
 * there is no address to dial, dead. The list's own lock is the only one that fork waits for, so it
 * must never be held across anything that waits or allocates, and every change of a connection's
 * `fd` is made under it.
 *
 * Cancellation is disabled throughout: a thread that ended in the middle of an exchange would leave
 * the mutex locked and a descriptor lost.
 */
#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "address.h"
#include "fdbroker-protocol.h"
#include "server.h"

/* Seconds. */
#define CONNECT_PATIENCE 2

struct fdbroker {
	pthread_mutex_t lock; /* held during an exchange */
	int fd;		      /* -1: none (yet); changed with list_lock held as well as `lock` */
	int failure;	      /* 0, or the negative errno that every further call gets */
	uid_t named;	      /* who the server may be besides root and the caller */
	struct exchange_state state;
	struct address address;
	struct fdbroker *next;
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fdbroker *list;

static pthread_once_t handlers_once = PTHREAD_ONCE_INIT;
static int handlers_error;

/* ---- fork -------------------------------------------------------------------------------------
 */

static void before_fork(void)
{
	pthread_mutex_lock(&list_lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&list_lock);
}

static void after_fork_in_child(void)
{
	struct fdbroker *broker;

	for (broker = list; broker; broker = broker->next) {
		broker->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
		if (broker->fd >= 0)
			close(broker->fd);
		broker->fd = -1;
		broker->state = (struct exchange_state){};
		broker->failure = broker->address.kind == ADDRESS_DESCRIPTOR ? -ENOTCONN : 0;
	}
	pthread_mutex_unlock(&list_lock);
}

static void install_handlers(void)
{
	handlers_error = -pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* ---- the list ---------------------------------------------------------------------------------
 */

/*
 * Adds a connection whose socket is in place. -EBUSY where another one has that very descriptor:
 * two of them on one socket would read each other's replies.
 */
static int list_add(struct fdbroker *broker)
{
	struct fdbroker *other;
	int error = 0;

	pthread_once(&handlers_once, install_handlers);
	if (handlers_error != 0)
		return handlers_error;

	pthread_mutex_lock(&list_lock);
	for (other = list; other; other = other->next) {
		if (other->fd == broker->fd)
			error = -EBUSY;
	}
	if (error == 0) {
		broker->next = list;
		list = broker;
	}
	pthread_mutex_unlock(&list_lock);
	return error;
}

static void list_remove(struct fdbroker *broker)
{
	struct fdbroker **link;

	pthread_mutex_lock(&list_lock);
	for (link = &list; *link; link = &(*link)->next) {
		if (*link == broker) {
			*link = broker->next;
			break;
		}
	}
	pthread_mutex_unlock(&list_lock);
}

/* ---- making one -------------------------------------------------------------------------------
 */

static struct fdbroker *connection_new(const struct address *address, uid_t named)
{
	struct fdbroker *broker = calloc(1, sizeof(*broker));

	if (!broker)
		return NULL;
	broker->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	broker->fd = -1;
	broker->named = named;
	broker->address = *address;
	return broker;
}

/*
 * Moves a descriptor out of the way of standard input, output and error, one of which was closed: what the
 * program prints there must not go to the broker. Returns it, or -1 and errno.
 */
static int above_standard(int fd)
{
	int moved, error;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	error = errno;
	close(fd);
	errno = error;
	return moved;
}

/* Connects to an address that is a name, and checks who answers. A descriptor or a negative errno.
 */
static int dial(const struct address *address, uid_t named)
{
	/* Bounds the wait for room in the backlog (socket(7)): a stranger who has taken the name could
	 * keep it full. */
	static const struct timeval patience = {.tv_sec = CONNECT_PATIENCE}, none;
	int fd = above_standard(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	int error = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	/* On AF_UNIX a signal leaves nothing half done: simply again. */
	while (connect(fd, (const struct sockaddr *)&address->name, address->length) < 0) {
		if (errno != EINTR) {
			error = -errno;
			break;
		}
	}
	if (error == 0)
		error = server_check(fd, named, address->kind == ADDRESS_PATHNAME);
	if (error == 0) {
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
		return fd;
	}
	close(fd);
	return error;
}

static int connect_name(const struct address *address, uid_t named, struct fdbroker **result)
{
	struct fdbroker *broker;
	int fd = dial(address, named);
	int error;

	if (fd < 0)
		return fd;
	broker = connection_new(address, named);
	if (broker)
		broker->fd = fd;
	error = broker ? list_add(broker) : -ENOMEM;
	if (error == 0) {
		*result = broker;
		return 0;
	}
	free(broker);
	close(fd);
	return error;
}

/* Whether `fd` is a connected SOCK_SEQPACKET socket of AF_UNIX. 0, -EBADF or -EINVAL. */
static int check_socket(int fd)
{
	struct sockaddr_un peer;
	int domain, type;
	socklen_t length = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0)
		return errno == EBADF ? -EBADF : -EINVAL;
	length = sizeof(type);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
		return -EINVAL;
	if (domain != AF_UNIX || type != SOCK_SEQPACKET)
		return -EINVAL;
	length = sizeof(peer);
	return getpeername(fd, (struct sockaddr *)&peer, &length) < 0 ? -EINVAL : 0;
}

/* Takes over a socket that exists already; its server is checked only if `address` was text. */
static int adopt(const struct address *address, bool check, uid_t named, struct fdbroker **result)
{
	struct fdbroker *broker;
	int error = check_socket(address->fd);
	int flags;

	if (error == 0 && check)
		error = server_check(address->fd, named, true);
	if (error < 0)
		return error;
	broker = connection_new(address, named);
	if (!broker)
		return -ENOMEM;
	broker->fd = address->fd;
	error = list_add(broker);
	if (error < 0) {
		free(broker);
		return error;
	}
	flags = fcntl(broker->fd, F_GETFD);
	if (flags >= 0 && !(flags & FD_CLOEXEC))
		fcntl(broker->fd, F_SETFD, flags | FD_CLOEXEC);
	*result = broker;
	return 0;
}

static int connect_text(const char *text, uid_t named, struct fdbroker **result)
{
	struct address address;
	int error = address_parse(text, &address);

	if (error < 0)
		return error;
	if (address.kind == ADDRESS_DESCRIPTOR)
		return adopt(&address, true, named, result);
	return connect_name(&address, named, result);
}

/*
 * Tries the two default addresses. The second is tried whatever became of the first, which anybody
 * could have taken. Of two failures the more telling one is returned: "nobody is there" is the
 * least.
 */
static int connect_default(uid_t named, struct fdbroker **result)
{
	int first = connect_text(FDBROKER_DEFAULT_ABSTRACT, named, result);
	int second;

	if (first == 0)
		return 0;
	second = connect_text(FDBROKER_DEFAULT_PATHNAME, named, result);
	if (second == 0)
		return 0;
	return first != -ECONNREFUSED || second == -ENOENT ? first : second;
}

/* ---- the calls --------------------------------------------------------------------------------
 */

CLIENT_API struct fdbroker *fdbroker_connect_to(const char *address, uid_t server)
{
	struct fdbroker *broker = NULL;
	int state, error;

	if (!address) {
		address = secure_getenv("FDBROKER_SOCKET");
		if (address && address[0] == '\0')
			address = NULL;
	}
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	if (address)
		error = connect_text(address, server, &broker);
	else
		error = connect_default(server, &broker);
	pthread_setcancelstate(state, NULL);
	if (error < 0)
		errno = -error;
	return broker;
}

CLIENT_API struct fdbroker *fdbroker_connect(const char *address)
{
	return fdbroker_connect_to(address, SERVER_NOBODY);
}

CLIENT_API struct fdbroker *fdbroker_from_fd(int fd)
{
	const struct address address = {.kind = ADDRESS_DESCRIPTOR, .fd = fd};
	struct fdbroker *broker = NULL;
	int error = adopt(&address, false, SERVER_NOBODY, &broker);

	if (error < 0)
		errno = -error;
	return broker;
}

CLIENT_API void fdbroker_disconnect(struct fdbroker *broker)
{
	int saved = errno;
	int state;

	if (!broker)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	list_remove(broker);
	if (broker->fd >= 0)
		close(broker->fd);
	pthread_mutex_destroy(&broker->lock);
	free(broker);
	pthread_setcancelstate(state, NULL);
	errno = saved;
}

/* ---- using one --------------------------------------------------------------------------------
 */

/* Sees to it that there is a socket, in a child of fork by dialling. `broker->lock` is held. */
static int connection_ready(struct fdbroker *broker)
{
	int fd;

	if (broker->failure != 0)
		return broker->failure;
	if (broker->fd >= 0)
		return 0;
	fd = dial(&broker->address, broker->named);
	if (fd < 0)
		return fd;
	pthread_mutex_lock(&list_lock);
	broker->fd = fd;
	pthread_mutex_unlock(&list_lock);
	return 0;
}

/* Gives up a connection that is out of step or whose other side is gone. `broker->lock` is held. */
static void connection_break(struct fdbroker *broker, int error)
{
	broker->failure = error == -EPROTO ? -EPROTO : -ECONNRESET;
	pthread_mutex_lock(&list_lock);
	close(broker->fd);
	broker->fd = -1;
	pthread_mutex_unlock(&list_lock);
}

int connection_exchange(struct fdbroker *broker, struct exchange *exchange)
{
	bool broken = false;
	int state, error;

	if (!broker)
		return -ENOTCONN;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_mutex_lock(&broker->lock);
	error = connection_ready(broker);
	if (error == 0) {
		error = exchange_run(broker->fd, &broker->state, exchange, &broken);
		if (broken)
			connection_break(broker, error);
	}
	pthread_mutex_unlock(&broker->lock);
	pthread_setcancelstate(state, NULL);
	return error;
}
