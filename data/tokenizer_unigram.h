// Unigram: of all ways to cut a text into pieces, the one whose pieces have the largest product of probabilities.
// Kudo 2018, "Subword Regularization", arXiv 1804.10959, section 3.2; the search is Viterbi's.
//
// Two programs made the ids that encoders were trained on, and they differ where two ways are equally good, or nearly
// so: the sentencepiece library adds up single-precision scores, Hugging Face's tokenizers double-precision ones. A
// .model file is read as the one does it (sentencepiece_encode.cpp), a tokenizer.json as the other (make_unigram).
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/double_array.h"
#include "data/tokenizer_parts.h"

namespace koine {

/// No published piece has more than a hundred bytes. A piece is walked along at every place of a text.
inline constexpr size_t kMaxPieceBytes = 4096;

/// The search. `Sum` is the type in which scores are added up: of two ways to the same place, the second wins only if
/// its sum is larger.
template <class Sum>
class BestPieces {
public:
    BestPieces() = default;
    /// `pieces` are what a text may be cut into, with their numbers; scores[number] are theirs. One character is `unk`
    /// where no piece of its length begins.
    BestPieces(std::vector<std::pair<std::string_view, int32_t>> pieces, const std::vector<Sum>& scores, int32_t unk,
               Sum unk_score);

    /// Appends the best pieces, in order; their ids are numbers. Time grows as the text times the longest piece that is
    /// found in it; nothing recurses.
    void append(std::string_view text, std::vector<Piece>& found) const;

private:
    DoubleArray pieces;
    std::vector<Sum> scores;  // by node: one place in memory less to wait for
    int32_t unk = 0;
    Sum unk_score = 0;
};

/// The model of a tokenizer.json: piece i has id i and scores[i], the logarithm of its probability. Every piece may be
/// found in the text, "<s>" too. A character that begins no piece is unknown, with a score of 10 less than the
/// smallest; neighbours become one token, or with `byte_fallback` the pieces "<0x00>" to "<0xFF>" of their bytes, where
/// all of those exist. Source: huggingface/tokenizers, models/unigram/model.rs. Throws DataError about `file`: SHAPE
/// when the lists differ in length, MISSING without pieces or without unk_id (an unknown character would have no id),
/// VALUE for an unk_id that is no piece and for a score that is not finite, DUP for a piece that comes twice, LIMIT for
/// one longer than kMaxPieceBytes.
std::unique_ptr<TokenModel> make_unigram(std::vector<std::string> pieces, const std::vector<double>& scores,
                                         std::optional<int64_t> unk_id, bool byte_fallback, const std::string& file);

}  // namespace koine
