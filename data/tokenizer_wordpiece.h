// BERT's tokenizer (Devlin et al. 2019, arXiv 1810.04805; google-research/bert, tokenization.py): a normalizer, words
// (BertSplit in pretokenize.h), the longest token that fits again and again, and the way back.
#pragma once
#include "data/double_array.h"
#include "data/tokenizer_parts.h"
#include "data/vocabulary.h"

namespace koine {

struct BertNormalizer : Normalizer {
    bool cleans = true;                  ///< drops controls and U+FFFD, makes every white space a space
    bool spaces_chinese = true;          ///< puts spaces around Chinese characters
    bool lowers = true;                  ///< lower case
    std::optional<bool> strips_accents;  ///< when nothing is said: if it lowers
    void apply(SourcedText& text) const override;
};

struct WordPieceOptions {
    std::string unk = "[UNK]";
    std::string prefix = "##";     ///< of tokens that continue a word
    int64_t max_characters = 100;  ///< longer words are unknown
};

class WordPiece : public TokenModel {
public:
    /// Throws DataError for `file`: MISSING when unk is not in the vocabulary, VALUE unless max_characters is from 1 to
    /// 10000.
    WordPiece(Vocabulary vocabulary_, const WordPieceOptions& options, const std::string& file);

    void encode(std::string_view word, std::vector<Piece>& pieces) const override;
    int64_t n_ids() const override { return vocabulary.n_ids(); }
    std::optional<int32_t> id_of(std::string_view token) const override { return vocabulary.find(token); }
    std::string token_of(int32_t id) const override { return vocabulary.token(id); }

private:
    Vocabulary vocabulary;
    DoubleArray first, continuing;  // tokens that begin a word, and those with the prefix, without it
    int64_t max_characters;
    int32_t unk = 0;
};

/// Tokens joined by spaces, without the prefix of those that continue a word.
struct WordPieceDecoder : TokenDecoder {
    std::string prefix = "##";
    bool cleans_up = true;  ///< no space before tokens that begin with . ? ! , n't 'm 's 've 're
    std::string decode(const std::vector<std::string>& tokens) const override;
};

}  // namespace koine
