/* SPDX-License-Identifier: Apache-2.0 */
/* The only door to OpenBLAS. */
#include "blas.h"

#include <cblas.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/assert.h"
#include "ops.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static __typeof__(&cblas_sgemm) sgemm; /* NULL: not found */

/* Its threads begin in here, and take over what is blocked. */
static void *open_library(void)
{
    sigset_t all, old;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return library;
}

static void open_once(void)
{
    __typeof__(&openblas_set_num_threads) set_threads;
    void *library = open_library();

    if (library == NULL)
        return;
    void *found[] = {dlsym(library, "cblas_sgemm"), dlsym(library, "openblas_set_num_threads")};
    if (found[0] == NULL || found[1] == NULL)
        return;
    memcpy(&sgemm, &found[0], sizeof sgemm); /* C has no cast for this */
    memcpy(&set_threads, &found[1], sizeof set_threads);
    set_threads(1);
}

mt_rc mt_train__blas_open(struct mt_err *err)
{
    (void)pthread_once(&once, open_once);
    if (sgemm == NULL)
        return MT_FAIL(err, MT_E_NOTFOUND,
                       "training: no libopenblas.so.0 (Debian: libopenblas0)");
    return MT_OK;
}

void mt_train__blas_product(const struct mt_product *t)
{
    bool a_is_turned = t->a_column != 1;
    int lda = (int)(a_is_turned ? t->a_column : (t->m == 1 ? t->k : t->a_row));

    MT_DEBUG_ASSERT(sgemm != NULL);
    sgemm(CblasRowMajor, a_is_turned ? CblasTrans : CblasNoTrans,
          t->b_is_turned ? CblasTrans : CblasNoTrans, (int)t->m, (int)t->n, (int)t->k, 1.0F,
          t->a, lda, t->b, (int)t->b_row, t->adds ? 1.0F : 0.0F, t->c, (int)t->c_row);
}
