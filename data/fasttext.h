// A fastText model, as the official tool writes it (facebookresearch/fastText, src/{fasttext,dictionary,matrix,
// densematrix,quantmatrix,productquantizer,args}.cc): words and subwords, so that words that it never saw have a
// vector, too (Bojanowski et al. 2017, section 3.2). Dense and quantised, of all three generations: without magic,
// version 11, version 12; gzip or plain. Supervised models (classifiers) are refused.
//
// Reading order: bytes.h, gzip.h, word_vectors.h, this file.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/word_vectors.h"

namespace koine {

/// The signed FNV-1a hash of 32 bits that fastText hashes words and subwords with: bytes are widened as signed chars.
uint32_t fasttext_hash(std::string_view word);

/// What a file holds; see fasttext_model.h.
struct FastTextModel;

/// A model, read once and never changed; copies share it, and any number of threads may ask it.
class FastText {
public:
    /// Reads a model: one pass, memory for what is there. Throws DataError: IO, MAGIC, TRUNC, LIMIT (a setting outside
    /// what makes sense; words whose vectors would take minutes, in a small file), VALUE (also for NaN and infinities),
    /// OVERFLOW, SHAPE, OFFSET, DUP, DTYPE (a supervised model; dense where quantised is announced), and what
    /// GzipReader throws.
    explicit FastText(const std::string& path);

    int64_t dim() const;      ///< numbers in a vector
    int64_t n_words() const;  ///< in the dictionary, without labels
    /// Word i of the dictionary, most frequent first, as its bytes are in the file: perhaps not UTF-8. It lives as long
    /// as a copy of this does. Throws ValueError outside [0, n_words).
    std::string_view word(int64_t i) const;
    /// The row of a word in the dictionary, or -1.
    int64_t find(std::string_view word) const;
    /// The rows of the input matrix whose mean is the word's vector: its own, if it is in the dictionary, and those of
    /// its subwords (character n-grams of <word>). The word </s>, the end of a line, has no subwords, except in models
    /// without magic, whose tool made no exception.
    std::vector<int64_t> rows_of(std::string_view word) const;
    /// The subwords themselves, in the order of rows_of, the word first if it is in the dictionary. Those that pruning
    /// removed are in neither.
    std::vector<std::string> subwords_of(std::string_view word) const;
    /// The vector of any word, [D]: the mean over rows_of, zeros when there are none.
    Tensor vector(std::string_view word) const;
    /// All words of the dictionary that the options let through, with their vectors. Throws DataError: UTF8 (a word,
    /// unless keeps_bytes), VALUE (a mean that overflows, unless allows_non_finite; a zero vector, if is_strict),
    /// SYNTAX (trailing bytes, if is_strict); ValueError for a negative limit. NaN in the file itself is never let
    /// through.
    WordVectors words(const WordVectorOptions& options = {}) const;

private:
    std::shared_ptr<const FastTextModel> model;
};

/// True when the first bytes of a file (64 are enough) are those of a fastText model of a generation with magic, or can
/// only be one without: 13 settings, each in its range.
bool looks_like_fasttext(std::string_view first_bytes, uint64_t file_size);

}  // namespace koine
