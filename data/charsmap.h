// The table of SentencePiece's normaliser, "precompiled_charsmap": which characters, and sequences of them, are
// replaced by what. Usually NFKC with a few additions (nmt_nfkc): "ﬁ" becomes "fi", a tab becomes a space.
//
//   u32       bytes of the trie; all numbers are little-endian
//   u32 ...   the trie: a double array (see double_array.h) as the darts-clone library packs it, four bytes a slot
//   bytes     the replacements, each ended by a NUL; the trie's values are places in here
// A slot is: bits 0-7 the byte that leads here; bit 8, a rule ends here, and its value is in the child for byte 0; bits
// 10-30 slot ^ base, shifted left by 8 more if bit 9 is set; bit 31, this is such a value, in bits 0-30.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer_parts.h"

namespace koine {

class CharsMap {
public:
    /// The longest text that a rule replaces, and the longest that it puts there, in bytes (18 characters of NFKC have
    /// 33): a table cannot make a text many times longer or keep us walking around in a trie that leads back to itself.
    static constexpr size_t kMaxRule = 256;

    /// No rule at all.
    CharsMap() { is_plain.fill(true); }
    /// Takes the bytes of a table; `file` is named in errors, `offset` its place in there. Throws DataError: TRUNC,
    /// SHAPE for a trie that is no whole number of blocks, OFFSET for one that leads outside itself, or to a
    /// replacement that is none or does not begin or end there, UTF8, LIMIT.
    CharsMap(std::span<const uint8_t> bytes, const std::string& file, uint64_t offset = 0);

    /// A rule that fits: the text's first `length` bytes become `replacement`. Length 0: none fits.
    struct Match {
        size_t length = 0;
        std::string_view replacement;
    };
    Match longest(std::string_view text) const { return match(text, false); }
    Match shortest(std::string_view text) const { return match(text, true); }
    /// How many bytes at the front of `text` are ASCII, not `stop`, and surely begin no rule: most texts are mostly
    /// these, and need no walk in the trie.
    size_t plain_prefix(std::string_view text, char stop) const;

private:
    template <class F>
    void for_matches(std::string_view text, F is_enough) const;
    Match match(std::string_view text, bool is_shortest) const;
    uint32_t child(uint32_t base, uint8_t byte) const;

    std::vector<uint32_t> trie;
    std::string replacements;
    std::array<bool, 128> is_plain{};  // no rule is this character alone, or begins with it and another ASCII one
};

/// The normaliser "Precompiled" of a tokenizer.json, from the bytes that it holds in base64. It differs from
/// SentencePiece's own use of the same table: it goes by grapheme clusters (UAX 29), and one of at most five bytes is
/// replaced as a whole by the *shortest* rule that fits its front; in others, each character by itself. Source:
/// huggingface/tokenizers, normalizers/precompiled.rs. Errors as CharsMap.
std::unique_ptr<Normalizer> make_precompiled_normalizer(std::span<const uint8_t> bytes, const std::string& file);

}  // namespace koine
