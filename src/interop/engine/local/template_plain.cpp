// SPDX-License-Identifier: Apache-2.0
// template.h for a llama.cpp without its common library: the templates that libllama knows by
// heart, no tools of the template's own. Exceptions still stop here.
#include "template.h"

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "llama.h"
#include "template_guard.hpp"

struct mt_tmpl {
    std::string text;
    mt_guard guard;
};

struct mt_tmpl_prompt {
    std::string text;
    std::vector<size_t> cuts;
};

namespace
{

mt_tmpl *tmpl_open(const llama_model *model, const char *text, char *err, size_t err_size)
{
    const char *own = text != nullptr ? text : llama_model_chat_template(model, nullptr);

    try {
        return new mt_tmpl{own != nullptr ? own : "chatml",
                           mt_guard(llama_model_get_vocab(model))};
    } catch (...) {
        std::snprintf(err, err_size, "out of memory");
        return nullptr;
    }
}

void tmpl_close(mt_tmpl *tmpl)
{
    delete tmpl;
}

void tmpl_caps(const mt_tmpl *, mt_tmpl_caps *out)
{
    *out = {false, true};
}

// False: the template is none of those known.
bool apply(const mt_tmpl *tmpl, const std::vector<llama_chat_message> &chat, std::string &out)
{
    auto run = [&] {
        return llama_chat_apply_template(tmpl->text.c_str(), chat.data(), chat.size(), true,
                                         out.data(), static_cast<int32_t>(out.size()));
    };
    int32_t n = run();

    if (n < 0)
        return false;
    out.resize(static_cast<size_t>(n));
    return run() >= 0;
}

bool make_prompt(const mt_tmpl *tmpl, const mt_tmpl_in *in, mt_tmpl_prompt &prompt)
{
    std::vector<llama_chat_message> chat;
    std::vector<std::string> sewn(in->plain_n);
    bool has_any = false;

    for (size_t i = 0; i < in->plain_n; i++)
        chat.push_back({in->plain[i].role, in->plain[i].content});
    if (!apply(tmpl, chat, prompt.text))
        return false;
    auto seam = mt_guard::new_seam(prompt.text);
    for (size_t i = 0; i < in->plain_n; i++) {
        sewn[i] = chat[i].content;
        has_any |= tmpl->guard.sew(sewn[i], seam);
        chat[i].content = sewn[i].c_str();
    }
    if (!has_any)
        return true;
    if (!apply(tmpl, chat, prompt.text))
        return false;
    prompt.cuts = tmpl->guard.unpick(prompt.text, seam);
    return true;
}

mt_tmpl_prompt *tmpl_render(mt_tmpl *tmpl, const mt_tmpl_in *in, mt_tmpl_out *out, char *err,
                            size_t err_size)
{
    try {
        auto prompt = std::make_unique<mt_tmpl_prompt>();
        if (make_prompt(tmpl, in, *prompt)) {
            *out = {};
            out->prompt = {prompt->text.data(), prompt->text.size()};
            out->cuts = prompt->cuts.data();
            out->cuts_n = prompt->cuts.size();
            out->think_start = out->think_end = "";
            return prompt.release();
        }
        std::snprintf(err, err_size, "a template that llama.cpp does not know by heart");
    } catch (...) {
        std::snprintf(err, err_size, "out of memory");
    }
    return nullptr;
}

void tmpl_prompt_free(mt_tmpl_prompt *prompt)
{
    delete prompt;
}

bool tmpl_read(mt_tmpl_prompt *, mt_tmpl_text, bool, mt_tmpl_delta_fn *, void *, char *, size_t)
{
    return false; /* has_tools is false: never asked */
}

llama_sampler *grammar_of(mt_tmpl_prompt *, const llama_vocab *, char *, size_t)
{
    return nullptr;
}

llama_sampler *grammar_new(const llama_vocab *vocab, const char *gbnf, char *err,
                           size_t err_size)
{
    try {
        auto *grammar = llama_sampler_init_grammar(vocab, gbnf, "root");
        if (grammar == nullptr)
            std::snprintf(err, err_size, "the grammar does not parse");
        return grammar;
    } catch (...) {
        std::snprintf(err, err_size, "the grammar does not parse");
        return nullptr;
    }
}

bool sampler_accept(llama_sampler *sampler, int token)
{
    try {
        llama_sampler_accept(sampler, token);
        return true;
    } catch (...) {
        return false;
    }
}

} // namespace

extern "C" {
__attribute__((visibility("default"))) extern const mt_tmpl_ops mt_template_ops;
const mt_tmpl_ops mt_template_ops = {
    MT_TMPL_ABI,      tmpl_open, tmpl_close, tmpl_caps,   tmpl_render,
    tmpl_prompt_free, tmpl_read, grammar_of, grammar_new, sampler_accept,
};
}
