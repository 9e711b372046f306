/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracepoints: each event fills its record and is printed into nothing, so that
 * the sanitizers see what it reads.
 */
#ifndef KSHIM_TRACE_H
#define KSHIM_TRACE_H

#define TP_PROTO(...)		__VA_ARGS__
#define TP_ARGS(...)		__VA_ARGS__
#define TP_STRUCT__entry(...)	__VA_ARGS__
#define TP_fast_assign(...)	__VA_ARGS__
#define TP_printk(...)		__VA_ARGS__
#define __field(type, name)	type name;

#define DECLARE_EVENT_CLASS(class, proto, args, fields, assign, print) \
	struct kshim_event_##class { fields }; \
	static inline void kshim_trace_##class(proto) \
	{ \
		struct kshim_event_##class entry, *__entry = &entry; \
		char text[128]; \
		assign \
		snprintf(text, sizeof(text), print); \
	} \
	KSHIM_NOTHING
#define DEFINE_EVENT(class, name, proto, args) \
	static inline void trace_##name(proto) { kshim_trace_##class(args); } \
	KSHIM_NOTHING

#endif
