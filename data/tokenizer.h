// From text to the ids that a published encoder was trained on, and back.
//
// Four families, each by its own files or by the tokenizer.json that holds the same:
//   byte-level BPE        vocab.json + merges.txt       GPT-2, RoBERTa
//   WordPiece             vocab.txt                     BERT
//   SentencePiece Unigram sentencepiece.bpe.model       XLM-RoBERTa, CamemBERT, UmBERTo
//   SentencePiece BPE     tokenizer.model               Llama's kind
// A tokenizer is a chain of small parts (tokenizer_parts.h): the text is cut at tokens that are written out in it
// ("<mask>"), normalised, split into words, each word becomes pieces of the vocabulary, and a template puts special
// tokens around them. Which parts, the files say; reading them is tokenizer_files.cpp and tokenizer_json.cpp.
//
// Reading order: this file, tokenizer_parts.h, tokenizer_bpe.cpp, tokenizer.cpp; then the family of interest.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace koine {

/// Bytes [begin, end) of a text.
struct Span {
    size_t begin = 0, end = 0;
    bool operator==(const Span&) const = default;
};

/// What a text became. The three lists are of one length.
struct Encoding {
    std::vector<int32_t> ids;
    /// Where in the text each token stands, the space before a word included where the token has it; {0, 0} for those
    /// that the template added.
    std::vector<Span> offsets;
    std::vector<uint8_t> is_special;  ///< 1 for tokens that the template added
    /// How many tokens were cut off at the end. At least one, even without a limit, when the normalisers make a text
    /// more than 16 times (and 64 KB) longer, which those of real tokenizers cannot: what is more than that is lost.
    int64_t n_truncated = 0;
};

struct EncodeOptions {
    bool add_special = true;  ///< <s> ... </s>, [CLS] ... [SEP]
    /// Longest result, special tokens included; the end of the text is cut off. 0 means no limit.
    int64_t max_tokens = 0;
};

struct TokenizerParts;

class Tokenizer {
public:
    /// Takes what a folder holds: tokenizer.json, else the files of a family. Throws DataError: MISSING naming all that
    /// was looked for, and whatever the files deserve.
    static Tokenizer load(const std::filesystem::path& folder);
    explicit Tokenizer(TokenizerParts parts);

    /// Never fails on any text: what is not UTF-8 becomes U+FFFD (byte-level BPE takes the bytes as they are). Time
    /// grows as n log n at most. ValueError when max_tokens leaves no room for the special tokens. May be called by
    /// several threads at once.
    Encoding encode(std::string_view text, const EncodeOptions& options = {}) const;
    /// The text of ids. Throws ValueError for an id outside [0, n_ids).
    std::string decode(std::span<const int32_t> ids, bool skip_special = true) const;

    /// One more than the largest id.
    int64_t n_ids() const;
    /// The id of a token as the vocabulary spells it ("<s>", "##ing"); nothing when there is none.
    std::optional<int32_t> id_of(std::string_view token) const;
    /// The token of an id as the vocabulary spells it. ValueError outside [0, n_ids).
    std::string token_of(int32_t id) const;
    std::optional<int32_t> pad_id() const;
    /// The limit that tokenizer_config.json states (model_max_length), special tokens included; 0 when it states none.
    int64_t max_tokens() const;
    /// "byte-level BPE, 50265 tokens (vocab.json, merges.txt)", for run headers.
    const std::string& description() const;
    /// What was odd but harmless in the files.
    const std::vector<std::string>& warnings() const;

private:
    struct Engine;
    std::shared_ptr<const Engine> engine;
};

}  // namespace koine
