// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapdisk/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

#define USER "tapdisk"

/* Leaving root takes away what is effective; what could be inherited stays. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return -1;
	return (int)syscall(SYS_capset, &header, none);
}

int privilege_drop(void)
{
	const struct rlimit no_core = { 0, 0 };
	const struct passwd *user;
	int err;

	errno = 0;
	user = getpwnam(USER);
	if (!user) {
		err = errno ? -errno : -ENOENT;
		log_error("there is no user \"" USER "\": run systemd-sysusers, or make one with "
			  "useradd --system " USER);
		return err;
	}
	/* A dump would hold guest data; and others of this user may not look. */
	if (setrlimit(RLIMIT_CORE, &no_core) || setgroups(0, NULL) ||
	    setresgid(user->pw_gid, user->pw_gid, user->pw_gid) ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) || drop_capabilities() ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)) {
		err = -errno;
		log_error("cannot become user \"" USER "\": %s", strerror(-err));
		return err;
	}
	return 0;
}
