/* SPDX-License-Identifier: MIT */
#include "agent.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ms between two looks whether one that was killed has ended, and how many. */
#define END_PAUSE 10
#define END_TRIES 100

/* Processes at once, and of one uid: some may have been killed and not have ended, since what they do hangs. */
#define AGENTS_MAX    256
#define AGENTS_OF_UID 16

/* ms between two looks whether the caller has stopped one. */
#define STOP_LOOK 50

/* What the process says, once; the descriptor comes with it. */
struct answer {
	int32_t error; /* 0 or a negative errno */
	int32_t watch;
};

union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

/* ---- the process ------------------------------------------------------------------------------ */

static int send_answer(int channel, struct answer *answer, int descriptor)
{
	union control control = {0};
	struct iovec part = {.iov_base = answer, .iov_len = sizeof(*answer)};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

	if (descriptor >= 0) {
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
		struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &descriptor, sizeof(int));
	}
	return sendmsg(channel, &header, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/*
 * Keeps the two descriptors and closes all else that the maker had, which another thread's half-made view may be
 * among (clone.h): the sooner the better. They become 0 and 1. 0, or a negative errno, and then `channel` alone may be used.
 */
static int keep_two(int *channel, int *object)
{
	/* Out of the way of the channel, which may be what is 1 now. */
	int high = *object < 0 ? -1 : fcntl(*object, F_DUPFD, 2);
	int error = *object >= 0 && high < 0 ? -errno : 0;

	if (dup2(*channel, 0) < 0)
		return -errno;
	*channel = 0;
	if (high >= 0 && dup2(high, 1) < 0)
		error = -errno;
	*object = high >= 0 && !error ? 1 : -1;
	close_range(*object >= 0 ? 2 : 1, UINT_MAX, 0);
	return error;
}

/*
 * The caller whose uid it gets can send it signals. None but SIGKILL and SIGSTOP shall do anything: least of all
 * leave a file with what the maker has in memory (core(5)), which would be his.
 */
static void leave_no_core(void)
{
	struct rlimit none = {0};
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setrlimit(RLIMIT_CORE, &none);
}

static _Noreturn void be_agent(
	const struct identity *identity, const struct act *act, int channel, pid_t maker)
{
	struct act mine = *act;
	struct answer answer = {.watch = -1};
	int made;

	answer.error = keep_two(&channel, &mine.object);
	leave_no_core();
	if (!answer.error)
		answer.error = become(identity, maker);
	made = answer.error ? -1 : act_do(&mine, &answer.watch);
	if (!answer.error && made < 0)
		answer.error = made;
	/* One too many of this user's may be under way (ETOOMANYREFS). */
	answer.error = send_answer(channel, &answer, made);
	if (answer.error)
		send_answer(channel, &answer, -1);
	_exit(0);
}

/* ---- the maker's thread ----------------------------------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* Those that live, or could not be ended yet: 0: a free place, -1: one that is taken. */
static struct {
	pid_t pid;
	uid_t uid;
} agents[AGENTS_MAX];

/*
 * Takes a place for one of that uid; those that have ended meanwhile lose theirs. -1 where there is none: who hangs
 * many in a file system keeps nobody else from his.
 */
static int reserve(uid_t uid)
{
	unsigned int same = 0;
	int place = -1;

	pthread_mutex_lock(&mutex);
	for (int i = 0; i < AGENTS_MAX; i++) {
		if (agents[i].pid > 0 && waitpid(agents[i].pid, NULL, WNOHANG) != 0)
			agents[i].pid = 0;
		same += agents[i].pid && agents[i].uid == uid;
		if (!agents[i].pid)
			place = i;
	}
	if (same >= AGENTS_OF_UID)
		place = -1;
	if (place >= 0) {
		agents[place].pid = -1;
		agents[place].uid = uid;
	}
	pthread_mutex_unlock(&mutex);
	return place;
}

/* The place is free, or goes on being that process's until it has ended. */
static void leave(int place, pid_t pid)
{
	pthread_mutex_lock(&mutex);
	agents[place].pid = pid;
	pthread_mutex_unlock(&mutex);
}

/* It has nothing more to do, whether it knows or not: the caller may have stopped it (SIGSTOP). */
static void end(int place, pid_t pid, bool answered)
{
	kill(pid, SIGKILL);
	for (int i = 0; i < END_TRIES; i++) {
		if (waitpid(pid, NULL, answered ? 0 : WNOHANG) != 0) {
			leave(place, 0);
			return;
		}
		/* A moment for the signal to have done its work. */
		poll(NULL, 0, END_PAUSE);
	}
	leave(place, pid);
}

/* Whether somebody has stopped it (SIGSTOP). */
static bool is_stopped(pid_t pid)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid;
}

/*
 * The descriptor that came, if any, or a negative errno. One that is stopped is not waited for: its caller would take
 * the places of those who want the same address for as long as he likes.
 */
static int receive_answer(int channel, pid_t pid, int ms, struct answer *answer)
{
	union control control;
	struct iovec part = {.iov_base = answer, .iov_len = sizeof(*answer)};
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct pollfd source = {.fd = channel, .events = POLLIN};
	int64_t deadline = clock_ms() + ms;
	int made = -1;

	for (;;) {
		int64_t left = deadline - clock_ms();
		int ready = poll(&source, 1,
			left <= 0	   ? 0
			: left < STOP_LOOK ? (int)left
					   : STOP_LOOK);
		if (ready > 0)
			break;
		if (ready == 0 && left <= 0)
			return -ETIMEDOUT;
		if (is_stopped(pid))
			return -ECONNABORTED;
	}
	ssize_t length = recvmsg(channel, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct cmsghdr *rights = length > 0 ? CMSG_FIRSTHDR(&header) : NULL;
	if (rights && rights->cmsg_type == SCM_RIGHTS)
		memcpy(&made, CMSG_DATA(rights), sizeof(int));
	if (length != (ssize_t)sizeof(*answer))
		return -ECONNABORTED;
	if (!answer->error && made < 0)
		return -EMFILE;
	return answer->error ? answer->error : made;
}

int agent_run(const struct identity *identity, const struct act *act, int ms, int32_t *watch)
{
	struct answer answer = {0};
	int channel[2];

	/* Nobody waits for it any more. */
	if (ms <= 0)
		return -ETIMEDOUT;
	int place = reserve(identity->uid);
	if (place < 0)
		return -ETIMEDOUT;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0) {
		leave(place, 0);
		return -errno;
	}
	const pid_t maker = getpid();
	pid_t pid = fork();
	if (pid == 0)
		be_agent(identity, act, channel[1], maker);
	int error = pid < 0 ? -errno : 0;
	close(channel[1]);
	int made = error ? error : receive_answer(channel[0], pid, ms, &answer);
	close(channel[0]);
	if (error)
		leave(place, 0);
	else
		end(place, pid, made != -ETIMEDOUT);
	*watch = answer.watch;
	return made;
}
