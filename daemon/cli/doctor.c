// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/paths.h"

#define RUN_TIMEOUT_MS		5000
#define XL_INFO_MAX		8192	/* bytes of what "xl info" prints */
/* xl of this version accepts backendtype=tap. */
#define XEN_MAJOR_MIN		4
#define XEN_MINOR_MIN		19
/* Xen's default of gnttab_max_maptrack_frames, and how many handles a frame has. */
#define MAPTRACK_FRAMES		1024
#define MAPTRACK_PER_FRAME	256
/* What a tapdisk takes of fs.aio-max-nr, at the most. */
#define AIO_PER_DISK		1024
#define SECURE_BOOT "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

struct examination {
	const struct doctor_host *host;
	struct doctor_line *lines;
	size_t nr;
};

/* ---- telling ---- */

static struct doctor_line *add(struct examination *exam, enum doctor_verdict verdict,
			       const char *subject)
{
	/* There are fewer checks than lines. */
	struct doctor_line *line = &exam->lines[exam->nr < DOCTOR_LINES_MAX - 1 ? exam->nr++ :
						exam->nr];

	*line = (struct doctor_line){ .verdict = verdict, .subject = subject };
	return line;
}

__attribute__((format(printf, 4, 5)))
static struct doctor_line *say(struct examination *exam, enum doctor_verdict verdict,
			       const char *subject, const char *format, ...)
{
	struct doctor_line *line = add(exam, verdict, subject);
	va_list args;

	va_start(args, format);
	vsnprintf(line->finding, sizeof(line->finding), format, args);
	va_end(args);
	return line;
}

__attribute__((format(printf, 2, 3)))
static void advise(struct doctor_line *line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(line->advice, sizeof(line->advice), format, args);
	va_end(args);
}

/* ---- looking ---- */

static bool full_path(const struct examination *exam, const char *path, char full[512])
{
	return snprintf(full, 512, "%s%s", exam->host->root, path) < 512;
}

/* The first line of @path, or false. */
static bool read_line(const struct examination *exam, const char *path, char *text, size_t size)
{
	char full[512];
	FILE *file = full_path(exam, path, full) ? fopen(full, "re") : NULL;
	bool got;

	if (!file)
		return false;
	got = fgets(text, (int)size, file);
	fclose(file);
	if (got)
		text[strcspn(text, "\n")] = '\0';
	return got;
}

static bool read_number(const struct examination *exam, const char *path, uint64_t *value)
{
	char text[64], *end;

	if (!read_line(exam, path, text, sizeof(text)))
		return false;
	*value = strtoull(text, &end, 10);
	return end != text;
}

static bool exists(const struct examination *exam, const char *path)
{
	char full[512];

	return full_path(exam, path, full) && !access(full, F_OK);
}

/* ---- Xen ---- */

static bool xen_runs(const struct examination *exam)
{
	char text[64];

	return read_line(exam, "/sys/hypervisor/type", text, sizeof(text)) && !strcmp(text, "xen");
}

bool doctor_xen_runs(const char *root)
{
	const struct doctor_host host = { .root = root };

	return xen_runs(&(struct examination){ .host = &host });
}

static bool check_dom0(struct examination *exam)
{
	char text[64];

	if (!xen_runs(exam)) {
		advise(say(exam, DOCTOR_FAIL, "xen", "Xen does not run"),
		       "install it (Debian: xen-system-amd64) and choose the entry with Xen in "
		       "the boot menu");
		return false;
	}
	if (!read_line(exam, "/proc/xen/capabilities", text, sizeof(text)) ||
	    !strstr(text, "control_d")) {
		advise(say(exam, DOCTOR_WARN, "xen",
			   "this is a guest of Xen, or /proc/xen is not mounted"),
		       "as a driver domain it is right; else run this in dom0, or mount -t xenfs "
		       "xenfs /proc/xen");
		return true;
	}
	say(exam, DOCTOR_OK, "xen", "this is dom0");
	return true;
}

static void check_xen_version(struct examination *exam)
{
	uint64_t major, minor;

	if (!read_number(exam, "/sys/hypervisor/version/major", &major) ||
	    !read_number(exam, "/sys/hypervisor/version/minor", &minor)) {
		advise(say(exam, DOCTOR_WARN, "toolstack", "Xen does not tell its version"),
		       "look at xl info; backendtype=tap takes %d.%d", XEN_MAJOR_MIN,
		       XEN_MINOR_MIN);
	} else if (major < XEN_MAJOR_MIN || (major == XEN_MAJOR_MIN && minor < XEN_MINOR_MIN)) {
		advise(say(exam, DOCTOR_WARN, "toolstack",
			   "xl of Xen %ju.%ju refuses backendtype=tap", (uintmax_t)major,
			   (uintmax_t)minor),
		       "attach disks to running guests with tap-ctl attach-domain, or upgrade to "
		       "%d.%d", XEN_MAJOR_MIN, XEN_MINOR_MIN);
	} else {
		say(exam, DOCTOR_OK, "toolstack", "Xen %ju.%ju accepts backendtype=tap",
		    (uintmax_t)major, (uintmax_t)minor);
	}
}

static void check_scripts(struct examination *exam)
{
	if (!exists(exam, "/etc/xen/scripts/block-tap"))
		advise(say(exam, DOCTOR_WARN, "script", "/etc/xen/scripts/block-tap is missing"),
		       "xl's disks need it, or script=block-xentap; it comes with Xen's tools "
		       "(Debian: xen-utils-common)");
	else
		say(exam, DOCTOR_OK, "script", "/etc/xen/scripts/block-tap is there");
	if (exists(exam, "/usr/sbin/tap-ctl") || exists(exam, "/usr/bin/tap-ctl"))
		say(exam, DOCTOR_OK, "path", "hotplug scripts find tap-ctl");
	else
		advise(say(exam, DOCTOR_WARN, "path",
			   "tap-ctl is in neither /usr/sbin nor /usr/bin"),
		       "hotplug scripts may not find it: install with PREFIX=/usr");
}

static void check_xenstore(struct examination *exam)
{
	if (exists(exam, "/run/xenstored/socket") || exists(exam, "/var/run/xenstored/socket") ||
	    exists(exam, "/dev/xen/xenbus"))
		say(exam, DOCTOR_OK, "xenstore", "xenstore can be reached");
	else
		advise(say(exam, DOCTOR_FAIL, "xenstore", "there is no way to xenstore"),
		       "start Xen's services (Debian: systemctl start xen) and see their "
		       "journal");
}

/* ---- the module ---- */

static bool secure_boot(const struct examination *exam)
{
	CLEANUP_CLOSE int fd = -1;
	unsigned char bytes[5];
	char full[512];

	/* Four bytes of attributes and one that is 1. */
	if (!full_path(exam, SECURE_BOOT, full))
		return false;
	fd = open(full, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, bytes, sizeof(bytes)) == sizeof(bytes) && bytes[4] == 1;
}

static void module_missing(struct examination *exam)
{
	struct doctor_line *line = say(exam, DOCTOR_FAIL, "module",
				       "the module xentap is not loaded");

	if (secure_boot(exam))
		advise(line, "modprobe xentap; Secure Boot is on, so its key must be enrolled: "
		       "mokutil --import /var/lib/dkms/mok.pub, and reboot");
	else
		advise(line, "modprobe xentap; if there is none, look at dkms status xentap: the "
		       "kernel's headers may be missing (Debian: linux-headers-amd64)");
}

static void check_signature(struct examination *exam)
{
	char taint[16] = "";

	read_line(exam, "/sys/module/xentap/taint", taint, sizeof(taint));
	if (!strchr(taint, 'E'))
		say(exam, DOCTOR_OK, "signature", "the kernel knows the module's signature");
	else if (secure_boot(exam))
		advise(say(exam, DOCTOR_WARN, "signature",
			   "the module is not signed with a key that the kernel knows"),
		       "a stricter kernel will refuse it under Secure Boot: mokutil --import "
		       "/var/lib/dkms/mok.pub, and reboot");
	else
		say(exam, DOCTOR_OK, "signature",
		    "the module has none that the kernel knows; without Secure Boot it needs none");
}

static bool check_module(struct examination *exam)
{
	char version[64];

	if (!exists(exam, "/sys/module/xentap")) {
		module_missing(exam);
		return false;
	}
	if (!read_line(exam, "/sys/module/xentap/version", version, sizeof(version)))
		snprintf(version, sizeof(version), "unknown");
	if (strcmp(version, exam->host->version))
		advise(say(exam, DOCTOR_WARN, "module",
			   "version %s is loaded, the programs are %s", version,
			   exam->host->version),
		       "they may work together; when no disk is in use: systemctl stop tapback; "
		       "rmmod xentap; systemctl start tapback; or reboot");
	else
		say(exam, DOCTOR_OK, "module", "version %s is loaded", version);
	check_signature(exam);
	return true;
}

static void check_node(struct examination *exam, const char *path, const char *module)
{
	char full[512];
	struct stat st;

	if (!full_path(exam, path, full) || stat(full, &st))
		advise(say(exam, DOCTOR_FAIL, "device", "%s is missing", path),
		       "modprobe %s; if it is loaded, look at systemd-udevd and devtmpfs",
		       module);
	else if (st.st_mode & (S_IRWXG | S_IRWXO) || st.st_uid)
		advise(say(exam, DOCTOR_WARN, "device",
			   "%s is for others than root, too (mode %04o, uid %u)", path,
			   (unsigned int)st.st_mode & 07777, st.st_uid),
		       "who opens it may reach guests: chown root %s; chmod 600 %s; and look for "
		       "the udev rule that did it", path, path);
	else
		say(exam, DOCTOR_OK, "device", "%s is there, for root alone", path);
}

/* ---- head-room ---- */

/* The number after NAME= in @text, or @otherwise. */
static uint64_t option_in(const char *text, const char *name, uint64_t otherwise)
{
	const char *at = strstr(text, name);
	uint64_t value;
	char *end;

	if (!at)
		return otherwise;
	value = strtoull(at + strlen(name), &end, 0);
	return end == at + strlen(name) ? otherwise : value;
}

static void check_maptrack(struct examination *exam)
{
	static const char *const xl_info[] = { "xl", "info", NULL };
	CLEANUP_FREE char *output = malloc(XL_INFO_MAX);
	uint64_t handles, grants;

	if (!read_number(exam, "/sys/module/xentap/parameters/max_grants", &grants))
		return;
	if (!output || exam->host->run(xl_info, output, XL_INFO_MAX, RUN_TIMEOUT_MS)) {
		advise(say(exam, DOCTOR_WARN, "maptrack", "xl info does not answer"),
		       "look at Xen's services: systemctl status xen xenstored");
		return;
	}
	handles = option_in(output, "gnttab_max_maptrack_frames=", MAPTRACK_FRAMES) *
		  MAPTRACK_PER_FRAME;
	/* In a paravirtualized dom0 a grant has two mappings. */
	if (grants * 2 > handles)
		advise(say(exam, DOCTOR_WARN, "maptrack",
			   "Xen has %ju handles, max_grants=%ju may take %ju",
			   (uintmax_t)handles, (uintmax_t)grants, (uintmax_t)grants * 2),
		       "add gnttab_max_maptrack_frames=%ju to Xen's command line, or lower "
		       "max_grants of the module",
		       (uintmax_t)(grants * 2 / MAPTRACK_PER_FRAME + MAPTRACK_FRAMES));
	else
		say(exam, DOCTOR_OK, "maptrack", "%ju handles are enough for max_grants=%ju",
		    (uintmax_t)handles, (uintmax_t)grants);
}

static void check_aio(struct examination *exam)
{
	uint64_t used, max;

	if (!read_number(exam, "/proc/sys/fs/aio-nr", &used) ||
	    !read_number(exam, "/proc/sys/fs/aio-max-nr", &max))
		return;
	if (used + AIO_PER_DISK > max)
		advise(say(exam, DOCTOR_FAIL, "aio", "%ju of fs.aio-max-nr=%ju are in use",
			   (uintmax_t)used, (uintmax_t)max),
		       "sysctl fs.aio-max-nr=1048576, and the same in /etc/sysctl.d");
	else if (used + 16 * AIO_PER_DISK > max)
		advise(say(exam, DOCTOR_WARN, "aio",
			   "%ju of fs.aio-max-nr=%ju are in use: room for some disks only",
			   (uintmax_t)used, (uintmax_t)max),
		       "sysctl fs.aio-max-nr=1048576, and the same in /etc/sysctl.d");
	else
		say(exam, DOCTOR_OK, "aio", "%ju of fs.aio-max-nr=%ju are in use",
		    (uintmax_t)used, (uintmax_t)max);
}

static void check_lost_pages(struct examination *exam)
{
	char full[512], name[64];
	unsigned long long value;
	FILE *file;

	if (!full_path(exam, "/sys/kernel/debug/xentap/counters", full))
		return;
	file = fopen(full, "re");
	while (file && fscanf(file, "%63s %llu", name, &value) == 2)
		if (!strcmp(name, "quarantined") && value)
			advise(say(exam, DOCTOR_WARN, "pages",
				   "%llu pages are lost until reboot: Xen refused to unmap them",
				   value),
			       "look at the kernel's log (journalctl -k --grep xentap) and "
			       "report it");
	if (file)
		fclose(file);
}

/* ---- the service ---- */

static void check_tapback(struct examination *exam)
{
	static const char *const is_active[] = { "systemctl", "is-active", "tapback.service", NULL };
	static const char *const is_enabled[] = { "systemctl", "is-enabled", "tapback.service",
						  NULL };
	char output[64];

	if (!exists(exam, "/run/systemd/system")) {
		say(exam, DOCTOR_OK, "tapback", "systemd does not run; who starts tapback knows");
		return;
	}
	if (exam->host->run(is_active, output, sizeof(output), RUN_TIMEOUT_MS))
		advise(say(exam, DOCTOR_FAIL, "tapback", "tapback.service is not active"),
		       "systemctl enable --now tapback; see journalctl -u tapback");
	else if (exam->host->run(is_enabled, output, sizeof(output), RUN_TIMEOUT_MS))
		advise(say(exam, DOCTOR_WARN, "tapback",
			   "tapback.service is active, but will not start at boot"),
		       "systemctl enable tapback");
	else
		say(exam, DOCTOR_OK, "tapback", "tapback.service is active");
}

static void check_user(struct examination *exam)
{
	static const char *const getent[] = { "getent", "passwd", "tapdisk", NULL };
	char output[256];

	if (exam->host->run(getent, output, sizeof(output), RUN_TIMEOUT_MS))
		advise(say(exam, DOCTOR_FAIL, "user", "there is no user tapdisk"),
		       "systemd-sysusers, or useradd --system tapdisk");
	else
		say(exam, DOCTOR_OK, "user", "there is a user tapdisk");
}

size_t doctor_examine(const struct doctor_host *host, struct doctor_line lines[DOCTOR_LINES_MAX])
{
	struct examination exam = { .host = host, .lines = lines };

	check_user(&exam);
	/* Without Xen all else is missing for that reason. */
	if (!check_dom0(&exam))
		return exam.nr;
	check_xen_version(&exam);
	check_scripts(&exam);
	check_xenstore(&exam);
	if (check_module(&exam)) {
		check_node(&exam, XENTAP_NODE, "xentap");
		check_maptrack(&exam);
		check_lost_pages(&exam);
	}
	check_node(&exam, EVTCHN_NODE, "xen-evtchn");
	check_tapback(&exam);
	check_aio(&exam);
	return exam.nr;
}
