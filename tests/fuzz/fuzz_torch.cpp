// Fuzz target: what torch.save writes. The first byte of the input chooses what the rest is: a file of either layout; a
// zip file whose checksums are made right (changed bytes would rarely pass them); the part of a legacy file behind its
// magic number; a pickle alone, whose storages lie wherever it says, at the front of the input.
// A DataError is the right answer to a damaged file. Every other exception, and whatever the sanitizers see, is a
// finding. What is accepted must keep the promises of weights.h and torch_pickle.h.
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "data/torch_file.h"
#include "data/torch_pickle.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using koine::testing::fuzz_file;
using koine::testing::must;

namespace {

void read_all(WeightFile& file, uint64_t n_bytes) {
    std::vector<std::string> names;
    std::vector<real> values, again;
    uint64_t n_shown = 0;
    for (size_t i = 0; i < file.entries().size(); i++) {
        const WeightEntry& entry = file.entries()[i];
        names.push_back(entry.name);
        n_shown += uint64_t(entry.shape.numel()) * bytes_of(entry.dtype);
        must(!exceeds_expansion(n_shown, n_bytes));
        values.assign(size_t(entry.shape.numel()), 0);
        again.assign(values.size(), 1);
        try {
            file.read(i, values);
        } catch (const DataError&) {
            continue;
        }
        file.read(i, again);  // what was read once is read again, and is the same
        must(std::memcmp(values.data(), again.data(), values.size() * sizeof(real)) == 0);
    }
    std::sort(names.begin(), names.end());
    must(!names.empty() && std::adjacent_find(names.begin(), names.end()) == names.end());
}

uint64_t number(std::span<const uint8_t> bytes, size_t at, int n) {
    uint64_t value = 0;
    for (int i = n; i-- > 0;) value = value << 8 | bytes[at + size_t(i)];
    return value;
}

/// The same with the right checksum wherever a directory's header leads to contents.
std::vector<uint8_t> repaired(std::span<const uint8_t> zip) {
    std::vector<uint8_t> out(zip.begin(), zip.end());
    const auto is = [&](size_t at, std::string_view magic) {
        return at + 46 <= out.size() && std::equal(magic.begin(), magic.end(), out.begin() + std::ptrdiff_t(at));
    };
    const auto put_crc = [&](size_t at, uint32_t crc) {
        for (int i = 0; i < 4; i++) out[at + size_t(i)] = uint8_t(crc >> (8 * i));
    };
    for (size_t at = 0; at + 46 <= out.size(); at++) {
        if (!is(at, "PK\x01\x02")) continue;
        const uint64_t size = number(out, at + 20, 4), local = number(out, at + 42, 4);
        if (number(out, at + 10, 2) != 0 || !is(local, "PK\x03\x04")) continue;  // deflated ones are as they are
        const uint64_t data = local + 30 + number(out, local + 26, 2) + number(out, local + 28, 2);
        if (data + size > out.size()) continue;
        const uint32_t crc = uint32_t(crc32_z(0, out.data() + data, size));
        put_crc(at + 16, crc);
        const bool has_descriptor = number(out, at + 8, 2) & 8;
        if (!has_descriptor) put_crc(local + 14, crc);
        if (has_descriptor && is(data + size, "PK\x07\x08")) put_crc(data + size + 4, crc);
    }
    return out;
}

void read_file(std::span<const uint8_t> bytes) { read_all(*open_torch_file(fuzz_file(bytes)), bytes.size()); }

void read_program(std::span<const uint8_t> bytes) {
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
    const std::span<const uint8_t> rest(data + 1, size - 1);
    try {
        switch (data[0] % 4) {
            case 0: read_file(rest); break;
            case 1: read_file(repaired(rest)); break;
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
