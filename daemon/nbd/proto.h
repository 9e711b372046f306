/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The numbers of the NBD protocol that we use, by its specification (doc/proto.md
 * of the project nbd), and how they are put into bytes: the highest first.
 */
#ifndef NBD_PROTO_H
#define NBD_PROTO_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* ---- handshake ---- */

#define NBD_MAGIC		0x4e42444d41474943ull	/* "NBDMAGIC" */
#define NBD_OPTION_MAGIC	0x49484156454f5054ull	/* "IHAVEOPT" */
#define NBD_OPTION_REPLY_MAGIC	0x0003e889045565a9ull

/* Flags of both sides. */
#define NBD_HELLO_FIXED		(1u << 0)
#define NBD_HELLO_NO_ZEROES	(1u << 1)

enum nbd_option {
	NBD_OPT_EXPORT_NAME = 1,
	NBD_OPT_ABORT = 2,
	NBD_OPT_LIST = 3,
	NBD_OPT_INFO = 6,
	NBD_OPT_GO = 7,
	NBD_OPT_STRUCTURED_REPLY = 8,
	NBD_OPT_LIST_META_CONTEXT = 9,
	NBD_OPT_SET_META_CONTEXT = 10,
};

enum nbd_option_reply {
	NBD_REP_ACK = 1,
	NBD_REP_SERVER = 2,
	NBD_REP_INFO = 3,
	NBD_REP_META_CONTEXT = 4,
};

/* Errors are above this. */
#define NBD_REP_ERROR		(1u << 31)
#define NBD_REP_ERR_UNSUP	(NBD_REP_ERROR + 1)
#define NBD_REP_ERR_INVALID	(NBD_REP_ERROR + 3)
#define NBD_REP_ERR_UNKNOWN	(NBD_REP_ERROR + 6)
#define NBD_REP_ERR_TOO_BIG	(NBD_REP_ERROR + 9)

enum nbd_info {
	NBD_INFO_EXPORT = 0,
	NBD_INFO_BLOCK_SIZE = 3,
};

/* What the export can do. */
#define NBD_FLAG_HAS_FLAGS	(1u << 0)
#define NBD_FLAG_READ_ONLY	(1u << 1)
#define NBD_FLAG_FLUSH		(1u << 2)
#define NBD_FLAG_FUA		(1u << 3)
#define NBD_FLAG_TRIM		(1u << 5)
#define NBD_FLAG_WRITE_ZEROES	(1u << 6)
#define NBD_FLAG_DF		(1u << 7)
#define NBD_FLAG_MULTI_CONN	(1u << 8)

#define NBD_CONTEXT_ALLOCATION	"base:allocation"
#define NBD_CONTEXT_ID		1u	/* of that, in our replies */
#define NBD_STATE_HOLE		(1u << 0)
#define NBD_STATE_ZERO		(1u << 1)

/* ---- transmission ---- */

#define NBD_REQUEST_MAGIC	0x25609513u
#define NBD_SIMPLE_MAGIC	0x67446698u
#define NBD_CHUNK_MAGIC		0x668e33efu

#define NBD_REQUEST_BYTES	28u
#define NBD_SIMPLE_BYTES	16u
#define NBD_CHUNK_BYTES		20u

enum nbd_command {
	NBD_CMD_READ = 0,
	NBD_CMD_WRITE = 1,
	NBD_CMD_DISC = 2,
	NBD_CMD_FLUSH = 3,
	NBD_CMD_TRIM = 4,
	NBD_CMD_WRITE_ZEROES = 6,
	NBD_CMD_BLOCK_STATUS = 7,
};

#define NBD_CMD_FLAG_FUA	(1u << 0)
#define NBD_CMD_FLAG_NO_HOLE	(1u << 1)
#define NBD_CMD_FLAG_DF		(1u << 2)
#define NBD_CMD_FLAG_REQ_ONE	(1u << 3)

#define NBD_CHUNK_DONE		(1u << 0)

enum nbd_chunk {
	NBD_CHUNK_OFFSET_DATA = 1,
	NBD_CHUNK_BLOCK_STATUS = 5,
	NBD_CHUNK_ERROR = 0x8001,
};

/* Errors are numbered as in Linux, but only these are known to everybody. */
enum nbd_error {
	NBD_EPERM = 1,
	NBD_EIO = 5,
	NBD_ENOMEM = 12,
	NBD_EINVAL = 22,
	NBD_ENOSPC = 28,
	NBD_EOVERFLOW = 75,
	NBD_ENOTSUP = 95,
};

/* A server takes requests of that size unless it says otherwise. */
#define NBD_PAYLOAD_MAX		(32u << 20)

/* ---- bytes: each returns the place behind what it wrote ---- */

static inline uint8_t *put_bytes(uint8_t *to, const void *bytes, size_t nr)
{
	memcpy(to, bytes, nr);
	return to + nr;
}

static inline uint8_t *put_u16(uint8_t *to, uint16_t value)
{
	value = htobe16(value);
	return put_bytes(to, &value, sizeof(value));
}

static inline uint8_t *put_u32(uint8_t *to, uint32_t value)
{
	value = htobe32(value);
	return put_bytes(to, &value, sizeof(value));
}

static inline uint8_t *put_u64(uint8_t *to, uint64_t value)
{
	value = htobe64(value);
	return put_bytes(to, &value, sizeof(value));
}

static inline uint16_t get_u16(const uint8_t *from)
{
	uint16_t value;

	memcpy(&value, from, sizeof(value));
	return be16toh(value);
}

static inline uint32_t get_u32(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return be32toh(value);
}

static inline uint64_t get_u64(const uint8_t *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return be64toh(value);
}

#endif /* NBD_PROTO_H */
