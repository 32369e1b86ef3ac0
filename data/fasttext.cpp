// Asking a fastText model; see fasttext.h. How it is read: fasttext_file.cpp.
#include "data/fasttext.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "data/fasttext_model.h"
#include "data/utf8.h"

namespace koine {
namespace {

constexpr int64_t kWordsPerTask = 256;

std::string str(int64_t n) { return std::to_string(n); }

/// A warning, or an error if the options say so.
void note_oddity(const FastTextModel& model, const WordVectorOptions& options, WordVectors& out, const char* kind,
                 const std::string& what) {
    if (options.is_strict) throw DataError(kind, model.file, "", what);
    out.warnings.push_back(what);
}

}  // namespace

uint32_t fasttext_hash(std::string_view word) {
    uint32_t hash = kFastTextHashStart;
    for (char c : word) hash = fasttext_hash_step(hash, c);
    return hash;
}

FastText::FastText(const std::string& path) : model(read_fasttext_model(path)) {}

int64_t FastText::dim() const { return model->dim; }
int64_t FastText::n_words() const { return model->n_words(); }
int64_t FastText::find(std::string_view word) const { return model->words->find(word); }

std::string_view FastText::word(int64_t i) const {
    if (i < 0 || i >= n_words()) {
        throw ValueError("FastText::word: " + str(i) + " is outside the dictionary of " + str(n_words()) + " words");
    }
    return model->words->word(i);
}

std::vector<int64_t> FastText::rows_of(std::string_view word) const {
    std::vector<int64_t> rows;
    model->for_each_row(word, find(word), [&](int64_t row, std::string_view) { rows.push_back(row); });
    return rows;
}

std::vector<std::string> FastText::subwords_of(std::string_view word) const {
    std::vector<std::string> subwords;
    model->for_each_row(word, find(word), [&](int64_t, std::string_view text) { subwords.emplace_back(text); });
    return subwords;
}

Tensor FastText::vector(std::string_view word) const {
    const Tensor out = Tensor::empty({dim()});
    std::vector<float> sum(static_cast<size_t>(dim()));
    model->mean(word, find(word), sum, out.data());
    return out;
}

WordVectors FastText::words(const WordVectorOptions& options) const {
    if (options.limit < 0) throw ValueError("FastText::words: limit is " + str(options.limit) + ", expected 0 or more");
    std::vector<int64_t> chosen;
    auto table = std::make_shared<WordTable>();
    for (int64_t i = 0; i < n_words(); i++) {
        if (options.limit > 0 && table->size() == options.limit) break;
        const std::string_view word = model->words->word(i);
        if (options.filter && !options.filter(word)) continue;
        if (!options.keeps_bytes && utf8_valid_prefix(word) < word.size()) {
            throw DataError("UTF8", model->file, "word " + str(i), "is not UTF-8; keeps_bytes lets such words through");
        }
        chosen.push_back(i);
        table->add(word);
    }

    WordVectors out;
    const int64_t n = table->size();
    out.format = "fastText model";
    out.source = model->file + ": fastText model (" +
                 (model->version ? "version " + str(model->version) : std::string("without magic")) +
                 (model->input.is_quantised ? ", quantised" : "") + "), " + str(n) + " of " + str(n_words()) +
                 " words, " + str(dim()) + " numbers each";
    out.words = table->words();
    out.table = std::move(table);

    // A word is computed by one task, in one order: the numbers do not depend on the threads.
    out.vectors = Tensor::empty({n, dim()});
    real* const vectors = out.vectors.data();
    for_tasks(Device::cpu, (n + kWordsPerTask - 1) / kWordsPerTask, [&](int64_t task) {
        std::vector<float> sum(static_cast<size_t>(dim()));
        for (int64_t i = task * kWordsPerTask; i < std::min(n, (task + 1) * kWordsPerTask); i++) {
            model->mean(out.words[size_t(i)], chosen[size_t(i)], sum, vectors + i * dim());
        }
    });

    int64_t n_zero = 0;
    for (int64_t i = 0; i < n; i++) {
        const std::span<const real> x(vectors + i * dim(), size_t(dim()));
        n_zero += std::all_of(x.begin(), x.end(), [](real v) { return v == 0; });
        if (!options.allows_non_finite && !std::all_of(x.begin(), x.end(), [](real v) { return std::isfinite(v); })) {
            throw DataError("VALUE", model->file, "word " + str(chosen[size_t(i)]),
                            "the mean over its subwords is too large for a float");
        }
    }
    if (n_zero > 0) note_oddity(*model, options, out, "VALUE", str(n_zero) + " words have a zero vector");
    if (model->n_trailing > 0) {
        note_oddity(*model, options, out, "SYNTAX",
                    std::to_string(model->n_trailing) + " or more trailing bytes behind the model");
    }
    return out;
}

}  // namespace koine
