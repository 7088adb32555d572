# SPDX-License-Identifier: MIT
# Sourced by tests/try and tests/run: installs what is missing (Debian, as root) and builds.
# Sets $source (the checkout) and $build.

source=$(cd "$(dirname "$0")/.." && pwd)
build=${FDBROKER_BUILD:-$source/build}

# with_real_root COMMAND...: runs it in a mount namespace whose root is this one. In a chroot the kernel makes
# no user namespaces (unshare(2): EPERM), which the sandboxes need. Entering its own mount namespace anew
# takes a process to that namespace's root, from where pivot_root(8) can make the chroot a root in truth.
# Nothing outside that namespace changes.
with_real_root() {
	unshare --mount --propagation unchanged nsenter --mount=/proc/self/ns/mnt --wd=/ /bin/sh -euc '
		mount --make-rprivate /
		mount --rbind . .
		cd "$(pwd -P)"
		pivot_root . .
		umount -l .
		exec chroot . "$@"' sh "$@"
}

# leave_chroot SCRIPT ARGUMENT...: where user namespaces are refused, and a real root mends that, executes the
# script anew with one.
leave_chroot() {
	if [ "$(id -u)" != 0 ] || unshare --user true 2>/dev/null ||
		! with_real_root unshare --user true 2>/dev/null; then
		return 0
	fi
	script=$source/tests/$(basename "$1")
	shift
	with_real_root "$script" "$@"
	exit $?
}

# install PACKAGE...: those that are not there yet.
install_packages() {
	missing=
	for package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "Please install, as root:$missing" >&2
		exit 1
	fi
	echo "Installing:$missing"
	export DEBIAN_FRONTEND=noninteractive
	{ apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } \
		>"${TMPDIR:-/tmp}/fdbroker-install.$$" 2>&1 || {
		tail -n 20 "${TMPDIR:-/tmp}/fdbroker-install.$$" >&2
		echo "Could not install:$missing" >&2
		exit 1
	}
	rm -f "${TMPDIR:-/tmp}/fdbroker-install.$$"
}

# build_all OPTION...: sets the build directory up, with meson's options, and builds. Silent where all is well.
build_all() {
	mkdir -p "$build"
	{
		if [ -f "$build/build.ninja" ]; then
			meson configure "$build" "$@"
		else
			meson setup "$build" "$source" "$@"
		fi && ninja -C "$build"
	} >"$build/log" 2>&1 || {
		cat "$build/log" >&2
		exit 1
	}
}
