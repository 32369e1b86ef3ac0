// Cutting texts into words; see pretokenize.h.
#include "data/pretokenize.h"

#include <array>

namespace koine {
namespace {

// What a character of each class does; from kRun on, neighbours of one class stay together.
enum : uint8_t { kDropped, kAlone, kRun, kOtherRun };

// Cuts every word by a class of its characters.
template <class ClassOf>
void cut_by_class(Words& words, ClassOf class_of) {
    const std::string_view text = words.text.text();
    std::vector<Span> out;
    for (const Span& word : words.spans) {
        const std::string_view inside = text.substr(0, word.end);
        int before = kDropped;
        for (size_t at = word.begin; at < word.end;) {
            const CodePoint c = code_point_at(inside, at);
            const int now = class_of(c.value);
            if (now >= kRun && now == before) {
                out.back().end += c.n_bytes;
            } else if (now != kDropped) {
                out.push_back({at, at + c.n_bytes});
            }
            before = now;
            at += c.n_bytes;
        }
    }
    words.spans = std::move(out);
}

// ---- GPT-2's pattern -------------------------------------------------------------------------------------------------
enum class Kind : uint8_t { space, letter, number, other };

Kind kind_of(char32_t c) {
    return is_letter(c) ? Kind::letter : is_white_space(c) ? Kind::space : is_number(c) ? Kind::number : Kind::other;
}

const std::array<Kind, 128> kAsciiKinds = [] {
    std::array<Kind, 128> kinds;
    for (char32_t c = 0; c < 128; c++) kinds[c] = kind_of(c);
    return kinds;
}();

struct Character {
    Kind kind;
    size_t n_bytes;
};

Character character_at(std::string_view text, size_t at) {
    const uint8_t byte = uint8_t(text[at]);
    if (byte < 0x80) return {kAsciiKinds[byte], 1};
    const CodePoint c = code_point_at(text, at);
    return {kind_of(c.value), c.n_bytes};
}

// Where the run of characters of a kind ends that goes on at `at`.
size_t run_end(std::string_view text, size_t at, Kind kind) {
    while (at < text.size()) {
        const Character c = character_at(text, at);
        if (c.kind != kind) break;
        at += c.n_bytes;
    }
    return at;
}

// 's 't 'm 'd 're 've 'll: how many bytes of them `text` begins with.
size_t contraction(std::string_view text) {
    if (text.size() < 2 || text[0] != '\'') return 0;
    if (std::string_view("stmd").find(text[1]) != std::string_view::npos) return 2;
    const std::string_view two = text.substr(1, 2);
    return two == "re" || two == "ve" || two == "ll" ? 3 : 0;
}

// Where the next match of the pattern ends; it begins at `at` < text.size(), for every character is in some match.
size_t gpt2_match_end(std::string_view text, size_t at) {
    if (const size_t n = contraction(text.substr(at)); n > 0) return at + n;
    const Character first = character_at(text, at);
    if (first.kind != Kind::space) return run_end(text, at + first.n_bytes, first.kind);
    const size_t behind = at + first.n_bytes;
    if (text[at] == ' ' && behind < text.size()) {
        const Character next = character_at(text, behind);
        if (next.kind != Kind::space) return run_end(text, behind + next.n_bytes, next.kind);
    }
    // \s+(?!\S): of several spaces before a word, the last is left to the word.
    const size_t end = run_end(text, behind, Kind::space);
    if (end == text.size() || end == behind) return end;
    return end - code_point_before(text, end).n_bytes;
}

// Puts a space before every word that begins with none.
void add_prefix_spaces(Words& words) {
    const std::string& old = words.text.text();
    SourcedText::Builder out(words.text);
    size_t kept = 0, n_added = 0;
    for (Span& word : words.spans) {
        const size_t n_before = n_added;
        if (old[word.begin] != ' ') {
            out.keep(kept, word.begin);
            out.replace(word.begin, word.begin, " ");
            kept = word.begin;
            n_added++;
        }
        word = {word.begin + n_before, word.end + n_added};
    }
    if (n_added == 0) return;
    out.keep(kept, old.size());
    words.text = std::move(out).finish();
}

}  // namespace

void ByteLevelSplit::split(Words& words, bool) const {
    if (adds_prefix_space) add_prefix_spaces(words);
    if (!uses_pattern) return;
    const std::string_view text = words.text.text();
    std::vector<Span> out;
    for (const Span& word : words.spans) {
        const std::string_view inside = text.substr(0, word.end);
        for (size_t at = word.begin; at < word.end; at = out.back().end)
            out.push_back({at, gpt2_match_end(inside, at)});
    }
    words.spans = std::move(out);
}

bool is_bert_punctuation(char32_t c) {
    if (c >= 0x80) return is_punctuation(c);
    return (c > ' ' && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || (c > 'z' && c < 0x7f);
}

void BertSplit::split(Words& words, bool) const {
    cut_by_class(words, [](char32_t c) {
        return is_white_space(c) ? kDropped : is_bert_punctuation(c) ? kAlone : kRun;
    });
}

void WhitespaceSplit::split(Words& words, bool) const {
    cut_by_class(words, [](char32_t c) { return is_white_space(c) ? kDropped : kRun; });
}

void WordSplit::split(Words& words, bool) const {
    cut_by_class(words, [](char32_t c) {
        return is_white_space(c) ? kDropped : is_word_character(c) ? kRun : kOtherRun;
    });
}

void PunctuationSplit::split(Words& words, bool) const { split_words(words, is_bert_punctuation, behavior); }

void DigitSplit::split(Words& words, bool) const {
    split_words(words, is_number, is_individual ? SplitBehavior::isolated : SplitBehavior::contiguous);
}

// ---- any matches -----------------------------------------------------------------------------------------------------
void split_words(Words& words, const FindMatch& find, SplitBehavior behavior) {
    const std::string_view text = words.text.text();
    std::vector<Span> out;
    // Appends a part of a word. `joins`: to the part before it.
    const auto add = [&](size_t begin, size_t end, bool joins) {
        if (begin == end) return;
        if (joins)
            out.back().end = end;
        else
            out.push_back({begin, end});
    };
    for (const Span& word : words.spans) {
        const std::string_view inside = text.substr(0, word.end);
        // What the part before was: it decides whether two parts become one.
        enum { none, gap, match } before = none;
        for (size_t at = word.begin; at < word.end;) {
            Span found = find(inside, at);
            if (found.begin >= found.end) found = {word.end, word.end};
            const bool was_match = before == match;
            const bool has_gap = found.begin > at;
            add(at, found.begin, was_match && behavior == SplitBehavior::merged_with_next);
            if (has_gap) before = gap;
            if (found.begin < found.end) {
                if (behavior != SplitBehavior::removed) {
                    add(found.begin, found.end,
                        (before == gap && behavior == SplitBehavior::merged_with_previous) ||
                            (before == match && behavior == SplitBehavior::contiguous));
                }
                before = match;
            }
            at = found.end;
        }
    }
    words.spans = std::move(out);
}

void split_words(Words& words, bool (*is_match)(char32_t), SplitBehavior behavior) {
    if (behavior == SplitBehavior::merged_with_previous || behavior == SplitBehavior::merged_with_next) {
        const auto find = [&](std::string_view text, size_t from) {
            while (from < text.size()) {
                const CodePoint c = code_point_at(text, from);
                if (is_match(c.value)) return Span{from, from + c.n_bytes};
                from += c.n_bytes;
            }
            return Span{from, from};
        };
        return split_words(words, find, behavior);
    }
    const int matched = behavior == SplitBehavior::removed    ? kDropped
                        : behavior == SplitBehavior::isolated ? kAlone
                                                              : kOtherRun;
    cut_by_class(words, [&](char32_t c) { return is_match(c) ? matched : int(kRun); });
}

}  // namespace koine
