/* SPDX-License-Identifier: Apache-2.0 */
/* A recipe or a job run here, with its progress; Ctrl-C ends a recipe at a checkpoint. */
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "cli.h"
#include "commands.h"
#include "system/env.h"
#include "train/attempt.h"
#include "train/card.h"
#include "train/embed_card.h"
#include "train/job.h"
#include "train/run.h"
#include "train/versus.h"
#include "wire/json_writer.h"

enum { LINE_MAX_BYTES = 16 * 1024, SHOW_EVERY_MS = 250, JSON_EVERY_MS = 1000, BESIDE = 128 };

struct view { /* of a run, for whoever looks at it */
    struct cli *cli;
    struct mt_str name; /* of the recipe or job */
    bool is_json;
    bool is_line_open;   /* a line of progress stands on the terminal */
    int64_t shown_ms;    /* when a step was last shown */
    double loss;         /* of the last steps, the newer the heavier */
    uint64_t steps_done; /* for the last words */
    uint64_t steps;
    mt_rc rc; /* of writing */
    struct sigaction old_interrupt, old_terminate;
};

/* ------------------------------------------------------------------ signals */

/* A flag that is asked for between steps, so no step is cut. Once it was seen, and after the
 * last step, a signal ends the program at once. */
static volatile sig_atomic_t is_stop_asked;

static void on_signal(int signal)
{
    (void)signal;
    is_stop_asked = 1;
}

static void handle_signals(struct view *view)
{
    const struct sigaction ask = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    is_stop_asked = 0;
    (void)sigaction(SIGINT, &ask, &view->old_interrupt);
    (void)sigaction(SIGTERM, &ask, &view->old_terminate);
}

static void restore_signals(const struct view *view)
{
    (void)sigaction(SIGINT, &view->old_interrupt, NULL);
    (void)sigaction(SIGTERM, &view->old_terminate, NULL);
}

static bool should_stop(void *context)
{
    if (is_stop_asked == 0)
        return false;
    restore_signals(context);
    return true;
}

/* ------------------------------------------------------------------ for people */

static void end_line(struct view *view)
{
    if (view->is_line_open)
        (void)fputc('\n', view->cli->err);
    view->is_line_open = false;
}

static void add_left(struct mt_buf *out, int64_t left_ms)
{
    int64_t s = left_ms / 1000;

    if (left_ms < 0)
        return;
    if (s >= 3600)
        mt_buf_addf(out, ", %lld h %02lld m left", (long long)(s / 3600),
                    (long long)(s / 60 % 60));
    else if (s >= 60)
        mt_buf_addf(out, ", %lld m %02lld s left", (long long)(s / 60), (long long)(s % 60));
    else
        mt_buf_addf(out, ", %lld s left", (long long)s);
}

/* "first answers 50 % and 49 % right, second 92 % and 90 %" */
static void add_turns(const struct mt_run_event *event, struct mt_buf *out)
{
    mt_buf_addf(out, "first answers %.0f %% and %.0f %% right", 100 * event->turn_right[0][0],
                100 * event->turn_right[0][1]);
    if (event->turns_n > 1)
        mt_buf_addf(out, ", second %.0f %% and %.0f %%", 100 * event->turn_right[1][0],
                    100 * event->turn_right[1][1]);
}

static void add_step(const struct view *view, const struct mt_run_event *event,
                     struct mt_buf *out)
{
    mt_buf_addf(out, "step %llu of %llu, ", (unsigned long long)event->step,
                (unsigned long long)event->steps);
    if (event->has_help)
        mt_buf_addf(out, "%.0f %% right, %.0f %% asked", 100 * event->right,
                    100 * event->asked);
    else if (event->has_turns)
        add_turns(event, out);
    else
        mt_buf_addf(out, "loss %.4f", view->loss);
    mt_buf_add_cstr(out, ", ");
    cli_add_count(out, (int64_t)event->tokens_per_s);
    mt_buf_add_cstr(out, " tokens/s");
    add_left(out, event->left_ms);
}

static void add_look(const struct mt_run_event *event, struct mt_buf *out)
{
    mt_buf_addf(out, "step %llu: ", (unsigned long long)event->step);
    if (event->has_turns) {
        add_turns(event, out);
        return;
    }
    if (!event->has_help)
        mt_buf_addf(out, "validation loss %.4f, ", event->validation_loss);
    mt_buf_addf(out, "%.1f %% of %u items right",
                100.0 * event->right_n / (event->items_n > 0 ? event->items_n : 1),
                event->items_n);
    if (event->has_help)
        mt_buf_addf(out, ", %.1f %% without help, asked about %.1f %%", 100 * event->own_right,
                    100 * event->asked);
}

static void add_beginning(const struct view *view, const struct mt_run_event *event,
                          struct mt_buf *out)
{
    mt_buf_add(out, view->name);
    mt_buf_add_cstr(out, ", ");
    cli_add_count(out, (int64_t)event->params_n);
    mt_buf_add_cstr(out, " parameters");
    if (event->step > 0)
        mt_buf_addf(out, ": goes on at step %llu of %llu", (unsigned long long)event->step,
                    (unsigned long long)event->steps);
    else if (event->steps > 0) /* a merge has none */
        mt_buf_addf(out, ": %llu steps", (unsigned long long)event->steps);
}

static void tell(struct view *view, const struct mt_run_event *event)
{
    struct mt_buf text = MT_BUF_INIT(LINE_MAX_BYTES);
    FILE *err = view->cli->err;

    switch (event->what) {
    case MT_RUN_BEGAN:
        add_beginning(view, event, &text);
        (void)fprintf(err, "%s\n", mt_buf_cstr(&text));
        break;
    case MT_RUN_STEP:
        add_step(view, event, &text);
        (void)fprintf(err, "\r\033[K%s", mt_buf_cstr(&text));
        view->is_line_open = true;
        break;
    case MT_RUN_VALIDATED:
        end_line(view);
        add_look(event, &text);
        (void)fprintf(err, "%s\n", mt_buf_cstr(&text));
        break;
    case MT_RUN_SAVED:
        break;
    case MT_RUN_WROTE:
        end_line(view);
        (void)fprintf(view->cli->out, "%s\n", event->path);
        break;
    }
    (void)fflush(err);
    mt_buf_fini(&text);
}

/* ------------------------------------------------------------------ for programs */

static const char *what_name(enum mt_run_what what)
{
    switch (what) {
    case MT_RUN_BEGAN:
        return "began";
    case MT_RUN_STEP:
        return "step";
    case MT_RUN_VALIDATED:
        return "validated";
    case MT_RUN_SAVED:
        return "saved";
    case MT_RUN_WROTE:
        return "wrote";
    }
    return "?";
}

/* "turns_right": [[0.5, 0.49], [0.92, 0.9]]: by turn, then by agent */
static void add_json_turns(const struct mt_run_event *event, struct mt_jw *w)
{
    mt_jw_key(w, "turns_right");
    mt_jw_array(w);
    for (uint32_t turn = 0; turn < event->turns_n; turn++) {
        mt_jw_array(w);
        for (int agent = 0; agent < 2; agent++)
            mt_jw_f64(w, event->turn_right[turn][agent]);
        mt_jw_end(w);
    }
    mt_jw_end(w);
}

static void add_json(const struct view *view, const struct mt_run_event *event,
                     struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_kcstr(&w, "event", what_name(event->what));
    mt_jw_ki64(&w, "step", (int64_t)event->step);
    mt_jw_ki64(&w, "steps", (int64_t)event->steps);
    mt_jw_ki64(&w, "tokens", (int64_t)event->tokens);
    if (event->what == MT_RUN_BEGAN) {
        mt_jw_kstr(&w, "name", view->name);
        mt_jw_ki64(&w, "parameters", (int64_t)event->params_n);
    }
    if (event->what == MT_RUN_STEP) {
        mt_jw_kf64(&w, "loss", event->loss);
        mt_jw_kf64(&w, "rate", event->rate);
        mt_jw_kf64(&w, "grad_norm", event->grad_norm);
        mt_jw_kf64(&w, "tokens_per_s", event->tokens_per_s);
        mt_jw_ki64(&w, "left_ms", event->left_ms);
    }
    if (event->has_help && (event->what == MT_RUN_STEP || event->what == MT_RUN_VALIDATED)) {
        mt_jw_kf64(&w, "asked", event->asked);
        mt_jw_kf64(&w, "own_right", event->own_right);
        mt_jw_kf64(&w, "helped_right", event->right);
    }
    if (event->has_turns && (event->what == MT_RUN_STEP || event->what == MT_RUN_VALIDATED))
        add_json_turns(event, &w);
    if (event->what == MT_RUN_VALIDATED) {
        mt_jw_kf64(&w, "loss", event->validation_loss);
        mt_jw_ki64(&w, "right", event->right_n);
        mt_jw_ki64(&w, "items", event->items_n);
    }
    if (event->path != NULL)
        mt_jw_kcstr(&w, "path", event->path);
    mt_jw_end(&w);
    mt_buf_add_char(out, '\n');
}

static void print(struct view *view, const struct mt_run_event *event)
{
    struct mt_buf line = MT_BUF_INIT(LINE_MAX_BYTES);

    add_json(view, event, &line);
    mt_rc rc = cli_put(view->cli, &line, NULL);
    if (rc != MT_OK)
        view->rc = rc;
    (void)fflush(view->cli->out);
    mt_buf_fini(&line);
}

/* ------------------------------------------------------------------ both */

/* Steps come by the hundred in a second; a few of them are shown, the last one always. */
static bool is_shown(struct view *view, const struct mt_run_event *event)
{
    int64_t now_ms = mt_env_now_mono_ns(mt_env_real()) / 1000000;
    int64_t pause_ms = view->is_json ? JSON_EVERY_MS : SHOW_EVERY_MS;

    if (event->what != MT_RUN_STEP)
        return true;
    if (event->step == event->steps)
        restore_signals(view);
    view->loss = view->steps_done == 0 ? event->loss : 0.95 * view->loss + 0.05 * event->loss;
    view->steps_done = event->step;
    view->steps = event->steps;
    if (!view->is_json && !view->cli->is_err_tty)
        return false;
    if (event->step < event->steps && now_ms - view->shown_ms < pause_ms)
        return false;
    view->shown_ms = now_ms;
    return true;
}

static void on_event(void *context, const struct mt_run_event *event)
{
    struct view *view = context;

    if (!is_shown(view, event))
        return;
    if (view->is_json)
        print(view, event);
    else
        tell(view, event);
}

static void open_view(struct view *view, struct mt_run_opts *opts)
{
    opts->should_stop = should_stop;
    opts->on_event = on_event;
    opts->context = view;
    handle_signals(view);
}

static mt_rc close_view(struct view *view, mt_rc rc, struct mt_err *err)
{
    restore_signals(view);
    end_line(view);
    if (rc == MT_E_CANCELED && view->steps > 0)
        (void)fprintf(view->cli->err,
                      "motet: stopped at step %llu of %llu; the same command goes on there\n",
                      (unsigned long long)view->steps_done, (unsigned long long)view->steps);
    else if (rc == MT_E_CANCELED)
        (void)fprintf(view->cli->err, "motet: stopped\n");
    return rc == MT_OK && view->rc != MT_OK ? cli_put_failed(err) : rc;
}

static mt_rc run_recipe(struct cli *cli, const struct cli_args *args, struct mt_run_opts *opts,
                        struct mt_err *err)
{
    MT_CLEANUP(mt_recipe_freep) const struct mt_recipe *recipe = NULL;

    MT_TRY(mt_recipe_read(cli_value(args, "recipe"), &recipe, err));
    struct view view = {.cli = cli, .name = recipe->name, .is_json = cli_has(args, "json")};
    open_view(&view, opts);
    mt_rc rc = mt_run(recipe, opts, err);
    return close_view(&view, rc, err);
}

static mt_rc run_job(struct cli *cli, const struct cli_args *args, struct mt_run_opts *opts,
                     struct mt_err *err)
{
    MT_CLEANUP(mt_job_freep) const struct mt_job *job = NULL;
    MT_CLEANUP(mt_buf_fini) struct mt_buf result = MT_BUF_INIT(CLI_TABLE_MAX);

    MT_TRY(mt_job_read(cli_value(args, "job"), &job, err));
    struct view view = {.cli = cli, .name = job->name, .is_json = cli_has(args, "json")};
    if (job->trainer_n > 0 && !view.is_json)
        (void)fprintf(cli->err, "motet: what the trainer says goes to %s/%.*s.log\n",
                      opts->folder, MT_STR_ARG(job->name));
    open_view(&view, opts);
    const struct mt_job_opts job_opts = {
        .run = *opts, .version = MT_VERSION, .result = &result};
    mt_rc rc = close_view(&view, mt_job_run(job, &job_opts, err), err);
    if (!view.is_json)
        return rc;
    mt_rc put = cli_put(cli, &result, rc == MT_OK ? err : NULL);
    return rc == MT_OK ? put : rc;
}

static mt_rc count_of(const struct cli_args *args, const char *name, int64_t max, int64_t *out,
                      struct mt_err *err)
{
    const char *text = cli_value(args, name);

    if (text != NULL && !mt_str_to_i64(mt_str_of(text), 1, max, out))
        return MT_FAIL(err, MT_E_INVALID, "train: --%s: expected 1 to %lld, found '%s'", name,
                       (long long)max, text);
    return MT_OK;
}

/* ------------------------------------------------------------------ cards */

/* "lab/lab-pico.gguf" -> "lab-pico" */
static struct mt_str model_name(struct mt_str path)
{
    size_t at = path.len;

    while (at > 0 && path.at[at - 1] != '/')
        at--;
    path = mt_str_sub(path, at, path.len);
    return mt_str_ends(path, MT_STR(".gguf")) ? mt_str_sub(path, 0, path.len - 5) : path;
}

/* An embedder's, which is not known to have learned less than all skills. */
static mt_rc print_embed_card(struct cli *cli, const struct cli_args *args,
                              const char *library_dir, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(CLI_TABLE_MAX);
    MT_CLEANUP(mt_freep) struct mt_embed_card *card = mt_alloc(1, sizeof *card);
    MT_CLEANUP(mt_freep) float *params = NULL;
    const char *path = cli_value(args, "card");
    int64_t items_n = MT_EMBED_ITEMS;

    if (card == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "card");
    card->name = model_name(mt_str_of(path));
    card->learned = MT_EMBED_ALL_SKILLS;
    MT_TRY(count_of(args, "items", MT_EMBED_ITEMS_MAX, &items_n, err));
    MT_TRY(mt_model_read(path, &card->shape, &params, library_dir, err));
    const struct mt_embed_card_opts opts = {.params = params, .items_n = (uint32_t)items_n};
    MT_TRY(mt_embed_card_measure(card, &opts, err));
    if (cli_has(args, "json"))
        mt_embed_card_json(card, &out);
    else
        mt_embed_card_markdown(card, &out);
    return cli_put(cli, &out, err);
}

static mt_rc print_card(struct cli *cli, const struct cli_args *args, const char *library_dir,
                        struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(CLI_TABLE_MAX);
    MT_CLEANUP(mt_model_asker_freep) struct mt_model_asker *model = NULL;
    MT_CLEANUP(mt_freep) float *params = NULL;
    const char *path = cli_value(args, "card");
    struct mt_card card = {.name = model_name(mt_str_of(path))};
    int64_t items_n = MT_EXAM_ITEMS;
    enum mt_model_use use;

    MT_TRY(count_of(args, "items", MT_EXAM_ITEMS_MAX, &items_n, err));
    MT_TRY(mt_model_read_use(path, &use, library_dir, err));
    if (use == MT_MODEL_EMBEDS)
        return print_embed_card(cli, args, library_dir, err);
    MT_TRY(mt_model_read(path, &card.shape, &params, library_dir, err));
    MT_TRY(mt_model_asker_new(&card.shape, params, BESIDE, &model, err));
    const struct mt_asker asker = mt_model_asker_view(model);
    MT_TRY(mt_card_measure(&card, &asker, (uint32_t)items_n, err));
    if (cli_has(args, "json"))
        mt_card_json(&card, &out);
    else
        mt_card_markdown(&card, &out);
    return cli_put(cli, &out, err);
}

/* A model of the lab and who lets it answer. */
struct asked {
    struct mt_str name;
    float *params;
    struct mt_attempter *attempter;
};

static void asked_fini(struct asked *asked)
{
    mt_attempter_free(asked->attempter);
    mt_free(asked->params);
}

static mt_rc asked_init(struct asked *asked, const char *path, const char *library_dir,
                        struct mt_err *err)
{
    struct mt_shape shape;

    asked->name = model_name(mt_str_of(path));
    MT_TRY(mt_model_read(path, &shape, &asked->params, library_dir, err));
    return mt_attempter_new(&shape, asked->params, &asked->attempter, err);
}

static mt_rc print_versus(struct cli *cli, const struct cli_args *args, const char *library_dir,
                          struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(CLI_TABLE_MAX);
    MT_CLEANUP(asked_fini) struct asked a = {.params = NULL};
    MT_CLEANUP(asked_fini) struct asked b = {.params = NULL};
    MT_CLEANUP(mt_freep) struct mt_versus *versus = mt_alloc(1, sizeof *versus);
    int64_t items_n = MT_EXAM_ITEMS;

    if (versus == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "train");
    MT_TRY(count_of(args, "items", MT_EXAM_ITEMS_MAX, &items_n, err));
    MT_TRY(asked_init(&a, cli_value(args, "card"), library_dir, err));
    MT_TRY(asked_init(&b, cli_value(args, "against"), library_dir, err));
    versus->a = a.name;
    versus->b = b.name;
    MT_TRY(mt_versus_ask(versus, a.attempter, b.attempter, (uint32_t)items_n, err));
    if (cli_has(args, "json"))
        mt_versus_json(versus, &out);
    else
        mt_versus_markdown(versus, &out);
    return cli_put(cli, &out, err);
}

/* ------------------------------------------------------------------ the command */

/* The key behind "job." or "job" itself; NULL: it is one of a recipe. */
static const char *job_key(const char *key)
{
    bool is_job = strncmp(key, "job", 3) == 0 && (key[3] == '.' || key[3] == '\0');

    return is_job ? key + 3 + (key[3] == '.') : NULL;
}

static mt_rc explain(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(CLI_TABLE_MAX);
    const char *key = args->rest_n > 0 ? args->rest[0] : NULL;
    const char *of_job = key != NULL ? job_key(key) : NULL;

    if (cli_has(args, "markdown") && of_job != NULL)
        mt_job_reference(&out);
    else if (cli_has(args, "markdown"))
        mt_recipe_reference(&out);
    else if (of_job != NULL)
        MT_TRY(mt_job_explain(of_job[0] != '\0' ? of_job : NULL, &out, err));
    else
        MT_TRY(mt_recipe_explain(key, &out, err));
    return cli_put(cli, &out, err);
}

/* One of the things that the command does, and of the ways to begin. */
static mt_rc check_args(const struct cli_args *args, struct mt_err *err)
{
    bool is_explain = cli_has(args, "explain") || cli_has(args, "markdown");

    if (is_explain + cli_has(args, "recipe") + cli_has(args, "job") + cli_has(args, "card") !=
        1)
        return MT_FAIL(err, MT_E_INVALID,
                       "train: expected --recipe FILE, --job FILE, --card FILE or --explain");
    if (args->rest_n > 0 && !is_explain)
        return MT_FAIL(err, MT_E_INVALID, "train: unexpected '%s'", args->rest[0]);
    if (cli_has(args, "against") && !cli_has(args, "card"))
        return MT_FAIL(err, MT_E_INVALID, "train: expected --card FILE with --against");
    if (cli_has(args, "resume") && cli_has(args, "fresh"))
        return MT_FAIL(err, MT_E_INVALID, "train: expected --resume or --fresh, not both");
    return MT_OK;
}

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(mt_config_unrefp) const struct mt_config *config = NULL;
    MT_CLEANUP(mt_freep) char *library_dir = NULL;
    const char *out = cli_value(args, "out");
    int64_t threads_n = 0;

    MT_TRY(check_args(args, err));
    if (cli_has(args, "explain") || cli_has(args, "markdown"))
        return explain(cli, args, err);
    MT_TRY(cli_config(cli, args, &config, err));
    if (config->library_dir.len > 0) {
        library_dir = mt_alloc_cstr(config->library_dir);
        if (library_dir == NULL)
            return MT_FAIL(err, MT_E_NOMEM, "train");
    }
    if (cli_has(args, "against"))
        return print_versus(cli, args, library_dir, err);
    if (cli_has(args, "card"))
        return print_card(cli, args, library_dir, err);
    threads_n = config->threads;
    MT_TRY(count_of(args, "threads", 64, &threads_n, err));
    struct mt_run_opts opts = {
        .folder = out != NULL ? out : ".",
        .from = cli_has(args, "fresh")    ? MT_RUN_NOTHING
                : cli_has(args, "resume") ? MT_RUN_CHECKPOINT
                                          : MT_RUN_EITHER,
        .threads_n = (unsigned)threads_n,
        .library_dir = library_dir,
        .env = mt_env_real(),
    };
    return cli_has(args, "job") ? run_job(cli, args, &opts, err)
                                : run_recipe(cli, args, &opts, err);
}

static const struct cli_opt opts[] = {
    {"recipe", 'r', "FILE", "run this recipe"},
    {"job", 'j', "FILE", "run this job: a recipe or another trainer, with a budget"},
    {"out", 'o', "DIR", "write checkpoint, model and card here; without it where you are"},
    {"resume", 0, NULL, "go on from the checkpoint, and fail if there is none"},
    {"fresh", 0, NULL, "begin anew, over a checkpoint that is there"},
    {"threads", 't', "N", "threads that compute; without it one per core"},
    {"card", 0, "MODEL", "measure a model of the lab and print its card"},
    {"against", 0, "MODEL", "card: compare with this one on the same items"},
    {"items", 'n', "N", "card: items for each skill and difficulty (200)"},
    {"explain", 'e', NULL,
     "print the keys of recipes, or of jobs ('job'), or all about the one named"},
    {"markdown", 0, NULL, "explain: the whole reference page, of recipes or of jobs ('job')"},
    CLI_OPT_JSON,
    CLI_OPT_CONFIG,
    {0},
};

const struct cli_cmd cli_cmd_train = {
    .name = "train",
    .args = "[KEY]",
    .summary = "train a small model by a recipe or as a job, or measure one",
    .more = "A run goes on from its checkpoint when there is one of the same recipe. Ctrl-C "
            "writes one\n"
            "and ends; kill -9 loses what came after the last one. The files written are "
            "printed; what\n"
            "happens meanwhile goes to standard error, or with --json as lines of JSON to "
            "standard\n"
            "output. A job names its files, who trains, what that may take and what comes "
            "out; last of all\n"
            "DIR/NAME.result.json says how it went, which --json prints as well. "
            "docs/training.md begins\n"
            "at the beginning, docs/recipes.md and docs/jobs.md list the keys.\n",
    .examples = "motet train --recipe lab/recipes/pico.yaml --out lab\n"
                "motet train --recipe mine.yaml --fresh --json > mine.log\n"
                "motet train --card lab/lab-pico.gguf --items 400\n"
                "motet train --job examples/train-job/job.yaml --out pruned\n"
                "motet train --explain train.rate_max\n"
                "motet train --explain job.budget.time\n",
    .opts = opts,
    .rest_max = 1,
    .run = run,
};
