/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the programs hostile_*.c have in common. A test is named by the numbers of the
 * inputs that it is about; test/hostile.md has the list of them.
 */
#ifndef FAKE_HOSTILE_H
#define FAKE_HOSTILE_H

#include "fake/rig.h"

#define INPUT(numbers, function) \
	{ numbers " " #function, function, rig_setup, rig_teardown, NULL }

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define LIST_GREF	(FAKE_PAGES - 16)	/* of indirect() */

extern const enum data_way all_ways[4];

/* The disk still works: a read of one page gives what the image has. */
void assert_alive(struct rig *rig);
/* Let the loop turn, whatever is answered. */
void turn_often(struct rig *rig, int turns);
/* Reconnect with data going that way. */
void use_way(struct rig *rig, enum data_way way);
/* Bytes of the guest's pages, and of the image. */
void fill(struct rig *rig, uint32_t gref, uint32_t nr, uint8_t byte);
uint8_t image_byte(struct rig *rig, uint64_t sector);
/* @nr whole pages of data from @gref on; their list is in LIST_GREF. */
struct blkif_request indirect(struct rig *rig, uint8_t op, uint64_t sector, uint32_t gref,
			      uint16_t nr);

/* The ring's head as the guest may write to it. */
enum head_word { REQ_PROD, REQ_EVENT, RSP_PROD, RSP_EVENT };
volatile uint32_t *head_word(struct rig *rig, unsigned int queue, enum head_word word);
/* A request that is answered without any I/O; as many as have room on a ring. */
struct blkif_request unknown(uint64_t id);
void fill_ring(struct rig *rig, unsigned int queue);

/* A store that the test has in hand: a layer above the rig's. */
struct hand {
	struct layer layer;
	bool hold;			/* what comes is kept */
	int error;			/* of all writes, or 0 */
	struct io *ios[32];
	unsigned int nr;
	struct rig *rig;
	uint32_t revoke, nr_revoke;	/* grants that end when I/O begins */
};

void hand_insert(struct hand *hand, struct rig *rig);
void hand_remove(struct hand *hand);

#endif /* FAKE_HOSTILE_H */
