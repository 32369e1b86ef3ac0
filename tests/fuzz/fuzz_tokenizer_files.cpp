// Fuzz target: folders that hold a tokenizer. The first byte of the input chooses the family, the rest is its files and
// the small ones beside them: tokenizer_config.json, special_tokens_map.json, added_tokens.json, config.json; empty
// ones are not there. A DataError is the right answer to a damaged folder. Every other exception, and whatever the
// sanitizers see, is a finding. What is accepted encodes a few texts, and keeps the promises of tokenizer.h.
#include "tensor/error.h"
#include "tests/fuzz/tokenizer_checks.h"

using namespace koine;
using namespace koine::testing;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    static FuzzFolder folder;
    static const std::vector<std::vector<std::string>> kFamilies = {{"vocab.json", "merges.txt"},
                                                                    {"vocab.txt"},
                                                                    {"sentencepiece.bpe.model"},
                                                                    {"tokenizer.model"},
                                                                    {"tokenizer.json"}};
    std::vector<std::string> names = kFamilies[data[0] % kFamilies.size()];
    for (const char* name : {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json"}) {
        names.push_back(name);
    }
    const auto parts = parts_of({data + 1, size - 1}, names.size());
    folder.clear();
    for (size_t i = 0; i < names.size(); i++) {
        if (!parts[i].empty()) folder.put(names[i], parts[i]);
    }
    try {
        check_tokenizer(Tokenizer::load(folder.path));
    } catch (const DataError&) {
    }
    return 0;
}
