// Code points, their classes, lower case, graphemes; see unicode.h. Normal forms: unicode_forms.cpp.
#include "data/unicode.h"

#include <utf8proc.h>

#include <algorithm>

#include "data/tokenizer_parts.h"

namespace koine {
namespace {

constexpr uint32_t bit(int category) { return uint32_t(1) << category; }

constexpr uint32_t kLetters = bit(UTF8PROC_CATEGORY_LU) | bit(UTF8PROC_CATEGORY_LL) | bit(UTF8PROC_CATEGORY_LT) |
                              bit(UTF8PROC_CATEGORY_LM) | bit(UTF8PROC_CATEGORY_LO);
constexpr uint32_t kMarks = bit(UTF8PROC_CATEGORY_MN) | bit(UTF8PROC_CATEGORY_MC) | bit(UTF8PROC_CATEGORY_ME);
constexpr uint32_t kNumbers = bit(UTF8PROC_CATEGORY_ND) | bit(UTF8PROC_CATEGORY_NL) | bit(UTF8PROC_CATEGORY_NO);
constexpr uint32_t kPunctuation = bit(UTF8PROC_CATEGORY_PC) | bit(UTF8PROC_CATEGORY_PD) | bit(UTF8PROC_CATEGORY_PS) |
                                  bit(UTF8PROC_CATEGORY_PE) | bit(UTF8PROC_CATEGORY_PI) | bit(UTF8PROC_CATEGORY_PF) |
                                  bit(UTF8PROC_CATEGORY_PO);
constexpr uint32_t kSymbols =
    bit(UTF8PROC_CATEGORY_SM) | bit(UTF8PROC_CATEGORY_SC) | bit(UTF8PROC_CATEGORY_SK) | bit(UTF8PROC_CATEGORY_SO);

bool has_category(char32_t c, uint32_t categories) { return bit(utf8proc_category(utf8proc_int32_t(c))) & categories; }

bool is_between(char32_t c, char32_t low, char32_t high) { return c >= low && c <= high; }

// U+0130 is the only character whose lower case is two, "i" and a dot above (SpecialCasing.txt, unconditional).
constexpr char32_t kDottedI = 0x130, kDotAbove = 0x307;

constexpr std::string_view kReplacementBytes = "\xef\xbf\xbd";

// How many bytes at the front of `text`, which is not UTF-8 there, begin a code point that breaks off; or 1. Only the
// second byte of a code point has a range of its own, so those behind it may be thought of as 0x80.
size_t broken_length(std::string_view text) {
    for (size_t n = std::min<size_t>(3, text.size()); n > 1; n--) {
        if (utf8_length(std::string(text.substr(0, n)) + "\x80\x80") > n) return n;
    }
    return 1;
}

}  // namespace

CodePoint code_point_before(std::string_view text, size_t end) {
    // At most three bytes continue a code point. What does not reach up to `end` is no code point that ends there.
    for (size_t n = 1; n <= std::min<size_t>(4, end); n++) {
        if (utf8_is_continuation(text[end - n])) continue;
        const CodePoint found = code_point_at(text.substr(0, end), end - n);
        if (found.n_bytes == n) return found;
        break;
    }
    return {kReplacement, 1};
}

void append_utf8(std::string& out, char32_t c) {
    if (c > 0x10ffff || is_between(c, 0xd800, 0xdfff)) c = kReplacement;
    utf8proc_uint8_t bytes[4];
    const auto n = utf8proc_encode_char(utf8proc_int32_t(c), bytes);
    for (int i = 0; i < n; i++) out.push_back(char(bytes[i]));
}

bool is_letter(char32_t c) { return has_category(c, kLetters); }
bool is_number(char32_t c) { return has_category(c, kNumbers); }
bool is_punctuation(char32_t c) { return has_category(c, kPunctuation); }
bool is_symbol(char32_t c) { return has_category(c, kSymbols); }
bool is_mark(char32_t c) { return has_category(c, kMarks); }
bool is_nonspacing_mark(char32_t c) { return has_category(c, bit(UTF8PROC_CATEGORY_MN)); }

bool is_other(char32_t c) {
    return has_category(c, bit(UTF8PROC_CATEGORY_CC) | bit(UTF8PROC_CATEGORY_CF) | bit(UTF8PROC_CATEGORY_CO));
}

bool is_white_space(char32_t c) {
    if (c < 0x80) return c == ' ' || is_between(c, '\t', '\r');
    constexpr uint32_t spaces = bit(UTF8PROC_CATEGORY_ZS) | bit(UTF8PROC_CATEGORY_ZL) | bit(UTF8PROC_CATEGORY_ZP);
    return c == 0x85 || has_category(c, spaces);  // U+0085, next line
}

bool is_word_character(char32_t c) {
    constexpr uint32_t categories =
        kLetters | kMarks | bit(UTF8PROC_CATEGORY_ND) | bit(UTF8PROC_CATEGORY_NL) | bit(UTF8PROC_CATEGORY_PC);
    // Also what is alphabetic without being a letter, circled letters, and the two joiners (PropList.txt).
    return has_category(c, categories) || is_between(c, 0x24b6, 0x24e9) || is_between(c, 0x1f130, 0x1f149) ||
           is_between(c, 0x1f150, 0x1f169) || is_between(c, 0x1f170, 0x1f189) || is_between(c, 0x200c, 0x200d);
}

void lower_case(SourcedText& text) {
    const std::string& old = text.text();
    SourcedText::Builder out(text);
    std::string lower;
    size_t kept = 0;  // everything before it is in `out`
    for (size_t at = 0, n_bytes; at < old.size(); at += n_bytes) {
        const CodePoint c = code_point_at(old, at);
        n_bytes = c.n_bytes;
        const char32_t low = c.value < 0x80 ? c.value + (is_between(c.value, 'A', 'Z') ? 32 : 0)
                                            : char32_t(utf8proc_tolower(utf8proc_int32_t(c.value)));
        if (low == c.value) continue;
        lower.clear();
        append_utf8(lower, low);
        if (c.value == kDottedI) append_utf8(lower, kDotAbove);
        out.keep(kept, at);
        out.replace(at, at + n_bytes, lower);
        kept = at + n_bytes;
    }
    if (kept == 0) return;
    out.keep(kept, old.size());
    text = std::move(out).finish();
}

void repair_utf8(SourcedText& text) {
    const std::string_view old = text.text();
    if (utf8_valid_prefix(old) == old.size()) return;
    SourcedText::Builder out(text);
    for (size_t at = 0; at < old.size();) {
        const size_t valid = at + utf8_valid_prefix(old.substr(at));
        out.keep(at, valid);
        if (valid == old.size()) break;
        at = valid + broken_length(old.substr(valid));
        out.replace(valid, at, kReplacementBytes);
    }
    text = std::move(out).finish();
}

std::string repaired_utf8(std::string_view bytes) {
    SourcedText text(bytes);
    repair_utf8(text);
    return text.text();
}

size_t grapheme_end(std::string_view text, size_t at) {
    CodePoint c = code_point_at(text, at);
    utf8proc_int32_t state = 0;
    for (at += c.n_bytes; at < text.size();) {
        const CodePoint next = code_point_at(text, at);
        if (utf8proc_grapheme_break_stateful(utf8proc_int32_t(c.value), utf8proc_int32_t(next.value), &state)) break;
        c = next;
        at += c.n_bytes;
    }
    return at;
}

std::string unicode_version() { return utf8proc_unicode_version(); }

}  // namespace koine
