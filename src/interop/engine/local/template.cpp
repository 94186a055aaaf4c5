// SPDX-License-Identifier: Apache-2.0
// The C face of libllama-common's chat templates; see template.h. The only C++ of the engine.
#include "template.h"

#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "chat.h"
#include "llama.h"
#include "template_guard.hpp"

struct mt_tmpl {
    common_chat_templates_ptr templates;
    mt_guard guard;
};

struct mt_tmpl_prompt {
    common_chat_params params;
    std::vector<size_t> cuts;
    common_chat_parser_params reader;
    common_chat_msg seen;
    std::string think_end;
    std::vector<const char *> stops;
};

namespace
{

enum { JSON_DEPTH_MAX = 256 };

void tell(char *err, size_t err_size, const char *what)
{
    std::snprintf(err, err_size, "%s", what);
}

std::string str(mt_tmpl_text text)
{
    return std::string(text.at != nullptr ? text.at : "", text.len);
}

mt_tmpl_text view(const std::string &text)
{
    return {text.data(), text.size()};
}

// Templates that ask for the date get it through localtime(), whose result all threads share;
// and every model has a thread.
std::mutex one_at_a_time;

// Run fn; an exception becomes words and nullptr.
template <typename T, typename F> T *guarded(char *err, size_t err_size, F fn)
{
    try {
        return fn();
    } catch (const std::exception &e) {
        tell(err, err_size, e.what());
    } catch (...) {
        tell(err, err_size, "unknown failure in the template library");
    }
    return nullptr;
}

mt_tmpl *tmpl_open(const llama_model *model, const char *text, char *err, size_t err_size)
{
    return guarded<mt_tmpl>(err, err_size, [&] {
        std::lock_guard<std::mutex> lock(one_at_a_time);
        return new mt_tmpl{common_chat_templates_init(model, text != nullptr ? text : ""),
                           mt_guard(llama_model_get_vocab(model))};
    });
}

void tmpl_close(mt_tmpl *tmpl)
{
    delete tmpl;
}

void tmpl_caps(const mt_tmpl *tmpl, mt_tmpl_caps *out)
{
    *out = {false, true};
    try {
        auto caps = common_chat_templates_get_caps(tmpl->templates.get());
        out->has_tools = caps["supports_tools"] && caps["supports_tool_calls"];
        out->has_system = caps["supports_system_role"];
    } catch (...) {
        *out = {false, true};
    }
}

bool ends_with(const std::string &text, const std::string &end)
{
    return !end.empty() && text.size() >= end.size() &&
           text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string trimmed(const std::string &text)
{
    size_t end = text.find_last_not_of(" \t\r\n");
    return end == std::string::npos ? "" : text.substr(0, end + 1);
}

void show(mt_tmpl_prompt &p, mt_tmpl_out *out)
{
    for (const auto &stop : p.params.additional_stops)
        p.stops.push_back(stop.c_str());
    if (!p.params.thinking_end_tags.empty())
        p.think_end = trimmed(p.params.thinking_end_tags.front());
    out->prompt = view(p.params.prompt);
    out->cuts = p.cuts.data();
    out->cuts_n = p.cuts.size();
    out->has_grammar = !p.params.grammar.empty();
    p.params.thinking_start_tag = trimmed(p.params.thinking_start_tag);
    out->think_start = p.params.thinking_start_tag.c_str();
    out->think_end = p.think_end.c_str();
    out->is_thinking = ends_with(trimmed(p.params.prompt), p.params.thinking_start_tag);
    out->stops = p.stops.data();
    out->stops_n = p.stops.size();
}

common_chat_templates_inputs inputs_of(const mt_tmpl_in *in)
{
    common_chat_templates_inputs inputs;

    inputs.messages =
        common_chat_msgs_parse_oaicompat(common_json::parse(str(in->messages_json)));
    if (in->tools_json.len > 0)
        inputs.tools =
            common_chat_tools_parse_oaicompat(common_json::parse(str(in->tools_json)));
    inputs.tool_choice =
        in->tools_required ? COMMON_CHAT_TOOL_CHOICE_REQUIRED : COMMON_CHAT_TOOL_CHOICE_AUTO;
    inputs.parallel_tool_calls = in->tools_parallel;
    inputs.reasoning_format = COMMON_REASONING_FORMAT_DEEPSEEK;
    inputs.enable_thinking = !in->no_thinking;
    if (in->effort.len > 0)
        inputs.chat_template_kwargs["reasoning_effort"] = "\"" + str(in->effort) + "\"";
    return inputs;
}

// The seams of one rendering: puts them wherever a client's text can stand.
struct sewing {
    const mt_guard &guard;
    std::string seam;
    bool has_any;

    void text(std::string &at)
    {
        has_any |= guard.sew(at, seam);
    }

    common_json tree(const common_json &node, int depth)
    {
        if (depth > JSON_DEPTH_MAX)
            throw std::runtime_error("arguments or a schema are nested too deeply");
        if (node.is_string()) {
            auto value = node.get<std::string>();
            text(value);
            return common_json::make(value);
        }
        if (!node.is_array() && !node.is_object())
            return node;
        auto out = node.is_array() ? common_json::array() : common_json::object();
        if (node.is_array())
            for (size_t i = 0; i < node.size(); i++)
                out.push_back(tree(node.at(i), depth + 1));
        else
            for (const auto &[name, value] : node.items()) {
                std::string key = name;
                text(key);
                out[key] = tree(value, depth + 1);
            }
        return out;
    }

    // JSON whose texts a template may show decoded; or what should have been JSON.
    void json(std::string &at)
    {
        auto node = common_json::parse_no_throw(at);
        bool had_any = has_any;

        has_any = false;
        if (node.is_discarded()) {
            text(at);
        } else {
            auto sewn = tree(node, 0);
            if (has_any)
                at = sewn.dump();
        }
        has_any |= had_any;
    }

    void message(common_chat_msg &m)
    {
        text(m.content);
        for (auto &part : m.content_parts)
            text(part.text);
        text(m.reasoning_content);
        text(m.tool_name);
        text(m.tool_call_id);
        for (auto &call : m.tool_calls) {
            text(call.name);
            text(call.id);
            json(call.arguments);
        }
    }

    void tool(common_chat_tool &t)
    {
        text(t.name);
        text(t.description);
        json(t.parameters);
    }
};

// Only the prompt comes from the rendering with seams: grammar and reader know the tools by
// their names.
void keep_marks(const mt_tmpl &tmpl, mt_tmpl_prompt &prompt,
                common_chat_templates_inputs &inputs)
{
    sewing sew = {tmpl.guard, mt_guard::new_seam(prompt.params.prompt), false};

    for (auto &m : inputs.messages)
        sew.message(m);
    for (auto &t : inputs.tools)
        sew.tool(t);
    if (!sew.has_any)
        return;
    prompt.params.prompt = common_chat_templates_apply(tmpl.templates.get(), inputs).prompt;
    prompt.cuts = tmpl.guard.unpick(prompt.params.prompt, sew.seam);
}

mt_tmpl_prompt *tmpl_render(mt_tmpl *tmpl, const mt_tmpl_in *in, mt_tmpl_out *out, char *err,
                            size_t err_size)
{
    return guarded<mt_tmpl_prompt>(err, err_size, [&] {
        auto prompt = std::make_unique<mt_tmpl_prompt>();
        {
            std::lock_guard<std::mutex> lock(one_at_a_time);
            auto inputs = inputs_of(in);
            prompt->params = common_chat_templates_apply(tmpl->templates.get(), inputs);
            keep_marks(*tmpl, *prompt, inputs);
        }
        prompt->reader = common_chat_parser_params(prompt->params);
        prompt->reader.reasoning_format = COMMON_REASONING_FORMAT_DEEPSEEK;
        if (!prompt->params.parser.empty())
            prompt->reader.parser.load(prompt->params.parser);
        show(*prompt, out);
        return prompt.release();
    });
}

void tmpl_prompt_free(mt_tmpl_prompt *prompt)
{
    delete prompt;
}

void tell_diff(const common_chat_msg_diff &diff, mt_tmpl_delta_fn *fn, void *ctx)
{
    mt_tmpl_delta delta = {};

    if (!diff.reasoning_content_delta.empty()) {
        delta.kind = MT_TMPL_REASONING;
        delta.text = view(diff.reasoning_content_delta);
        fn(ctx, &delta);
    }
    if (!diff.content_delta.empty()) {
        delta.kind = MT_TMPL_TEXT;
        delta.text = view(diff.content_delta);
        fn(ctx, &delta);
    }
    if (diff.tool_call_index == std::string::npos)
        return;
    delta.tool = diff.tool_call_index;
    if (!diff.tool_call_delta.name.empty()) {
        delta.kind = MT_TMPL_CALL;
        delta.text = view(diff.tool_call_delta.name);
        delta.id = view(diff.tool_call_delta.id);
        fn(ctx, &delta);
    }
    if (!diff.tool_call_delta.arguments.empty()) {
        delta.kind = MT_TMPL_ARGS;
        delta.text = view(diff.tool_call_delta.arguments);
        fn(ctx, &delta);
    }
}

bool tmpl_read(mt_tmpl_prompt *prompt, mt_tmpl_text answer, bool is_partial,
               mt_tmpl_delta_fn *fn, void *ctx, char *err, size_t err_size)
{
    return guarded<mt_tmpl_prompt>(err, err_size, [&] {
               auto now = common_chat_parse(str(answer), is_partial, prompt->reader);
               for (const auto &diff : common_chat_msg_diff::compute_diffs(prompt->seen, now))
                   tell_diff(diff, fn, ctx);
               prompt->seen = std::move(now);
               return prompt;
           }) != nullptr;
}

std::string escaped(const std::string &word)
{
    std::string out;
    for (char c : word) {
        if (std::string("^$.*+?()[]{}|\\").find(c) != std::string::npos)
            out += '\\';
        out += c;
    }
    return out;
}

std::string anchored(const std::string &pattern)
{
    std::string out = pattern;
    if (out.empty() || out.front() != '^')
        out = "^" + out;
    return out.back() == '$' ? out : out + "$";
}

llama_sampler *lazy_grammar(const common_chat_params &params, const llama_vocab *vocab)
{
    std::vector<std::string> patterns;
    std::vector<llama_token> tokens;
    std::vector<const char *> texts;

    for (const auto &t : params.grammar_triggers) {
        if (t.type == COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN)
            tokens.push_back(t.token);
        else if (t.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD)
            patterns.push_back(escaped(t.value));
        else if (t.type == COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL)
            patterns.push_back(anchored(t.value));
        else
            patterns.push_back(t.value);
    }
    for (const auto &p : patterns)
        texts.push_back(p.c_str());
    return llama_sampler_init_grammar_lazy_patterns(vocab, params.grammar.c_str(), "root",
                                                    texts.data(), texts.size(), tokens.data(),
                                                    tokens.size());
}

// A grammar that is not lazy begins with the generation prompt: tell it what stands there.
void prefill(llama_sampler *grammar, const llama_vocab *vocab, const std::string &text)
{
    std::vector<llama_token> tokens(text.size() + 8);
    int32_t n = llama_tokenize(vocab, text.data(), static_cast<int32_t>(text.size()),
                               tokens.data(), static_cast<int32_t>(tokens.size()), false, true);

    for (int32_t i = 0; i < n; i++) {
        char piece[64];
        int32_t len = llama_token_to_piece(vocab, tokens[i], piece, sizeof piece, 0, true);
        // some tokenizers put a space in front that the text does not have
        if (i == 0 && len > 0 && piece[0] == ' ' && text[0] != ' ')
            continue;
        llama_sampler_accept(grammar, tokens[i]);
    }
}

llama_sampler *grammar_of(mt_tmpl_prompt *prompt, const llama_vocab *vocab, char *err,
                          size_t err_size)
{
    return guarded<llama_sampler>(err, err_size, [&]() -> llama_sampler * {
        const auto &params = prompt->params;
        if (params.grammar_lazy)
            return lazy_grammar(params, vocab);
        std::unique_ptr<llama_sampler, void (*)(llama_sampler *)> grammar(
            llama_sampler_init_grammar(vocab, params.grammar.c_str(), "root"),
            llama_sampler_free);
        if (grammar != nullptr)
            prefill(grammar.get(), vocab, params.generation_prompt);
        else
            tell(err, err_size, "the template's grammar does not parse");
        return grammar.release();
    });
}

llama_sampler *grammar_new(const llama_vocab *vocab, const char *gbnf, char *err,
                           size_t err_size)
{
    return guarded<llama_sampler>(err, err_size, [&] {
        auto *grammar = llama_sampler_init_grammar(vocab, gbnf, "root");
        if (grammar == nullptr)
            tell(err, err_size, "the grammar does not parse");
        return grammar;
    });
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
