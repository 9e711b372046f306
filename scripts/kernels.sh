# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Kernel headers as Debian's releases have them, and for each release a root file
# system with the compiler that its kernels were built with. All lies in a
# cache, unpacked; nothing is installed here. Sourced, by a shell with errexit;
# root is needed.

. test/lab/common.sh
. scripts/suites.sh

say() { echo "kernels: $*" >&2; }

# The lab's cache functions, for a cache of our own.
LAB_CACHE=${XENTAP_HEADERS_CACHE:-/var/cache/xentap-headers}
LAB_KEEP=1

# SUITE of the archive, release whose ROOT builds it, ARCHITECTURE, and whether the
# sparse of that release can read these headers. The newest kernel of each suite.
kernels_table()
{
	cat <<-END
	bullseye bullseye amd64 sparse
	bullseye-security bullseye amd64 sparse
	bookworm-security bookworm amd64 sparse
	bookworm-backports bookworm amd64 sparse
	trixie-security trixie amd64 sparse
	trixie-backports trixie amd64 -
	testing sid amd64 -
	unstable sid amd64 -
	experimental sid amd64 -
	bullseye bullseye arm64 sparse
	trixie-backports trixie arm64 -
	END
}

# kernel_find SUITE ARCH: sets KERNEL (release), KERNEL_VERSION (of the package),
# KERNEL_GCC and KERNEL_PACKAGES.
kernel_find()
{
	local suite=$1 arch=$2 package depends
	apt_update "$suite"
	package=$(package_field "$suite" "linux-headers-$arch:$arch" Depends |
		grep -oE 'linux-headers-[0-9][^ ,]*')
	KERNEL=${package#linux-headers-}
	KERNEL_VERSION=$(package_field "$suite" "$package:$arch" Version)
	depends=$(package_field "$suite" "$package:$arch" Depends)
	KERNEL_GCC=$(grep -oE 'gcc-[0-9]+' <<<"$depends" | head -n 1)
	# linux-kbuild holds programs of the machine that compiles; linux-base
	# what newer packages run when they are installed.
	KERNEL_PACKAGES=("$package:$arch"
		"$(grep -oE 'linux-headers-[^ ,]*-common' <<<"$depends"):amd64"
		"$(grep -oE 'linux-kbuild-[^ ,]*' <<<"$depends"):amd64")
	[ -z "$(package_field "$suite" linux-base Version)" ] || KERNEL_PACKAGES+=(linux-base)
}

# kernel_headers SUITE ARCH: after kernel_find and release_root; sets HEADERS, a folder
# with root/, to lie over that ROOT, and the packages themselves in debs/.
kernel_headers()
{
	local name=$1-$2-${KERNEL_VERSION//-/_}
	cache_make "$name" headers_make "$1" "${KERNEL_PACKAGES[@]}"
	HEADERS=$LAB_CACHE/$name
}

headers_make()
{
	local folder=$1 suite=$2 deb
	shift 2
	mkdir "$folder/debs" "$folder/root"
	(cd "$folder/debs" && apt_for "$suite" timeout 300 apt-get -qq download "$@")
	for deb in "$folder/debs"/*.deb; do
		dpkg-deb -x "$deb" "$folder/root"
	done
	# No folder may hide a link from /lib to /usr/lib.
	if [ -d "$folder/root/lib" ] && [ -L "$ROOT/lib" ]; then
		mkdir -p "$folder/root/usr/lib"
		cp -a "$folder/root/lib/." "$folder/root/usr/lib/"
		rm -r "$folder/root/lib"
	fi
}

# root_packages RELEASE GCC PACKAGE...: what builds a module there, and installs it by
# DKMS; and the others.
root_packages()
{
	local release=$1 gcc=$2
	shift 2
	echo "$gcc" gcc libc6-dev make sparse
	# what the kernel's own programs are linked with, and run
	echo libelf-dev openssl
	case $release in
	bullseye) echo dwarves ;;
	*) echo pahole ;;
	esac
	# awk, since grep -q would leave before kernels_table has ended
	! kernels_table | awk -v r="$release" '$2 == r && $3 == "arm64" { found = 1 }
		END { exit !found }' || echo "$gcc-aarch64-linux-gnu"
	echo dkms kmod
	[ $# = 0 ] || echo "$@"
}

# release_root RELEASE GCC [KIND PACKAGE...]: sets ROOT, a root file system; those with
# more packages are of a kind of their own.
release_root()
{
	local release=$1 gcc=$2 kind=${3:-root} name
	shift $(($# < 3 ? 2 : 3))
	name=$kind.$release-$(root_packages "$release" "$gcc" "$@" | sha256sum | cut -c1-12)
	cache_make "$name" root_make "$release" "$gcc" "$@"
	ROOT=$LAB_CACHE/$name/root
}

# In a namespace, so that no mount stays behind should this be killed.
root_make()
{
	local folder=$1 release=$2 gcc=$3
	shift 3
	need mmdebstrap=mmdebstrap
	run_step "Debian $release with $gcc and what else is needed (about a minute)" \
		timeout 900 unshare --mount --propagation private \
		mmdebstrap --variant=essential \
		--include="$(root_packages "$release" "$gcc" "$@" | xargs | tr ' ' ,)" \
		--aptopt='Acquire::Check-Valid-Until "false"' \
		--aptopt='Acquire::Languages "none"' \
		--dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		"$release" "$folder/root" "deb $(suite_mirror "$release") $release main"
}

# root_run SECONDS LAYERS FOLDER COMMAND...: runs a command in the root file system
# that LAYERS make (as overlayfs takes them: the upmost first, with colons
# between), with FOLDER at /mnt, and no longer than that. What it writes elsewhere,
# and what it leaves running, is gone with it.
root_run()
{
	local seconds=$1 layers=$2 folder=$3
	shift 3
	mkdir -p "$LAB_CACHE/mnt"
	# shellcheck disable=SC2016 # for the inner shell
	timeout --foreground --kill-after 10 "$seconds" \
		unshare --mount --pid --fork --kill-child --propagation private sh -ec '
		work=$1 layers=$2 folder=$3
		shift 3
		mount -t tmpfs -o mode=755 none "$work"
		mkdir "$work/upper" "$work/work" "$work/root"
		mount -t overlay -o "lowerdir=$layers,upperdir=$work/upper,workdir=$work/work" \
			none "$work/root"
		mkdir -p "$work/root/mnt"
		mount --bind "$folder" "$work/root/mnt"
		mount --bind /dev "$work/root/dev"
		mount -t proc none "$work/root/proc"
		exec chroot "$work/root" /usr/bin/env -i HOME=/root LC_ALL=C \
			PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"' \
		sh "$LAB_CACHE/mnt" "$layers" "$folder" "$@"
}
