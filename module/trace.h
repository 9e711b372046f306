/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints, one event for each slot concerned:
 * <tracefs>/events/xentap/{map,unmap,drain,query}.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM xentap

#if !defined(XENTAP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define XENTAP_TRACE_H

#include <linux/tracepoint.h>

#include "internal.h"

DECLARE_EVENT_CLASS(xentap_slot,
	TP_PROTO(const struct xentap_arena *arena, u32 slot, int value),
	TP_ARGS(arena, slot, value),
	TP_STRUCT__entry(
		__field(unsigned int, arena)
		__field(u32, slot)
		__field(u32, domid)
		__field(u32, gref)
		__field(u64, mfn)
		__field(int, value)
	),
	TP_fast_assign(
		__entry->arena = arena->id;
		__entry->slot = slot;
		__entry->domid = arena->slots[slot].domid;
		__entry->gref = arena->slots[slot].gref;
		__entry->mfn = arena->slots[slot].mfn;
		__entry->value = value;
	),
	TP_printk("arena=%u slot=%u domid=%u gref=%u mfn=%#llx value=%d",
		  __entry->arena, __entry->slot, __entry->domid, __entry->gref,
		  (unsigned long long)__entry->mfn, __entry->value)
);

/* @value: 0 or -errno, as user space is told */
DEFINE_EVENT(xentap_slot, xentap_map,
	TP_PROTO(const struct xentap_arena *arena, u32 slot, int value),
	TP_ARGS(arena, slot, value));

/* @value: 0 or -errno; the guest has its page back if 0 */
DEFINE_EVENT(xentap_slot, xentap_unmap,
	TP_PROTO(const struct xentap_arena *arena, u32 slot, int value),
	TP_ARGS(arena, slot, value));

/* @value: the page's reference count, which keeps the slot from unmapping */
DEFINE_EVENT(xentap_slot, xentap_drain,
	TP_PROTO(const struct xentap_arena *arena, u32 slot, int value),
	TP_ARGS(arena, slot, value));

/* Asked for by address, and mapped; @value: 0 */
DEFINE_EVENT(xentap_slot, xentap_query,
	TP_PROTO(const struct xentap_arena *arena, u32 slot, int value),
	TP_ARGS(arena, slot, value));

#endif /* XENTAP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
