// Unicode as tokenizers need it: code points, the classes of characters that published patterns name, lower case,
// normal forms. The only place that calls utf8proc, whose tables are those of one version of Unicode (unicode_version):
// characters that are newer count as unassigned. Is it UTF-8 at all? That is utf8.h.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "data/utf8.h"

namespace koine {

class SourcedText;

/// U+FFFD, what stands for bytes that are not UTF-8.
inline constexpr char32_t kReplacement = 0xfffd;

/// A code point and the bytes it takes.
struct CodePoint {
    char32_t value;
    size_t n_bytes;
};

/// The code point at `at` < text.size(). A byte that begins no valid UTF-8 is U+FFFD, alone.
inline CodePoint code_point_at(std::string_view text, size_t at) {
    const auto byte = [&](size_t i) { return char32_t(uint8_t(text[at + i])); };
    if (byte(0) < 0x80) return {byte(0), 1};
    switch (utf8_length(text.substr(at))) {
        case 2: return {(byte(0) & 0x1f) << 6 | (byte(1) & 0x3f), 2};
        case 3: return {(byte(0) & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f), 3};
        case 4: return {(byte(0) & 7) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f), 4};
        default: return {kReplacement, 1};
    }
}

/// The code point that ends where `end` > 0 is.
CodePoint code_point_before(std::string_view text, size_t end);

/// Appends a code point as UTF-8. What is none (a surrogate, above U+10FFFF) becomes U+FFFD.
void append_utf8(std::string& out, char32_t c);

// ---- classes of characters, by general category (Unicode Standard, table 4-4) ----------------------------------------
bool is_letter(char32_t c);           ///< L: \p{L}
bool is_number(char32_t c);           ///< N: \p{N}
bool is_white_space(char32_t c);      ///< the property White_Space: \s
bool is_punctuation(char32_t c);      ///< P: \p{P}
bool is_symbol(char32_t c);           ///< S: \p{S}
bool is_mark(char32_t c);             ///< M: \p{M}
bool is_nonspacing_mark(char32_t c);  ///< Mn: accents
bool is_other(char32_t c);            ///< Cc, Cf, Co: controls, formats, private use; not the unassigned
bool is_word_character(char32_t c);   ///< \w: letters, marks, decimal digits, connectors such as "_" (UTS 18, annex C)

// ---- texts -----------------------------------------------------------------------------------------------------------
/// Lower case, character by character, whatever stands around: no final sigma. Every character keeps its source.
void lower_case(SourcedText& text);

enum class UnicodeForm { nfc, nfd, nfkc, nfkd };

/// A normal form (UAX 15). Characters that were composed, or whose accents changed places, share their source. Time
/// n log n also for a letter with a million accents.
void normalize(SourcedText& text, UnicodeForm form);

/// U+FFFD for what is not UTF-8: one for every byte, or for bytes that begin a code point and break off (Unicode
/// Standard 3.9, "maximal subparts").
void repair_utf8(SourcedText& text);
std::string repaired_utf8(std::string_view bytes);

/// Where the user-perceived character that begins at `at` < text.size() ends (UAX 29, extended grapheme clusters).
size_t grapheme_end(std::string_view text, size_t at);

/// The version of the tables: "15.0.0".
std::string unicode_version();

}  // namespace koine
