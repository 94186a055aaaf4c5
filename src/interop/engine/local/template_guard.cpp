// SPDX-License-Identifier: Apache-2.0
#include "template_guard.hpp"

#include <algorithm>
#include <random>

#include "llama.h"

namespace
{

// Bytes of the UTF-8 character at this place: a seam never stands inside one.
size_t character_bytes(const std::string &text, size_t at)
{
    size_t n = 1;

    while (at + n < text.size() && (static_cast<unsigned char>(text[at + n]) & 0xc0) == 0x80)
        n++;
    return n;
}

unsigned char byte_of(char c)
{
    return static_cast<unsigned char>(c);
}

} // namespace

mt_guard::mt_guard(const llama_vocab *vocab)
{
    // what llama.cpp does not recognise in a text tokenized without special tokens
    const int hidden = LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN;

    for (llama_token t = 0; t < llama_vocab_n_tokens(vocab); t++) {
        const char *word = llama_vocab_get_text(vocab, t);
        if ((llama_vocab_get_attr(vocab, t) & hidden) != 0 && word != nullptr && *word != '\0')
            words.push_back(word);
    }
    std::sort(words.begin(), words.end(), [](const std::string &a, const std::string &b) {
        return std::lexicographical_compare(
            a.begin(), a.end(), b.begin(), b.end(),
            [](char x, char y) { return byte_of(x) < byte_of(y); });
    });
    for (const auto &word : words) {
        is_first[byte_of(word[0])] = true;
        longest = std::max(longest, word.size());
    }
}

mt_guard::match mt_guard::match_at(const std::string &text, size_t at, size_t end) const
{
    match out = {0, false};
    auto low = words.begin();
    auto high = words.end();

    if (!is_first[byte_of(text[at])])
        return out;
    for (size_t n = 0; at + n < end; n++) { // words that begin like the text's next n bytes
        unsigned char c = byte_of(text[at + n]);
        low = std::partition_point(low, high, [=](const std::string &word) {
            return word.size() <= n || byte_of(word[n]) < c;
        });
        high = std::partition_point(
            low, high, [=](const std::string &word) { return byte_of(word[n]) <= c; });
        if (low == high)
            return out;
        if (low->size() == n + 1)
            out.longest = n + 1;
    }
    out.is_begun =
        std::any_of(low, high, [=](const std::string &word) { return word.size() > end - at; });
    return out;
}

bool mt_guard::sew(std::string &text, const std::string &seam) const
{
    size_t end = text.find_last_not_of(" \t\r\n") + 1; // a template may trim
    std::string sewn;
    size_t done = 0;

    for (size_t at = 0; at < end; at++) {
        if (!is_first[byte_of(text[at])])
            continue;
        match found = match_at(text, at, end);
        if (found.longest == 0 && !found.is_begun)
            continue;
        size_t behind = at + character_bytes(text, at);
        sewn.append(text, done, behind - done);
        sewn += seam;
        done = behind;
    }
    if (done == 0)
        return false;
    sewn.append(text, done, std::string::npos);
    text = std::move(sewn);
    return true;
}

bool mt_guard::is_needed(const std::string &text, size_t cut) const
{
    size_t first = cut > longest ? cut - longest : 0;

    for (size_t at = first; at < cut; at++)
        if (at + match_at(text, at, text.size()).longest > cut)
            return true;
    return false;
}

std::vector<size_t> mt_guard::unpick(std::string &prompt, const std::string &seam) const
{
    std::string clean;
    std::vector<size_t> cuts;
    size_t done = 0;

    for (size_t at = prompt.find(seam); at != std::string::npos; at = prompt.find(seam, done)) {
        clean.append(prompt, done, at - done);
        done = at + seam.size();
        if (!clean.empty() && (cuts.empty() || cuts.back() < clean.size()))
            cuts.push_back(clean.size());
    }
    clean.append(prompt, done, std::string::npos);
    prompt = std::move(clean);
    cuts.erase(std::remove_if(cuts.begin(), cuts.end(),
                              [&](size_t cut) { return !is_needed(prompt, cut); }),
               cuts.end());
    return cuts;
}

std::string mt_guard::new_seam(const std::string &prompt)
{
    std::random_device random;
    std::string seam;

    do { // begins and ends like nothing inside it: found where it was put, beside any digits
        seam = "1";
        for (int i = 0; i < 20; i++)
            seam += static_cast<char>('3' + random() % 7);
        seam += "2";
    } while (prompt.find(seam) != std::string::npos);
    return seam;
}
