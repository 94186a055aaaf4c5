/* SPDX-License-Identifier: Apache-2.0 */
/* One-shot timers: a libuv timer whose memory goes once it is closed. */
#include "base/alloc.h"
#include "net/loop.h"

#include <uv.h>

struct mt_timer {
    uv_timer_t uv;
    mt_timer_fn *fn;
    void *arg;
};

static void on_fire(uv_timer_t *uv)
{
    struct mt_timer *timer = uv->data;

    timer->fn(timer->arg);
}

static void on_closed(uv_handle_t *handle)
{
    mt_free(handle->data);
}

mt_rc mt_timer_new(struct mt_loop *loop, mt_timer_fn *fn, void *arg, struct mt_timer **out,
                   struct mt_err *err)
{
    struct mt_timer *timer = mt_alloc(1, sizeof *timer);

    if (timer == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "timer");
    (void)uv_timer_init(mt_loop_uv(loop), &timer->uv); /* cannot fail */
    timer->uv.data = timer;
    timer->fn = fn;
    timer->arg = arg;
    *out = timer;
    return MT_OK;
}

void mt_timer_start(struct mt_timer *timer, int64_t in_ms)
{
    (void)uv_timer_start(&timer->uv, on_fire, in_ms > 0 ? (uint64_t)in_ms : 0, 0);
}

void mt_timer_stop(struct mt_timer *timer)
{
    (void)uv_timer_stop(&timer->uv);
}

void mt_timer_free(struct mt_timer *timer)
{
    if (timer != NULL)
        uv_close((uv_handle_t *)&timer->uv, on_closed);
}
