/* SPDX-License-Identifier: Apache-2.0 */
/* A look at the validation split: the loss of its answers, and how many come out right when the
 * model says them itself. */
#include "base/alloc.h"
#include "run_priv.h"

enum { BESIDE = 128 }; /* items that are answered side by side */

struct mt_run__look {
    struct mt_trainer *trainer; /* whose model is looked at */
    struct mt_items *items;
    struct mt_model_asker *asker;
    struct mt_embed_room *room; /* of an embedder, which is not asked; NULL: it answers */
    uint32_t items_n;
    struct mt_item asked[BESIDE];
    struct mt_str prompts[BESIDE];
    struct mt_answer answers[BESIDE];
};

void mt_run__look_free(struct mt_run__look *look)
{
    if (look == NULL)
        return;
    mt_items_free(look->items);
    mt_model_asker_free(look->asker);
    mt_embed_room_free(look->room);
    mt_free(look);
}

static void look_freep(struct mt_run__look **look)
{
    mt_run__look_free(*look);
}

mt_rc mt_run__look_new(const struct mt_recipe *recipe, struct mt_trainer *trainer,
                       struct mt_run__look **out, struct mt_err *err)
{
    MT_CLEANUP(look_freep) struct mt_run__look *look = mt_alloc(1, sizeof *look);

    if (look == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "validation");
    look->trainer = trainer;
    look->items_n = (uint32_t)recipe->validate_items;
    MT_TRY(mt_run__items(recipe, MT_SPLIT_VALIDATION, &look->items, err));
    if (recipe->kind == MT_RECIPE_EMBED)
        MT_TRY(mt_embed_room_new((uint32_t)recipe->batch_tokens, &look->room, err));
    else
        MT_TRY(mt_model_asker_new(mt_trainer_shape(trainer), mt_trainer_params(trainer), BESIDE,
                                  &look->asker, err));
    *out = MT_MOVE(look);
    return MT_OK;
}

/* Whole batches until there are enough items; the last one may have more. */
static double loss_of(struct mt_run__look *look)
{
    double loss = 0;
    double weight = 0;

    mt_items_seek(look->items, 0);
    while (mt_items_position(look->items) < look->items_n) {
        struct mt_batch batch;
        struct mt_net_sum sum;

        mt_items_next(look->items, &batch);
        mt_trainer_evaluate(look->trainer, &batch, NULL, &sum);
        loss += sum.loss;
        weight += sum.weight;
    }
    return weight > 0 ? loss / weight : 0;
}

static uint32_t right_of(struct mt_run__look *look, uint32_t n)
{
    const struct mt_asker asker = mt_model_asker_view(look->asker);
    uint32_t right_n = 0;

    for (uint32_t i = 0; i < n; i++) {
        mt_items_draw(look->items, &look->asked[i]);
        look->prompts[i] = mt_str_of(look->asked[i].prompt);
    }
    asker.ask(asker.context, look->prompts, look->answers, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct mt_answer *answer = &look->answers[i];
        right_n +=
            mt_item_is_right(&look->asked[i], (struct mt_str){answer->text, answer->len});
    }
    return right_n;
}

/* Whole batches as well; right is whose skill is the likeliest label. */
static void look_at_texts(struct mt_run__look *look, struct mt_run_event *event)
{
    struct mt_net_sum all = {0};

    mt_items_seek(look->items, 0);
    while (all.targets_n < look->items_n) {
        struct mt_batch batch;
        struct mt_net_sum sum;

        mt_embed_next(look->room, look->items, &batch);
        mt_trainer_evaluate(look->trainer, &batch, NULL, &sum);
        all.loss += sum.loss;
        all.right_n += sum.right_n;
        all.targets_n += sum.targets_n;
    }
    event->validation_loss = all.loss / all.targets_n;
    event->right_n = all.right_n;
    event->items_n = all.targets_n;
}

void mt_run__look(struct mt_run__look *look, struct mt_run_event *event)
{
    if (look->room != NULL) {
        look_at_texts(look, event);
        return;
    }
    event->validation_loss = loss_of(look);
    event->items_n = look->items_n;
    event->right_n = 0;
    mt_items_seek(look->items, 0);
    for (uint32_t done = 0; done < look->items_n; done += BESIDE)
        event->right_n +=
            right_of(look, look->items_n - done < BESIDE ? look->items_n - done : BESIDE);
}
