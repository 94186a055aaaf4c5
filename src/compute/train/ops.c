/* SPDX-License-Identifier: Apache-2.0 */
/* Which level of the operators this processor runs. */
#include "ops.h"

#include "ops_level.h"

unsigned mt_train__ops_all(const struct mt_ops **out)
{
    unsigned n = 0;

    out[n++] = &mt_train__ops_base;
#ifdef MT_OPS_HAVE_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        out[n++] = &mt_train__ops_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        out[n++] = &mt_train__ops_avx512;
#endif
    return n;
}

const struct mt_ops *mt_train__ops(void)
{
    const struct mt_ops *all[3];

    return all[mt_train__ops_all(all) - 1];
}
