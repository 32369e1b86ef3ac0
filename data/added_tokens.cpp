// Finding added tokens; see added_tokens.h.
#include "data/added_tokens.h"

#include <algorithm>

#include "data/unicode.h"

namespace koine {
namespace {

std::vector<std::pair<std::string, int32_t>> reversed(const std::vector<std::string>& spellings) {
    std::vector<std::pair<std::string, int32_t>> out;
    for (size_t i = 0; i < spellings.size(); i++) {
        out.emplace_back(std::string(spellings[i].rbegin(), spellings[i].rend()), int32_t(i));
    }
    return out;
}

bool touches_word(std::string_view text, Span match) {
    return (match.begin > 0 && is_word_character(code_point_before(text, match.begin).value)) ||
           (match.end < text.size() && is_word_character(code_point_at(text, match.end).value));
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(const std::vector<AddedToken>& tokens_, const std::vector<std::string>& spellings)
    : tokens(tokens_), trie(reversed(spellings)), suffix(trie.n_nodes()), longest(trie.n_nodes()) {
    for (const std::string& spelling : spellings) lengths.push_back(spelling.size());
    // Level by level: the suffixes of a node are shorter than it, and known.
    for (uint32_t node = 0; node < trie.n_nodes(); node++) {
        longest[node] = trie.value(node) != ByteTrie::kNone ? trie.value(node) : node > 0 ? longest[suffix[node]] : -1;
        const auto [begin, end] = trie.children(node);
        for (uint32_t child = begin; child < end; child++) {
            if (node == 0) continue;  // one byte has no proper suffix but the empty one
            uint32_t s = suffix[node];
            while (s > 0 && trie.step(s, char(trie.byte(child))) == 0) s = suffix[s];
            suffix[child] = trie.step(s, char(trie.byte(child)));
        }
    }
}

// The longest token that begins at each place, from right to left.
std::vector<AddedTokenFinder::Match> AddedTokenFinder::matches(std::string_view text) const {
    std::vector<Match> out;
    uint32_t node = 0;
    for (size_t at = text.size(); at-- > 0;) {
        uint32_t next = trie.step(node, text[at]);
        while (next == 0 && node > 0) {
            node = suffix[node];
            next = trie.step(node, text[at]);
        }
        node = next;
        if (longest[node] != ByteTrie::kNone) out.push_back({at, longest[node]});
    }
    return out;
}

std::vector<AddedTokenFinder::Part> AddedTokenFinder::cut(std::string_view text) const {
    std::vector<Part> parts;
    size_t done = 0;      // everything before it is in `parts`
    size_t searched = 0;  // the next token begins here or later
    const auto found = trie.n_nodes() > 1 ? matches(text) : std::vector<Match>();
    for (auto match = found.rbegin(); match != found.rend(); ++match) {
        Span span{match->begin, match->begin + lengths[size_t(match->token)]};
        if (span.begin < std::max(searched, done)) continue;
        searched = span.end;
        const AddedToken& token = tokens[size_t(match->token)];
        if (token.single_word && touches_word(text, span)) continue;
        while (token.lstrip && span.begin > done) {
            const CodePoint c = code_point_before(text, span.begin);
            if (!is_white_space(c.value)) break;
            span.begin -= c.n_bytes;
        }
        while (token.rstrip && span.end < text.size()) {
            const CodePoint c = code_point_at(text, span.end);
            if (!is_white_space(c.value)) break;
            span.end += c.n_bytes;
        }
        if (span.begin > done) parts.push_back({{done, span.begin}, nullptr});
        parts.push_back({span, &token});
        done = span.end;
    }
    if (done < text.size()) parts.push_back({{done, text.size()}, nullptr});
    return parts;
}

}  // namespace koine
