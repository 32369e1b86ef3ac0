// The parts that tokenizers are made of; see tokenizer.h for how they are chained.
//
//   Normalizer      text -> text                  lower case, accents, NFKC, SentencePiece's character map
//   PreTokenizer    words -> more, shorter words  spaces, punctuation, GPT-2's pattern, SentencePiece's "▁"
//   TokenModel      a word -> ids                 BPE, WordPiece, Unigram
//   Template        ids -> ids                    <s> ... </s>
//   TokenDecoder    tokens -> text
//
// Every part is a small struct behind one virtual function, and knows nothing of files.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/tokenizer.h"

namespace koine {

/// A text on its way to the model that knows where in the original each of its bytes came from. It is kept as a list of
/// runs: an unchanged text has one, a lower-cased one still has one, and every other change adds a few.
class SourcedText {
public:
    explicit SourcedText(std::string_view original);

    const std::string& text() const { return bytes; }
    size_t size() const { return bytes.size(); }
    /// Where bytes [begin, end) came from: the smallest span of the original that covers them all. Of no bytes: where
    /// the next one begins.
    Span source(size_t begin, size_t end) const;
    /// No step that follows can make the text longer than so many bytes: what would come behind them is left out.
    void set_limit(size_t n_bytes) { limit = n_bytes; }
    bool was_cut() const { return is_cut; }

    class Builder;

private:
    /// Bytes [begin, the next run's begin) come from `source`: byte by byte, or each of them from all of it.
    struct Run {
        size_t begin;
        Span source;
        bool is_bytewise;
    };
    SourcedText() = default;
    Span source_of(size_t run, size_t begin, size_t end) const;
    size_t run_at(size_t byte, size_t hint) const;
    void append_run(Span source, size_t n_bytes, bool is_bytewise);

    std::string bytes;
    std::vector<Run> runs;  // none is empty; none for an empty text
    size_t limit = SIZE_MAX;
    bool is_cut = false;
};

/// A new text, built up from left to right from parts of an old one: the only way to change one. What is not asked for
/// is dropped.
class SourcedText::Builder {
public:
    explicit Builder(const SourcedText& from_);
    /// Appends `part`, which stands for bytes [begin, end) of the text before: all of its bytes get that source. With
    /// begin == end it is inserted, and has the source of its neighbour.
    void replace(size_t begin, size_t end, std::string_view part);
    /// Appends bytes [begin, end) of the text before as they are.
    void keep(size_t begin, size_t end);
    SourcedText finish() &&;

private:
    bool has_room(size_t n_bytes);

    const SourcedText& from;
    SourcedText out;
    bool is_full = false;  // something was too long, and nothing may follow it
    size_t run = 0;        // of `from`, where the last part ended
};

/// A text cut into words: spans of it, in order, without overlap. Gaps (spaces) are dropped.
struct Words {
    SourcedText text;
    std::vector<Span> spans;
};

struct Normalizer {
    virtual ~Normalizer() = default;
    virtual void apply(SourcedText& text) const = 0;
};

struct PreTokenizer {
    virtual ~PreTokenizer() = default;
    /// Cuts every word further; may also change the text. `is_first`: the words begin where the whole input begins.
    virtual void split(Words& words, bool is_first) const = 0;
};

/// One piece of a word: an id and the bytes of the word that it stands for.
struct Piece {
    int32_t id = 0;
    size_t begin = 0, end = 0;
};

struct TokenModel {
    virtual ~TokenModel() = default;
    /// Appends the pieces of one word, in order. Never fails.
    virtual void encode(std::string_view word, std::vector<Piece>& pieces) const = 0;
    /// One more than the largest id; ids without a token are possible.
    virtual int64_t n_ids() const = 0;
    virtual std::optional<int32_t> id_of(std::string_view token) const = 0;
    /// As the vocabulary's file spells it; "" for an id without a token.
    virtual std::string token_of(int32_t id) const = 0;
    /// Whether it takes any bytes. Every other model gets U+FFFD for what is not UTF-8.
    virtual bool takes_bytes() const { return false; }
};

struct TokenDecoder {
    virtual ~TokenDecoder() = default;
    /// The text of tokens as the vocabulary spells them (token_of).
    virtual std::string decode(const std::vector<std::string>& tokens) const = 0;
};

/// A token that is found in the text before anything else looks at it.
struct AddedToken {
    std::string content;
    int32_t id = 0;
    bool lstrip = false, rstrip = false;  ///< takes the white space on that side with it
    bool single_word = false;             ///< only where no letter, digit or "_" touches it
    bool is_normalized = false;           ///< looked for in the normalised text, not in the original
    bool is_special = false;              ///< left out by decode
};

/// Ids put before and after those of the text.
struct Template {
    std::vector<int32_t> before, after;
};

struct TokenizerParts {
    std::vector<AddedToken> added;
    std::vector<std::unique_ptr<Normalizer>> normalizers;       ///< one after the other
    std::vector<std::unique_ptr<PreTokenizer>> pre_tokenizers;  ///< one after the other
    std::unique_ptr<TokenModel> model;
    Template around;
    bool trims_offsets = false;  ///< offsets leave out the spaces that a token begins and ends with
    std::unique_ptr<TokenDecoder> decoder;
    std::optional<int32_t> pad_id;
    int64_t max_tokens = 0;
    std::string description;
    std::vector<std::string> warnings;
};

}  // namespace koine
