# SPDX-License-Identifier: GPL-2.0-or-later
# The doors of the project; `make help` lists them.
#
# PREFIX   where programs go (default /usr/local)
# DESTDIR  stage for packages
# KDIR     kernel to build the module for (default: the running one)
# V=1      show commands     WERROR=1  warnings are errors
# UNITDIR, UDEVDIR   where units and udev rules go, if not below PREFIX/lib

VERSION := $(shell cat VERSION)
PREFIX ?= /usr/local
DESTDIR ?=
KDIR ?= /lib/modules/$(shell uname -r)/build
DKMS_SRC = $(DESTDIR)/usr/src/xentap-$(VERSION)
MODULE_SOURCE := $(shell cd module && ls Kbuild Makefile *.[ch] compat/*.h compat/*.mk \
	compat/*.sh compat/probes/*.c | grep -v -e '\.mod\.c$$' -e compat_config)

export PREFIX DESTDIR V WERROR

all: daemon module

help:
	@echo 'make                 build daemons and module'
	@echo 'make daemon          build tapdisk, tapback and tap-ctl'
	@echo 'make module          build xentap.ko for KDIR ($(KDIR))'
	@echo 'make install         install daemons, units and man pages (not the module)'
	@echo 'make dkms-install    install the module by DKMS for the running kernel'
	@echo 'make uninstall dkms-remove   take them away again'
	@echo 'make demo            see a guest use a disk, in a Xen host inside QEMU'
	@echo 'make demo HOST=1     the same on this machine, which must be a Xen dom0'
	@echo 'make check           all tests: lint, check-kernels, check-dkms, ...'
	@echo 'make check-kernels   build the module for old and new kernels of Debian (root)'
	@echo 'make check-dkms      the module come and go by DKMS, with two kernels (root)'
	@echo 'make check-deb       build, install, upgrade and remove the Debian packages (root)'
	@echo 'make check-unit      tests that need neither root nor Xen'
	@echo 'make fuzz            bytes as what guests and user space do, FUZZ_SECONDS (600) each'
	@echo 'make check-xen       tests in a real Xen host inside QEMU (root)'
	@echo 'make check-long      a few of them with higher counts, an hour and more (root)'
	@echo 'make check-debug     the module under a debug kernel and a debug Xen, in QEMU (root)'
	@echo 'make bench           what module and disks cost, in the lab under -icount (root)'
	@echo 'make bench-module    of these, the module beside gntdev and bare hypercalls'
	@echo 'make bench-disk      and disks beside those of the kernel and of QEMU'
	@echo 'make bench-scale     many disks, tapdisks and queues, on this machine, without Xen'
	@echo 'make lint            static checks'
	@echo 'make dist            source tarball, build/xentap-VERSION.tar.gz'
	@echo 'make deb             Debian packages, build/deb/*.deb'
	@echo 'make rpm             RPM packages, below build/rpm'

daemon:
	@$(MAKE) --no-print-directory -C daemon

module:
	$(MAKE) -C module KDIR=$(KDIR)

# On this host itself, not on a stage for packages, also the user and units.
install:
	@$(MAKE) --no-print-directory -C daemon install
	@[ -n "$(DESTDIR)" ] || ! command -v systemd-sysusers >/dev/null || systemd-sysusers
	@[ -n "$(DESTDIR)" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload

uninstall:
	@$(MAKE) --no-print-directory -C daemon uninstall

# What DKMS builds from: dkms.conf, VERSION, module/ and its two headers.
dkms-source:
	install -d $(DKMS_SRC)/include/uapi $(DKMS_SRC)/include/linux
	install -m 644 dkms.conf VERSION $(DKMS_SRC)/
	install -m 644 include/uapi/xentap.h $(DKMS_SRC)/include/uapi/
	install -m 644 include/linux/xentap.h $(DKMS_SRC)/include/linux/
	cd module && for file in $(MODULE_SOURCE); do \
		install -D -m 644 $$file $(abspath $(DKMS_SRC))/module/$$file || exit; done

dkms-install: dkms-source
	dkms add -m xentap -v $(VERSION)
	dkms build -m xentap -v $(VERSION)
	dkms install -m xentap -v $(VERSION)

# Of every version: an upgrade leaves the one before it in DKMS's tree.
dkms-remove:
	-for version in $$(dkms status xentap | sed 's/^xentap[/, ]*\([^,: ]*\).*/\1/' | sort -u); do \
		dkms remove -m xentap -v $$version --all && rm -rf $(DESTDIR)/usr/src/xentap-$$version; done
	rm -rf $(DKMS_SRC)

check:
	@scripts/check.sh lint kernels dkms deb unit xen

check-kernels:
	@scripts/check.sh kernels

check-dkms:
	@scripts/check.sh dkms

check-deb:
	@scripts/check.sh deb

check-unit:
	@scripts/check.sh unit

# New streams of bytes are kept below test/unit/build/corpus.
fuzz:
	@$(MAKE) --no-print-directory -C test/unit fuzz FUZZ_SECONDS=$(or $(FUZZ_SECONDS),600)

check-xen:
	@scripts/check.sh xen

check-long:
	@scripts/check.sh long

check-debug:
	@scripts/check.sh debug

bench: bench-module bench-disk

bench-module:
	@test/bench/bench-module.sh $(PARTS)

bench-disk:
	@test/bench/bench-disk.sh $(PARTS)

bench-scale:
	@test/bench/bench-scale.sh $(PARTS)

demo:
	@scripts/demo.sh $(if $(HOST),--host)

lint:
	@scripts/lint.sh

dist:
	@scripts/make-dist.sh

deb:
	@scripts/make-deb.sh

rpm:
	@scripts/make-rpm.sh

clean:
	@$(MAKE) --no-print-directory -C daemon clean
	@$(MAKE) --no-print-directory -C test/unit clean
	@$(MAKE) --no-print-directory -C test/bench/scale clean
	rm -rf build
	-$(MAKE) -C module KDIR=$(KDIR) clean

.PHONY: all help daemon module install uninstall dkms-source dkms-install \
	dkms-remove check check-unit fuzz check-xen demo lint dist deb rpm clean \
	check-kernels check-dkms check-deb check-long check-debug bench bench-module bench-disk \
	bench-scale
