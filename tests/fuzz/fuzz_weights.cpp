// Fuzz target: files of weights of any format, recognised by what they contain. The first byte of the input chooses
// what the rest is: one file; an index of shards and two shards, as safetensors or as torch.save calls them; the
// weights in a folder. A DataError is the right answer to a damaged file. Every other exception, and whatever the
// sanitizers see, is a finding. What is accepted must keep the promises of weights.h.
#include "tests/fuzz/weight_checks.h"

using namespace koine;
using namespace koine::testing;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    static FuzzFolder folder;
    const ByteSpan rest(data + 1, size - 1);
    try {
        if (data[0] % 4 == 0) {
            read_all_weights(*open_weights(fuzz_file(rest)), rest.size());
            return 0;
        }
        folder.clear();
        if (data[0] % 4 == 1) {
            folder.put(kWeightFiles[data[0] / 4 % kWeightFiles.size()], rest);
        } else {
            const bool is_torch = data[0] % 4 == 3;
            const std::string end = is_torch ? "-of-00002.bin" : "-of-00002.safetensors";
            const std::string start = is_torch ? "pytorch_model-0000" : "model-0000";
            const auto parts = parts_of(rest, 3);
            folder.put(is_torch ? "pytorch_model.bin.index.json" : "model.safetensors.index.json", parts[0]);
            folder.put(start + "1" + end, parts[1]);
            folder.put(start + "2" + end, parts[2]);
        }
        read_all_weights(*open_weights_in(folder.path), rest.size());
    } catch (const DataError&) {
    }
    return 0;
}
