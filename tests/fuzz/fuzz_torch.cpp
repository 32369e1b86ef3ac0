// Fuzz target: what torch.save writes. The first byte of the input chooses what the rest is: a file of either layout; a
// zip file whose checksums are made right (changed bytes would rarely pass them); the part of a legacy file behind its
// magic number; a pickle alone, whose storages lie wherever it says, at the front of the input.
// A DataError is the right answer to a damaged file. Every other exception, and whatever the sanitizers see, is a
// finding. What is accepted must keep the promises of weights.h and torch_pickle.h.
#include "data/torch_file.h"
#include "data/torch_pickle.h"
#include "tests/fuzz/weight_checks.h"
#include "tests/fuzz/zip_repair.h"

using namespace koine;
using namespace koine::testing;

namespace {

/// A file of torch.save holds at least one tensor.
void read_all(WeightFile& file, uint64_t n_bytes) {
    must(!file.entries().empty());
    read_all_weights(file, n_bytes);
}

void read_file(ByteSpan bytes) { read_all(*open_torch_file(fuzz_file(bytes)), bytes.size()); }

void read_program(ByteSpan bytes) {
    ByteReader in(bytes, "memory");
    const Pickle pickle = read_pickle(in, bytes.size());
    TorchFile file(fuzz_file(bytes));
    for (const PickleStorage& storage : pickle.storages) {
        if (file.is_known(storage)) continue;
        const uint64_t n = std::min(uint64_t(storage.numel), bytes.size() / bytes_of(storage.dtype));
        const uint64_t n_bytes = n * bytes_of(storage.dtype);
        file.add_storage(storage, {"storage", n_bytes, n_bytes, 0, 0, false}, true);
    }
    file.add_tensors(pickle);
    read_all(file, bytes.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const ByteSpan rest(data + 1, size - 1);
    try {
        switch (data[0] % 4) {
            case 0: read_file(rest); break;
            case 1: read_file(repaired_zip(rest)); break;
            case 2: {
                constexpr std::string_view kMagic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.");
                std::vector<uint8_t> file(kMagic.begin(), kMagic.end());
                file.insert(file.end(), rest.begin(), rest.end());
                read_file(file);
                break;
            }
            default: read_program(rest);
        }
    } catch (const DataError&) {
    }
    return 0;
}
