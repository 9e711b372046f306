// SPDX-License-Identifier: GPL-2.0-or-later
/* Locks that know their owner, RCU, wait queues, work. */
#include <time.h>
#include <unistd.h>

#include "kshim.h"
#include "control.h"

__thread struct task_struct kshim_current;

/* Spinlocks and RCU read sides that this thread is in. */
static __thread int atomic_depth;

static unsigned long self(void)
{
	return (unsigned long)pthread_self();
}

void kshim_may_sleep(const char *what)
{
	if (atomic_depth)
		kshim_bug("%s where nothing may sleep", what);
}

static bool thread_runs;

unsigned int kshim_perturb_every = 61;

void kshim_perturb(void)
{
	static __thread unsigned int turn;

	if (READ_ONCE(thread_runs) && ++turn % kshim_perturb_every == 0)
		usleep(turn % 3 * 100);
}

/* Mutexes. */
void mutex_init(struct mutex *mutex)
{
	pthread_mutex_init(&mutex->lock, NULL);
	mutex->owner = 0;
}

void mutex_destroy(struct mutex *mutex)
{
	kshim_must(!READ_ONCE(mutex->owner));
	pthread_mutex_destroy(&mutex->lock);
}

void mutex_lock(struct mutex *mutex)
{
	kshim_may_sleep("mutex_lock");
	kshim_must(!kshim_mutex_is_mine(mutex));
	pthread_mutex_lock(&mutex->lock);
	WRITE_ONCE(mutex->owner, self());
}

int mutex_lock_killable(struct mutex *mutex)
{
	if (current->killed)
		return -EINTR;
	mutex_lock(mutex);
	return 0;
}

bool mutex_trylock(struct mutex *mutex)
{
	kshim_must(!kshim_mutex_is_mine(mutex));
	if (pthread_mutex_trylock(&mutex->lock))
		return false;
	WRITE_ONCE(mutex->owner, self());
	return true;
}

void mutex_unlock(struct mutex *mutex)
{
	kshim_must(kshim_mutex_is_mine(mutex));
	WRITE_ONCE(mutex->owner, 0);
	pthread_mutex_unlock(&mutex->lock);
}

bool kshim_mutex_is_mine(const struct mutex *mutex)
{
	return READ_ONCE(mutex->owner) == self();
}

/* Spinlocks. */
void spin_lock_init(spinlock_t *lock)
{
	pthread_mutex_init(&lock->lock, NULL);
}

void kshim_spin_lock(spinlock_t *lock)
{
	kshim_perturb();
	pthread_mutex_lock(&lock->lock);
	atomic_depth++;
}

void kshim_spin_unlock(spinlock_t *lock)
{
	atomic_depth--;
	pthread_mutex_unlock(&lock->lock);
	kshim_perturb();
}

/* RCU: a writer's turn of the lock is a grace period. */
static pthread_rwlock_t rcu_lock = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static pthread_mutex_t rcu_list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct rcu_head *rcu_list;

void rcu_read_lock(void)
{
	pthread_rwlock_rdlock(&rcu_lock);
	atomic_depth++;
}

void rcu_read_unlock(void)
{
	atomic_depth--;
	pthread_rwlock_unlock(&rcu_lock);
}

void synchronize_rcu(void)
{
	kshim_may_sleep("synchronize_rcu");
	pthread_rwlock_wrlock(&rcu_lock);
	pthread_rwlock_unlock(&rcu_lock);
}

void call_rcu(struct rcu_head *rcu, void (*function)(struct rcu_head *rcu))
{
	pthread_mutex_lock(&rcu_list_lock);
	rcu->function = function;
	rcu->next = rcu_list;
	rcu_list = rcu;
	pthread_mutex_unlock(&rcu_list_lock);
}

bool kshim_rcu_run(void)
{
	struct rcu_head *list, *next;

	pthread_mutex_lock(&rcu_list_lock);
	list = rcu_list;
	rcu_list = NULL;
	pthread_mutex_unlock(&rcu_list_lock);
	if (!list)
		return false;
	synchronize_rcu();
	for (; list; list = next) {
		next = list->next;
		list->function(list);
	}
	return true;
}

void rcu_barrier(void)
{
	while (kshim_rcu_run())
		;
}

/* Waiting. */
void init_waitqueue_head(wait_queue_head_t *head)
{
	pthread_mutex_init(&head->lock, NULL);
	pthread_cond_init(&head->woken, NULL);
	head->wakes = 0;
}

void wake_up_interruptible(wait_queue_head_t *head)
{
	pthread_mutex_lock(&head->lock);
	head->wakes++;
	pthread_cond_broadcast(&head->woken);
	pthread_mutex_unlock(&head->lock);
}

unsigned long kshim_wait_prepare(wait_queue_head_t *head)
{
	unsigned long wakes;

	kshim_may_sleep("wait_event");
	pthread_mutex_lock(&head->lock);
	wakes = head->wakes;
	pthread_mutex_unlock(&head->lock);
	return wakes;
}

static struct timespec in_ms(unsigned int ms)
{
	struct timespec then;

	clock_gettime(CLOCK_REALTIME, &then);
	then.tv_nsec += ms * 1000000l;
	then.tv_sec += then.tv_nsec / 1000000000l;
	then.tv_nsec %= 1000000000l;
	return then;
}

void kshim_wait(wait_queue_head_t *head, unsigned long wakes)
{
	struct timespec then;

	if (!READ_ONCE(thread_runs)) {
		if (!kshim_work_waits())
			kshim_bug("waits for what will never come");
		kshim_run(1);
		return;
	}
	/* Signals come without a wake. */
	then = in_ms(20);
	pthread_mutex_lock(&head->lock);
	if (head->wakes == wakes)
		pthread_cond_timedwait(&head->woken, &head->lock, &then);
	pthread_mutex_unlock(&head->lock);
}

/* Work. One at a time, as one thread does it. */
static pthread_mutex_t work_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_came = PTHREAD_COND_INITIALIZER;
static LIST_HEAD(waiting);
static unsigned long now_ms;
static pthread_t thread;
static struct workqueue_struct the_queue;

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags, int active)
{
	return kshim_allocation_fails() ? NULL : &the_queue;
}

void destroy_workqueue(struct workqueue_struct *queue)
{
	if (kshim_work_waits())
		kshim_bug("work queue destroyed while work waits");
}

static bool queue(struct delayed_work *work, unsigned long delay, bool change)
{
	bool was;

	pthread_mutex_lock(&work_lock);
	was = work->pending;
	if (!was) {
		work->pending = true;
		list_add_tail(&work->node, &waiting);
	}
	if (!was || change)
		work->due = now_ms + delay;
	pthread_cond_signal(&work_came);
	pthread_mutex_unlock(&work_lock);
	return was;
}

bool mod_delayed_work(struct workqueue_struct *q, struct delayed_work *work, unsigned long delay)
{
	return queue(work, delay, true);
}

bool queue_delayed_work(struct workqueue_struct *q, struct delayed_work *work,
			unsigned long delay)
{
	return !queue(work, delay, false);
}

bool kshim_work_waits(void)
{
	bool waits;

	pthread_mutex_lock(&work_lock);
	waits = !list_empty(&waiting);
	pthread_mutex_unlock(&work_lock);
	return waits;
}

/* One that is due no later than @then, and its time; off the list. */
static struct delayed_work *next_work(unsigned long then)
{
	struct delayed_work *first = NULL;
	struct delayed_work *work;

	list_for_each_entry(work, &waiting, node)
		if (work->due <= then && (!first || work->due < first->due))
			first = work;
	if (first) {
		now_ms = max(now_ms, first->due);
		list_del(&first->node);
		first->pending = false;
	}
	return first;
}

void kshim_run(unsigned long ms)
{
	struct delayed_work *work;
	unsigned long then;

	kshim_must(!thread_runs);
	pthread_mutex_lock(&work_lock);
	then = now_ms + ms;
	while ((work = next_work(then))) {
		pthread_mutex_unlock(&work_lock);
		work->work.function(&work->work);
		pthread_mutex_lock(&work_lock);
	}
	now_ms = then;
	pthread_mutex_unlock(&work_lock);
	kshim_rcu_run();
}

/* Each turn is a millisecond, or less when new work comes. */
static void *run_thread(void *unused)
{
	struct delayed_work *work;
	struct timespec then;

	while (READ_ONCE(thread_runs)) {
		pthread_mutex_lock(&work_lock);
		work = next_work(now_ms);
		if (!work) {
			then = in_ms(1);
			pthread_cond_timedwait(&work_came, &work_lock, &then);
			now_ms++;
		}
		pthread_mutex_unlock(&work_lock);
		if (work)
			work->work.function(&work->work);
		kshim_rcu_run();
	}
	return NULL;
}

void kshim_thread_start(void)
{
	WRITE_ONCE(thread_runs, true);
	kshim_must(!pthread_create(&thread, NULL, run_thread, NULL));
}

void kshim_thread_stop(void)
{
	WRITE_ONCE(thread_runs, false);
	pthread_join(thread, NULL);
}
