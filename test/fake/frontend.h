/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A frontend over a fake guest. Its ring layouts are written down a second
 * time, as C structs and from Xen's header, so that a mistake in the backend's
 * tables shows.
 */
#ifndef FAKE_FRONTEND_H
#define FAKE_FRONTEND_H

#include <stddef.h>

#include "fake/xenio_fake.h"
#include "xen/blkif.h"

struct front {
	struct fake_guest *guest;
	enum blkif_protocol protocol;
	uint32_t nr_pages;
	uint32_t first_gref;	/* of the ring */
	uint32_t entries;
	uint32_t req_prod;
	uint32_t rsp_cons;
	int kick_fd;		/* of its event channel; -1: the guest's */
};

struct front_response {
	uint64_t id;
	uint8_t op;
	int16_t status;
};

/* Grants pages @first_gref.. for the ring. */
void front_init(struct front *front, struct fake_guest *guest, enum blkif_protocol protocol,
		uint32_t first_gref, uint32_t nr_pages);
/* Put a request on the ring; seen by the backend after front_push(). */
void front_request(struct front *front, const struct blkif_request *request);
/* The same with an entry of any bytes, up to a slot's; the rest of it is zero. */
void front_raw(struct front *front, const void *bytes, size_t size);
/* Write an indirect request's segments into the guest's page @gref. */
void front_segments(struct front *front, uint32_t gref, const struct blkif_segment *segments,
		    unsigned int nr);
/* Publish requests and kick the backend if it asked for that. */
void front_push(struct front *front);
/* The next response; false: none yet. */
bool front_response(struct front *front, struct front_response *response);
/* The shared producer index of requests, for rings that lie. */
volatile uint32_t *front_req_prod(struct front *front);

#endif /* FAKE_FRONTEND_H */
