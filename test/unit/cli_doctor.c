// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl doctor on hosts that are made of files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli/doctor.h"

static char root[] = "/tmp/xentap-doctor-XXXXXX";
static struct doctor_line lines[DOCTOR_LINES_MAX];
static size_t nr_lines;

/* What programs say; NULL: they fail. */
static const char *xl_info, *is_active, *is_enabled, *user;

static int run(const char *const argv[], char *output, size_t size, int timeout_ms)
{
	const char *text = NULL;

	assert_true(timeout_ms > 0);
	if (!strcmp(argv[0], "xl"))
		text = xl_info;
	else if (!strcmp(argv[0], "getent"))
		text = user;
	else if (!strcmp(argv[1], "is-active"))
		text = is_active;
	else if (!strcmp(argv[1], "is-enabled"))
		text = is_enabled;
	else
		fail();
	snprintf(output, size, "%s", text ? text : "");
	return text ? 0 : -EIO;
}

static void put(const char *path, const char *content, mode_t mode)
{
	char full[512], command[600];
	FILE *file;

	snprintf(command, sizeof(command), "mkdir -p $(dirname %s%s)", root, path);
	assert_int_equal(system(command), 0);
	snprintf(full, sizeof(full), "%s%s", root, path);
	file = fopen(full, "w");
	assert_non_null(file);
	fputs(content, file);
	fclose(file);
	assert_int_equal(chmod(full, mode), 0);
}

static void take_away(const char *path)
{
	char command[600];

	snprintf(command, sizeof(command), "rm -rf %s%s", root, path);
	assert_int_equal(system(command), 0);
}

/* A host on which all is well. */
static int make_host(void **state)
{
	(void)state;
	strcpy(root, "/tmp/xentap-doctor-XXXXXX");
	assert_non_null(mkdtemp(root));
	xl_info = "xen_commandline        : placeholder\n";
	is_active = "active\n";
	is_enabled = "enabled\n";
	user = "tapdisk:x:990:990::/:/usr/sbin/nologin\n";
	put("/sys/hypervisor/type", "xen\n", 0444);
	put("/sys/hypervisor/version/major", "4\n", 0444);
	put("/sys/hypervisor/version/minor", "20\n", 0444);
	put("/proc/xen/capabilities", "control_d\n", 0444);
	put("/etc/xen/scripts/block-tap", "", 0755);
	put("/usr/sbin/tap-ctl", "", 0755);
	put("/run/xenstored/socket", "", 0600);
	put("/run/systemd/system/x", "", 0600);
	put("/sys/module/xentap/version", "1.2.3\n", 0444);
	put("/sys/module/xentap/taint", "O\n", 0444);
	put("/sys/module/xentap/parameters/max_grants", "65536\n", 0444);
	put("/sys/kernel/debug/xentap/counters", "mapped 3\nquarantined 0\n", 0444);
	put("/dev/xen/tap", "", 0600);
	put("/dev/xen/evtchn", "", 0600);
	put("/proc/sys/fs/aio-nr", "2048\n", 0444);
	put("/proc/sys/fs/aio-max-nr", "65536\n", 0444);
	return 0;
}

static int remove_host(void **state)
{
	(void)state;
	take_away("");
	return 0;
}

static void examine(void)
{
	const struct doctor_host host = { root, "1.2.3", run };

	nr_lines = doctor_examine(&host, lines);
}

/* The only line that is not ok, with a finding and an advice that have these words. */
static void expect(enum doctor_verdict verdict, const char *subject, const char *finding,
		   const char *advice)
{
	const struct doctor_line *found = NULL;
	size_t i;

	examine();
	for (i = 0; i < nr_lines; i++) {
		if (lines[i].verdict == DOCTOR_OK)
			continue;
		if (found)
			fail_msg("also: %s: %s", lines[i].subject, lines[i].finding);
		found = &lines[i];
	}
	assert_non_null(found);
	assert_int_equal(found->verdict, verdict);
	assert_string_equal(found->subject, subject);
	if (!strstr(found->finding, finding) || !strstr(found->advice, advice))
		fail_msg("it says: %s -> %s", found->finding, found->advice);
}

static void all_is_well(void **state)
{
	size_t i;

	(void)state;
	/* Files here may be another user's, in which case nodes are not root's. */
	if (geteuid())
		skip();
	examine();
	assert_true(nr_lines >= 10);
	for (i = 0; i < nr_lines; i++)
		if (lines[i].verdict != DOCTOR_OK || *lines[i].advice)
			fail_msg("%s: %s", lines[i].subject, lines[i].finding);
}

static void each_fault_alone(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	user = NULL;
	expect(DOCTOR_FAIL, "user", "no user tapdisk", "systemd-sysusers");
	user = "x";

	put("/proc/xen/capabilities", "\n", 0444);
	expect(DOCTOR_WARN, "xen", "guest of Xen", "driver domain");
	put("/proc/xen/capabilities", "control_d\n", 0444);

	put("/sys/hypervisor/version/minor", "17\n", 0444);
	expect(DOCTOR_WARN, "toolstack", "4.17 refuses", "attach-domain");
	put("/sys/hypervisor/version/major", "5\n", 0444);
	put("/sys/hypervisor/version/minor", "0\n", 0444);
	all_is_well(state);

	take_away("/etc/xen/scripts/block-tap");
	expect(DOCTOR_WARN, "script", "block-tap is missing", "block-xentap");
	put("/etc/xen/scripts/block-tap", "", 0755);

	take_away("/usr/sbin/tap-ctl");
	expect(DOCTOR_WARN, "path", "neither", "PREFIX=/usr");
	put("/usr/sbin/tap-ctl", "", 0755);

	take_away("/run/xenstored");
	expect(DOCTOR_FAIL, "xenstore", "no way to xenstore", "systemctl start xen");
	put("/dev/xen/xenbus", "", 0600);
	all_is_well(state);

	put("/sys/module/xentap/version", "1.2.2\n", 0444);
	expect(DOCTOR_WARN, "module", "1.2.2 is loaded, the programs are 1.2.3", "rmmod xentap");
	put("/sys/module/xentap/version", "1.2.3\n", 0444);

	take_away("/dev/xen/tap");
	expect(DOCTOR_FAIL, "device", "/dev/xen/tap is missing", "modprobe xentap");
	put("/dev/xen/tap", "", 0660);
	expect(DOCTOR_WARN, "device", "mode 0660", "chmod 600 /dev/xen/tap");
	put("/dev/xen/tap", "", 0600);

	is_enabled = NULL;
	expect(DOCTOR_WARN, "tapback", "not start at boot", "systemctl enable tapback");
	is_active = NULL;
	expect(DOCTOR_FAIL, "tapback", "is not active", "enable --now tapback");
	is_active = "active\n";
	is_enabled = "enabled\n";

	put("/proc/sys/fs/aio-nr", "65000\n", 0444);
	expect(DOCTOR_FAIL, "aio", "65000 of fs.aio-max-nr=65536", "sysctl fs.aio-max-nr=");
	put("/proc/sys/fs/aio-nr", "60000\n", 0444);
	expect(DOCTOR_WARN, "aio", "room for some disks only", "sysctl fs.aio-max-nr=");
	put("/proc/sys/fs/aio-nr", "0\n", 0444);

	put("/sys/kernel/debug/xentap/counters", "mapped 3\nquarantined 2\n", 0444);
	expect(DOCTOR_WARN, "pages", "2 pages are lost", "journalctl -k");
}

static void handles_of_xen(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	put("/sys/module/xentap/parameters/max_grants", "262144\n", 0444);
	expect(DOCTOR_WARN, "maptrack", "262144 handles", "gnttab_max_maptrack_frames=3072");
	xl_info = "xen_commandline : a=1 gnttab_max_maptrack_frames=0xc00 b\n";
	all_is_well(state);
	xl_info = NULL;
	expect(DOCTOR_WARN, "maptrack", "xl info does not answer", "systemctl status");
}

static void module_not_loaded(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	take_away("/sys/module/xentap");
	expect(DOCTOR_FAIL, "module", "not loaded", "dkms status");
	put("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
	    "aaaa\001", 0444);
	expect(DOCTOR_FAIL, "module", "not loaded", "mokutil --import");
}

static void module_not_signed(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	put("/sys/module/xentap/taint", "OE\n", 0444);
	all_is_well(state);
	put("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
	    "aaaa\001", 0444);
	expect(DOCTOR_WARN, "signature", "not signed", "mokutil --import");
}

/* Then nothing else is worth saying. */
static void no_xen_at_all(void **state)
{
	(void)state;
	assert_true(doctor_xen_runs(root));
	take_away("/sys/hypervisor");
	assert_false(doctor_xen_runs(root));
	take_away("/sys/module/xentap");
	is_active = NULL;
	expect(DOCTOR_FAIL, "xen", "Xen does not run", "boot menu");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_is_well, make_host, remove_host),
		cmocka_unit_test_setup_teardown(each_fault_alone, make_host, remove_host),
		cmocka_unit_test_setup_teardown(handles_of_xen, make_host, remove_host),
		cmocka_unit_test_setup_teardown(module_not_loaded, make_host, remove_host),
		cmocka_unit_test_setup_teardown(module_not_signed, make_host, remove_host),
		cmocka_unit_test_setup_teardown(no_xen_at_all, make_host, remove_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
