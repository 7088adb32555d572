# SPDX-License-Identifier: MIT
# Sourced by tests/try and tests/run: installs what is missing (Debian, as root) and builds.
# Sets $source (the checkout) and $build.

source=$(cd "$(dirname "$0")/.." && pwd)
build=${FDBROKER_BUILD:-$source/build}

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

# build OPTION...: sets the build directory up, with meson's options, and builds.
build_all() {
	if [ -f "$build/build.ninja" ]; then
		meson configure "$build" "$@" >/dev/null
	else
		meson setup "$build" "$source" "$@" >/dev/null || {
			meson setup "$build" "$source" "$@"
			exit 1
		}
	fi
	ninja -C "$build" --quiet
}
