// The parts of a tokenizer that reads a SentencePiece model; read_sentencepiece puts them together. Each does what the
// sentencepiece library does (github.com/google/sentencepiece, version 0.2.3; up to 0.2.1 it compared sums of scores
// in double precision, which gives other pieces where two ways are as good, and scored user-defined pieces otherwise).
#pragma once
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/double_array.h"
#include "data/sentencepiece_model.h"
#include "data/text_hash.h"
#include "data/tokenizer_parts.h"
#include "data/vocabulary.h"

namespace koine {

/// Replaces characters by the model's table, tidies up spaces, and makes each a "▁". User-defined pieces are left as
/// they are, but for their spaces.
class SentencePieceNormalizer : public Normalizer {
public:
    explicit SentencePieceNormalizer(const SentencePieceModel& model);
    void apply(SourcedText& text) const override;

private:
    struct Part;
    Part next_part(std::string_view text, size_t begin) const;
    std::vector<Part> normal_parts(std::string_view text) const;

    CharsMap rules;
    DoubleArray user_defined;
    bool adds_space, space_is_last, removes_spaces, escapes_spaces;
};

/// The tokens that a model's pieces have in the encoder, and which piece is which.
struct SentencePieceTokens {
    Vocabulary vocabulary;
    std::vector<int32_t> id_of_piece;
};

/// Unigram or BPE, over the whole text: pieces may go across spaces.
std::unique_ptr<TokenModel> make_sentencepiece_encoder(const SentencePieceModel& model, SentencePieceTokens tokens);

/// Pieces to text: "▁" are spaces, without the one that the normaliser put first; bytes are put together; control
/// pieces and those in `hidden` are not shown; the unknown piece is " ⁇ ".
class SentencePieceDecoder : public TokenDecoder {
public:
    SentencePieceDecoder(const SentencePieceModel& model, const std::vector<std::string>& hidden);
    std::string decode(const std::vector<std::string>& tokens) const override;

private:
    enum class Kind { hidden, unknown, byte };
    std::unordered_map<std::string, Kind, TextHash> kinds;  // of tokens that are not simply text
    std::string unk_surface;
    bool adds_space, removes_spaces;
};

}  // namespace koine
