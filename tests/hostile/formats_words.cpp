// Word vectors: word2vec binary and text, GloVe, fastText models.
#include <cstring>

#include "data/fasttext.h"
#include "data/word_pair.h"
#include "data/word_vectors.h"
#include "tests/hostile/formats.h"

namespace koine::testing {
namespace {

const std::vector<std::string> kWords = {"house", "</s>", "caf\xc3\xa9", "river"};
constexpr int32_t kDim = 3, kBuckets = 2;

float value(int64_t i) { return float(i * 37 % 101) / 16 - 3; }

Bytes word2vec(const std::string& end) {
    std::string text = std::to_string(kWords.size()) + " " + std::to_string(kDim) + "\n";
    for (size_t w = 0; w < kWords.size(); w++) {
        text += kWords[w] + " ";
        for (int i = 0; i < kDim; i++) {
            const float x = value(int64_t(w) * kDim + i);
            text.append(reinterpret_cast<const char*>(&x), sizeof x);
        }
        text += end;
    }
    return bytes_of(text);
}

std::string glove() {
    std::string text;
    for (size_t w = 0; w < kWords.size(); w++) {
        text += kWords[w];
        for (int i = 0; i < kDim; i++) text += " " + std::to_string(value(int64_t(w) * kDim + i));
        text += "\n";
    }
    return text;
}

/// A fastText model of version 12 (the layout: data/fasttext_file.cpp), and where its numbers are.
struct FastTextSample {
    Bytes bytes;
    std::vector<LengthField> fields;

    template <class T>
    void put(T number, bool is_length = true) {
        if (is_length) fields.push_back({bytes.size(), int(sizeof(T)), false});
        const size_t at = bytes.size();
        bytes.resize(at + sizeof(T));
        std::memcpy(bytes.data() + at, &number, sizeof(T));
    }

    void put_dense(int64_t n_rows) {
        put(uint8_t(0));
        put(n_rows);
        put(int64_t(kDim));
        for (int64_t i = 0; i < n_rows * kDim; i++) put(value(i), false);
    }

    /// Codes for parts of two numbers and of one, and their 256 centroids each.
    void put_quantised(int64_t n_rows) {
        put(uint8_t(1));
        put(uint8_t(0));  // no norms
        put(n_rows);
        put(int64_t(kDim));
        put(int32_t(2 * n_rows));
        for (int64_t i = 0; i < 2 * n_rows; i++) put(uint8_t(i * 29), false);
        for (int32_t setting : {kDim, 2, 2, 1}) put(setting);
        for (int64_t i = 0; i < 256 * kDim; i++) put(value(i), false);
    }

    explicit FastTextSample(bool is_quantised) {
        for (int32_t number : {793712314, 12, kDim, 5, 1, 1, 5, 1, 2, 2, kBuckets, 1, 3, 100}) put(number);
        put(1e-4, false);
        for (int32_t number : {int32_t(kWords.size()), int32_t(kWords.size()), 0}) put(number);
        put(int64_t(404));
        put(int64_t(-1));
        for (const std::string& word : kWords) {
            bytes.insert(bytes.end(), word.begin(), word.end());
            bytes.push_back(0);
            put(int64_t(12));
            put(uint8_t(0));
        }
        const int64_t n = int64_t(kWords.size());
        is_quantised ? put_quantised(n + kBuckets) : put_dense(n + kBuckets);
        put_dense(n);
    }
};

void read_vectors(const std::string& folder) { load_word_vectors(folder + "/vectors"); }

void read_model(const std::string& folder) {
    const FastText model(folder + "/model.bin");
    model.vector("unseen");
    model.words({.keeps_bytes = true});
}

}  // namespace

std::vector<Format> word_formats() {
    const Bytes header = bytes_of(std::to_string(kWords.size()) + " " + std::to_string(kDim) + "\n");
    const FastTextSample dense(false), quantised(true);
    const Bytes binary = word2vec(""), packed = gzipped(dense.bytes);
    return {
        {.name = "word2vec binary", .file = "vectors", .good = binary, .load = read_vectors},
        {.name = "word2vec binary, gzip", .file = "vectors", .good = gzipped(binary), .load = read_vectors},
        // The last line end of a text, and the last digit of a number, are not missed.
        {.name = "word2vec binary, lines",
         .file = "vectors",
         .good = word2vec("\n"),
         .load = read_vectors,
         .refuses_cuts = false},
        {.name = "word2vec text",
         .file = "vectors",
         .good = header + bytes_of(glove()),
         .load = read_vectors,
         .refuses_cuts = false},
        {.name = "GloVe", .file = "vectors", .good = bytes_of(glove()), .load = read_vectors, .refuses_cuts = false},
        {.name = "pair of word vectors",
         .file = "vectors",
         .good = bytes_of(glove()),
         .load = [](const std::string& folder) { load_word_pair(folder + "/vectors", folder + "/b"); },
         .refuses_cuts = false,
         .beside = {{"b", word2vec("\n")}}},
        {.name = "fastText", .file = "model.bin", .good = dense.bytes, .load = read_model, .fields = dense.fields},
        {.name = "fastText, gzip",
         .file = "model.bin",
         .good = packed,
         .load = read_model,
         .header = 20,
         .fields = {{packed.size() - 4, 4, false}}},
        {.name = "fastText, quantised",
         .file = "model.bin",
         .good = quantised.bytes,
         .load = read_model,
         .header = 280,
         .fields = quantised.fields},
        {.name = "fastText as word vectors",
         .file = "vectors",
         .good = dense.bytes,
         .load = read_vectors,
         .fields = dense.fields},
    };
}

}  // namespace koine::testing
