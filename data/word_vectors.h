// Word vectors from the files that people have: word2vec binary, text with a header (.vec) or without (GloVe), fastText
// models; gzip or plain. The format is recognised by content. A file is read once, front to back; memory is taken for
// what is kept, never for what a header claims.
//
// Reading order: bytes.h, gzip.h, this file, word_vectors_reader.h, then fasttext.h.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace koine {

/// Words, each once and with its row. Their letters lie in one arena, and a hash table holds no more than eight bytes a
/// slot: a std::unordered_map of three million words would be a fifth of a gigabyte in six million pieces.
class WordTable {
public:
    /// Adds a word as the last row. False when it is there already, and then nothing changes.
    bool add(std::string_view word);
    /// The row of a word, or -1.
    int64_t find(std::string_view word) const;
    int64_t size() const { return int64_t(ends.size()); }
    /// The word of a row. The view is good until the next add().
    std::string_view word(int64_t row) const;
    /// All words, in the order of their rows; views as above.
    std::vector<std::string_view> words() const;

private:
    struct Slot {
        uint32_t hash;
        int32_t row = -1;  // -1: free
    };
    size_t slot_of(std::string_view word, uint32_t hash) const;
    void grow();

    std::vector<char> arena;
    std::vector<uint64_t> ends;  // where each word ends in the arena
    std::vector<Slot> slots;     // a power of two of them, at most half in use
};

/// N words, each with a vector of D numbers.
struct WordVectors {
    std::string format;                      ///< "word2vec binary", "text with a header", "text", "fastText model"
    std::string source;                      ///< in plain words: file, format, how many words of how many
    std::shared_ptr<const WordTable> table;  ///< the words' letters and rows
    std::vector<std::string_view> words;     ///< in the order of the file; they live as long as a copy of this does
    Tensor vectors;                          ///< [N, D]
    std::vector<std::string> warnings;       ///< what was odd, but harmless; a line per kind of oddity, with its count

    int64_t size() const { return int64_t(words.size()); }
    /// The row of a word, or -1.
    int64_t find(std::string_view word) const { return table ? table->find(word) : -1; }
};

struct WordVectorOptions {
    int64_t limit = 0;  ///< keep the first so many words that pass the filter, and read no further; 0: all
    /// Asked for every word, in the order of the file, before its numbers are looked at; empty: all pass. What it
    /// refuses is not checked either: neither its UTF-8 nor its numbers.
    std::function<bool(std::string_view)> filter = {};
    bool is_strict = false;          ///< oddities that are usually warned about are errors
    bool keeps_bytes = false;        ///< words that are not UTF-8 are kept as they are, not refused
    bool allows_non_finite = false;  ///< NaN, infinities and denormal numbers are kept, not refused
};

/// Reads a file of any of the formats. A word that occurs twice keeps its first vector; nothing is normalised. Throws
/// DataError: IO, MAGIC (with what the file looks like instead), SYNTAX, VALUE, OVERFLOW, SHAPE, TRUNC (with the number
/// of words read), LIMIT (a word of more than 64 KiB, a line of more than 64 KiB + 64 D bytes, D above 65536), UTF8,
/// DUP (strict only), and what GzipReader and FastText throw. ValueError for a negative limit.
WordVectors load_word_vectors(const std::string& path, const WordVectorOptions& options = {});

}  // namespace koine
