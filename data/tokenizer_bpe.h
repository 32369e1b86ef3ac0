// Byte-pair encoding: a word begins as its characters, or bytes; the pair of neighbours that comes first in the list of
// merges becomes one piece; again, until no pair is in the list (Sennrich et al. 2016, arXiv 1508.07909).
//
// Byte-level (GPT-2, RoBERTa): words are bytes, all 256 are in the vocabulary, nothing is unknown. Vocabulary files
// spell a byte as a printable character, a space as "Ġ". Else words are characters, as in tokenizers converted from
// SentencePiece, where a character that has no token becomes bytes "<0xE2>" or the unknown token.
#pragma once
#include <array>
#include <span>

#include "data/tokenizer_parts.h"
#include "data/vocabulary.h"

namespace koine {

struct BpeOptions {
    bool is_byte_level = false;
    std::optional<std::string> unk;  ///< the token of characters that have none; without it they are left out
    bool fuses_unk = false;          ///< neighbouring unknown characters are one token
    bool has_byte_fallback =
        false;                      ///< unknown characters become tokens "<0x00>" ... "<0xFF>", where all of them exist
    bool ignores_merges = false;    ///< a word that is a token is that token, whatever the merges say
    std::string continuing_prefix;  ///< before every character of a word but its first ("##"), in the vocabulary
    std::string end_suffix;         ///< behind the last character of a word ("</w>"), in the vocabulary
};

class Bpe : public TokenModel {
public:
    using Merge = std::pair<std::string, std::string>;
    /// Merges as the vocabulary spells tokens, the first goes first. Throws DataError for `file`: VALUE with the number
    /// of the merge (from 1) when a part or the result is not in the vocabulary, MISSING when unk is not.
    Bpe(Vocabulary vocabulary, std::span<const Merge> merges, BpeOptions options, const std::string& file);

    /// Time n log n.
    void encode(std::string_view word, std::vector<Piece>& pieces) const override;
    int64_t n_ids() const override { return vocabulary.n_ids(); }
    std::optional<int32_t> id_of(std::string_view token) const override { return vocabulary.find(token); }
    std::string token_of(int32_t id) const override { return vocabulary.token(id); }
    bool takes_bytes() const override { return options.is_byte_level; }

private:
    static constexpr int32_t kNone = -1;
    /// A pair of neighbours and what becomes of it. Rules are ordered by left and right part.
    struct Rule {
        int32_t left, right, result;
        uint32_t rank;
    };
    void add_rules(std::span<const Merge> merges, const std::string& file);
    const Rule* rule(int32_t left, int32_t right) const;
    void append_characters(std::string_view word, std::vector<Piece>& pieces) const;
    void merge_few(std::vector<Piece>& pieces, size_t first) const;
    void merge_many(std::vector<Piece>& pieces, size_t first) const;

    Vocabulary vocabulary;
    BpeOptions options;
    std::vector<Rule> rules;
    std::vector<uint32_t> first_rule;     // of each left part, and one behind the last
    std::array<int32_t, 256> byte_ids{};  // the token of a byte: byte-level, or <0xE2>; kNone where there is none
    int32_t unk = kNone;
};

/// GPT-2's printable character for a byte, as UTF-8: itself if it is printable Latin-1 and no space, else the next free
/// one from U+0100 on.
std::string byte_level_spelling(std::string_view bytes);

/// Back to bytes. A token with another character in it is left as it is: added tokens are spelled plainly.
std::string byte_level_bytes(std::string_view token);

/// What byte-level tokens spell, as UTF-8; U+FFFD where their bytes are none.
struct ByteLevelDecoder : TokenDecoder {
    std::string decode(const std::vector<std::string>& tokens) const override;
};

}  // namespace koine
