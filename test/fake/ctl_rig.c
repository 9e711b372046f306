// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/ctl_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fake/must.h"

#define RING_PAGES	64u	/* of the guest, which is zeroed for a new process */

uid_t ctl_rig_peer;

static struct ctl_rig *the_rig;

/* Instead of the C library's, so that a test of what root may do needs no root. */
int getsockopt(int fd, int level, int name, void *value, socklen_t *bytes)
{
	long err = syscall(SYS_getsockopt, fd, level, name, value, bytes);

	if (!err && level == SOL_SOCKET && name == SO_PEERCRED && ctl_rig_peer != (uid_t)-1)
		((struct ucred *)value)->uid = ctl_rig_peer;
	return (int)err;
}

/* Xen's devices are any devices. */
static bool is_device(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISCHR(st.st_mode);
}

static int create(struct xenio_fds *fds, bool good, const struct xenio_shape *shape,
		  uint32_t domid, struct xenio **out)
{
	fd_close(&fds->tap[XENIO_RW]);
	fd_close(&fds->tap[XENIO_RO]);
	fd_close(&fds->gntdev);
	fd_close(&fds->evtchn);
	if (!good)
		return -ENOTTY;
	the_rig->guest.domid = domid;
	*out = fake_xenio_create(&the_rig->guest, shape, -1);
	return 0;
}

int xenio_xentap_create(struct xenio_fds *fds, const struct xenio_shape *shape,
			uint32_t domid, uint32_t port, struct xenio **out)
{
	(void)port;
	the_rig->guest.no_arenas = false;
	return create(fds, is_device(fds->tap[XENIO_RW]) && is_device(fds->tap[XENIO_RO]) &&
		      is_device(fds->evtchn), shape, domid, out);
}

int xenio_gntdev_create(struct xenio_fds *fds, const struct xenio_shape *shape,
			uint32_t domid, uint32_t port, struct xenio **out)
{
	(void)port;
	the_rig->guest.no_arenas = true;
	return create(fds, is_device(fds->gntdev) && is_device(fds->evtchn), shape, domid, out);
}

int ctl_rig_image(const struct ctl_rig *rig, int flags)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", rig->image_fd);
	return open(self, flags | O_CLOEXEC);
}

void ctl_rig_init(struct ctl_rig *rig)
{
	char name[] = "ctl-test.XXXXXX";
	uint32_t i;
	int fd;

	*rig = (struct ctl_rig){ .image_fd = mkstemp(name) };
	the_rig = rig;
	must(rig->image_fd >= 0);
	fd = ctl_rig_image(rig, O_RDWR | O_DIRECT);
	/* Nothing is left of a test that is killed. */
	unlink(name);
	if (fd < 0) {
		printf("SKIP: no O_DIRECT on the file system of the build folder\n");
		exit(77);
	}
	close(fd);
	fake_guest_init(&rig->guest, 0);
	for (i = 1; i < FAKE_PAGES; i++)
		rig->guest.grants[i] = FAKE_WRITABLE;
}

void ctl_rig_uninit(struct ctl_rig *rig)
{
	fake_guest_uninit(&rig->guest);
	close(rig->image_fd);
}

void ctl_rig_start(struct ctl_rig *rig)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	must(!ftruncate(rig->image_fd, 0) && !ftruncate(rig->image_fd, CTL_RIG_IMAGE_BYTES));
	memset(rig->guest.memory, 0, (size_t)RING_PAGES * XENIO_SLOT_BYTES);
	must(!loop_init(&rig->loop));
	rig->tapdisk = (struct tapdisk){
		.loop = &rig->loop,
		.options = { .way = DATA_AUTO, .copy_max = DATA_COPY_MAX_DEFAULT, .nbd_fd = -1 },
	};
	/* A name that the kernel chooses: real ones are root's. */
	must(!bind(fd, &(struct sockaddr){ .sa_family = AF_UNIX }, sizeof(sa_family_t)));
	must(!listen(fd, 16));
	rig->address_bytes = sizeof(rig->address);
	must(!getsockname(fd, (struct sockaddr *)&rig->address, &rig->address_bytes));
	must(!server_create(&rig->loop, fd, commands_handle, &rig->tapdisk, &rig->server));
}

void ctl_rig_turn(struct ctl_rig *rig, int timeout_ms)
{
	must(rig->server && !loop_once(&rig->loop, timeout_ms));
	if (!rig->loop.stopped)
		return;
	/* Nobody was told of a disk that ends with it. */
	must(!rig->tapdisk.disk);
	server_destroy(rig->server, true);
	rig->server = NULL;
	loop_uninit(&rig->loop);
	must(!fake_guest_mapped(&rig->guest));
}

static void disk_closed(void *context)
{
	struct ctl_rig *rig = context;

	disk_detach(rig->tapdisk.disk);
	rig->tapdisk.disk = NULL;
	loop_stop(&rig->loop);
}

void ctl_rig_tell_to_end(struct ctl_rig *rig)
{
	rig->tapdisk.stopping = true;
	if (!rig->tapdisk.disk)
		loop_stop(&rig->loop);
	else
		disk_close(rig->tapdisk.disk, VBD_END, disk_closed, rig);
}

int ctl_rig_connect(const struct ctl_rig *rig)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	must(fd >= 0);
	must(!connect(fd, (const struct sockaddr *)&rig->address, rig->address_bytes));
	return fd;
}

unsigned int ctl_rig_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int nr = 0;

	must(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}
