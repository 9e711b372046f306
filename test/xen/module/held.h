/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A block device that holds back all I/O for as long as a test likes, made by
 * held_make in common.sh: dm-delay, with a delay that does not pass, above a
 * ramdisk.
 */
#ifndef TEST_HELD_H
#define TEST_HELD_H

#define HELD_NAME	"xentap-held"
#define HELD_PATH	"/dev/mapper/" HELD_NAME
#define HELD_BELOW	"/dev/ram0"	/* the ramdisk, which never waits */

/* Requests that it holds; they have their pages. Or -errno. */
int held_waiting(void);
/* Lets all of them go on, not those that come later. 0 or -errno. */
int held_release(void);

#endif
