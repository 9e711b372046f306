// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The NBD server: what well-behaved clients get, from a file with O_DIRECT; and what
 * those cost that are not, above a disk in memory that ends I/O when it is told to.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake/bottom.h"
#include "fake/nbd_client.h"
#include "nbd/internal.h"

#define MIB		(1u << 20)
#define IMAGE_BYTES	(64u * MIB)
#define PATH_NAME	"nbd-test.XXXXXX"
#define NO_NAME		"\0\0\0\0\0\0"

static struct loop loop;
static struct image image;
static struct store store;
static struct nbd_server *server;
static struct bottom bottom;
static int image_fd;		/* buffered view */
static uint8_t *model;		/* what is in the image */
static uint8_t *memory;		/* of clients, as large */
static int64_t user;		/* a domain, or -1 */
static int users_asked;
static int closed_calls;

/* ---- a disk and its server ---- */

static int64_t domain_of(void *context)
{
	assert_ptr_equal(context, &store);
	users_asked++;
	return user;
}

static void start_server(void)
{
	const struct nbd_config config = {
		.store = &store, .loop = &loop, .path = "image", .peer_uid = getuid(),
		.user = domain_of, .context = &store,
	};

	assert_int_equal(nbd_server_create(&config, -1, &server), 0);
	if (store.top == &bottom.layer) {
		bottom.nr_queues = 0;
		bottom_add_worker(&bottom, &server->worker);
	}
}

static void on_closed(void *context)
{
	assert_ptr_equal(context, &closed_calls);
	closed_calls++;
}

static void stop_server(void)
{
	int turns = 0;

	if (!server)
		return;
	closed_calls = 0;
	nbd_server_close(server, on_closed, &closed_calls);
	while (!closed_calls && turns++ < 10000)
		assert_int_equal(loop_once(&loop, 1), 0);
	assert_int_equal(closed_calls, 1);
	server = NULL;
}

static int open_image(bool readonly)
{
	char path[] = PATH_NAME, why[256];
	int fd;

	image_fd = mkstemp(path);
	assert_true(image_fd >= 0);
	fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC);
	unlink(path);
	if (fd < 0)
		return -1;
	assert_int_equal(ftruncate(image_fd, IMAGE_BYTES), 0);
	assert_int_equal(image_open(&image, fd, readonly, "image", why, sizeof(why)), 0);
	return 0;
}

static int setup_loop(void)
{
	user = -1;
	users_asked = 0;
	memset(model, 0, IMAGE_BYTES);
	return loop_init(&loop) ? -1 : 0;
}

static int setup_any(bool readonly)
{
	if (setup_loop() || open_image(readonly) || store_open(&store, &image))
		return -1;
	start_server();
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_any(false);
}

static int setup_readonly(void **state)
{
	(void)state;
	return setup_any(true);
}

static int teardown(void **state)
{
	(void)state;
	stop_server();
	store_close(&store);
	image_close(&image);
	close(image_fd);
	loop_uninit(&loop);
	return 0;
}

/* A device of @block_bytes, in memory. */
static int setup_bottom(void **state)
{
	(void)state;
	bottom_init(&bottom, IMAGE_BYTES, 512);
	image = (struct image){
		.fd = -1, .is_device = true, .sectors = IMAGE_BYTES / 512, .sector_bytes = 512,
		.block_bytes = 512, .physical_bytes = 4096, .can_discard = true,
		.discard_granularity = 512,
	};
	store = (struct store){ .image = &image, .top = &bottom.layer };
	if (setup_loop())
		return -1;
	start_server();
	return 0;
}

static int teardown_bottom(void **state)
{
	(void)state;
	stop_server();
	assert_int_equal(atomic_load(&bottom.refused), 0);
	bottom_uninit(&bottom);
	loop_uninit(&loop);
	return 0;
}

static struct client connect_client(bool structured)
{
	struct client client;

	client_open(&client, server, &loop);
	client_go(&client, structured);
	return client;
}

static void fill(uint8_t *bytes, size_t nr, unsigned int seed)
{
	size_t i;

	for (i = 0; i < nr; i++)
		bytes[i] = (uint8_t)(seed = seed * 1103515245 + 12345, seed >> 16);
}

/* ---- handshake ---- */

static void export_name(void **state)
{
	struct client client;
	uint8_t bytes[134];
	int no_zeroes;

	(void)state;
	for (no_zeroes = 0; no_zeroes < 2; no_zeroes++) {
		uint32_t i;

		client_open(&client, server, &loop);
		client_hello(&client, no_zeroes ? NBD_HELLO_NO_ZEROES : 0);
		client_option(&client, NBD_OPT_EXPORT_NAME, NULL, 0);
		client_expect_bytes(&client, bytes, no_zeroes ? 10 : 134);
		assert_true(get_u64(bytes) == IMAGE_BYTES);
		assert_int_equal(get_u16(bytes + 8),
				 NBD_FLAG_HAS_FLAGS | NBD_FLAG_FLUSH | NBD_FLAG_FUA |
				 NBD_FLAG_TRIM | NBD_FLAG_WRITE_ZEROES | NBD_FLAG_MULTI_CONN);
		for (i = 10; !no_zeroes && i < 134; i++)
			assert_int_equal(bytes[i], 0);
		assert_int_equal(client_read(&client, 0, memory, 4096, 0), 0);
		assert_int_equal(client_read(&client, 0, memory, 4096, NBD_CMD_FLAG_DF), NBD_EINVAL);
		client_close(&client);
	}
	client_open(&client, server, &loop);
	client_hello(&client, NBD_HELLO_FIXED);
	client_option(&client, NBD_OPT_EXPORT_NAME, "other", 5);
	client_expect_end(&client);
}

static void information(void **state)
{
	uint8_t data[512];
	struct client client;
	uint32_t flags;

	(void)state;
	client_open(&client, server, &loop);
	client_hello(&client, NBD_HELLO_FIXED | NBD_HELLO_NO_ZEROES);
	client_option(&client, NBD_OPT_LIST, NULL, 0);
	assert_int_equal(client_option_reply(&client, NBD_OPT_LIST, NBD_REP_SERVER, data), 4);
	assert_int_equal(get_u32(data), 0);
	client_option_reply(&client, NBD_OPT_LIST, NBD_REP_ACK, data);
	client_option(&client, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	client_option_reply(&client, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, data);
	/* With questions that nobody has to answer. */
	client_option(&client, NBD_OPT_INFO, "\0\0\0\0\0\3\0\3\0\1\x12\x34", 12);
	client_option_reply(&client, NBD_OPT_INFO, NBD_REP_INFO, data);
	flags = get_u16(data + 10);
	assert_int_equal(flags, NBD_FLAG_HAS_FLAGS | NBD_FLAG_FLUSH | NBD_FLAG_FUA | NBD_FLAG_TRIM |
				NBD_FLAG_WRITE_ZEROES | NBD_FLAG_MULTI_CONN | NBD_FLAG_DF);
	assert_int_equal(client_option_reply(&client, NBD_OPT_INFO, NBD_REP_INFO, data), 14);
	assert_int_equal(get_u32(data + 2), 512);
	assert_int_equal(get_u32(data + 6), 4096);
	assert_int_equal(get_u32(data + 10), NBD_PAYLOAD_MAX);
	client_option_reply(&client, NBD_OPT_INFO, NBD_REP_ACK, data);
	/* It is only over with GO. */
	client_option(&client, NBD_OPT_ABORT, NULL, 0);
	client_option_reply(&client, NBD_OPT_ABORT, NBD_REP_ACK, data);
	client_expect_end(&client);
}

static uint32_t context_option(struct client *client, uint32_t option, const char *queries,
			       uint32_t nr, uint8_t data[512])
{
	uint8_t bytes[512];
	uint8_t *to = put_u32(put_u32(bytes, 0), nr);

	for (; nr; nr--) {
		uint32_t length = (uint32_t)strlen(queries);

		to = put_bytes(put_u32(to, length), queries, length);
		queries += length + 1;
	}
	client_option(client, option, bytes, (uint32_t)(to - bytes));
	client_expect_bytes(client, data, 20);
	if (get_u32(data + 12) == NBD_REP_META_CONTEXT) {
		client_expect_bytes(client, data, get_u32(data + 16));
		client_option_reply(client, option, NBD_REP_ACK, bytes);
		return NBD_REP_META_CONTEXT;
	}
	client_expect_bytes(client, bytes, get_u32(data + 16));
	return get_u32(data + 12);
}

static void contexts(void **state)
{
	const uint32_t list = NBD_OPT_LIST_META_CONTEXT, set = NBD_OPT_SET_META_CONTEXT;
	uint8_t data[512];
	struct client client;

	(void)state;
	client_open(&client, server, &loop);
	client_hello(&client, NBD_HELLO_FIXED);
	assert_int_equal(context_option(&client, set, "base:allocation", 1, data),
			 NBD_REP_ERR_INVALID);
	client_option(&client, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	client_option_reply(&client, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, data);
	assert_int_equal(context_option(&client, list, "", 0, data), NBD_REP_META_CONTEXT);
	assert_int_equal(get_u32(data), 0);
	assert_int_equal(context_option(&client, list, "base:", 1, data), NBD_REP_META_CONTEXT);
	assert_int_equal(context_option(&client, list, "qemu:", 1, data), NBD_REP_ACK);
	assert_int_equal(context_option(&client, set, "", 0, data), NBD_REP_ACK);
	assert_int_equal(context_option(&client, set, "base:", 1, data), NBD_REP_ACK);
	assert_int_equal(context_option(&client, set, "x\0base:allocation\0y", 3, data),
			 NBD_REP_META_CONTEXT);
	assert_int_equal(get_u32(data), NBD_CONTEXT_ID);
	/* The last word counts. */
	assert_int_equal(context_option(&client, set, "base:allocations", 1, data), NBD_REP_ACK);
	client_option(&client, NBD_OPT_GO, NO_NAME, 6);
	client_option_reply(&client, NBD_OPT_GO, NBD_REP_INFO, data);
	client_option_reply(&client, NBD_OPT_GO, NBD_REP_INFO, data);
	client_option_reply(&client, NBD_OPT_GO, NBD_REP_ACK, data);
	client_request(&client, NBD_CMD_BLOCK_STATUS, 0, 5, 0, 4096);
	assert_int_equal(client_chunk(&client, 5).type, NBD_CHUNK_ERROR);
	client_expect_bytes(&client, data, 6);
	assert_int_equal(get_u32(data), NBD_EINVAL);
	client_close(&client);
}

static void refused(struct client *client, uint32_t option, const void *data, uint32_t bytes,
		    uint32_t error)
{
	uint8_t text[512];

	client_option(client, option, data, bytes);
	client_option_reply(client, option, error, text);
}

static void bad_options(void **state)
{
	static const uint8_t go[] = "\0\0\0\0\0\1\0\3";
	static const uint8_t context[] = "\0\0\0\0\0\0\0\1\0\0\0\5base:";
	uint8_t data[512], *huge = calloc(1, MIB);
	struct client client;
	uint32_t i;

	(void)state;
	client_open(&client, server, &loop);
	client_hello(&client, NBD_HELLO_FIXED);
	refused(&client, 4, NULL, 0, NBD_REP_ERR_UNSUP);
	refused(&client, 5, NULL, 0, NBD_REP_ERR_UNSUP);
	refused(&client, 11, NULL, 0, NBD_REP_ERR_UNSUP);
	refused(&client, 0xffffffff, "abc", 3, NBD_REP_ERR_UNSUP);
	refused(&client, NBD_OPT_LIST, "abc", 3, NBD_REP_ERR_INVALID);
	refused(&client, NBD_OPT_STRUCTURED_REPLY, "abc", 3, NBD_REP_ERR_INVALID);
	refused(&client, NBD_OPT_GO, "\0\0\0\1x\0\0", 7, NBD_REP_ERR_UNKNOWN);
	refused(&client, NBD_OPT_GO, "\xff\xff\xff\xff\0\0", 6, NBD_REP_ERR_INVALID);
	for (i = 0; i < 8; i++)
		refused(&client, NBD_OPT_GO, go, i, NBD_REP_ERR_INVALID);
	refused(&client, NBD_OPT_GO, huge, OPTION_DATA_MAX, NBD_REP_ERR_INVALID);
	refused(&client, NBD_OPT_GO, huge, OPTION_DATA_MAX + 1, NBD_REP_ERR_TOO_BIG);
	refused(&client, NBD_OPT_LIST, huge, MIB, NBD_REP_ERR_TOO_BIG);
	client_option(&client, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	client_option_reply(&client, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, data);
	for (i = 0; i < 17; i++)
		refused(&client, NBD_OPT_LIST_META_CONTEXT, context, i, NBD_REP_ERR_INVALID);
	refused(&client, NBD_OPT_SET_META_CONTEXT, "\0\0\0\0\xff\xff\xff\xff", 8,
		NBD_REP_ERR_INVALID);
	refused(&client, NBD_OPT_SET_META_CONTEXT, "\0\0\0\1x\0\0\0\0", 9, NBD_REP_ERR_UNKNOWN);
	client_option(&client, NBD_OPT_GO, go, 8);
	client_option_reply(&client, NBD_OPT_GO, NBD_REP_INFO, data);
	client_close(&client);
	free(huge);
}

static void strangers(void **state)
{
	static const char *const greetings[] = {
		"\0\0\0\4", "\xff\xff\xff\xff", "GET / HTTP/1.0\r\n\r\n",
		/* Then an option without its magic, and one that takes a name for ever. */
		"\0\0\0\1IHAVEOPX\0\0\0\7\0\0\0\0", "\0\0\0\1IHAVEOPT\0\0\0\1\xff\xff\xff\xff",
		/* Options need the fixed handshake. */
		"\0\0\0\0IHAVEOPT\0\0\0\7\0\0\0\0",
	};
	const size_t bytes[] = { 4, 4, 18, 20, 20, 20 };
	struct client client;
	unsigned int i;

	(void)state;
	for (i = 0; i < 6; i++) {
		client_open(&client, server, &loop);
		client_send(&client, greetings[i], bytes[i]);
		client_expect_end(&client);
		assert_int_equal(nbd_server_stats(server)->broken, i + 1);
	}
	client = connect_client(false);
	client_send(&client, "this is not a request, is it?", 28);
	client_expect_end(&client);
	assert_int_equal(nbd_server_stats(server)->broken, 7);
	assert_int_equal(nbd_server_stats(server)->connections, 0);
}

/* ---- well-behaved clients ---- */

static void assert_image(uint64_t offset, size_t bytes)
{
	assert_int_equal(pread(image_fd, memory, bytes, (off_t)offset), bytes);
	assert_memory_equal(memory, model + offset, bytes);
}

static void reads_and_writes(void **state)
{
	static const uint32_t lengths[] = { 512, 4096, 65536, PIECE_BYTES, PIECE_BYTES + 512,
					    3 * MIB + 1536, NBD_PAYLOAD_MAX };
	int structured;
	unsigned int i;

	(void)state;
	for (structured = 0; structured < 2; structured++) {
		struct client client = connect_client(structured);

		assert_true(client.size == IMAGE_BYTES);
		for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			uint64_t offset = 512u * (i * 37 + 1);

			fill(model + offset, lengths[i], i + 100u * (unsigned int)structured);
			assert_int_equal(client_write(&client, offset, model + offset, lengths[i],
						      i & 1 ? NBD_CMD_FLAG_FUA : 0), 0);
			assert_image(offset, lengths[i]);
			memset(memory, 0xee, lengths[i]);
			assert_int_equal(client_read(&client, offset, memory, lengths[i], 0), 0);
			assert_memory_equal(memory, model + offset, lengths[i]);
		}
		assert_int_equal(client_command(&client, NBD_CMD_FLUSH, 0, 0, 0), 0);
		assert_image(0, IMAGE_BYTES);
		client_request(&client, NBD_CMD_DISC, 0, 1, 0, 0);
		client_expect_end(&client);
	}
	assert_int_equal(nbd_server_stats(server)->errors, 0);
	assert_int_equal(nbd_server_stats(server)->connections, 0);
	assert_int_equal(users_asked, 14);
}

static void unfragmented(void **state)
{
	struct client client = connect_client(true);
	uint8_t bytes[8];

	(void)state;
	assert_true(client.flags & NBD_FLAG_DF);
	client_request(&client, NBD_CMD_READ, NBD_CMD_FLAG_DF, 9, 512, PIECE_BYTES);
	assert_int_equal(client_chunk(&client, 9).flags, NBD_CHUNK_DONE);
	client_expect_bytes(&client, bytes, 8);
	assert_true(get_u64(bytes) == 512);
	client_expect_bytes(&client, memory, PIECE_BYTES);
	assert_int_equal(client_read(&client, 0, memory, PIECE_BYTES + 512, NBD_CMD_FLAG_DF),
			 NBD_EOVERFLOW);
	client_close(&client);
}

static void trims_and_zeroes(void **state)
{
	struct client client = connect_client(true);
	struct stat before, after;
	uint32_t start = 3 * MIB + 512, length = 5 * MIB + 1024;

	(void)state;
	fill(model, 16 * MIB, 5);
	assert_int_equal(client_write(&client, 0, model, 16 * MIB, 0), 0);
	assert_int_equal(fsync(image_fd), 0);
	fstat(image_fd, &before);
	memset(model + start, 0, length);
	assert_int_equal(client_command(&client, NBD_CMD_WRITE_ZEROES, NBD_CMD_FLAG_NO_HOLE, start,
					length), 0);
	assert_image(0, 16 * MIB);
	fsync(image_fd);
	fstat(image_fd, &after);
	assert_true(after.st_blocks >= before.st_blocks);
	if (image.can_discard) {
		/* The same with holes: less than before, and its neighbours untouched. */
		assert_int_equal(client_command(&client, NBD_CMD_WRITE_ZEROES, NBD_CMD_FLAG_FUA,
						start, length), 0);
		assert_image(0, 16 * MIB);
		fstat(image_fd, &after);
		assert_true(after.st_blocks * 512 <= before.st_blocks * 512 - 4 * (long)MIB);
		assert_int_equal(client_command(&client, NBD_CMD_TRIM, 0, 10 * MIB, 2 * MIB), 0);
		memset(model + 10 * MIB, 0, 2 * MIB);
		assert_image(0, 16 * MIB);
	}
	/* A whole disk, and less than a unit. */
	memset(model, 0, IMAGE_BYTES);
	assert_int_equal(client_command(&client, NBD_CMD_WRITE_ZEROES, 0, 0, IMAGE_BYTES), 0);
	assert_image(0, IMAGE_BYTES);
	assert_int_equal(client_command(&client, NBD_CMD_WRITE_ZEROES, 0, 512, 512), 0);
	client_close(&client);
}

/* The extents that are told, from @offset on. */
static unsigned int ask_status(struct client *client, uint16_t flags, uint64_t offset,
			       uint32_t length, uint32_t extents[2 * EXTENTS_MAX])
{
	struct client_chunk chunk;
	uint8_t bytes[4];
	unsigned int i;

	client_request(client, NBD_CMD_BLOCK_STATUS, flags, 77, offset, length);
	chunk = client_chunk(client, 77);
	assert_int_equal(chunk.type, NBD_CHUNK_BLOCK_STATUS);
	assert_int_equal(chunk.flags, NBD_CHUNK_DONE);
	client_expect_bytes(client, bytes, 4);
	assert_int_equal(get_u32(bytes), NBD_CONTEXT_ID);
	assert_in_range(chunk.bytes, 12, 4 + 8 * EXTENTS_MAX);
	for (i = 0; i < (chunk.bytes - 4) / 4; i++) {
		client_expect_bytes(client, bytes, 4);
		extents[i] = get_u32(bytes);
	}
	return i / 2;
}

static void block_status(void **state)
{
	const uint32_t hole = NBD_STATE_HOLE | NBD_STATE_ZERO;
	struct client client = connect_client(true);
	uint32_t e[2 * EXTENTS_MAX];
	unsigned int i, nr;

	(void)state;
	fill(memory, MIB, 3);
	assert_int_equal(pwrite(image_fd, memory, MIB, MIB), MIB);
	fsync(image_fd);
	nr = ask_status(&client, 0, 0, IMAGE_BYTES, e);
	assert_int_equal(nr, 3);
	assert_int_equal(e[0], MIB);
	assert_int_equal(e[1], hole);
	assert_int_equal(e[2], MIB);
	assert_int_equal(e[3], 0);
	assert_int_equal(e[4], IMAGE_BYTES - 2 * MIB);
	assert_int_equal(e[5], hole);
	assert_int_equal(ask_status(&client, NBD_CMD_FLAG_REQ_ONE, MIB / 2, IMAGE_BYTES - MIB / 2, e), 1);
	assert_int_equal(e[0], MIB / 2);
	assert_int_equal(ask_status(&client, 0, MIB + 512, 1024, e), 1);
	assert_int_equal(e[0], 1024);
	assert_int_equal(e[1], 0);
	/* More than one answer holds: it is cut, and no gap is left. */
	for (i = 0; i < 200; i++)
		assert_int_equal(pwrite(image_fd, memory, 65536, (off_t)(16 * MIB + i * 131072)), 65536);
	fsync(image_fd);
	nr = ask_status(&client, 0, 16 * MIB, 40 * MIB, e);
	assert_int_equal(nr, EXTENTS_MAX);
	for (i = 0; i < nr; i++)
		assert_int_equal(e[2 * i], 65536);
	client_close(&client);
}

static void readonly_disk(void **state)
{
	struct client client = connect_client(true);

	(void)state;
	assert_int_equal(client.flags, NBD_FLAG_HAS_FLAGS | NBD_FLAG_READ_ONLY | NBD_FLAG_FLUSH |
				       NBD_FLAG_FUA | NBD_FLAG_DF | NBD_FLAG_MULTI_CONN);
	user = 5;
	assert_int_equal(client_write(&client, 0, memory, 4096, 0), NBD_EPERM);
	assert_int_equal(client_command(&client, NBD_CMD_TRIM, 0, 0, 4096), NBD_EPERM);
	assert_int_equal(client_command(&client, NBD_CMD_WRITE_ZEROES, 0, 0, 4096), NBD_EPERM);
	assert_int_equal(client_read(&client, 0, memory, MIB, 0), 0);
	assert_int_equal(client_command(&client, NBD_CMD_FLUSH, 0, 0, 0), 0);
	assert_int_equal(users_asked, 0);
	client_close(&client);
}

static void bad_requests(void **state)
{
	int structured;

	(void)state;
	for (structured = 0; structured < 2; structured++) {
		struct client c = connect_client(structured);
		const uint64_t end = IMAGE_BYTES;

		assert_int_equal(client_read(&c, end, memory, 512, 0), NBD_EINVAL);
		assert_int_equal(client_read(&c, end - 512, memory, 1024, 0), NBD_EINVAL);
		assert_int_equal(client_read(&c, UINT64_MAX - 511, memory, 1024, 0), NBD_EINVAL);
		assert_int_equal(client_read(&c, 0, memory, 0, 0), NBD_EINVAL);
		assert_int_equal(client_read(&c, 1, memory, 512, 0), NBD_EINVAL);
		assert_int_equal(client_read(&c, 0, memory, 513, 0), NBD_EINVAL);
		assert_int_equal(client_read(&c, 0, memory, NBD_PAYLOAD_MAX + 512, 0), NBD_EINVAL);
		assert_int_equal(client_read(&c, 0, memory, 512, NBD_CMD_FLAG_NO_HOLE), NBD_EINVAL);
		assert_int_equal(client_write(&c, end, memory, 512, 0), NBD_ENOSPC);
		assert_int_equal(client_write(&c, end - 512, memory, 4096, 0), NBD_ENOSPC);
		assert_int_equal(client_write(&c, UINT64_MAX - 511, memory, 512, 0), NBD_ENOSPC);
		assert_int_equal(client_write(&c, 0, memory, 0, 0), NBD_EINVAL);
		assert_int_equal(client_write(&c, 3, memory, 70000, 0), NBD_EINVAL);
		assert_int_equal(client_write(&c, 0, memory, NBD_PAYLOAD_MAX + 512, 0), NBD_EINVAL);
		assert_int_equal(client_write(&c, 0, memory, 512, 0x8000), NBD_EINVAL);
		assert_int_equal(client_command(&c, NBD_CMD_TRIM, 0, end, 512), NBD_ENOSPC);
		assert_int_equal(client_command(&c, NBD_CMD_WRITE_ZEROES, 0, 0, 1), NBD_EINVAL);
		assert_int_equal(client_command(&c, NBD_CMD_WRITE_ZEROES, 1u << 4, 0, 512), NBD_EINVAL);
		assert_int_equal(client_command(&c, 5, 0, 0, 512), NBD_EINVAL);
		assert_int_equal(client_command(&c, 8, 0, 0, 512), NBD_EINVAL);
		assert_int_equal(client_command(&c, 0xffff, 0xffff, ~0ull, ~0u), NBD_EINVAL);
		/* It is in step after all that. */
		assert_int_equal(client_write(&c, 0, model, 4096, 0), 0);
		client_close(&c);
	}
	assert_image(0, IMAGE_BYTES);
	assert_int_equal(nbd_server_stats(server)->errors, 42);
}

/* Any commands, one after the other, by several connections. */
static void against_a_model(void **state)
{
	struct client clients[3];
	unsigned int seed = 4711, i, step;

	(void)state;
	for (i = 0; i < 3; i++)
		clients[i] = connect_client(i != 1);
	for (step = 0; step < 250; step++) {
		struct client *client = &clients[rand_r(&seed) % 3];
		uint32_t length = 512u * (1u + (unsigned int)rand_r(&seed) % (rand_r(&seed) % 8 ? 64 : 2048));
		uint64_t offset = 512ull * ((unsigned int)rand_r(&seed) % ((IMAGE_BYTES - length) / 512));
		uint16_t flags = rand_r(&seed) % 16 ? 0 : NBD_CMD_FLAG_FUA;

		switch (rand_r(&seed) % 5) {
		case 0:
		case 1:
			fill(model + offset, length, step);
			assert_int_equal(client_write(client, offset, model + offset, length, flags), 0);
			break;
		case 2:
			memset(model + offset, 0, length);
			flags |= rand_r(&seed) % 2 ? NBD_CMD_FLAG_NO_HOLE : 0;
			assert_int_equal(client_command(client, NBD_CMD_WRITE_ZEROES, flags, offset,
							length), 0);
			break;
		default:
			assert_int_equal(client_read(client, offset, memory, length, flags), 0);
			assert_memory_equal(memory, model + offset, length);
		}
	}
	assert_image(0, IMAGE_BYTES);
	for (i = 0; i < 3; i++)
		client_close(&clients[i]);
}

/* ---- a disk that is told when ---- */

static void end_all_io(void)
{
	int turns;

	for (turns = 0; turns < 8; turns++) {
		while (bottom_pending(&bottom))
			bottom_end(&bottom, bottom_pending(&bottom) - 1);
		assert_int_equal(loop_once(&loop, 0), 0);
	}
}

/* Requests are begun without waiting for others, and are answered as they end. */
static void many_at_once(void **state)
{
	struct client client = connect_client(false);
	uint64_t i;

	(void)state;
	bottom.manual = true;
	for (i = 0; i < 20; i++)
		client_request(&client, NBD_CMD_READ, 0, i, i * 4096, 4096);
	client_turns(&client, 10);
	/* Some buffers are kept for writes. */
	assert_int_equal(bottom_pending(&bottom), READ_PIECES_MAX);
	client_request(&client, NBD_CMD_WRITE, 0, 100, MIB, 4096);
	client_send(&client, memory, 4096);
	client_request(&client, NBD_CMD_FLUSH, 0, 101, 0, 0);
	client_turns(&client, 10);
	assert_int_equal(bottom_pending(&bottom), READ_PIECES_MAX + 2);
	bottom_end(&bottom, READ_PIECES_MAX);
	assert_int_equal(client_simple(&client, 100), 0);
	bottom_end(&bottom, READ_PIECES_MAX);
	assert_int_equal(client_simple(&client, 101), 0);
	bottom_end(&bottom, 3);
	assert_int_equal(client_simple(&client, 3), 0);
	client_expect_bytes(&client, memory, 4096);
	client_expect_silence(&client, 3);
	end_all_io();
	client_close(&client);
}

/* They have what their connection has, and others have theirs. */
static void who_does_not_read(void **state)
{
	struct client sloth = connect_client(true), other;
	struct nbd_conn *conn = server->conns;
	uint64_t i;

	(void)state;
	for (i = 0; i < 500; i++) {
		uint8_t bytes[NBD_REQUEST_BYTES];
		uint8_t *to = put_u32(bytes, NBD_REQUEST_MAGIC);

		to = put_u64(put_u16(put_u16(to, 0), NBD_CMD_READ), i);
		put_u32(put_u64(to, 0), 8 * MIB);
		if (send(sloth.fd, bytes, sizeof(bytes), MSG_NOSIGNAL) < 0)
			break;
		client_turns(&sloth, 1);
	}
	client_turns(&sloth, 50);
	assert_int_equal(conn->nr_pieces, READ_PIECES_MAX);
	assert_int_equal(conn->nr_requests, REQUESTS_MAX);
	/* It does not keep the loop busy either. */
	assert_int_equal(conn->events, LOOP_WRITE);
	other = connect_client(false);
	assert_int_equal(client_write(&other, 0, memory, MIB, 0), 0);
	assert_int_equal(client_read(&other, 0, memory, MIB, 0), 0);
	client_close(&other);
	client_close(&sloth);
	client_turns(&other, 10);
	assert_int_equal(nbd_server_stats(server)->connections, 0);
}

/* A write whose data does not come holds up nobody else, and goes with its client. */
static void who_does_not_write(void **state)
{
	struct client sloth = connect_client(true), other = connect_client(true);

	(void)state;
	client_request(&sloth, NBD_CMD_WRITE, 0, 1, 0, NBD_PAYLOAD_MAX);
	client_send(&sloth, memory, 5 * MIB + 11);
	assert_int_equal(client_write(&other, 40 * MIB, memory, MIB, 0), 0);
	client_expect_silence(&sloth, 10);
	client_close(&sloth);
	assert_int_equal(client_read(&other, 40 * MIB, memory, MIB, 0), 0);
	client_close(&other);
	client_turns(&other, 10);
	assert_int_equal(nbd_server_stats(server)->connections, 0);
}

/* Each step of a connection's life may be its last. */
static void who_vanishes(void **state)
{
	uint8_t stream[256];
	uint8_t *to = put_u32(stream, NBD_HELLO_FIXED);
	size_t bytes, i;

	(void)state;
	to = put_u32(put_u32(put_u64(to, NBD_OPTION_MAGIC), NBD_OPT_STRUCTURED_REPLY), 0);
	to = put_u32(put_u32(put_u64(to, NBD_OPTION_MAGIC), NBD_OPT_GO), 6);
	to = put_bytes(to, NO_NAME, 6);
	to = put_u64(put_u16(put_u16(put_u32(to, NBD_REQUEST_MAGIC), 0), NBD_CMD_READ), 7);
	to = put_u32(put_u64(to, 0), 4096);
	to = put_u64(put_u16(put_u16(put_u32(to, NBD_REQUEST_MAGIC), 0), NBD_CMD_WRITE), 8);
	to = put_u32(put_u64(to, 0), 1024);
	bytes = (size_t)(to - stream);
	bottom.manual = true;
	for (i = 0; i <= bytes; i++) {
		struct client client;

		client_open(&client, server, &loop);
		client_send(&client, stream, i);
		client_turns(&client, 2);
		client_close(&client);
		end_all_io();
		assert_int_equal(nbd_server_stats(server)->connections, 0);
	}
}

/* The end waits for I/O, which ends with nobody to be told. */
static void closed_under_io(void **state)
{
	struct client clients[2] = { connect_client(true), connect_client(false) };
	int i;

	(void)state;
	bottom.manual = true;
	for (i = 0; i < 2; i++) {
		client_request(&clients[i], NBD_CMD_READ, 0, 1, 0, MIB);
		client_request(&clients[i], NBD_CMD_WRITE, NBD_CMD_FLAG_FUA, 2, MIB, 4096);
		client_send(&clients[i], memory, 4096);
		client_request(&clients[i], NBD_CMD_WRITE_ZEROES, 0, 3, 2 * MIB, 4 * MIB);
		client_request(&clients[i], NBD_CMD_FLUSH, 0, 4, 0, 0);
		client_request(&clients[i], NBD_CMD_TRIM, 0, 5, 0, MIB);
	}
	client_turns(&clients[0], 10);
	closed_calls = 0;
	nbd_server_close(server, on_closed, &closed_calls);
	for (i = 0; i < 2; i++)
		client_expect_end(&clients[i]);
	while (bottom_pending(&bottom)) {
		assert_int_equal(closed_calls, 0);
		bottom_end(&bottom, 0);
		assert_int_equal(loop_once(&loop, 1), 0);
	}
	assert_int_equal(loop_once(&loop, 1), 0);
	assert_int_equal(closed_calls, 1);
	server = NULL;
}

static void store_fails(void **state)
{
	struct client chunks = connect_client(true), simple = connect_client(false);

	(void)state;
	bottom.error = -EIO;
	assert_int_equal(client_read(&chunks, 0, memory, 4096, 0), NBD_EIO);
	assert_int_equal(client_read(&chunks, 0, memory, 4 * MIB, 0), NBD_EIO);
	assert_int_equal(client_read(&simple, 0, memory, 4 * MIB, 0), NBD_EIO);
	assert_int_equal(client_write(&simple, 0, memory, 4 * MIB, 0), NBD_EIO);
	assert_int_equal(client_command(&simple, NBD_CMD_WRITE_ZEROES, 0, 0, 4 * MIB), NBD_EIO);
	bottom.error = -ENOSPC;
	assert_int_equal(client_write(&chunks, 0, memory, 4096, NBD_CMD_FLAG_FUA), NBD_ENOSPC);
	bottom.error = 0;
	assert_int_equal(client_write(&chunks, 0, memory, 4096, NBD_CMD_FLAG_FUA), 0);
	assert_false(atomic_load(&store.flush_failed));
	bottom.error = -EIO;
	assert_int_equal(client_command(&chunks, NBD_CMD_FLUSH, 0, 0, 0), NBD_EIO);
	assert_true(atomic_load(&store.flush_failed));
	/* For good, and for all; reads go on. */
	bottom.error = 0;
	assert_int_equal(client_command(&simple, NBD_CMD_FLUSH, 0, 0, 0), NBD_EIO);
	assert_int_equal(client_write(&simple, 0, memory, MIB, 0), NBD_EIO);
	assert_int_equal(client_command(&simple, NBD_CMD_TRIM, 0, 0, 512), NBD_EIO);
	assert_int_equal(client_read(&simple, 0, memory, 4096, 0), 0);
	client_close(&chunks);
	client_close(&simple);
}

/* Half of a long simple reply has left when the other half fails. */
static void fails_too_late(void **state)
{
	struct client client = connect_client(false);

	(void)state;
	bottom.manual = true;
	client_request(&client, NBD_CMD_READ, 0, 1, 0, 2 * PIECE_BYTES);
	client_turns(&client, 5);
	assert_int_equal(bottom_pending(&bottom), 1);
	bottom_end(&bottom, 0);
	assert_int_equal(client_simple(&client, 1), 0);
	client_expect_bytes(&client, memory, PIECE_BYTES);
	client_turns(&client, 5);
	assert_int_equal(bottom_pending(&bottom), 1);
	bottom.error = -EIO;
	bottom_end(&bottom, 0);
	client_expect_end(&client);
}

static void a_domain_writes_too(void **state)
{
	struct client client = connect_client(false);

	(void)state;
	assert_int_equal(client_write(&client, 0, memory, 512, 0), 0);
	assert_int_equal(users_asked, 1);
	assert_false(server->warned);
	user = 12;
	assert_int_equal(client_read(&client, 0, memory, 512, 0), 0);
	assert_false(server->warned);
	assert_int_equal(client_write(&client, 0, memory, 512, 0), 0);
	assert_true(server->warned);
	assert_int_equal(client_command(&client, NBD_CMD_TRIM, 0, 0, 512), 0);
	assert_int_equal(users_asked, 2);
	client_close(&client);
}

/* ---- bytes that mean nothing ---- */

static void garbage(void **state)
{
	unsigned int seed = 1, round, i;
	uint8_t bytes[300];

	(void)state;
	for (round = 0; round < 500; round++) {
		struct client client;

		client_open(&client, server, &loop);
		if (round % 2)
			client_go(&client, round % 4 == 1);
		for (i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)rand_r(&seed);
		/* Mostly in some form. */
		if (round % 2 && rand_r(&seed) % 8) {
			put_u32(bytes, NBD_REQUEST_MAGIC);
			put_u32(bytes + 4, (uint32_t)rand_r(&seed) % 10 +
					   (rand_r(&seed) % 4 ? 0 : (uint32_t)rand_r(&seed) << 16));
			put_u64(bytes + 16, 512ull * ((unsigned int)rand_r(&seed) % 200000));
			put_u32(bytes + 24, 512u * ((unsigned int)rand_r(&seed) % 300));
		} else if (rand_r(&seed) % 4) {
			put_u64(put_u32(bytes, NBD_HELLO_FIXED), NBD_OPTION_MAGIC);
			put_u32(bytes + 12, (uint32_t)rand_r(&seed) % 12);
			put_u32(bytes + 16, (uint32_t)rand_r(&seed) % 300);
		}
		client_send(&client, bytes, sizeof(bytes));
		client_turns(&client, 1);
		client_close(&client);
	}
	client_turns(&(struct client){ .loop = &loop }, 10);
	assert_int_equal(nbd_server_stats(server)->connections, 0);
}

/* ---- the socket ---- */

static void a_limited_number(void **state)
{
	struct client clients[CONNS_MAX + 2];
	uint8_t greeting[18];
	unsigned int i;
	int fds[2];

	(void)state;
	/* A socket that is listened on, without a name in the file system. */
	fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fds[0], &(struct sockaddr){ .sa_family = AF_UNIX }, 2), 0);
	assert_int_equal(listen(fds[0], 8), 0);
	stop_server();
	start_server();
	server->listener.fd = fds[0];
	assert_int_equal(loop_add(&loop, &server->listener), 0);
	for (i = 0; i < CONNS_MAX + 2; i++) {
		struct sockaddr_storage address;
		socklen_t size = sizeof(address);

		clients[i] = (struct client){ .loop = &loop };
		clients[i].fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		assert_int_equal(getsockname(fds[0], (struct sockaddr *)&address, &size), 0);
		assert_int_equal(connect(clients[i].fd, (struct sockaddr *)&address, size), 0);
		client_turns(&clients[i], 2);
	}
	assert_int_equal(nbd_server_stats(server)->connections, CONNS_MAX);
	client_expect_silence(&clients[CONNS_MAX], 2);
	client_close(&clients[3]);
	client_expect_bytes(&clients[CONNS_MAX], greeting, sizeof(greeting));
	/* Another user's is none. */
	client_close(&clients[4]);
	client_close(&clients[CONNS_MAX]);
	server->config.peer_uid++;
	client_expect_bytes(&clients[CONNS_MAX + 1], greeting, sizeof(greeting));
	for (i = 0; i < CONNS_MAX + 2; i++)
		if (clients[i].fd >= 0)
			client_close(&clients[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_BOTTOM(name) cmocka_unit_test_setup_teardown(name, setup_bottom, teardown_bottom)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(export_name),
		TEST(information),
		TEST(contexts),
		TEST_BOTTOM(bad_options),
		TEST_BOTTOM(strangers),
		TEST(reads_and_writes),
		TEST(unfragmented),
		TEST(trims_and_zeroes),
		TEST(block_status),
		cmocka_unit_test_setup_teardown(readonly_disk, setup_readonly, teardown),
		TEST(bad_requests),
		TEST(against_a_model),
		TEST_BOTTOM(many_at_once),
		TEST_BOTTOM(who_does_not_read),
		TEST_BOTTOM(who_does_not_write),
		TEST_BOTTOM(who_vanishes),
		TEST_BOTTOM(closed_under_io),
		TEST_BOTTOM(store_fails),
		TEST_BOTTOM(fails_too_late),
		TEST_BOTTOM(a_domain_writes_too),
		TEST_BOTTOM(garbage),
		TEST_BOTTOM(a_limited_number),
	};
	char path[] = PATH_NAME;
	int fd = mkstemp(path), status;

	close(fd);
	fd = open(path, O_RDWR | O_DIRECT);
	unlink(path);
	if (fd < 0) {
		print_message("SKIP: no O_DIRECT on the file system of the build folder\n");
		return 77;
	}
	close(fd);
	model = malloc(IMAGE_BYTES);
	memory = malloc(IMAGE_BYTES);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	free(model);
	free(memory);
	return status;
}
