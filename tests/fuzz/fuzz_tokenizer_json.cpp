// Fuzz target: tokenizer.json; the input is the file. A DataError is the right answer to a damaged one. Every other
// exception, and whatever the sanitizers see, is a finding. What is accepted encodes texts, with ids and offsets that
// keep the promises of tokenizer.h.
#include "data/tokenizer_json.h"
#include "tensor/error.h"
#include "tests/fuzz/tokenizer_checks.h"

using namespace koine;
using namespace koine::testing;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        check_tokenizer(Tokenizer(read_tokenizer_json(fuzz_file({data, size}))));
    } catch (const DataError&) {
    }
    return 0;
}
