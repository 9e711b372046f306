/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tasks, locks, RCU, waiting, work. Each lock knows its owner. Work is done by
 * the test, step by step, or by a thread (control.h).
 */
#ifndef KSHIM_SYNC_H
#define KSHIM_SYNC_H

#include <pthread.h>

#include "base.h"
#include "lists.h"

struct mm_struct;

/* Each thread is a task; a test changes what it likes. */
struct task_struct {
	struct mm_struct *mm;
	int tgid;
	bool cap_sys_admin;
	bool signal;			/* one is pending */
	bool killed;			/* and it is SIGKILL */
	bool killed_later;		/* comes with the next kshim_fail_retry() */
};

extern __thread struct task_struct kshim_current;
#define current			(&kshim_current)
#define task_tgid_nr(task)	((task)->tgid)
#define fatal_signal_pending(task) ((task)->killed)
#define CAP_SYS_ADMIN		21
#define capable(capability)	(current->cap_sys_admin)

/* With threads: lose the processor each so many times, where it is worst. */
extern unsigned int kshim_perturb_every;
void kshim_perturb(void);
/* Called by whatever may sleep: no spinlock, no RCU reader. */
void kshim_may_sleep(const char *what);
#define cond_resched()		kshim_may_sleep("cond_resched")

struct mutex {
	pthread_mutex_t lock;
	unsigned long owner;		/* 0: nobody */
};

#define DEFINE_MUTEX(name) struct mutex name = { .lock = PTHREAD_MUTEX_INITIALIZER }
void mutex_init(struct mutex *mutex);
void mutex_destroy(struct mutex *mutex);
void mutex_lock(struct mutex *mutex);
int __must_check mutex_lock_killable(struct mutex *mutex);
bool __must_check mutex_trylock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);
bool kshim_mutex_is_mine(const struct mutex *mutex);
#define lockdep_assert_held(lock) kshim_must(kshim_mutex_is_mine(lock))

typedef struct { pthread_mutex_t lock; } spinlock_t;

void spin_lock_init(spinlock_t *lock);
void kshim_spin_lock(spinlock_t *lock);
void kshim_spin_unlock(spinlock_t *lock);
#define spin_lock_irqsave(lock, flags) ((flags) = 0, kshim_spin_lock(lock))
#define spin_unlock_irqrestore(lock, flags) ((void)(flags), kshim_spin_unlock(lock))

struct rcu_head {
	struct rcu_head *next;
	void (*function)(struct rcu_head *rcu);
};

void rcu_read_lock(void);
void rcu_read_unlock(void);
void synchronize_rcu(void);
void call_rcu(struct rcu_head *rcu, void (*function)(struct rcu_head *rcu));
void rcu_barrier(void);

typedef struct {
	pthread_mutex_t lock;
	pthread_cond_t woken;
	unsigned long wakes;
} wait_queue_head_t;

void init_waitqueue_head(wait_queue_head_t *head);
void wake_up_interruptible(wait_queue_head_t *head);
unsigned long kshim_wait_prepare(wait_queue_head_t *head);
/* Until a wake after kshim_wait_prepare(), or a little while. */
void kshim_wait(wait_queue_head_t *head, unsigned long wakes);

#define wait_event_interruptible(head, condition) ({ \
	int err_ = 0; \
	for (;;) { \
		unsigned long wakes_ = kshim_wait_prepare(&(head)); \
		if (condition) \
			break; \
		if (READ_ONCE(current->signal)) { \
			err_ = -ERESTARTSYS; \
			break; \
		} \
		kshim_wait(&(head), wakes_); \
	} \
	err_; })

struct work_struct { void (*function)(struct work_struct *work); };

struct delayed_work {
	struct work_struct work;
	struct list_head node;		/* of those that wait */
	unsigned long due;
	bool pending;
};

struct workqueue_struct { int unused; };

#define WQ_UNBOUND		2
#define WQ_MEM_RECLAIM		8
#define msecs_to_jiffies(ms)	(ms)
#define INIT_DELAYED_WORK(dwork, f) \
	(*(dwork) = (struct delayed_work){ .work.function = (f) })

static inline struct delayed_work *to_delayed_work(struct work_struct *work)
{
	return container_of(work, struct delayed_work, work);
}

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags, int active);
void destroy_workqueue(struct workqueue_struct *queue);
/* True: it was waiting already, and has a new time. */
bool mod_delayed_work(struct workqueue_struct *queue, struct delayed_work *work,
		      unsigned long delay);
/* False: it was waiting already, and is left alone. */
bool queue_delayed_work(struct workqueue_struct *queue, struct delayed_work *work,
			unsigned long delay);

#endif
