// Fuzz target: SentencePiece models. The first byte of the input chooses the ids, the rest is the file; a model that is
// accepted encodes a few texts, one of them made of the file, and decodes ids of its own choice.
// A DataError is the right answer to a damaged file. Every other exception, and whatever the sanitizers see, is a
// finding. What is accepted must keep the promises of tokenizer.h.
#include <algorithm>

#include "data/sentencepiece.h"
#include "data/tokenizer.h"
#include "data/utf8.h"
#include "tensor/error.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using koine::testing::fuzz_file;
using koine::testing::must;

namespace {

void encode(const Tokenizer& tokenizer, const std::string& text) {
    const Encoding found = tokenizer.encode(text);
    must(found.offsets.size() == found.ids.size() && found.is_special.size() == found.ids.size());
    must(
        std::all_of(found.ids.begin(), found.ids.end(), [&](int32_t id) { return id >= 0 && id < tokenizer.n_ids(); }));
    size_t last = 0;
    for (size_t i = 0; i < found.ids.size(); i++) {
        if (found.is_special[i]) continue;
        const auto [begin, end] = found.offsets[i];
        must(last <= begin && begin <= end && end <= text.size());
        last = begin;
    }
    const std::string decoded = tokenizer.decode(found.ids);
    must(utf8_valid_prefix(decoded) == decoded.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    try {
        const Tokenizer tokenizer(read_sentencepiece(fuzz_file({data + 1, size - 1}), SentencePieceIds(data[0] % 3)));
        for (const char* text :
             {"", " ", "Hello  world", "a\xff\xed\xa0\x80 caf\xc3\xa9", "\xe2\x96\x81<s> aaaaaaaa \n"}) {
            encode(tokenizer, text);
        }
        encode(tokenizer, std::string(data + 1, data + std::min<size_t>(size, 300)));
        std::vector<int32_t> ids;
        for (size_t i = 0; i < std::min<size_t>(size, 100); i++) ids.push_back(int32_t(data[i] % tokenizer.n_ids()));
        tokenizer.decode(ids);
    } catch (const DataError&) {
    }
    return 0;
}
