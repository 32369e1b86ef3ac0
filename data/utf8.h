// Is this UTF-8? (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.) Decoding is not here.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace koine {

/// A byte that continues a code point: no code point begins here.
inline bool utf8_is_continuation(char byte) { return (uint8_t(byte) & 0xc0) == 0x80; }

/// Length in bytes of the code point at the front of `text`, 1 to 4; 0 when it is not valid UTF-8 or cut short.
inline size_t utf8_length(std::string_view text) {
    const auto byte = [&](size_t i) { return i < text.size() ? uint8_t(text[i]) : uint8_t(0); };
    const auto continues = [&](size_t i) { return utf8_is_continuation(char(byte(i))); };
    const uint8_t first = byte(0);
    if (text.empty()) return 0;
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;  // a continuation, an overlong form of two bytes, or above U+13FFFF
    if (first < 0xe0) return continues(1) ? 2 : 0;
    // The second byte's range also excludes overlong forms (e0, f0), surrogates (ed) and what is above U+10FFFF (f4).
    const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (byte(1) < low || byte(1) > high || !continues(2)) return 0;
    if (first < 0xf0) return 3;
    return continues(3) ? 4 : 0;
}

/// Place of the first byte that is not part of valid UTF-8; text.size() when all is well.
inline size_t utf8_valid_prefix(std::string_view text) {
    size_t i = 0;
    while (i < text.size()) {
        const size_t n = utf8_length(text.substr(i));
        if (n == 0) break;
        i += n;
    }
    return i;
}

}  // namespace koine
