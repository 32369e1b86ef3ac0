// The steps of a tokenizer.json that belong to no family of their own: what they do to a text, to words, to tokens.
// Reading the file is tokenizer_json.cpp; its other steps are in pretokenize.h, tokenizer_{bpe,wordpiece}.h,
// charsmap.h.
//
//   normalizers      NFC ... NFKD, Lowercase, StripAccents, Strip, Nmt, Replace, Prepend
//   pre-tokenizers   Split, Metaspace
//   decoders         a chain of Replace, ByteFallback, Fuse, Strip, Metaspace, BPEDecoder
//
// They do what the tokenizers library does (github.com/huggingface/tokenizers), to the byte, offsets included: the ids
// that a model was trained on came from there.
#pragma once
#include "data/pretokenize.h"
#include "data/tokenizer_parts.h"

namespace koine {

// ---- what Replace and Split look for -----------------------------------------------------------------------------------

/// Finds a text, which is not empty.
FindMatch find_text(std::string wanted);

/// Finds a regular expression, if it is one of the few that published files use: known_patterns(). There is no engine
/// for others, so no pattern in a file can make one run forever.
std::optional<FindMatch> find_pattern(std::string_view pattern);

/// Their names, for messages.
std::string known_patterns();

// ---- normalizers -------------------------------------------------------------------------------------------------------

struct FormNormalizer : Normalizer {
    explicit FormNormalizer(UnicodeForm form_) : form(form_) {}
    UnicodeForm form;
    void apply(SourcedText& text) const override { normalize(text, form); }
};

struct LowercaseNormalizer : Normalizer {
    void apply(SourcedText& text) const override { lower_case(text); }
};

/// Drops every mark (category M). A letter with its accent in one code point keeps it: NFD comes first.
struct StripAccentsNormalizer : Normalizer {
    void apply(SourcedText& text) const override;
};

/// Drops white space at the ends.
struct StripNormalizer : Normalizer {
    bool left = true, right = true;
    void apply(SourcedText& text) const override;
};

/// Of SentencePiece's rules "nmt", as the library has them: drops controls, turns other white space and zero-width
/// characters into spaces.
struct NmtNormalizer : Normalizer {
    void apply(SourcedText& text) const override;
};

struct ReplaceNormalizer : Normalizer {
    ReplaceNormalizer(FindMatch find_, std::string content_) : find(std::move(find_)), content(std::move(content_)) {}
    FindMatch find;
    std::string content;
    /// What is put in has the source of the last character that it replaces.
    void apply(SourcedText& text) const override;
};

/// Puts something before a text that is not empty.
struct PrependNormalizer : Normalizer {
    explicit PrependNormalizer(std::string prefix_) : prefix(std::move(prefix_)) {}
    std::string prefix;
    void apply(SourcedText& text) const override;
};

// ---- pre-tokenizers ----------------------------------------------------------------------------------------------------

/// Cuts at what is found; or each match is a word, and the rest is dropped.
struct FindSplit : PreTokenizer {
    FindMatch find;
    SplitBehavior behavior = SplitBehavior::removed;
    bool keeps_matches = false;
    void split(Words& words, bool is_first) const override;
};

/// SentencePiece's way with spaces: each becomes a visible "▁", and words begin with one.
struct MetaspaceSplit : PreTokenizer {
    enum class Prepend { always, first, never };
    std::string replacement = "\u2581";  ///< one character
    Prepend prepend = Prepend::always;   ///< one more before words without; `first`: only where the input begins
    bool cuts = true;                    ///< before each
    void split(Words& words, bool is_first) const override;
};

// ---- decoders ----------------------------------------------------------------------------------------------------------

/// One step on the way from tokens to a text.
struct DecodeStep {
    virtual ~DecodeStep() = default;
    virtual void apply(std::vector<std::string>& tokens) const = 0;
};

/// Steps one after the other; then the tokens, joined.
struct DecoderChain : TokenDecoder {
    std::vector<std::unique_ptr<DecodeStep>> steps;
    std::string separator;
    std::string decode(const std::vector<std::string>& tokens) const override;
};

/// A decoder that makes one text of all tokens.
struct WholeStep : DecodeStep {
    explicit WholeStep(std::unique_ptr<TokenDecoder> decoder_) : decoder(std::move(decoder_)) {}
    std::unique_ptr<TokenDecoder> decoder;
    void apply(std::vector<std::string>& tokens) const override;
};

struct FuseStep : DecodeStep {
    void apply(std::vector<std::string>& tokens) const override;
};

struct ReplaceStep : DecodeStep {
    ReplaceStep(FindMatch find_, std::string content_) : find(std::move(find_)), content(std::move(content_)) {}
    FindMatch find;
    std::string content;
    void apply(std::vector<std::string>& tokens) const override;
};

/// Tokens "<0xE2>" become the bytes that they name; a run of them that is not UTF-8 becomes U+FFFD for each.
struct ByteFallbackStep : DecodeStep {
    void apply(std::vector<std::string>& tokens) const override;
};

/// Takes `content` off each token's ends, at most so many times. Every token may be shorter than that.
struct StripStep : DecodeStep {
    std::string content;  ///< one character
    int64_t start = 0, stop = 0;
    void apply(std::vector<std::string>& tokens) const override;
};

/// "▁" back to spaces; the first token has none, unless `prepend` is never.
struct MetaspaceStep : DecodeStep {
    std::string replacement = "\u2581";
    MetaspaceSplit::Prepend prepend = MetaspaceSplit::Prepend::always;
    void apply(std::vector<std::string>& tokens) const override;
};

/// The suffix that ends a word ("</w>") becomes a space, but for the last token's.
struct WordEndStep : DecodeStep {
    std::string suffix = "</w>";
    void apply(std::vector<std::string>& tokens) const override;
};

}  // namespace koine
