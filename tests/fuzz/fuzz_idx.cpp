// Fuzz target: IDX. The first byte of the input chooses what the rest is: a file, in memory or not; what is inside a
// gzip file; images and labels that belong together.
// A DataError is the right answer to a damaged file. Every other exception, and whatever the sanitizers see, is a
// finding. What is accepted must keep the promises of idx.h.
#include "data/idx.h"

#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;

namespace {

void check(const Idx& idx, bool empty_ok) {
    must(idx.dims.size() >= 1 && idx.dims.size() <= 3 && idx.dims[0] >= (empty_ok ? 0 : 1));
    uint64_t n = 1;
    for (int64_t extent : idx.dims) n *= uint64_t(extent);
    must(n == idx.values.size());
}

void read_pair(ByteSpan bytes) {
    static FuzzFolder folder;
    const auto parts = parts_of(bytes, 2);
    const LabelledImages both =
        read_labelled_images(folder.put("images", parts[0]), folder.put("labels", parts[1]), 10);
    check(both.images, false);
    must(both.images.dims.size() == 3 && both.images.dims[0] == int64_t(both.labels.size()));
    must(std::all_of(both.labels.begin(), both.labels.end(), [](uint8_t label) { return label < 10; }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const ByteSpan rest(data + 1, size - 1);
    const bool empty_ok = data[0] & 4;
    try {
        switch (data[0] % 4) {
            case 0: {
                GzipReader in(rest, "memory");
                check(read_idx(in, empty_ok), empty_ok);
                break;
            }
            case 1: check(read_idx(fuzz_file(rest), empty_ok), empty_ok); break;
            case 2: {
                const auto file = gzipped(rest);
                GzipReader in(file, "memory");
                check(read_idx(in, empty_ok), empty_ok);
                break;
            }
            default: read_pair(rest);
        }
    } catch (const DataError&) {
    }
    return 0;
}
