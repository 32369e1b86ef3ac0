// Fuzz target: folders of published encoders. The first byte of the input chooses what the rest is: config.json and the
// weights beside it, in one file or in two shards with their index; what the cache of a hub says is the newest version.
// A DataError or a CheckpointError is the right answer to a damaged folder. Every other exception, and whatever the
// sanitizers see, is a finding. What is accepted must be finite, and the same when it is loaded again.
#include <cmath>

#include "data/model_folder.h"
#include "nn/checkpoint.h"
#include "nn/pretrained.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;

namespace {

void load(FuzzFolder& folder, ByteSpan rest, int choice) {
    folder.clear();
    if (choice == 0) {
        const auto parts = parts_of(rest, 4);
        folder.put("model.safetensors.index.json", parts[1]);
        folder.put("model-00001-of-00002.safetensors", parts[2]);
        folder.put("model-00002-of-00002.safetensors", parts[3]);
        folder.put("config.json", parts[0]);
    } else {
        const auto parts = parts_of(rest, 2);
        folder.put("config.json", parts[0]);
        folder.put(choice == 1 ? "model.safetensors" : "pytorch_model.bin", parts[1]);
    }
    must(is_model_folder(folder.path));
    const PretrainedEncoder encoder = load_encoder(folder.path);
    must(encoder.hash.size() == 16 && !encoder.file.empty());
    must(first_non_finite(encoder.model->state()).empty());
    if (rest.size() % 8 == 0) must(load_encoder(folder.path).hash == encoder.hash);
}

/// The name in refs/main never leads out of the cache.
void find(FuzzFolder& folder, ByteSpan rest) {
    const std::string model = "models--made--up";
    setenv("HF_HUB_CACHE", folder.path.c_str(), 1);
    for (const char* variable : {"KOINE_DATA", "XDG_CACHE_HOME", "HOME", "HF_HOME"}) unsetenv(variable);
    folder.put(model + "/snapshots/0123abcd/config.json", {});
    folder.put(model + "/snapshots/0123abcd/model.safetensors", {});
    folder.put(model + "/refs/main", rest);
    DataOptions options;
    options.is_offline = true;
    models_at_hand(options);
    must(find_model("made/up", options) == folder / (model + "/snapshots/0123abcd"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    static FuzzFolder model, cache;
    const ByteSpan rest(data + 1, size - 1);
    try {
        if (data[0] % 4 == 3) {
            find(cache, rest);
        } else {
            load(model, rest, data[0] % 4);
        }
    } catch (const DataError&) {
    } catch (const CheckpointError&) {
    }
    return 0;
}
