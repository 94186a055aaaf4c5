/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is a recipe or is refused with words; one that is taken has a shape that may be
 * built, and differs in nothing from itself. */
#include "base/assert.h"
#include "train/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct mt_recipe *recipe)
{
    struct mt_buf names = MT_BUF_INIT(4096);

    mt_recipe_differ(recipe, recipe, &names);
    MT_ASSERT(names.rc == MT_OK && names.len == 0);
    mt_buf_fini(&names);
    if (recipe->kind != MT_RECIPE_MERGE && recipe->base.len == 0) {
        const struct mt_shape shape = mt_recipe_shape(recipe);
        MT_ASSERT(mt_shape_check(&shape, NULL) == MT_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct mt_recipe *recipe = NULL;
    struct mt_err err = {0};
    struct mt_str text = {(const char *)data, size};

    if (mt_recipe_parse(text, "r.yaml", MT_STR("/r"), &recipe, &err) == MT_OK)
        look_at(recipe);
    else
        MT_ASSERT(err.text[0] != '\0');
    mt_recipe_free(recipe);
    return 0;
}
