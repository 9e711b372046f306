# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Packages of any of Debian's suites, whatever this machine runs. What is known of a
# suite is in the folder apt/SUITE of the cache (LAB_CACHE). Sourced after
# test/lab/common.sh; root is needed.

INDEX_MINUTES=1440	# how old a list of packages may get

# mirror LABEL DEFAULT: where this machine gets the archive of that label.
mirror()
{
	local found
	# shellcheck disable=SC2016 # apt expands these
	found=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
		sed -n "s/^$1 //p" | head -n 1)
	echo "${found:-$2}"
}

suite_mirror()
{
	case $1 in
	*-security) mirror Debian-Security http://deb.debian.org/debian-security ;;
	*) mirror Debian http://deb.debian.org/debian ;;
	esac
}

# apt_for SUITE COMMAND...: an apt that knows that suite alone, and both
# architectures, and nothing of what is installed here.
apt_for()
{
	local apt=$LAB_CACHE/apt/$1
	shift
	APT_CONFIG=$apt/apt.conf "$@"
}

# A mirror that was frozen is as good: what it has is still signed.
apt_configure()
{
	local suite=$1 apt=$LAB_CACHE/apt/$1
	mkdir -p "$apt/lists/partial" "$apt/archives/partial"
	{
		apt-config dump | grep -iE '^Acquire::[^ ]*proxy' || true
		cat <<-END
		Dir::Etc::sourcelist "$apt/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::main "/dev/null";
		Dir::Etc::parts "/dev/null";
		Dir::State::lists "$apt/lists";
		Dir::State::status "/dev/null";
		Dir::Cache "$apt";
		APT::Architecture "amd64";
		APT::Architectures { "amd64"; "arm64"; };
		APT::Sandbox::User "root";
		Acquire::Languages "none";
		Acquire::Check-Valid-Until "false";
		Acquire::Retries "2";
		Acquire::http::Timeout "20";
		END
	} >"$apt/apt.conf"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
		"$(suite_mirror "$suite") $suite main" >"$apt/sources.list"
}

# apt_update SUITE: without network, the list of last time will do.
apt_update()
{
	local apt=$LAB_CACHE/apt/$1
	(
		cache_lock exclusive "apt/$1"
		[ -z "$(find "$apt/updated" -mmin "-$INDEX_MINUTES" 2>/dev/null)" ] || exit 0
		apt_configure "$1"
		if apt_for "$1" timeout 180 apt-get -qq update --error-on=any; then
			touch "$apt/updated"
		fi
		[ -e "$apt/updated" ]
	)
}

package_field()
{
	apt_for "$1" apt-cache show --no-all-versions "$2" 2>/dev/null | sed -n "s/^$3: //p"
}
