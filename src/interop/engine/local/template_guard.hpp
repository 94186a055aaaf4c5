// SPDX-License-Identifier: Apache-2.0
// template_guard.hpp - keeps texts of a conversation from becoming marks of a turn.
//
// A prompt is tokenized whole, with control tokens such as <|im_end|> recognised, because the
// template writes them; a text that holds the same characters must stay text. So, when some
// text has them, the template is rendered with seams put into the texts, one inside every
// control token's words; the seams are found again in what the template made of the texts,
// taken out, and the prompt is cut there before it is tokenized: no token reaches across a cut.
// A text that ends in the beginning of a control token gets a seam as well, so that it cannot
// be completed by what follows it. Texts without such words are rendered once and never cut.
//
// A seam is digits alone, which templates neither trim, escape nor change the case of; their
// numbers are random, so that no text can bring one along. One thread.
#ifndef MT_LOCAL_TEMPLATE_GUARD_H
#define MT_LOCAL_TEMPLATE_GUARD_H

#include <array>
#include <cstddef>
#include <string>
#include <vector>

struct llama_vocab;

class mt_guard
{
  public:
    explicit mt_guard(const llama_vocab *vocab);

    // Put seams into the text. False: it needs none and is as it was.
    bool sew(std::string &text, const std::string &seam) const;
    // Take the seams out of a rendered prompt: where it has to be cut, in order.
    std::vector<size_t> unpick(std::string &prompt, const std::string &seam) const;
    // A seam that the rendered prompt does not hold.
    static std::string new_seam(const std::string &prompt);

  private:
    struct match {
        size_t longest; // of the control tokens that stand there; 0 = none
        bool is_begun;  // the text ends in the middle of one
    };
    match match_at(const std::string &text, size_t at, size_t end) const;
    bool is_needed(const std::string &text, size_t cut) const;

    std::vector<std::string> words; // of control tokens, sorted
    std::array<bool, 256> is_first{};
    size_t longest = 0;
};

#endif
