/* SPDX-License-Identifier: Apache-2.0 */
/* product_amx.h - the product in bfloat16 on AMX tiles. */
#ifndef MT_TRAIN_PRODUCT_AMX_H
#define MT_TRAIN_PRODUCT_AMX_H

#include "ops.h"

/** May this process use it? Asks the kernel for it. Any thread. */
bool mt_train__has_amx(void);

/** As the product of mt_ops, operands rounded to bfloat16. 600 KiB of stack. */
void mt_train__product_amx(const struct mt_product *product);

#endif
