// Tokens that are written out in a text, as "<mask>", found before anything else looks at it.
#pragma once
#include <vector>

#include "data/byte_trie.h"
#include "data/tokenizer_parts.h"

namespace koine {

/// Finds any number of tokens at once, in time that grows with the text alone, not with their number or length.
/// Aho & Corasick 1975, "Efficient string matching", from the right to the left: where the last character of the search
/// stands, the longest token that begins there is known.
class AddedTokenFinder {
public:
    /// `spellings[i]`, how the text spells tokens[i]; "" for one that is not looked for. Keeps a reference to `tokens`.
    AddedTokenFinder(const std::vector<AddedToken>& tokens_, const std::vector<std::string>& spellings);

    /// A part of a text: an added token, or what is between two of them.
    struct Part {
        Span span;
        const AddedToken* token = nullptr;  ///< null: ordinary text
    };
    /// All parts of a text, in order; none is empty. Of several tokens in one place the longest is taken.
    std::vector<Part> cut(std::string_view text) const;

private:
    struct Match {
        size_t begin;
        int32_t token;
    };
    std::vector<Match> matches(std::string_view text) const;

    const std::vector<AddedToken>& tokens;
    std::vector<size_t> lengths;
    ByteTrie trie;                 // of the spellings from back to front
    std::vector<uint32_t> suffix;  // of each node: the node of its longest proper suffix that is in the trie
    std::vector<int32_t> longest;  // of each node: the longest token that ends there, as it is or as a suffix
};

}  // namespace koine
