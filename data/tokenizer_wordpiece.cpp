// BERT's normalizer, WordPiece and its decoder; see tokenizer_wordpiece.h.
#include "data/tokenizer_wordpiece.h"

#include <algorithm>
#include <array>

#include "data/json.h"
#include "data/unicode.h"
#include "tensor/error.h"

namespace koine {
namespace {

// The blocks of CJK unified and compatibility ideographs that tokenization.py names (_is_chinese_char). Korean and
// Japanese alphabets are not among them: they are written with spaces, or handled as all other words. The last large
// block begins at 2B920 in the tokenizers library and at 2B820 in tokenization.py; ids are compared with the former.
bool is_chinese(char32_t c) {
    constexpr std::array<std::array<char32_t, 2>, 8> blocks = {{{0x4e00, 0x9fff},
                                                                {0x3400, 0x4dbf},
                                                                {0x20000, 0x2a6df},
                                                                {0x2a700, 0x2b73f},
                                                                {0x2b740, 0x2b81f},
                                                                {0x2b920, 0x2ceaf},
                                                                {0xf900, 0xfaff},
                                                                {0x2f800, 0x2fa1f}}};
    return std::any_of(blocks.begin(), blocks.end(), [&](const auto& b) { return c >= b[0] && c <= b[1]; });
}

bool is_control(char32_t c) {
    if (c < 0x80) return c != '\t' && c != '\n' && c != '\r' && (c < ' ' || c == 0x7f);
    return is_other(c);
}

// Builds a text anew: `change(character, its bytes, replacement)` returns true for a character that becomes
// `replacement`, which is empty before the call.
template <class Change>
void change_characters(SourcedText& text, Change change) {
    const std::string& old = text.text();
    SourcedText::Builder out(text);
    bool is_changed = false;
    size_t kept = 0;  // everything before it is in `out`, or dropped
    for (size_t at = 0; at < old.size();) {
        const CodePoint c = code_point_at(old, at);
        const size_t end = at + c.n_bytes;
        std::string_view replacement;
        if (change(c.value, std::string_view(old).substr(at, c.n_bytes), replacement)) {
            out.keep(kept, at);
            out.replace(at, end, replacement);
            kept = end;
            is_changed = true;
        }
        at = end;
    }
    if (!is_changed) return;
    out.keep(kept, old.size());
    text = std::move(out).finish();
}

}  // namespace

void BertNormalizer::apply(SourcedText& text) const {
    std::string spaced;
    change_characters(text, [&](char32_t c, std::string_view bytes, std::string_view& replacement) {
        if (cleans) {
            if (c == kReplacement || is_control(c)) return true;  // by nothing
            if (c != ' ' && is_white_space(c)) {
                replacement = " ";
                return true;
            }
        }
        if (!spaces_chinese || c < 0x80 || !is_chinese(c)) return false;
        spaced = " " + std::string(bytes) + " ";
        replacement = spaced;
        return true;
    });
    if (strips_accents.value_or(lowers)) {
        normalize(text, UnicodeForm::nfd);
        change_characters(text, [](char32_t c, std::string_view, std::string_view&) {
            return c >= 0x80 && is_nonspacing_mark(c);  // replaced by nothing
        });
    }
    if (lowers) lower_case(text);
}

WordPiece::WordPiece(Vocabulary vocabulary_, const WordPieceOptions& options, const std::string& file)
    : vocabulary(std::move(vocabulary_)), max_characters(options.max_characters) {
    const auto found = vocabulary.find(options.unk);
    if (!found) {
        throw DataError("MISSING", file, "", "the unknown token " + shown(options.unk) + " is not in the vocabulary");
    }
    unk = *found;
    // A word costs up to the square of its length.
    constexpr int64_t kMostCharacters = 10'000;
    if (max_characters < 1 || max_characters > kMostCharacters) {
        throw DataError(
            "VALUE", file, "longest word",
            std::to_string(max_characters) + " characters, expected 1 to " + std::to_string(kMostCharacters));
    }
    std::vector<std::pair<std::string_view, int32_t>> all, continuations;
    vocabulary.for_each([&](std::string_view token, int32_t id) {
        all.emplace_back(token, id);
        if (token.starts_with(options.prefix)) continuations.emplace_back(token.substr(options.prefix.size()), id);
    });
    first = DoubleArray(std::move(all));
    continuing = DoubleArray(std::move(continuations));
}

void WordPiece::encode(std::string_view word, std::vector<Piece>& pieces) const {
    const auto n_characters = std::count_if(word.begin(), word.end(), [](char c) { return !utf8_is_continuation(c); });
    const size_t n_before = pieces.size();
    size_t begin = 0;
    while (begin < word.size() && n_characters <= max_characters) {
        Piece longest{0, begin, begin};
        const DoubleArray& tokens = begin == 0 ? first : continuing;
        tokens.for_prefixes(word.substr(begin), [&](size_t n_bytes, uint32_t node) {
            longest = {tokens.number(node), begin, begin + n_bytes};
        });
        if (longest.end == begin) break;
        pieces.push_back(longest);
        begin = longest.end;
    }
    if (begin == word.size()) return;
    pieces.resize(n_before);  // one part is unknown: the word is
    pieces.push_back({unk, 0, word.size()});
}

std::string WordPieceDecoder::decode(const std::vector<std::string>& tokens) const {
    constexpr std::array<std::string_view, 9> joined = {".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re"};
    std::string text;
    for (size_t i = 0; i < tokens.size(); i++) {
        const std::string_view token = tokens[i];
        const auto begins_with = [&](std::string_view s) { return token.starts_with(s); };
        if (i > 0 && token.starts_with(prefix)) {
            text += token.substr(prefix.size());
            continue;
        }
        const bool is_joined = cleans_up && std::any_of(joined.begin(), joined.end(), begins_with);
        if (i > 0 && !is_joined) text += ' ';
        text += token;
    }
    return text;
}

}  // namespace koine
