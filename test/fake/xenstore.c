// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/xenstore.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <xenstore.h>

#define NODES_MAX	512
#define WATCHES_MAX	64
#define EVENTS_MAX	4096
#define TEXT_MAX	256

struct node {
	char path[TEXT_MAX];
	char value[1024];
	char perms[32];
};

struct watch {
	char path[TEXT_MAX];
	char token[TEXT_MAX];
};

static struct {
	struct node nodes[NODES_MAX];
	int nr_nodes;
	struct watch watches[WATCHES_MAX];
	int nr_watches;
	struct watch events[EVENTS_MAX];
	int nr_events, next_event;
	int fd;
} store = { .fd = -1 };

/* As it was when the transaction began. */
static struct node before[NODES_MAX];
static int nr_before;

bool (*fake_store_conflict)(void);
bool fake_store_rollback;
int fake_store_dead_domain = -1;
const char *fake_store_forbidden;
int fake_store_write_error;
unsigned int fake_store_guest_lists;
unsigned int fake_store_domain_looks;
unsigned int fake_store_events;
bool fake_store_ended;

static const char *absolute(const char *path, char buffer[TEXT_MAX])
{
	if (path[0] == '/' || path[0] == '@')
		return path;
	snprintf(buffer, TEXT_MAX, "/local/domain/0/%s", path);
	return buffer;
}

static bool is_below(const char *path, const char *parent)
{
	size_t len = strlen(parent);

	return !strncmp(path, parent, len) && (path[len] == '/' || !path[len]);
}

static void wake(void)
{
	uint64_t one = 1;

	if (store.fd >= 0 && write(store.fd, &one, sizeof(one)) < 0)
		abort();
}

static void add_event(const char *path, const char *token)
{
	struct watch *event;

	if (store.nr_events == EVENTS_MAX)
		abort();
	event = &store.events[store.nr_events++];
	strcpy(event->path, path);
	strcpy(event->token, token);
	fake_store_events++;
	wake();
}

/* Watches at or above @path; also below it, when it was removed. */
static void fire(const char *path, bool removed)
{
	int i;

	for (i = 0; i < store.nr_watches; i++)
		if (is_below(path, store.watches[i].path))
			add_event(path, store.watches[i].token);
		else if (removed && is_below(store.watches[i].path, path))
			add_event(store.watches[i].path, store.watches[i].token);
}

static struct node *find(const char *path)
{
	int i;

	for (i = 0; i < store.nr_nodes; i++)
		if (!strcmp(store.nodes[i].path, path))
			return &store.nodes[i];
	return NULL;
}

void fake_store_set(const char *path, const char *value)
{
	char buffer[TEXT_MAX];
	struct node *node;

	path = absolute(path, buffer);
	node = find(path);
	if (!node) {
		if (store.nr_nodes == NODES_MAX)
			abort();
		node = &store.nodes[store.nr_nodes++];
		strcpy(node->path, path);
	}
	snprintf(node->value, sizeof(node->value), "%s", value);
	node->perms[0] = '\0';
	fire(path, false);
}

const char *fake_store_perms(const char *path)
{
	char buffer[TEXT_MAX];
	const struct node *node = find(absolute(path, buffer));

	return node ? node->perms : NULL;
}

void fake_store_remove(const char *path)
{
	char buffer[TEXT_MAX];
	int i, kept = 0;
	bool found = false;

	path = absolute(path, buffer);
	for (i = 0; i < store.nr_nodes; i++) {
		if (is_below(store.nodes[i].path, path))
			found = true;
		else
			store.nodes[kept++] = store.nodes[i];
	}
	store.nr_nodes = kept;
	if (found)
		fire(path, true);
}

const char *fake_store_get(const char *path)
{
	char buffer[TEXT_MAX];
	struct node *node = find(absolute(path, buffer));

	return node ? node->value : NULL;
}

void fake_store_fire(const char *path)
{
	fire(path, false);
}

void fake_store_reset(void)
{
	store.nr_nodes = store.nr_watches = store.nr_events = store.next_event = 0;
	fake_store_conflict = NULL;
	fake_store_rollback = false;
	fake_store_dead_domain = -1;
	fake_store_forbidden = NULL;
	fake_store_write_error = 0;
	fake_store_guest_lists = 0;
	fake_store_domain_looks = 0;
	fake_store_ended = false;
}

struct xs_handle *xs_open(unsigned long flags)
{
	(void)flags;
	if (fake_store_ended) {
		errno = ENOENT;
		return NULL;
	}
	store.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return (struct xs_handle *)&store;
}

void xs_close(struct xs_handle *h)
{
	if (!h)
		return;
	close(store.fd);
	store.fd = -1;
	store.nr_watches = 0;
	store.nr_events = store.next_event = 0;
}

int xs_fileno(struct xs_handle *h)
{
	(void)h;
	return store.fd;
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *len)
{
	const char *value = fake_store_get(path);

	(void)h;
	(void)t;
	if (fake_store_ended || !value) {
		errno = fake_store_ended ? EBADF : ENOENT;
		return NULL;
	}
	if (fake_store_forbidden && !strcmp(path, fake_store_forbidden)) {
		errno = EACCES;
		return NULL;
	}
	*len = (unsigned int)strlen(value);
	return strdup(value);
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path,
	      const void *data, unsigned int len)
{
	char value[1024];

	(void)h;
	(void)t;
	if (fake_store_write_error) {
		errno = fake_store_write_error;
		return false;
	}
	snprintf(value, sizeof(value), "%.*s", (int)len, (const char *)data);
	fake_store_set(path, value);
	return true;
}

bool xs_mkdir(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	(void)h;
	(void)t;
	if (!fake_store_get(path))
		fake_store_set(path, "");
	return true;
}

bool xs_set_permissions(struct xs_handle *h, xs_transaction_t t, const char *path,
			struct xs_permissions *perms, unsigned int nr)
{
	static const char letters[] = "nrwb";	/* by XS_PERM_READ and XS_PERM_WRITE */
	char buffer[TEXT_MAX];
	struct node *node = find(absolute(path, buffer));
	size_t len = 0;
	unsigned int i;

	(void)h;
	(void)t;
	if (!node) {
		errno = ENOENT;
		return false;
	}
	for (i = 0; i < nr && len < sizeof(node->perms); i++)
		len += (size_t)snprintf(node->perms + len, sizeof(node->perms) - len, "%s%c%u",
					i ? "," : "", letters[perms[i].perms & 3], perms[i].id);
	return true;
}

bool xs_rm(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	(void)h;
	(void)t;
	fake_store_remove(path);
	return true;
}

char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path,
		    unsigned int *num)
{
	char **list, *text, *name;
	size_t len = strlen(path);
	int i;
	unsigned int k;

	(void)h;
	(void)t;
	*num = 0;
	fake_store_guest_lists += !is_below(path, "/local/domain/0");
	list = calloc(NODES_MAX, sizeof(*list) + TEXT_MAX);
	text = (char *)(list + NODES_MAX);
	for (i = 0; i < store.nr_nodes; i++) {
		if (!is_below(store.nodes[i].path, path) || !store.nodes[i].path[len])
			continue;
		name = text + *num * TEXT_MAX;
		sscanf(store.nodes[i].path + len + 1, "%[^/]", name);
		for (k = 0; k < *num; k++)
			if (!strcmp(list[k], name))
				break;
		if (k == *num)
			list[(*num)++] = name;
	}
	if (*num)
		return list;
	free(list);
	errno = ENOENT;
	return NULL;
}

bool xs_watch(struct xs_handle *h, const char *path, const char *token)
{
	struct watch *watch;

	(void)h;
	if (store.nr_watches == WATCHES_MAX)
		abort();
	watch = &store.watches[store.nr_watches++];
	strcpy(watch->path, path);
	strcpy(watch->token, token);
	/* As xenstored does: once for having asked. */
	add_event(path, token);
	return true;
}

bool xs_unwatch(struct xs_handle *h, const char *path, const char *token)
{
	int i;

	(void)h;
	for (i = 0; i < store.nr_watches; i++)
		if (!strcmp(store.watches[i].path, path) &&
		    !strcmp(store.watches[i].token, token)) {
			store.watches[i] = store.watches[--store.nr_watches];
			return true;
		}
	errno = ENOENT;
	return false;
}

char **xs_check_watch(struct xs_handle *h)
{
	struct watch *event;
	uint64_t count;
	char **fired;

	(void)h;
	if (fake_store_ended) {
		errno = EINVAL;
		return NULL;
	}
	if (store.next_event == store.nr_events) {
		store.next_event = store.nr_events = 0;
		if (read(store.fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
			abort();
		errno = EAGAIN;
		return NULL;
	}
	event = &store.events[store.next_event++];
	fired = malloc(2 * sizeof(*fired) + 2 * TEXT_MAX);
	fired[XS_WATCH_PATH] = (char *)(fired + 2);
	fired[XS_WATCH_TOKEN] = fired[XS_WATCH_PATH] + TEXT_MAX;
	strcpy(fired[XS_WATCH_PATH], event->path);
	strcpy(fired[XS_WATCH_TOKEN], event->token);
	return fired;
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
	(void)h;
	memcpy(before, store.nodes, (size_t)store.nr_nodes * sizeof(before[0]));
	nr_before = store.nr_nodes;
	return 1;
}

static void roll_back(void)
{
	if (!fake_store_rollback)
		return;
	memcpy(store.nodes, before, (size_t)nr_before * sizeof(before[0]));
	store.nr_nodes = nr_before;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort)
{
	(void)h;
	(void)t;
	if (abort)
		roll_back();
	if (abort || !fake_store_conflict || !fake_store_conflict())
		return true;
	roll_back();
	errno = EAGAIN;
	return false;
}

bool xs_is_domain_introduced(struct xs_handle *h, unsigned int domid)
{
	(void)h;
	fake_store_domain_looks++;
	return (int)domid != fake_store_dead_domain;
}
