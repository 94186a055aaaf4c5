/* SPDX-License-Identifier: Apache-2.0 */
/* template.h - the C face of template.cpp: chat templates (Jinja) of any model, the grammar
 * their tool calls follow, and the reader of what a model answers under them.
 *
 * template.cpp is a library of its own (motet-template.so), opened beside libllama on first
 * use: it needs libllama-common and the C++ runtime, which a node without local models never
 * loads. Errors come as text in err (cut to its size). Any thread; one object, one thread. */
#ifndef MT_LOCAL_TEMPLATE_H
#define MT_LOCAL_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

struct llama_model;
struct llama_sampler;
struct llama_vocab;
struct mt_tmpl;
struct mt_tmpl_prompt;

enum { MT_TMPL_ABI = 2 };

struct mt_tmpl_text {
    const char *at;
    size_t len;
};

/* A message as the few templates that llama.cpp knows by heart take it. */
struct mt_tmpl_plain {
    const char *role, *content;
};

struct mt_tmpl_in {
    struct mt_tmpl_text messages_json; /* OpenAI shape: an array */
    const struct mt_tmpl_plain *plain; /* the same without Jinja; used by a build without it */
    size_t plain_n;
    struct mt_tmpl_text tools_json; /* OpenAI shape: an array; or empty */
    bool tools_required;
    bool tools_parallel;
    bool no_thinking;
    struct mt_tmpl_text effort; /* "low", ...; or empty */
};

struct mt_tmpl_caps {
    bool has_tools; /* the template shows tools and past calls itself */
    bool has_system;
};

/* Borrowed from the mt_tmpl_prompt. */
struct mt_tmpl_out {
    struct mt_tmpl_text prompt;
    const size_t *cuts; /* tokens must not reach across these places: a text of the messages
                         * would become a control token there. In order, none at an end. */
    size_t cuts_n;
    bool has_grammar;        /* of tool calls: grammar_of() makes it */
    const char *think_start; /* "" = none */
    const char *think_end;
    bool is_thinking; /* the prompt itself opened the thinking */
    const char *const *stops;
    size_t stops_n;
};

/* What came since the last read; borrowed until the next. */
enum mt_tmpl_delta_kind {
    MT_TMPL_TEXT,
    MT_TMPL_REASONING,
    MT_TMPL_CALL, /* name, id (may be empty) */
    MT_TMPL_ARGS,
};
struct mt_tmpl_delta {
    enum mt_tmpl_delta_kind kind;
    size_t tool;
    struct mt_tmpl_text text; /* of a CALL: its name */
    struct mt_tmpl_text id;
};
typedef void mt_tmpl_delta_fn(void *ctx, const struct mt_tmpl_delta *delta);

/** The functions of motet-template.so, found as its symbol "mt_template_ops". */
struct mt_tmpl_ops {
    int abi; /* MT_TMPL_ABI */
    /** NULL: err says why. template_text may be NULL: the model's own. */
    struct mt_tmpl *(*open)(const struct llama_model *model, const char *template_text,
                            char *err, size_t err_size);
    void (*close)(struct mt_tmpl *tmpl);
    void (*caps)(const struct mt_tmpl *tmpl, struct mt_tmpl_caps *out);
    /** Render; NULL: err says why. Out is borrowed from the result. */
    struct mt_tmpl_prompt *(*render)(struct mt_tmpl *tmpl, const struct mt_tmpl_in *in,
                                     struct mt_tmpl_out *out, char *err, size_t err_size);
    void (*prompt_free)(struct mt_tmpl_prompt *prompt);
    /** Read the whole answer so far and tell what is new. False: it fits no form; err. */
    bool (*read)(struct mt_tmpl_prompt *prompt, struct mt_tmpl_text answer, bool is_partial,
                 mt_tmpl_delta_fn *fn, void *ctx, char *err, size_t err_size);
    /** A sampler of the prompt's tool calls; NULL: err. */
    struct llama_sampler *(*grammar_of)(struct mt_tmpl_prompt *prompt,
                                        const struct llama_vocab *vocab, char *err,
                                        size_t err_size);
    /** A sampler of a GBNF text with root "root"; NULL: err. */
    struct llama_sampler *(*grammar_new)(const struct llama_vocab *vocab, const char *gbnf,
                                         char *err, size_t err_size);
    /** Tell a sampler what was chosen. False: its grammar does not allow it (llama.cpp throws
     * then, which C cannot catch). */
    bool (*accept)(struct llama_sampler *sampler, int token);
};

#endif
