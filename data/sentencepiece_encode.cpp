// SentencePiece's two models; see sentencepiece_parts.h.
#include <algorithm>
#include <array>
#include <limits>
#include <queue>

#include "data/sentencepiece_parts.h"
#include "data/tokenizer_unigram.h"
#include "data/utf8.h"

namespace koine {
namespace {

/// What both models share: pieces are found by their numbers in the model, which then become ids.
class SentencePieceEncoder : public TokenModel {
public:
    SentencePieceEncoder(const SentencePieceModel& model, SentencePieceTokens tokens_)
        : unk(int32_t(model.unk)), tokens(std::move(tokens_)), byte_fallback(model.byte_fallback) {
        if (!byte_fallback) return;
        for (size_t byte = 0; byte < 256; byte++) byte_ids[byte] = *tokens.vocabulary.find(byte_piece(uint8_t(byte)));
    }

    void encode(std::string_view word, std::vector<Piece>& pieces) const override {
        std::vector<Piece> found;
        find_pieces(word, found);
        for (size_t i = 0; i < found.size(); i++) {
            const auto [number, begin, end] = found[i];
            if (number == unk && byte_fallback) {
                for (const char c : word.substr(begin, end - begin))
                    pieces.push_back({byte_ids[uint8_t(c)], begin, end});
            } else if (number == unk && i > 0 && found[i - 1].id == unk) {
                pieces.back().end = end;
            } else {
                pieces.push_back({tokens.id_of_piece[size_t(number)], begin, end});
            }
        }
    }
    int64_t n_ids() const override { return tokens.vocabulary.n_ids(); }
    std::optional<int32_t> id_of(std::string_view token) const override { return tokens.vocabulary.find(token); }
    std::string token_of(int32_t id) const override { return tokens.vocabulary.token(id); }

protected:
    virtual void find_pieces(std::string_view text, std::vector<Piece>& found) const = 0;

    const int32_t unk;

private:
    SentencePieceTokens tokens;
    bool byte_fallback;
    std::array<int32_t, 256> byte_ids{};
};

// ---- Unigram ----------------------------------------------------------------------------------------------------------

class UnigramEncoder : public SentencePieceEncoder {
public:
    // What can be typed: control pieces, bytes and the unknown piece cannot.
    UnigramEncoder(const SentencePieceModel& model, SentencePieceTokens tokens_)
        : SentencePieceEncoder(model, std::move(tokens_)) {
        constexpr float kUnkPenalty = 10;
        float smallest = std::numeric_limits<float>::max();
        std::vector<float> scores;
        for (const SentencePiece& piece : model.pieces) {
            if (piece.kind == PieceKind::normal) smallest = std::min(smallest, piece.score);
            // Probabilities are below 1, so this wins against any other way, and the more the longer it is.
            const bool is_wanted = piece.kind == PieceKind::user_defined;
            scores.push_back(is_wanted ? float(0.1 * double(piece.text.size() - 1)) : piece.score);
        }
        best = BestPieces<float>(pieces_of_kinds(model, {PieceKind::normal, PieceKind::user_defined}), scores, unk,
                                 smallest - kUnkPenalty);
    }

private:
    void find_pieces(std::string_view text, std::vector<Piece>& found) const override { best.append(text, found); }

    BestPieces<float> best;
};

// ---- BPE --------------------------------------------------------------------------------------------------------------

/// The text begins as its characters. Of all neighbours that together are a piece, those with the largest score become
/// one, the leftmost first; again, until there are none.
class BpeEncoder : public SentencePieceEncoder {
public:
    BpeEncoder(const SentencePieceModel& model, SentencePieceTokens tokens_)
        : SentencePieceEncoder(model, std::move(tokens_)),
          pieces(pieces_of_kinds(model, {PieceKind::normal, PieceKind::user_defined, PieceKind::unused})),
          user_defined(pieces_of_kinds(model, {PieceKind::user_defined})) {
        for (const SentencePiece& piece : model.pieces) {
            scores.push_back(piece.score);
            is_unused.push_back(piece.kind == PieceKind::unused);
        }
    }

private:
    static constexpr size_t kNone = SIZE_MAX;
    struct Symbol {
        size_t begin;
        uint32_t size;  // 0: it has become part of another one
        bool is_fixed;  // user-defined: nothing is added to it
        size_t previous, next;
    };
    /// A symbol and the next one, which together are a piece of `size` bytes.
    struct Pair {
        float score;
        uint32_t size;
        size_t left;
        bool operator<(const Pair& other) const {
            return score < other.score || (score == other.score && left > other.left);
        }
    };
    /// For an unused piece that was made on the way, how long its left part was.
    using LeftSizes = std::unordered_map<int32_t, size_t>;

    void find_pieces(std::string_view text, std::vector<Piece>& found) const override {
        std::vector<Symbol> symbols = characters(text);
        std::priority_queue<Pair> pairs;
        LeftSizes left_sizes;
        const auto offer = [&](size_t left, size_t right) {
            if (left == kNone || right == kNone || symbols[left].is_fixed || symbols[right].is_fixed) return;
            const uint32_t size = symbols[left].size + symbols[right].size;
            const int32_t number = pieces.find(text.substr(symbols[left].begin, size));
            if (number < 0) return;
            pairs.push({scores[size_t(number)], size, left});
            if (is_unused[size_t(number)]) left_sizes[number] = symbols[left].size;
        };
        for (size_t i = 1; i < symbols.size(); i++) offer(i - 1, i);
        while (!pairs.empty()) {
            const Pair pair = pairs.top();
            pairs.pop();
            Symbol& left = symbols[pair.left];
            // One of the two may have become something longer, or part of something, since.
            if (left.size == 0 || left.next == kNone) continue;
            Symbol& right = symbols[left.next];
            if (left.size + right.size != pair.size) continue;
            left.size = pair.size;
            right.size = 0;
            left.next = right.next;
            if (left.next != kNone) symbols[left.next].previous = pair.left;
            offer(left.previous, pair.left);
            offer(pair.left, left.next);
        }
        for (size_t i = symbols.empty() ? kNone : 0; i != kNone; i = symbols[i].next) {
            append(text, symbols[i].begin, symbols[i].size, left_sizes, found);
        }
    }

    std::vector<Symbol> characters(std::string_view text) const {
        std::vector<Symbol> symbols;
        for (size_t begin = 0; begin < text.size();) {
            const std::string_view rest = text.substr(begin);
            const size_t fixed = user_defined.longest_prefix(rest);
            const size_t size = fixed > 0 ? fixed : std::max<size_t>(utf8_length(rest), 1);
            const size_t i = symbols.size();
            symbols.push_back({begin, uint32_t(size), fixed > 0, i == 0 ? kNone : i - 1, i + 1});
            begin += size;
        }
        if (!symbols.empty()) symbols.back().next = kNone;
        return symbols;
    }

    /// Unused pieces are steps on the way to others. One that is left over falls apart into what it was made of.
    void append(std::string_view text, size_t begin, size_t size, const LeftSizes& left_sizes,
                std::vector<Piece>& found) const {
        std::vector<std::pair<size_t, size_t>> open = {{begin, size}};
        while (!open.empty()) {
            const auto [b, n] = open.back();
            open.pop_back();
            const int32_t number = pieces.find(text.substr(b, n));
            const auto left = number >= 0 ? left_sizes.find(number) : left_sizes.end();
            if (left == left_sizes.end()) {
                const bool is_known = number >= 0 && !is_unused[size_t(number)];
                found.push_back({is_known ? number : unk, b, b + n});
                continue;
            }
            open.emplace_back(b + left->second, n - left->second);
            open.emplace_back(b, left->second);
        }
    }

    DoubleArray pieces, user_defined;
    std::vector<float> scores;
    std::vector<bool> is_unused;
};

}  // namespace

std::unique_ptr<TokenModel> make_sentencepiece_encoder(const SentencePieceModel& model, SentencePieceTokens tokens) {
    if (model.algorithm == SentencePieceModel::Algorithm::bpe) {
        return std::make_unique<BpeEncoder>(model, std::move(tokens));
    }
    return std::make_unique<UnigramEncoder>(model, std::move(tokens));
}

}  // namespace koine
