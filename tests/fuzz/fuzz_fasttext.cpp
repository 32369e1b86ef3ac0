// Fuzz target: fastText models. The input is the file; a model that is accepted answers for two words, one of which it
// may have in its dictionary, and hands out its first words.
// A DataError is the right answer to a damaged file. Every other exception, and whatever the sanitizers see, is a
// finding. What is accepted must keep the promises of fasttext.h.
#include <algorithm>

#include "data/fasttext.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;

namespace {

void ask(const FastText& model, std::string_view word) {
    const auto rows = model.rows_of(word);
    must(std::all_of(rows.begin(), rows.end(), [](int64_t row) { return row >= 0; }));
    must(rows.size() == model.subwords_of(word).size());
    must(model.vector(word).numel() == model.dim());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        const FastText model(fuzz_file({data, size}));
        const bool is_gzip = data[0] == 0x1f;
        must(is_gzip || looks_like_fasttext({reinterpret_cast<const char*>(data), size}, size));
        ask(model, "caf\xc3\xa9s");
        if (model.n_words() > 0) ask(model, model.word(model.n_words() - 1));
        const WordVectors first = model.words({.limit = 16});
        must(first.vectors.shape[0] == first.size() && first.size() == std::min<int64_t>(model.n_words(), 16));
    } catch (const DataError&) {
    }
    return 0;
}
