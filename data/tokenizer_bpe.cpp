// Byte-pair encoding; see tokenizer_bpe.h.
#include "data/tokenizer_bpe.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <queue>
#include <tuple>

#include "data/json.h"
#include "data/unicode.h"
#include "tensor/error.h"

namespace koine {
namespace {

constexpr uint32_t kNoRank = UINT32_MAX;
// Up to so many pieces, looking at all of them for every merge is faster than a heap.
constexpr size_t kFew = 48;
// Places in a word are 32-bit numbers in merge_many; a longer word is encoded in parts.
constexpr size_t kLongestWord = size_t(1) << 31;

bool is_printable_latin1(int byte) { return (byte > 32 && byte < 127) || (byte > 160 && byte != 173); }

/// GPT-2's characters (encoder.py, bytes_to_unicode), both ways.
struct ByteAlphabet {
    static constexpr size_t kCharacters = 256 + 68;  // 68 bytes are not printable
    std::array<char32_t, 256> character{};
    std::array<int, kCharacters> byte{};

    ByteAlphabet() {
        byte.fill(-1);
        char32_t next = 256;
        for (int b = 0; b < 256; b++) {
            character[size_t(b)] = is_printable_latin1(b) ? char32_t(b) : next++;
            byte[character[size_t(b)]] = b;
        }
    }
};

const ByteAlphabet kAlphabet;

std::string byte_token(int byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", unsigned(byte));
    return text;
}

}  // namespace

Bpe::Bpe(Vocabulary vocabulary_, std::span<const Merge> merges, BpeOptions options_, const std::string& file)
    : vocabulary(std::move(vocabulary_)), options(std::move(options_)) {
    for (int byte = 0; byte < 256; byte++) {
        const char c = char(byte);
        const std::string token = options.is_byte_level ? byte_level_spelling({&c, 1}) : byte_token(byte);
        byte_ids[size_t(byte)] = vocabulary.find(token).value_or(kNone);
    }
    if (options.unk) {
        unk = vocabulary.find(*options.unk).value_or(kNone);
        if (unk == kNone) {
            throw DataError("MISSING", file, "",
                            "the unknown token " + shown(*options.unk) + " is not in the vocabulary");
        }
    }
    add_rules(merges, file);
}

void Bpe::add_rules(std::span<const Merge> merges, const std::string& file) {
    for (size_t i = 0; i < merges.size(); i++) {
        const auto id_in = [&](const std::string& token) {
            if (const auto id = vocabulary.find(token)) return *id;
            throw DataError("VALUE", file, "merge " + std::to_string(i + 1),
                            shown(merges[i].first) + " and " + shown(merges[i].second) + ": the token " + shown(token) +
                                " is not in the vocabulary");
        };
        const auto& [left, right] = merges[i];
        const std::string& prefix = options.continuing_prefix;
        if (!right.starts_with(prefix)) {
            throw DataError(
                "VALUE", file, "merge " + std::to_string(i + 1),
                shown(right) + " does not begin with " + shown(prefix) + ", expected of what continues a word");
        }
        rules.push_back({id_in(left), id_in(right), id_in(left + right.substr(prefix.size())), uint32_t(i)});
    }
    // Of a pair that comes twice, the last counts, as in the programs that wrote such files.
    std::sort(rules.begin(), rules.end(), [](const Rule& a, const Rule& b) {
        return std::tuple(a.left, a.right, b.rank) < std::tuple(b.left, b.right, a.rank);
    });
    rules.erase(std::unique(rules.begin(), rules.end(),
                            [](const Rule& a, const Rule& b) { return a.left == b.left && a.right == b.right; }),
                rules.end());
    first_rule.assign(size_t(vocabulary.n_ids()) + 1, 0);
    for (const Rule& r : rules) first_rule[size_t(r.left) + 1]++;
    for (size_t i = 1; i < first_rule.size(); i++) first_rule[i] += first_rule[i - 1];
}

const Bpe::Rule* Bpe::rule(int32_t left, int32_t right) const {
    const Rule* low = rules.data() + first_rule[size_t(left)];
    const Rule* end = rules.data() + first_rule[size_t(left) + 1];
    for (auto n = end - low; n > 1;) {
        const auto half = n / 2;
        if (low[half].right <= right) low += half;
        n -= half;
    }
    return low != end && low->right == right ? low : nullptr;
}

void Bpe::encode(std::string_view word, std::vector<Piece>& pieces) const {
    const size_t first = pieces.size();
    if (word.size() > kLongestWord) {
        for (size_t begin = 0; begin < word.size(); begin += kLongestWord) {
            const size_t first_of_part = pieces.size();
            encode(word.substr(begin, kLongestWord), pieces);
            for (size_t i = first_of_part; i < pieces.size(); i++) pieces[i].begin += begin, pieces[i].end += begin;
        }
        return;
    }
    if (options.ignores_merges) {
        const auto id = vocabulary.find(options.is_byte_level ? byte_level_spelling(word) : std::string(word));
        if (id) return pieces.push_back({*id, 0, word.size()});
    }
    if (options.is_byte_level) {
        for (size_t i = 0; i < word.size(); i++) {
            const int32_t id = byte_ids[uint8_t(word[i])];
            if (id != kNone || unk != kNone) pieces.push_back({id != kNone ? id : unk, i, i + 1});
        }
    } else {
        append_characters(word, pieces);
    }
    if (pieces.size() - first <= kFew)
        merge_few(pieces, first);
    else
        merge_many(pieces, first);
}

// Every character's token, or its bytes', or the unknown token.
void Bpe::append_characters(std::string_view word, std::vector<Piece>& pieces) const {
    std::string token;
    bool was_unknown = false;
    for (size_t at = 0, end; at < word.size(); at = end) {
        end = at + code_point_at(word, at).n_bytes;
        token = at > 0 ? options.continuing_prefix : "";
        token += word.substr(at, end - at);
        if (end == word.size()) token += options.end_suffix;
        const bool follows_unknown = std::exchange(was_unknown, false);
        if (const auto id = vocabulary.find(token)) {
            pieces.push_back({*id, at, end});
            continue;
        }
        const auto has_token = [&](char c) { return byte_ids[uint8_t(c)] != kNone; };
        if (options.has_byte_fallback && std::all_of(word.begin() + at, word.begin() + end, has_token)) {
            for (size_t i = at; i < end; i++) pieces.push_back({byte_ids[uint8_t(word[i])], i, i + 1});
        } else if (unk != kNone) {
            if (options.fuses_unk && follows_unknown)
                pieces.back().end = end;
            else
                pieces.push_back({unk, at, end});
            was_unknown = true;
        }
    }
}

// Looks at every pair for every merge: n^2, for few pieces. pieces[first, ...) are those of the word.
void Bpe::merge_few(std::vector<Piece>& pieces, size_t first) const {
    struct Pair {
        uint32_t rank;
        int32_t result;
    };
    Pair pairs[kFew];  // of each piece with the next
    Piece* const word = pieces.data() + first;
    size_t n = pieces.size() - first;
    const auto look = [&](size_t i) {
        const Rule* r = i + 1 < n ? rule(word[i].id, word[i + 1].id) : nullptr;
        pairs[i] = r ? Pair{r->rank, r->result} : Pair{kNoRank, kNone};
    };
    for (size_t i = 0; i < n; i++) look(i);
    while (n > 1) {
        const size_t best = size_t(
            std::min_element(pairs, pairs + n, [](const Pair& a, const Pair& b) { return a.rank < b.rank; }) - pairs);
        if (pairs[best].rank == kNoRank) break;
        word[best] = {pairs[best].result, word[best].begin, word[best + 1].end};
        std::copy(word + best + 2, word + n, word + best + 1);
        std::copy(pairs + best + 2, pairs + n, pairs + best + 1);
        n--;
        look(best);
        if (best > 0) look(best - 1);
    }
    pieces.resize(first + n);
}

// The same for long words, n log n: pieces are a list with two directions, pairs are taken by rank, then place. Those
// of the beginning are sorted once, which is much faster than a heap of millions; those that merges make are in a heap.
void Bpe::merge_many(std::vector<Piece>& pieces, size_t first) const {
    Piece* const word = pieces.data() + first;
    const size_t n = pieces.size() - first;
    struct Symbol {
        int32_t id;  // kNone: merged into the one before
        uint32_t before, after;
    };
    std::vector<Symbol> symbols(n);
    for (size_t i = 0; i < n; i++) symbols[i] = {word[i].id, uint32_t(i - 1), uint32_t(i + 1)};
    const auto rule_at = [&](size_t i) {
        const size_t after = symbols[i].after;
        return after < n ? rule(symbols[i].id, symbols[after].id) : nullptr;
    };
    const auto key = [](const Rule* r, size_t i) { return uint64_t(r->rank) << 32 | i; };
    std::vector<uint64_t> sorted;
    for (size_t i = 0; i < n; i++) {
        if (const Rule* r = rule_at(i)) sorted.push_back(key(r, i));
    }
    std::sort(sorted.begin(), sorted.end());
    std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> heap;

    for (size_t next = 0; next < sorted.size() || !heap.empty();) {
        uint64_t best;
        if (heap.empty() || (next < sorted.size() && sorted[next] < heap.top())) {
            best = sorted[next++];
        } else {
            best = heap.top();
            heap.pop();
        }
        const size_t i = size_t(best & UINT32_MAX);
        Symbol& symbol = symbols[i];
        if (symbol.id == kNone) continue;
        // A pair that has changed since is no longer there: if the new one has a rule, it has a key of its own.
        const Rule* r = rule_at(i);
        if (!r || r->rank != uint32_t(best >> 32)) continue;
        symbols[symbol.after].id = kNone;
        symbol = {r->result, symbol.before, symbols[symbol.after].after};
        if (symbol.after < n) symbols[symbol.after].before = uint32_t(i);
        if (const Rule* after = rule_at(i)) heap.push(key(after, i));
        if (symbol.before >= n) continue;
        if (const Rule* before = rule_at(symbol.before)) heap.push(key(before, symbol.before));
    }

    size_t n_left = 0;
    for (size_t i = 0; i < n; i = symbols[i].after) {
        word[n_left++] = {symbols[i].id, word[i].begin, word[symbols[i].after - 1].end};
    }
    pieces.resize(first + n_left);
}

std::string byte_level_spelling(std::string_view bytes) {
    std::string out;
    for (char c : bytes) append_utf8(out, kAlphabet.character[uint8_t(c)]);
    return out;
}

std::string byte_level_bytes(std::string_view token) {
    std::string out;
    for (size_t at = 0; at < token.size();) {
        const CodePoint c = code_point_at(token, at);
        const int byte = c.value < ByteAlphabet::kCharacters ? kAlphabet.byte[c.value] : -1;
        if (byte < 0) return std::string(token);
        out.push_back(char(byte));
        at += c.n_bytes;
    }
    return out;
}

std::string ByteLevelDecoder::decode(const std::vector<std::string>& tokens) const {
    std::string bytes;
    for (const std::string& token : tokens) bytes += byte_level_bytes(token);
    return repaired_utf8(bytes);
}

}  // namespace koine
