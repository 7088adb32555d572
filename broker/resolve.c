/* SPDX-License-Identifier: MIT */
#include "resolve.h"

#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

int resolve_start(struct resolution *resolution, const struct resolver *resolver,
	const struct policy_caller *caller, const char *path, size_t length,
	struct outcome *outcome)
{
	int error = policy_path_check(path, length);

	resolution->resolver = resolver;
	resolution->caller = caller;
	resolution->outcome = outcome;
	resolution->hold = &resolver->holds->holds[resolver->holds->used++ % RESOLVE_HOLDS];
	resolution->links = 0;
	resolution->last_followed = false;
	outcome->verdict = VERDICT_ERROR;
	outcome->rights = 0;
	outcome->reason = error == -EINVAL ? "the path is not canonical" : NULL;
	outcome->opened[0] = '\0';
	if (error)
		return error;
	ssize_t mapped = policy_map(resolver->policy, path, length, resolution->path);
	if (mapped < 0)
		return (int)mapped;
	resolution->length = (size_t)mapped;
	if (resolution->length != length || memcmp(resolution->path, path, length) != 0)
		memcpy(outcome->opened, resolution->path, resolution->length + 1);
	return 0;
}

void resolve_end(const struct resolver *resolver)
{
	for (unsigned int i = 0; i < RESOLVE_HOLDS; i++)
		views_let_go(&resolver->holds->holds[i]);
	resolver->holds->used = 0;
}

bool resolve_decide(
	const struct resolution *resolution, uint32_t rights, struct policy_decision *decision)
{
	const struct resolver *resolver = resolution->resolver;

	policy_decide(resolver->policy, resolution->caller, resolver->scratch, rights,
		resolution->path, resolution->length, decision);
	return decision->reason == POLICY_ALLOWED;
}

void resolve_settle(const struct resolution *resolution, uint32_t rights,
	const struct policy_decision *decision)
{
	struct outcome *outcome = resolution->outcome;

	outcome->rights = rights;
	outcome->decision = *decision;
	outcome->verdict = decision->reason == POLICY_ALLOWED ? VERDICT_ALLOW : VERDICT_DENY;
}

uint32_t resolve_attributes(uint32_t rights, const struct policy_decision *decision)
{
	return (rights & POLICY_WRITING_RIGHTS ? VIEW_WRITABLE : 0) |
	       (decision->exec ? VIEW_EXEC : 0);
}

int resolve_view(struct resolution *resolution, uint32_t rights,
	const struct policy_decision *decision, const char **relative)
{
	struct views *views = resolution->resolver->views;
	size_t prefix = views_prefix(views, decision->directory, resolution->caller);

	views_let_go(resolution->hold);
	int view = views_get(views, decision->directory, resolve_attributes(rights, decision),
		resolution->caller, resolution->resolver->patience, resolution->hold);

	*relative = resolution->path + (prefix == 1 ? 1 : prefix + 1);
	if (resolution->length <= prefix)
		*relative = ".";
	/* The directory itself is reached through a link, which the record has said: nothing to
	 * follow. */
	return view == -ELOOP ? -EACCES : view;
}

/* Whether the kernel is to be asked once more after `error`. */
static bool again(const struct resolver *resolver, int error)
{
	if (resolver->cancelled && *resolver->cancelled)
		return false;
	return error == EAGAIN || error == EINTR;
}

int resolve_beneath(
	const struct resolver *resolver, int view, const char *relative, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned int)flags | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long descriptor;

	/* Beneath a mount there may be another file system; what is not in memory takes the disk's time. The kernel
	 * never creates or truncates from memory alone (openat2(2)): the disk of this machine has to do. */
	if (resolver->patience != PATIENCE_ALL)
		how.resolve |= RESOLVE_NO_XDEV;
	if (resolver->patience == PATIENCE_NONE && !(flags & (O_CREAT | O_TRUNC | __O_TMPFILE)))
		how.resolve |= RESOLVE_CACHED;
	/* EAGAIN: a rename or a mount elsewhere came between (openat2(2)). */
	for (int i = 0; i < RESOLVE_TRIES; i++) {
		descriptor = syscall(SYS_openat2, view, relative, &how, sizeof(how));
		if (descriptor >= 0 || !again(resolver, errno))
			break;
	}
	if (descriptor >= 0)
		return (int)descriptor;
	if (resolver->patience != PATIENCE_ALL && (errno == EAGAIN || errno == EXDEV))
		return -EINPROGRESS;
	return -errno;
}

/*
 * Walks from the view to the directory that holds `relative`, and looks at each directory on the way: in each of
 * them a name is looked up. 0 or -EACCES.
 */
static int check_way(const struct resolver *resolver, int view, const char *relative)
{
	char component[POLICY_PATH_BUFFER];
	int directory = view;
	bool folds = names_fold(view);

	while (!folds && strchr(relative, '/')) {
		size_t length = strcspn(relative, "/");
		memcpy(component, relative, length);
		component[length] = '\0';
		relative += length + 1;
		int next = resolve_beneath(resolver, directory, component, O_PATH | O_DIRECTORY, 0);
		if (directory != view)
			close(directory);
		directory = next;
		/* There is nothing, or a link: the opening will say so. */
		if (next == -ENOENT || next == -ENOTDIR || next == -ELOOP)
			return 0;
		if (next == -EINPROGRESS)
			return next;
		folds = next < 0 || names_fold(next);
	}
	if (directory >= 0 && directory != view)
		close(directory);
	return folds ? -EACCES : 0;
}

int resolve_check_names(const struct resolution *resolution, int view, const char *relative)
{
	const struct resolver *resolver = resolution->resolver;

	/* Which names a folding file system takes for the same, nobody here knows: so any deny that the caller
	 * has could mean the file, wherever it stands. */
	if (!resolver->denies || !policy_denies_beneath(resolver->policy, resolution->caller,
					 resolver->scratch, "/", 1))
		return 0;
	int error = views_fold(resolution->hold) ? -EACCES : check_way(resolver, view, relative);
	if (error && error != -EINPROGRESS) {
		resolution->outcome->verdict = VERDICT_DENY;
		resolution->outcome->reason =
			"the file system may know the file by other names, and a rule denies some";
	}
	return error;
}

/* Appends one component to the canonical path of *used bytes ("" is the root), or takes one away. */
static int append(char *path, size_t *used, const char *name, size_t length)
{
	if (length == 0 || (length == 1 && name[0] == '.'))
		return 0;
	if (length == 2 && name[0] == '.' && name[1] == '.') {
		while (*used > 0 && path[--*used] != '/')
			;
		return 0;
	}
	if (*used + 1 + length >= POLICY_PATH_BUFFER)
		return -ENAMETOOLONG;
	path[(*used)++] = '/';
	memcpy(path + *used, name, length);
	*used += length;
	return 0;
}

/* Appends each component of `text`, which ends in a NUL. */
static int append_all(char *path, size_t *used, const char *text)
{
	while (*text) {
		size_t length = strcspn(text, "/");
		int error = append(path, used, text, length);
		if (error)
			return error;
		text += length;
		text += *text == '/';
	}
	return 0;
}

/*
 * Puts the text of a link in the place of the component at `name`. The directories before it are no links,
 * or would have been found first, so that a ".." at the head of the text is taken exactly; a ".." behind
 * another link in the text is taken by the text alone. That may lead elsewhere than the kernel would go,
 * but never to where the policy was not asked about.
 */
static int substitute(
	struct resolution *resolution, const char *name, size_t length, const char *text)
{
	char path[POLICY_PATH_BUFFER];
	size_t used = text[0] == '/' ? 0 : (size_t)(name - 1 - resolution->path);
	int error;

	memcpy(path, resolution->path, used);
	error = append_all(path, &used, text);
	if (!error)
		error = append_all(path, &used, name + length);
	if (error)
		return error;
	if (used == 0)
		path[used++] = '/';
	path[used] = '\0';
	error = policy_path_check(path, used);
	if (error)
		return error;
	memcpy(resolution->path, path, used + 1);
	resolution->length = used;
	memcpy(resolution->outcome->opened, path, used + 1);
	return 0;
}

/* Reads the link that `file` (O_PATH) is. Those of procfs lead to where no path leads: never. */
static int read_link(int file, char text[POLICY_PATH_BUFFER])
{
	struct statfs system;
	ssize_t length;

	if (fstatfs(file, &system) < 0)
		return -errno;
	if (system.f_type == PROC_SUPER_MAGIC)
		return -EACCES;
	length = readlinkat(file, "", text, POLICY_PATH_BUFFER);
	if (length < 0)
		return -errno;
	if (length == 0 || length == POLICY_PATH_BUFFER)
		return -ENAMETOOLONG;
	text[length] = '\0';
	return memchr(text, '\0', (size_t)length) ? -EINVAL : 0;
}

/*
 * Walks down from `directory`, a view, to the first link on the way of `name`. The link's descriptor, with
 * *name and *length the component, or a negative errno; -EAGAIN where there is none any more.
 */
static int find_link(const struct resolver *resolver, int view, const char **name, size_t *length)
{
	char component[POLICY_PATH_BUFFER];
	struct stat status;
	int directory = view;

	for (;;) {
		*length = strcspn(*name, "/");
		memcpy(component, *name, *length);
		component[*length] = '\0';
		int next = resolve_beneath(resolver, directory, component, O_PATH | O_NOFOLLOW, 0);
		if (directory != view)
			close(directory);
		if (next < 0)
			return next;
		if (syscall(SYS_fstat, next, &status) == 0 && S_ISLNK(status.st_mode))
			return next;
		directory = next;
		if (!(*name)[*length]) {
			close(directory);
			return -EAGAIN;
		}
		*name += *length + 1;
	}
}

int resolve_follow(struct resolution *resolution, int view, const char *relative, bool last)
{
	char text[POLICY_PATH_BUFFER];
	size_t length;
	int error, link;

	/* Every round counts, so that a path that changes all the time comes to an end too. */
	if (++resolution->links > RESOLVE_LINKS_MAX)
		return -EACCES;
	link = find_link(resolution->resolver, view, &relative, &length);
	if (link == -EAGAIN)
		return 0;
	if (link == -EINPROGRESS)
		return link;
	if (link < 0)
		return -EACCES;
	if (!relative[length] && !last) {
		close(link);
		resolution->links--;
		return -ELOOP;
	}
	resolution->last_followed = resolution->last_followed || !relative[length];
	error = read_link(link, text);
	close(link);
	if (!error)
		error = substitute(resolution, relative, length, text);
	return error ? -EACCES : 0;
}

int resolve_error(const struct resolution *resolution, int error)
{
	if (!resolution->links || error >= 0)
		return error;
	/* The limits of the machine, and a race lost, are no news about the file. */
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EAGAIN ||
			       error == -EINPROGRESS || error == -ETIMEDOUT
		       ? error
		       : -EACCES;
}

int resolve_open(
	struct resolution *resolution, uint32_t rights, int flags, struct policy_decision *decision)
{
	const char *relative;
	int view, file, tries = 0;

	for (;;) {
		bool allowed = resolve_decide(resolution, rights, decision);
		resolve_settle(resolution, rights, decision);
		if (!allowed)
			return -EACCES;
		view = resolve_view(resolution, rights, decision, &relative);
		file = view < 0 ? view : resolve_check_names(resolution, view, relative);
		if (!file)
			file = resolve_beneath(resolution->resolver, view, relative, flags, 0);
		if (file != -ELOOP)
			return resolve_error(resolution, file);
		int error = resolve_follow(resolution, view, relative, !(flags & O_NOFOLLOW));
		/* A link of which only the last component is one is what was asked for: another, which was in
		 * the way, has gone. */
		if (error == -ELOOP && (flags & O_PATH))
			error = tries++ < RESOLVE_LINKS_MAX ? 0 : -EAGAIN;
		if (error)
			return resolve_error(resolution, error);
	}
}
