// SentencePiece's table of replacements; see charsmap.h.
#include "data/charsmap.h"

#include "data/bytes.h"
#include "data/unicode.h"

namespace koine {
namespace {

// A slot of the trie, in the packing that charsmap.h describes.
uint8_t byte_of(uint32_t slot) { return uint8_t(slot); }
bool ends_rule(uint32_t slot) { return slot >> 8 & 1; }
bool is_value(uint32_t slot) { return slot >> 31; }
uint32_t value_of(uint32_t slot) { return slot & 0x7fffffff; }
uint32_t base_of(uint32_t index, uint32_t slot) { return index ^ (slot >> 10 & 0x1fffff) << (slot >> 9 & 1 ? 8 : 0); }

/// Where replacements begin, for values to be checked against: 1 for the places of characters, up to each one's NUL.
std::vector<uint8_t> check_replacements(const std::string& replacements, const ByteReader& at_start) {
    const uint64_t start = at_start.offset();
    if (!replacements.empty() && replacements.back() != '\0') {
        at_start.fail_at(start + replacements.size(), "TRUNC", "the last replacement does not end in a NUL");
    }
    const size_t n_valid = utf8_valid_prefix(replacements);
    if (n_valid < replacements.size()) at_start.fail_at(start + n_valid, "UTF8", "a replacement is not UTF-8");
    std::vector<uint8_t> begins(replacements.size());
    for (size_t i = 0, length = 0; i < replacements.size(); i++) {
        length = replacements[i] == '\0' ? 0 : length + 1;
        if (length > CharsMap::kMaxRule) {
            at_start.fail_at(start + i, "LIMIT",
                             "a replacement is longer than " + std::to_string(CharsMap::kMaxRule) + " bytes");
        }
        begins[i] = !utf8_is_continuation(replacements[i]);
    }
    return begins;
}

}  // namespace

CharsMap::CharsMap(std::span<const uint8_t> bytes, const std::string& file, uint64_t offset) {
    ByteReader in(bytes, file, offset);
    const uint64_t n_bytes = in.le32("the size of the normaliser's trie");
    // Real tables are whole blocks of 256 slots, so that base ^ c is inside wherever base is.
    if (n_bytes == 0 || n_bytes % 1024 != 0) {
        in.fail_at(offset, "SHAPE",
                   "the normaliser's trie has " + std::to_string(n_bytes) + " bytes, expected a multiple of 1024");
    }
    in.check_count(n_bytes, 1, "the size of the normaliser's trie");
    trie.resize(n_bytes / 4);
    for (uint32_t& slot : trie) slot = in.le32("the normaliser's trie");
    const ByteReader at_replacements = in;
    replacements = in.take_text(in.remaining(), "the normaliser's replacements");
    const auto begins = check_replacements(replacements, at_replacements);

    // Every slot is checked, also those that no text leads to: real tables pass.
    for (uint32_t i = 0; i < trie.size(); i++) {
        if (is_value(trie[i]) && i > 0) continue;  // the root is never asked what it is
        const uint64_t place = offset + 4 + 4 * uint64_t(i);
        const uint32_t base = base_of(i, trie[i]);
        if (base >= trie.size()) {
            in.fail_at(place, "OFFSET",
                       "slot " + std::to_string(i) + " of the normaliser's trie leads to slot " + std::to_string(base) +
                           ", there are " + std::to_string(trie.size()));
        }
        if (!ends_rule(trie[i])) continue;
        const uint32_t value = value_of(trie[base]);
        if (value >= begins.size() || !begins[value]) {
            in.fail_at(place, "OFFSET",
                       "slot " + std::to_string(i) + " of the normaliser's trie leads to byte " +
                           std::to_string(value) + " of " + std::to_string(begins.size()) +
                           " bytes of replacements, where none begins");
        }
    }

    for (uint8_t first = 0; first < 128; first++) {
        const uint32_t slot = child(base_of(0, trie[0]), first);
        is_plain[first] = slot == 0 || !ends_rule(trie[slot]);
        for (uint8_t second = 1; second < 128 && slot != 0; second++) {
            if (child(base_of(slot, trie[slot]), second) != 0) is_plain[first] = false;
        }
    }
}

/// The slot below `base` for a byte; 0, which is the root, when there is none.
uint32_t CharsMap::child(uint32_t base, uint8_t byte) const {
    const uint32_t slot = base ^ byte;
    return byte != 0 && !is_value(trie[slot]) && byte_of(trie[slot]) == byte ? slot : 0;
}

/// is_enough(length, value) for each rule that the text begins with, shortest first, until it says true.
template <class F>
void CharsMap::for_matches(std::string_view text, F is_enough) const {
    if (trie.empty()) return;
    uint32_t base = base_of(0, trie[0]);
    for (size_t i = 0; i < std::min(text.size(), kMaxRule); i++) {
        const uint32_t slot = child(base, uint8_t(text[i]));
        if (slot == 0) return;
        base = base_of(slot, trie[slot]);
        if (ends_rule(trie[slot]) && is_enough(i + 1, value_of(trie[base]))) return;
    }
}

CharsMap::Match CharsMap::match(std::string_view text, bool is_shortest) const {
    size_t length = 0;
    uint32_t value = 0;
    for_matches(text, [&](size_t n, uint32_t v) {
        length = n, value = v;
        return is_shortest;
    });
    if (length == 0) return {};
    const std::string_view rest = std::string_view(replacements).substr(value);
    return {length, rest.substr(0, rest.find('\0'))};
}

size_t CharsMap::plain_prefix(std::string_view text, char stop) const {
    const auto is_ascii = [&](size_t i) { return uint8_t(text[i]) < 128; };
    size_t n = 0;
    while (n < text.size() && is_ascii(n) && text[n] != stop && is_plain[uint8_t(text[n])] &&
           (n + 1 == text.size() || is_ascii(n + 1))) {
        n++;
    }
    return n;
}

// ---- the normaliser of tokenizer.json files ---------------------------------------------------------------------------
namespace {

struct PrecompiledNormalizer : Normalizer {
    CharsMap rules;

    void apply(SourcedText& text) const override {
        SourcedText::Builder out(text);
        const std::string_view from = text.text();
        for (size_t begin = 0; begin < from.size();) {
            const size_t end = grapheme_end(from, begin);
            if (!(end - begin < 6 && apply_to(from, begin, end, out))) {
                for (size_t at = begin; at < end;) {
                    const size_t next = at + code_point_at(from, at).n_bytes;
                    if (!apply_to(from, at, next, out)) out.keep(at, next);
                    at = next;
                }
            }
            begin = end;
        }
        text = std::move(out).finish();
    }

private:
    /// Replaces bytes [begin, end) if a rule fits their front.
    bool apply_to(std::string_view from, size_t begin, size_t end, SourcedText::Builder& out) const {
        const CharsMap::Match match = rules.shortest(from.substr(begin, end - begin));
        if (match.length != 0) out.replace(begin, end, match.replacement);
        return match.length != 0;
    }
};

}  // namespace

std::unique_ptr<Normalizer> make_precompiled_normalizer(std::span<const uint8_t> bytes, const std::string& file) {
    auto normalizer = std::make_unique<PrecompiledNormalizer>();
    // An empty table has no rules, as in SentencePiece's files.
    if (!bytes.empty()) normalizer->rules = CharsMap(bytes, file);
    return normalizer;
}

}  // namespace koine
