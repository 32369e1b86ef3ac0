// Fuzz target: tokenizer.json; the input is the file. A DataError is the right answer to a damaged one. Every other
// exception, and whatever the sanitizers see, is a finding. What is accepted encodes texts, with ids and offsets that
// keep the promises of tokenizer.h.
#include "data/tokenizer.h"
#include "data/tokenizer_json.h"
#include "tensor/error.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using koine::testing::fuzz_file;
using koine::testing::must;

namespace {

void encode(const Tokenizer& tokenizer, const std::string& text) {
    const Encoding got = tokenizer.encode(text);
    must(got.offsets.size() == got.ids.size() && got.is_special.size() == got.ids.size());
    for (size_t i = 0; i < got.ids.size(); i++) {
        must(got.ids[i] >= 0 && got.ids[i] < tokenizer.n_ids());
        must(got.offsets[i].begin <= got.offsets[i].end && got.offsets[i].end <= text.size());
    }
    tokenizer.decode(got.ids);
    tokenizer.decode(got.ids, false);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        const Tokenizer tokenizer(read_tokenizer_json(fuzz_file({data, size})));
        must(!tokenizer.pad_id() || (*tokenizer.pad_id() >= 0 && *tokenizer.pad_id() < tokenizer.n_ids()));
        for (const char* text :
             {"", "a", " The  quick\tbrown fox, doesn't <s>it</s>? <mask> 12345 ``x''\n",
              "caf\u00e9 e\u0301 \ufb01 \u1112\u1161\u11ab \u65e5\u672c \u2581\u2581 \U0001f600 \u3000",
              "\xff\xc3(\xe2\x96 [MASK][CLS] \x01\x7f"}) {
            encode(tokenizer, text);
        }
    } catch (const DataError&) {
    }
    return 0;
}
