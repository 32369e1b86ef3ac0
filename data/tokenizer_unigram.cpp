// The best way to cut a text into pieces, and the model of tokenizer.json files; see tokenizer_unigram.h.
#include "data/tokenizer_unigram.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/sentencepiece_model.h"
#include "data/utf8.h"
#include "data/vocabulary.h"
#include "tensor/error.h"

namespace koine {

template <class Sum>
BestPieces<Sum>::BestPieces(std::vector<std::pair<std::string_view, int32_t>> pieces_, const std::vector<Sum>& scores_,
                            int32_t unk_, Sum unk_score_)
    : pieces(std::move(pieces_)), scores(pieces.n_nodes()), unk(unk_), unk_score(unk_score_) {
    for (uint32_t node = 0; node < scores.size(); node++) {
        if (pieces.number(node) >= 0) scores[node] = scores_[size_t(pieces.number(node))];
    }
}

template <class Sum>
void BestPieces<Sum>::append(std::string_view text, std::vector<Piece>& found) const {
    constexpr uint32_t kUnknown = UINT32_MAX;
    // The best way that was found from the text's start to a place: its score, and its last piece.
    struct Way {
        Sum score = 0;
        uint32_t bytes = 0;  // of the last piece, at most kMaxPieceBytes; 0: no way yet
        uint32_t node = 0;   // where it ends, or kUnknown
    };
    std::vector<Way> ways(text.size() + 1);
    for (size_t begin = 0; begin < text.size();) {
        const std::string_view rest = text.substr(begin);
        const Sum score_here = ways[begin].score;
        const auto offer = [&](size_t length, uint32_t node, Sum piece_score) {
            Way& way = ways[begin + length];
            const Sum score = score_here + piece_score;
            if (way.bytes == 0 || score > way.score) way = {score, uint32_t(length), node};
        };
        const size_t character = std::max<size_t>(utf8_length(rest), 1);
        bool is_known = false;
        pieces.for_prefixes(rest, [&](size_t length, uint32_t node) {
            offer(length, node, scores[node]);
            is_known |= length == character;
        });
        // So every character's end can be reached.
        if (!is_known) offer(character, kUnknown, unk_score);
        begin += character;
    }
    const auto first = std::ptrdiff_t(found.size());
    for (size_t end = text.size(); end > 0; end -= ways[end].bytes) {
        const Way& way = ways[end];
        found.push_back({way.node == kUnknown ? unk : pieces.number(way.node), end - way.bytes, end});
    }
    std::reverse(found.begin() + first, found.end());
}

template class BestPieces<float>;
template class BestPieces<double>;

namespace {

class JsonUnigram : public TokenModel {
public:
    JsonUnigram(std::vector<std::string> pieces, const std::vector<double>& scores, int32_t unk_, bool byte_fallback,
                const std::string& file)
        : unk(unk_) {
        constexpr double kUnkPenalty = 10;
        std::vector<std::pair<std::string_view, int32_t>> views;
        for (size_t i = 0; i < pieces.size(); i++) views.emplace_back(pieces[i], int32_t(i));
        const double unk_score = *std::min_element(scores.begin(), scores.end()) - kUnkPenalty;
        best = BestPieces<double>(std::move(views), scores, unk, unk_score);
        std::vector<std::pair<std::string, int64_t>> entries;
        for (size_t i = 0; i < pieces.size(); i++) entries.emplace_back(std::move(pieces[i]), int64_t(i));
        vocabulary = Vocabulary(std::move(entries), file);
        if (!byte_fallback) return;
        for (size_t byte = 0; byte < 256; byte++) byte_ids[byte] = vocabulary.find(byte_piece(uint8_t(byte)));
    }

    void encode(std::string_view word, std::vector<Piece>& pieces) const override {
        std::vector<Piece> found;
        best.append(word, found);
        for (size_t i = 0; i < found.size(); i++) {
            if (found[i].id != unk) {
                pieces.push_back(found[i]);
                continue;
            }
            const size_t begin = found[i].begin;
            while (i + 1 < found.size() && found[i + 1].id == unk) i++;
            append_unknown(word, begin, found[i].end, pieces);
        }
    }
    int64_t n_ids() const override { return vocabulary.n_ids(); }
    std::optional<int32_t> id_of(std::string_view token) const override { return vocabulary.find(token); }
    std::string token_of(int32_t id) const override { return vocabulary.token(id); }

private:
    void append_unknown(std::string_view word, size_t begin, size_t end, std::vector<Piece>& pieces) const {
        const std::string_view text = word.substr(begin, end - begin);
        // Together, unknown characters may be a piece whose score was too small.
        const std::optional<int32_t> together = vocabulary.find(text);
        const bool are_bytes = !together && std::all_of(text.begin(), text.end(),
                                                        [&](char c) { return byte_ids[uint8_t(c)].has_value(); });
        if (!are_bytes) {
            pieces.push_back({together.value_or(unk), begin, end});
            return;
        }
        for (const char c : text) pieces.push_back({*byte_ids[uint8_t(c)], begin, end});
    }

    Vocabulary vocabulary;
    BestPieces<double> best;
    int32_t unk;
    std::array<std::optional<int32_t>, 256> byte_ids;
};

}  // namespace

std::unique_ptr<TokenModel> make_unigram(std::vector<std::string> pieces, const std::vector<double>& scores,
                                         std::optional<int64_t> unk_id, bool byte_fallback, const std::string& file) {
    const auto fail = [&](const char* kind, const std::string& problem) { throw DataError(kind, file, "", problem); };
    if (pieces.size() != scores.size()) {
        fail("SHAPE", std::to_string(pieces.size()) + " pieces, but " + std::to_string(scores.size()) + " scores");
    }
    if (pieces.empty()) fail("MISSING", "the Unigram model has no pieces");
    if (!unk_id) fail("MISSING", "the Unigram model has no unk_id: an unknown character would have no id");
    if (*unk_id < 0 || uint64_t(*unk_id) >= pieces.size()) {
        fail("VALUE",
             "unk_id is " + std::to_string(*unk_id) + ", but there are " + std::to_string(pieces.size()) + " pieces");
    }
    for (size_t i = 0; i < pieces.size(); i++) {
        if (!std::isfinite(scores[i])) {
            fail("VALUE", "the score of piece " + std::to_string(i) + " is not finite");
        }
        if (pieces[i].size() > kMaxPieceBytes) {
            fail("LIMIT", "piece " + std::to_string(i) + " has " + std::to_string(pieces[i].size()) +
                              " bytes, at most " + std::to_string(kMaxPieceBytes) + " are expected");
        }
    }
    return std::make_unique<JsonUnigram>(std::move(pieces), scores, int32_t(*unk_id), byte_fallback, file);
}

}  // namespace koine
