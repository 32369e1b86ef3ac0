// Fuzz target: load_word_vectors, all formats. The first byte of the input chooses the options, the rest is the file.
// A DataError is the right answer to a damaged file. Every other exception, and whatever the sanitizers see, is a
// finding. What is accepted must keep the promises of word_vectors.h.
#include <cmath>

#include "data/word_vectors.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;

namespace {

void check(const WordVectors& loaded, const WordVectorOptions& options) {
    const int64_t n = loaded.size();
    must(loaded.vectors.shape.rank == 2 && loaded.vectors.shape[0] == n);
    must(options.limit == 0 || n <= options.limit);
    must(!options.is_strict || loaded.warnings.empty());
    for (int64_t i = 0; i < n; i++) must(loaded.find(loaded.words[size_t(i)]) == i);
    if (options.allows_non_finite) return;
    const real* x = loaded.vectors.data();
    for (int64_t i = 0; i < loaded.vectors.numel(); i++) must(std::isfinite(x[i]));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    WordVectorOptions options;
    options.is_strict = data[0] & 1;
    options.keeps_bytes = data[0] & 2;
    options.allows_non_finite = data[0] & 4;
    options.limit = data[0] & 8 ? 2 : 0;
    if (data[0] & 16) options.filter = [](std::string_view word) { return word.size() % 2 == 1; };
    try {
        check(load_word_vectors(fuzz_file({data + 1, size - 1}), options), options);
    } catch (const DataError&) {
    }
    return 0;
}
