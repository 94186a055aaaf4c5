/* SPDX-License-Identifier: Apache-2.0 */
#include "system/env.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/assert.h"
#include "base/attr.h"

static int64_t real_mono_ns(struct mt_env *env)
{
    struct timespec now;

    (void)env;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t real_wall_ms(struct mt_env *env)
{
    struct timespec now;

    (void)env;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void real_random(struct mt_env *env, void *to, size_t n)
{
    char *at = to;

    (void)env;
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        MT_ASSERT(got > 0 || errno == EINTR);
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        }
    }
}

struct mt_env *mt_env_real(void)
{
    static const struct mt_env_ops ops = {real_mono_ns, real_wall_ms, real_random};
    static struct mt_env env = {&ops};

    return &env;
}

static struct mt_env_sim *sim_of(struct mt_env *env)
{
    return MT_CONTAINER(env, struct mt_env_sim, env);
}

static int64_t sim_mono_ns(struct mt_env *env)
{
    return sim_of(env)->mono_ns;
}

static int64_t sim_wall_ms(struct mt_env *env)
{
    return sim_of(env)->wall_ms;
}

static void sim_random(struct mt_env *env, void *to, size_t n)
{
    for (char *at = to; n > 0;) {
        uint64_t value = mt_env_sim_u64(sim_of(env));
        size_t part = n < sizeof value ? n : sizeof value;
        memcpy(at, &value, part);
        at += part;
        n -= part;
    }
}

/* Spreads a seed over the state. @source splitmix64, Vigna, public domain */
static uint64_t splitmix(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void mt_env_sim_init(struct mt_env_sim *sim, uint64_t seed)
{
    static const struct mt_env_ops ops = {sim_mono_ns, sim_wall_ms, sim_random};

    *sim = (struct mt_env_sim){.env = {&ops}, .wall_ms = 1767225600000};
    for (size_t i = 0; i < MT_ARRAY_LEN(sim->random_); i++)
        sim->random_[i] = splitmix(&seed);
}

void mt_env_sim_advance_ms(struct mt_env_sim *sim, int64_t by_ms)
{
    MT_ASSERT(by_ms >= 0);
    sim->mono_ns += by_ms * 1000000;
    sim->wall_ms += by_ms;
}

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

/* @source xoshiro256**, Blackman and Vigna, public domain */
uint64_t mt_env_sim_u64(struct mt_env_sim *sim)
{
    uint64_t *s = sim->random_;
    uint64_t out = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return out;
}

uint64_t mt_env_sim_below(struct mt_env_sim *sim, uint64_t n)
{
    MT_ASSERT(n > 0);
    uint64_t unfair = (0 - n) % n; /* values below would make small results likelier */
    uint64_t value;

    do
        value = mt_env_sim_u64(sim);
    while (value < unfair);
    return value % n;
}
