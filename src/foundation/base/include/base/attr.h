/* SPDX-License-Identifier: Apache-2.0 */
/* Compiler attributes and the three macros that make ownership visible. */
#ifndef MT_BASE_ATTR_H
#define MT_BASE_ATTR_H

#include <stddef.h>

/** Run fn(&variable) when the variable leaves its scope. */
#define MT_CLEANUP(fn) __attribute__((cleanup(fn)))

/** Let the compiler check printf-like arguments. */
#define MT_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))

/** Elements of a true array. */
#define MT_ARRAY_LEN(array) (sizeof(array) / sizeof *(array))

/** Hand a pointer over: the variable is left NULL, so its cleanup does nothing. */
#define MT_MOVE(ptr)                     \
    __extension__({                      \
        __typeof__(ptr) *from_ = &(ptr); \
        __typeof__(ptr) value_ = *from_; \
        *from_ = NULL;                   \
        value_;                          \
    })

/** The structure that holds this member. */
#define MT_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
