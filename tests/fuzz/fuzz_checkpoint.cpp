// Fuzz target: our own checkpoints. The first byte of the input says whether the checksum is made right, the rest is
// the file. What is accepted is saved and loaded again, restored into a layer and its optimiser, and asked for what
// programs ask: the form of an auto-encoder, numbers and texts. A DataError or a CheckpointError is the right answer to
// a damaged file. Every other exception, and whatever the sanitizers see, is a finding.
#include <cstring>

#include "nn/autoencoder.h"
#include "nn/checkpoint.h"
#include "nn/optim.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;

namespace {

/// The checksum that load_checkpoint computed, as its message says it: "its crc32 is 0123abcd".
std::string computed_checksum(const std::string& message) {
    constexpr std::string_view kBefore = "its crc32 is ";
    const size_t at = message.find(kBefore);
    return at == message.npos ? "" : message.substr(at + kBefore.size(), 8);
}

Checkpoint load(ByteSpan bytes, bool is_repaired) {
    try {
        return load_checkpoint(fuzz_file(bytes));
    } catch (const DataError& error) {
        const std::string crc = computed_checksum(error.what());
        constexpr std::string_view kKey = "\"koine.crc32\":\"";
        const size_t at = text_of(bytes).find(kKey);
        if (!is_repaired || crc.size() != 8 || at == std::string_view::npos) throw;
        std::vector<uint8_t> repaired(bytes.begin(), bytes.end());
        for (size_t i = 0; i < 8 && at + kKey.size() + i < repaired.size(); i++) {
            repaired[at + kKey.size() + i] = uint8_t(crc[i]);
        }
        return load_checkpoint(fuzz_file(repaired));
    }
}

void check_same(const Checkpoint& a, const Checkpoint& b) {
    must(a.metadata == b.metadata && a.tensors.size() == b.tensors.size());
    for (size_t i = 0; i < a.tensors.size(); i++) {
        const Tensor &x = a.tensors[i].tensor, &y = b.tensors[i].tensor;
        must(a.tensors[i].name == b.tensors[i].name && x.shape == y.shape);
        must(x.numel() == 0 || std::memcmp(x.data(), y.data(), size_t(x.numel()) * sizeof(real)) == 0);
    }
}

template <class F>
void may_refuse(F call) {
    try {
        call();
    } catch (const DataError&) {
    } catch (const CheckpointError&) {
    }
}

void use(const Checkpoint& c) {
    static FuzzFolder folder;
    const std::string path = folder / "again.safetensors";
    save_checkpoint(path, c, true);
    check_same(c, load_checkpoint(path));

    Generator gen(1);
    Linear model(gen, 2, 3);
    Adam adam(model);
    const uint32_t before = checksum(model.state());
    bool is_restored = false;
    may_refuse([&] {
        c.restore("model", model);
        is_restored = true;
    });
    must(is_restored || checksum(model.state()) == before);
    may_refuse([&] { c.restore("optimizer", adam); });
    may_refuse([&] { c.require_finite(); });
    may_refuse([&] { c.number("epoch"); });
    may_refuse([&] { c.text("anchors"); });
    may_refuse([&] {
        const int64_t n_anchors = AutoEncoderForm::of(c).n_anchors;
        if (n_anchors <= 8) load_stitched(c, c, n_anchors > 0 ? Tensor::zeros({n_anchors, 28, 28, 1}) : Tensor());
    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    may_refuse([&] { use(load({data + 1, size - 1}, data[0] & 1)); });
    return 0;
}
