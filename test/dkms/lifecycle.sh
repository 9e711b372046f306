#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lifecycle.sh KERNEL NEXT: the life of a module under DKMS, as an administrator
# sees it. Runs in a Debian root file system that has the headers of KERNEL, with
# the packages of NEXT's headers in /mnt/debs and the source in /mnt/source. Nothing
# is loaded; the machine's own kernel plays no part.

set -euo pipefail

kernel=$1 next=$2
source=/mnt/source
version=$(<$source/VERSION)
newer=$version.1

fail()
{
	echo "FAIL: $*"
	find /var/lib/dkms -name make.log -exec tail -v -n 20 {} + || true
	exit 1
}

ok() { echo "ok: $*"; }

# As if the kernels themselves were here: their packages would have left lists of
# modules. And "make dkms-install" is for the running kernel: let that be KERNEL.
pretend_kernels()
{
	mkdir -p "/lib/modules/$next"
	depmod "$kernel" 2>/dev/null
	depmod "$next" 2>/dev/null
	cat >/usr/local/bin/uname <<-END
	#!/bin/sh
	[ "\$*" != -r ] || exec echo $kernel
	exec /bin/uname "\$@"
	END
	chmod +x /usr/local/bin/uname
	PATH=/usr/local/bin:$PATH
	[ "$(uname -r)" = "$kernel" ] || fail "uname -r says $(uname -r)"
}

module_of() { find "/lib/modules/$1/updates/dkms" -name 'xentap.ko*' 2>/dev/null; }

# installed KERNEL VERSION: one module, made for that kernel, of that version.
installed()
{
	local file
	file=$(module_of "$1")
	[ "$(wc -w <<<"$file")" = 1 ] || fail "$1 has these modules: $file"
	[ "$(modinfo -F version "$file")" = "$2" ] ||
		fail "$file is version $(modinfo -F version "$file"), not $2"
	[ "$(modinfo -F vermagic "$file" | cut -d' ' -f1)" = "$1" ] ||
		fail "$file is for $(modinfo -F vermagic "$file")"
	[ "$(modinfo -k "$1" -n xentap)" = "$file" ] || fail "modprobe would not take $file"
	dkms status -m xentap -v "$2" -k "$1" | grep -q installed ||
		fail "dkms status: $(dkms status)"
}

# The module that DKMS installed, as it was before compression.
plain_module()
{
	local file
	file=$(module_of "$1")
	case $file in
	*.xz) xz -dc "$file" ;;
	*.zst) zstd -dc "$file" ;;
	*) cat "$file" ;;
	esac
}

# signed_by KERNEL NAME CERTIFICATE: not only does it say so, the signature
# is right: the last bytes of the file are the signature, twelve that end with its
# length, and a line of text.
signed_by()
{
	local kernel=$1 name=$2 certificate=$3 folder length size
	[ "$(modinfo -F signer "$(module_of "$kernel")")" = "$name" ] ||
		fail "signer is \"$(modinfo -F signer "$(module_of "$kernel")")\", not \"$name\""
	folder=$(mktemp -d)
	plain_module "$kernel" >"$folder/all"
	[ "$(tail -c 28 "$folder/all")" = "~Module signature appended~" ] ||
		fail "no signature at the end of the file"
	length=$((16#$(tail -c 32 "$folder/all" | head -c 4 | od -An -tx1 | tr -d ' ')))
	size=$(stat -c %s "$folder/all")
	tail -c $((length + 40)) "$folder/all" | head -c "$length" >"$folder/signature"
	head -c $((size - length - 40)) "$folder/all" >"$folder/module"
	openssl x509 -inform DER -in "$certificate" -out "$folder/certificate"
	openssl cms -verify -binary -inform DER -in "$folder/signature" \
		-content "$folder/module" -certfile "$folder/certificate" -nointern \
		-noverify -out /dev/null 2>"$folder/log" ||
		fail "the signature does not fit: $(<"$folder/log")"
	# A signature of something else must not pass.
	echo x >>"$folder/module"
	! openssl cms -verify -binary -inform DER -in "$folder/signature" \
		-content "$folder/module" -certfile "$folder/certificate" -nointern \
		-noverify -out /dev/null 2>/dev/null || fail "any signature is accepted"
	rm -r "$folder"
}

check_install()
{
	make -s -C $source dkms-install
	installed "$kernel" "$version"
	ok "$version installed for $kernel"
}

# DKMS makes a key for the host on first use.
check_own_key()
{
	local name
	[ -s /var/lib/dkms/mok.key ] || fail "DKMS made no key"
	name=$(openssl x509 -inform DER -in /var/lib/dkms/mok.pub -noout -subject -nameopt multiline |
		sed -n 's/^ *commonName *= //p')
	signed_by "$kernel" "$name" /var/lib/dkms/mok.pub
	ok "signed with the key that DKMS made: $name"
}

# A new version while the old one is installed: the new one takes its place.
check_upgrade()
{
	cp -r $source /tmp/newer
	echo "$newer" >/tmp/newer/VERSION
	sed -i "s/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"$newer\"/" /tmp/newer/dkms.conf
	make -s -C /tmp/newer dkms-install
	installed "$kernel" "$newer"
	! dkms status -m xentap -v "$version" | grep -q installed ||
		fail "both are installed: $(dkms status)"
	ok "$newer installed over $version"
}

# The headers' package calls DKMS when it is installed.
check_next_kernel()
{
	dpkg --force-depends --install /mnt/debs/*.deb
	installed "$next" "$newer"
	installed "$kernel" "$newer"
	ok "built for $next when its headers came"
}

# A key of the administrator's, with a name to know it by; and DKMS does it by the
# kernel's sign-file.
check_given_key()
{
	local name="xentap test key"
	openssl req -new -x509 -newkey rsa:2048 -nodes -days 36500 -batch -outform DER \
		-subj "/CN=$name/" -keyout /root/given.key -out /root/given.der 2>/dev/null
	cat >/usr/local/bin/sign-file <<-END
	#!/bin/sh
	echo "\$@" >>/root/signed
	exec /lib/modules/$next/build/scripts/sign-file "\$@"
	END
	chmod +x /usr/local/bin/sign-file
	cat >/etc/dkms/framework.conf <<-END
	mok_signing_key=/root/given.key
	mok_certificate=/root/given.der
	sign_file=/usr/local/bin/sign-file
	END
	dkms build --force -m xentap -v "$newer" -k "$next"
	dkms install --force -m xentap -v "$newer" -k "$next"
	grep -q '/root/given.key /root/given.der .*xentap.ko' /root/signed ||
		fail "sign-file was not called for xentap.ko"
	signed_by "$next" "$name" /root/given.der
	ok "signed by sign-file with a given key"
}

# A kernel that cannot run it is left alone.
check_excluded()
{
	local other=0.0-no-xen
	mkdir -p /lib/modules/$other/build/include
	touch /lib/modules/$other/build/Makefile
	grep -v '^CONFIG_XEN=' "/lib/modules/$kernel/build/.config" \
		>/lib/modules/$other/build/.config
	! dkms build -m xentap -v "$newer" -k $other >/tmp/log 2>&1 ||
		fail "it was built for a kernel without Xen"
	grep -qi 'BUILD_EXCLUSIVE' /tmp/log || fail "DKMS says: $(</tmp/log)"
	rm -r /lib/modules/$other
	ok "refused for a kernel without CONFIG_XEN"
}

# What the package of a kernel runs before it goes.
check_kernel_leaves()
{
	run-parts --arg="$next" --arg="/boot/vmlinuz-$next" /etc/kernel/prerm.d
	[ -z "$(module_of "$next")" ] || fail "left behind: $(module_of "$next")"
	installed "$kernel" "$newer"
	ok "gone with $next"
}

check_remove()
{
	make -s -C /tmp/newer dkms-remove
	[ -z "$(dkms status xentap)" ] || fail "dkms status: $(dkms status)"
	[ -z "$(find /lib/modules /var/lib/dkms /usr/src -name 'xentap*')" ] ||
		fail "left behind: $(find /lib/modules /var/lib/dkms /usr/src -name 'xentap*')"
	ok "removed without a trace"
}

pretend_kernels
check_install
check_own_key
check_upgrade
check_next_kernel
check_given_key
check_excluded
check_kernel_leaves
check_remove
