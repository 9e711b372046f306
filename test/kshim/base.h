/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Types, macros, atomic operations. */
#ifndef KSHIM_BASE_H
#define KSHIM_BASE_H

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <linux/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int16_t s16;

#define ERESTARTSYS	512

#define U16_MAX		UINT16_MAX
#define PAGE_SHIFT	12
#define PAGE_SIZE	4096ul

#define __user
#define __init
#define __exit
#define __must_check	__attribute__((warn_unused_result))

/* A bug of the module, or of a test: say so and abort(). */
void kshim_bug(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
#define kshim_must(condition) \
	((condition) ? (void)0 : kshim_bug("%s:%d: not so: %s", __FILE__, __LINE__, #condition))

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define BUILD_BUG_ON(condition)	_Static_assert(!(condition), #condition)

#define swap(a, b) \
	do { __typeof__(a) swap_ = (a); (a) = (b); (b) = swap_; } while (0)
#define min(a, b) ({ typeof(a) a_ = (a); typeof(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max(a, b) ({ typeof(a) a_ = (a); typeof(b) b_ = (b); a_ > b_ ? a_ : b_; })
#define clamp(value, low, high) min(max(value, low), high)

#define MAX_ERRNO	4095
#define IS_ERR(ptr)	((unsigned long)(ptr) >= (unsigned long)-MAX_ERRNO)
#define PTR_ERR(ptr)	((long)(ptr))
#define ERR_PTR(err)	((void *)(long)(err))

/* A constant where its argument is one. */
#define ilog2(n) (63 - __builtin_clzll(n))

static inline unsigned long roundup_pow_of_two(unsigned long n)
{
	return n < 2 ? 1 : 1ul << (64 - __builtin_clzl(n - 1));
}

static inline u64 hash_64(u64 value, unsigned int bits)
{
	return (value * 0x9e3779b97f4a7c15ull) >> (64 - bits);
}

/* Messages go to kshim.log, see control.h. */
void kshim_printk(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define KBUILD_MODNAME	"xentap"
#define pr_err(...)		kshim_printk(__VA_ARGS__)
#define pr_warn(...)		kshim_printk(__VA_ARGS__)
#define pr_err_ratelimited(...)	kshim_printk(__VA_ARGS__)

/* Modules. */
int kshim_module_init(void);
void kshim_module_exit(void);
void kshim_module_get(void);
void kshim_module_put(void);
#define THIS_MODULE		NULL
#define __module_get(module)	kshim_module_get()
#define module_put(module)	kshim_module_put()
#define module_init(function)	int kshim_module_init(void) { return function(); }
#define module_exit(function)	void kshim_module_exit(void) { function(); }
#define KSHIM_NOTHING		struct kshim_nothing
#define module_param_named(...)	KSHIM_NOTHING
#define MODULE_PARM_DESC(...)	KSHIM_NOTHING
#define MODULE_DESCRIPTION(...)	KSHIM_NOTHING
#define MODULE_LICENSE(...)	KSHIM_NOTHING
#define MODULE_VERSION(...)	KSHIM_NOTHING
#define MODULE_ALIAS(...)	KSHIM_NOTHING
#define EXPORT_SYMBOL_GPL(...)	KSHIM_NOTHING

/* Memory order. */
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, value)	__atomic_store_n(&(x), (value), __ATOMIC_RELAXED)
#define smp_load_acquire(ptr)	__atomic_load_n(ptr, __ATOMIC_ACQUIRE)
#define smp_store_release(ptr, value) __atomic_store_n(ptr, value, __ATOMIC_RELEASE)
#define cmpxchg(ptr, old, new) ({ \
	typeof(*(ptr)) old_ = (old); \
	__atomic_compare_exchange_n(ptr, &old_, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	old_; })

/* Of an index that was checked; the other half of it is the processor's. */
#define array_index_nospec(index, size) ({ \
	typeof(index) index_ = (index); \
	if (index_ >= (size)) \
		abort(); \
	index_; })

/* A race that is meant: ThreadSanitizer looks away. */
#ifdef __SANITIZE_THREAD__
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
#define data_race(expression) ({ \
	AnnotateIgnoreReadsBegin(__FILE__, __LINE__); \
	typeof(expression) value_ = (expression); \
	AnnotateIgnoreReadsEnd(__FILE__, __LINE__); \
	value_; })
#else
#define data_race(expression) (expression)
#endif

typedef struct { int counter; } atomic_t;
typedef struct { long counter; } atomic_long_t;

#define atomic_read(v)		__atomic_load_n(&(v)->counter, __ATOMIC_RELAXED)
#define atomic_set(v, n)	__atomic_store_n(&(v)->counter, n, __ATOMIC_RELAXED)
#define atomic_inc(v)		((void)__atomic_fetch_add(&(v)->counter, 1, __ATOMIC_RELAXED))
#define atomic_dec(v)		((void)__atomic_fetch_sub(&(v)->counter, 1, __ATOMIC_RELAXED))
#define atomic_dec_and_test(v)	(__atomic_sub_fetch(&(v)->counter, 1, __ATOMIC_SEQ_CST) == 0)
#define atomic_long_read(v)	atomic_read(v)
#define atomic_long_inc(v)	atomic_inc(v)
#define atomic_long_add(n, v)	((void)__atomic_fetch_add(&(v)->counter, n, __ATOMIC_RELAXED))

static inline bool atomic_add_unless(atomic_t *v, int n, int unless)
{
	int old = atomic_read(v);

	while (old != unless)
		if (__atomic_compare_exchange_n(&v->counter, &old, old + n, false,
						__ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			return true;
	return false;
}

#define atomic_inc_not_zero(v)	atomic_add_unless(v, 1, 0)

/* Reference counts. */
struct kref { atomic_t refs; };

static inline void kref_init(struct kref *kref)
{
	atomic_set(&kref->refs, 1);
}

static inline void kref_get(struct kref *kref)
{
	kshim_must(atomic_read(&kref->refs) > 0);
	atomic_inc(&kref->refs);
}

static inline void kref_put(struct kref *kref, void (*release)(struct kref *kref))
{
	kshim_must(atomic_read(&kref->refs) > 0);
	if (atomic_dec_and_test(&kref->refs))
		release(kref);
}

#endif
