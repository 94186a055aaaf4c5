/* SPDX-License-Identifier: Apache-2.0 */
/* The three products of the linear layers of small models, by OpenBLAS and as a net runs them,
 * in float and in bfloat16, on one thread. Seconds are the processor's; each figure is the
 * fastest of several rounds. OpenBLAS may need OPENBLAS_CORETYPE=SkylakeX to know a processor
 * younger than itself. */
#include <cblas.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/attr.h"
#include "matmul.h"
#include "ops.h"

enum { ROWS = 512, WIDEST = 2048, ROUNDS = 4 };
static const double round_flops = 3e9;
static enum mt_precision precision;

struct layer {
    const char *name;
    uint32_t inputs, outputs;
};

static double thread_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void forward(struct mt_rows x, float *w, struct mt_rows y)
{
    mt_train__matmul(precision, x, w, y, MT_MATMUL_SETS);
}

static void x_grad(struct mt_rows x, float *w, struct mt_rows y)
{
    mt_train__matmul_x_grad(precision, y, w, x);
}

static void w_grad(struct mt_rows x, float *w, struct mt_rows y)
{
    mt_train__matmul_w_grad(precision, y, x, w);
}

/* GFLOP/s */
static double rate(void (*product)(struct mt_rows x, float *w, struct mt_rows y),
                   const struct layer *layer, float *memory)
{
    const size_t most = (size_t)ROWS * WIDEST;
    struct mt_rows x = {memory, ROWS, layer->inputs, layer->inputs};
    struct mt_rows y = {memory + most, ROWS, layer->outputs, layer->outputs};
    double flops = 2.0 * ROWS * layer->inputs * layer->outputs;
    unsigned times = (unsigned)(round_flops / flops) + 1;
    double best = 0.0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < 3 * most; i++)
            memory[i] = (float)(i % 13) * 0.1F - 0.6F;
        double start = thread_seconds();
        for (unsigned i = 0; i < times; i++)
            product(x, memory + 2 * most, y);
        double gflops = flops * times / (thread_seconds() - start) * 1e-9;
        if (gflops > best)
            best = gflops;
    }
    return best;
}

int main(void)
{
    static const struct layer layers[] = {
        {"pico q, k, v", 64, 128},  {"pico gate, up", 64, 384},   {"pico down", 192, 64},
        {"nano q, k, v", 128, 256}, {"nano gate, up", 128, 704},  {"nano down", 352, 128},
        {"mini q, k, v", 256, 512}, {"mini gate, up", 256, 1408}, {"mini down", 704, 256},
        {"output", 256, 262},       {"square", 1024, 1024},
    };
    const struct mt_ops *all[3];
    unsigned all_n = mt_train__ops_all(all);
    const struct mt_ops *library = all[0]; /* has no product of its own */
    MT_CLEANUP(mt_freep) float *memory = mt_alloc(3 * (size_t)ROWS * WIDEST, sizeof *memory);

    MT_ASSERT(memory != NULL && all_n > 0 && library->product == NULL);
    MT_ASSERT(mt_train__matmul_init(NULL) == MT_OK);
    printf("GFLOP/s on %d rows: OpenBLAS (%s), then a net's own, then in bf16\n", ROWS,
           openblas_get_corename());
    for (size_t i = 0; i < MT_ARRAY_LEN(layers); i++) {
        printf("%-14s %4u -> %4u", layers[i].name, layers[i].inputs, layers[i].outputs);
        const struct {
            const char *name;
            void (*run)(struct mt_rows x, float *w, struct mt_rows y);
        } products[] = {{"y", forward}, {"dx", x_grad}, {"dw", w_grad}};
        for (size_t k = 0; k < MT_ARRAY_LEN(products); k++) {
            mt_train__matmul_choose(library);
            double theirs = rate(products[k].run, &layers[i], memory);
            mt_train__matmul_choose(mt_train__ops());
            double ours = rate(products[k].run, &layers[i], memory);
            precision = MT_PRECISION_BF16;
            printf("  %s %5.1f %5.1f %6.1f", products[k].name, theirs, ours,
                   rate(products[k].run, &layers[i], memory));
            precision = MT_PRECISION_F32;
        }
        printf("\n");
    }
    return 0;
}
