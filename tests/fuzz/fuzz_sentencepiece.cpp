// Fuzz target: SentencePiece models. The first byte of the input chooses the ids, the rest is the file; a model that is
// accepted encodes a few texts, one of them made of the file, and decodes ids of its own choice.
// A DataError is the right answer to a damaged file. Every other exception, and whatever the sanitizers see, is a
// finding. What is accepted must keep the promises of tokenizer.h.
#include "data/sentencepiece.h"
#include "tensor/error.h"
#include "tests/fuzz/tokenizer_checks.h"

using namespace koine;
using namespace koine::testing;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    try {
        const Tokenizer tokenizer(read_sentencepiece(fuzz_file({data + 1, size - 1}), SentencePieceIds(data[0] % 3)));
        check_tokenizer(tokenizer);
        check_text(tokenizer, text_of({data + 1, std::min<size_t>(size - 1, 300)}), tokenizer.encode("").ids.size());
        std::vector<int32_t> ids;
        for (size_t i = 0; i < std::min<size_t>(size, 100); i++) ids.push_back(int32_t(data[i] % tokenizer.n_ids()));
        tokenizer.decode(ids);
    } catch (const DataError&) {
    }
    return 0;
}
