// Fuzz target: tar archives and CIFAR records. The first byte of the input chooses what the rest is: an archive whose
// files are read, as it is or with checksums made right (changed bytes would rarely pass them), records of CIFAR-10 or
// CIFAR-100, or names of classes.
// A DataError is the right answer to a damaged file. Every other exception, and whatever the sanitizers see, is a
// finding. What is accepted must keep the promises of tar.h and cifar.h.
#include <algorithm>
#include <numeric>

#include "data/cifar.h"
#include "data/tar.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;

namespace {

constexpr uint64_t kMaxBytes = 1 << 22;

void read_records(ByteSpan bytes, const std::string& file, const CifarFormat& format) {
    const CifarImages images = parse_cifar({bytes.begin(), bytes.end()}, file, format);
    const size_t n = images.labels.size();
    must(n > 0 && images.images.dims == std::vector<int64_t>{int64_t(n), 3, 32, 32});
    must(images.images.values.size() == n * 3072 && bytes.size() == n * format.record_bytes());
    must(images.superclasses.size() == (format.n_superclasses > 0 ? n : 0));
    must(std::all_of(images.labels.begin(), images.labels.end(), [&](int c) { return c < format.n_classes; }));
    must(std::all_of(images.superclasses.begin(), images.superclasses.end(),
                     [&](int c) { return c < format.n_superclasses; }));
}

/// As the loader does: the records are in a file of the archive.
void read_tar(GzipReader& in) {
    TarReader tar(in, kMaxBytes);
    uint64_t n_bytes = 0;
    while (tar.next()) {
        must(!tar.name().empty() && tar.name().find('/') == std::string::npos);
        const auto head = tar.read(2), rest = tar.read(tar.size());
        must(head.size() + rest.size() == tar.size() && tar.read(1).empty());
        n_bytes += tar.size();
        must(n_bytes <= kMaxBytes);
        if (tar.name() != "test.bin") continue;
        auto bytes = head;
        bytes.insert(bytes.end(), rest.begin(), rest.end());
        read_records(bytes, "test.bin", kCifar100);
    }
    must(in.at_end());
}

/// The same with the right checksum in every block, as if each were a header.
std::vector<uint8_t> repaired(ByteSpan tar) {
    std::vector<uint8_t> out(tar.begin(), tar.end());
    for (size_t at = 0; at + 512 <= out.size(); at += 512) {
        uint8_t* block = out.data() + at;
        if (std::all_of(block, block + 512, [](uint8_t byte) { return byte == 0; })) continue;
        std::fill(block + 148, block + 156, ' ');
        unsigned sum = std::accumulate(block, block + 512, 0u);
        for (int digit = 5; digit >= 0; digit--, sum /= 8) block[148 + digit] = uint8_t('0' + sum % 8);
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const ByteSpan rest(data + 1, size - 1);
    try {
        switch (data[0] % 6) {
            case 0: {
                GzipReader in(rest, "memory");
                read_tar(in);
                break;
            }
            case 1: {
                const auto tar = repaired(rest);
                GzipReader in(tar, "memory");
                read_tar(in);
                break;
            }
            case 2: {
                GzipReader in(fuzz_file(rest));
                read_tar(in);
                break;
            }
            case 3: read_records(rest, "records", kCifar10); break;
            case 4: read_records(rest, "records", kCifar100); break;
            default: must(parse_class_names(rest, "names", 3).size() == 3);
        }
    } catch (const DataError&) {
    }
    return 0;
}
