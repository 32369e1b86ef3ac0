// A fastText model in memory: its matrix, its dictionary, and which rows a word has. Read by fasttext_file.cpp, asked
// through fasttext.h.
#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/utf8.h"
#include "data/word_vectors.h"

namespace koine {

inline constexpr int64_t kFastTextCentroids = 256;  // a code is one byte

/// A vector cut into parts, each the nearest of 256 centroids (Jegou et al. 2011, product quantisation).
struct FastTextQuantiser {
    int64_t dim = 0, n_parts = 0, part = 0, last_part = 0;  // numbers in all, parts, numbers in each and in the last
    std::vector<float> centroids;                           // of part 0, then of part 1, ...

    int64_t size_of(int64_t i) const { return i == n_parts - 1 ? last_part : part; }
    const float* centroid(int64_t i, uint8_t code) const {
        return centroids.data() + i * part * kFastTextCentroids + code * size_of(i);
    }
};

/// The input matrix, one row per word and per bucket.
struct FastTextMatrix {
    int64_t rows = 0, dim = 0;
    bool is_quantised = false;
    std::vector<float> values;         // dense: [rows, dim]
    FastTextQuantiser quantiser;       // quantised
    std::vector<uint8_t> codes;        // [rows, n_parts]
    FastTextQuantiser norm_quantiser;  // of one number
    std::vector<uint8_t> norm_codes;   // [rows], or empty: all norms are 1

    void add_row(int64_t row, float* sum) const {
        if (!is_quantised) {
            const float* x = values.data() + row * dim;
            for (int64_t i = 0; i < dim; i++) sum[i] += x[i];
            return;
        }
        const float norm = norm_codes.empty() ? 1 : *norm_quantiser.centroid(0, norm_codes[size_t(row)]);
        for (int64_t p = 0; p < quantiser.n_parts; p++) {
            const float* x = quantiser.centroid(p, codes[size_t(row * quantiser.n_parts + p)]);
            for (int64_t i = 0; i < quantiser.size_of(p); i++) sum[p * quantiser.part + i] += norm * x[i];
        }
    }
};

inline constexpr uint32_t kFastTextHashStart = 2166136261;

/// FNV-1a with bytes widened as signed chars: an accident of the first version that all models have in them.
inline uint32_t fasttext_hash_step(uint32_t hash, char c) { return (hash ^ uint32_t(int32_t(int8_t(c)))) * 16777619u; }

struct FastTextModel {
    std::string file;
    int32_t version = 0;  // 0: without magic
    int32_t dim = 0, bucket = 0, minn = 0, maxn = 0;
    bool is_pruned = false;
    std::vector<std::pair<int32_t, int32_t>> kept;  // (bucket, row behind the words), sorted; if pruned
    std::shared_ptr<const WordTable> words;         // without labels
    FastTextMatrix input;
    uint64_t n_trailing = 0;  // bytes behind the model, at least

    int64_t n_words() const { return words->size(); }

    /// The row of a subword's bucket, or -1 when pruning removed it.
    int64_t row_of(uint32_t hash) const {
        const int32_t b = int32_t(hash % uint32_t(bucket));
        if (!is_pruned) return n_words() + b;
        const auto at = std::lower_bound(kept.begin(), kept.end(), std::pair(b, 0));
        return at != kept.end() && at->first == b ? n_words() + at->second : -1;
    }

    /// f(row, text) for the word itself, if its row is not -1, and for every subword, in the order of the tool:
    /// n-grams of minn to maxn characters of <word>, by their first character, then by length. A marker alone is none.
    template <class F>
    void for_each_row(std::string_view word, int64_t own_row, F f) const {
        if (own_row >= 0) f(own_row, word);
        if (word == "</s>" && version > 0) return;
        const std::string marked = "<" + std::string(word) + ">";
        for (size_t begin = 0; begin < marked.size(); begin++) {
            if (utf8_is_continuation(marked[begin])) continue;
            uint32_t hash = kFastTextHashStart;
            size_t end = begin;
            for (int n = 1; n <= maxn && end < marked.size(); n++) {
                do {
                    hash = fasttext_hash_step(hash, marked[end++]);
                } while (end < marked.size() && utf8_is_continuation(marked[end]));
                const bool is_marker = n == 1 && (begin == 0 || end == marked.size());
                if (n < minn || is_marker) continue;
                const int64_t row = row_of(hash);
                if (row >= 0) f(row, std::string_view(marked).substr(begin, end - begin));
            }
        }
    }

    /// In floats and in this order, as the tool does it, so that the numbers are the same.
    void mean(std::string_view word, int64_t own_row, std::vector<float>& sum, real* out) const {
        std::fill(sum.begin(), sum.end(), 0.0f);
        int64_t n = 0;
        for_each_row(word, own_row, [&](int64_t row, std::string_view) {
            input.add_row(row, sum.data());
            n++;
        });
        const float scale = n > 0 ? float(1.0 / double(n)) : 0.0f;
        for (int64_t i = 0; i < dim; i++) out[i] = real(sum[size_t(i)] * scale);
    }
};

/// Throws as FastText's constructor.
std::shared_ptr<const FastTextModel> read_fasttext_model(const std::string& path);

}  // namespace koine
