// Reading values; see safetensors_file.h.
#include "data/safetensors_file.h"

#include <zlib.h>

#include <algorithm>

namespace koine {

SafetensorsFile::SafetensorsFile(const std::filesystem::path& file) : input(file.string()) {
    path = file.string();
    std::vector<uint8_t> start(std::min<uint64_t>(8, input.size()));
    input.read_at(0, start, "the length of the header");
    const uint64_t length = safetensors_header_length(start, input.size(), path);
    payload = 8 + length;
    {  // the text is gone before the second list is made
        std::string json(length, '\0');
        input.read_at(8, {reinterpret_cast<uint8_t*>(json.data()), json.size()}, "the header");
        head = parse_safetensors_header(json, input.size() - payload, path);
    }
    odd = head.warnings;
    list.reserve(head.tensors.size());
    for (const SafetensorsEntry& t : head.tensors) list.push_back({t.name, t.dtype, t.shape});
}

void SafetensorsFile::take(uint64_t offset, std::span<uint8_t> bytes) {
    input.read_at(offset, bytes, "the values");
    if (crc) crc = uint32_t(crc32_z(*crc, bytes.data(), bytes.size()));
}

// At no time is there more in memory than `out` and a small buffer.
void SafetensorsFile::read(size_t i, std::span<real> out) {
    require_length(i, out);
    const SafetensorsEntry& entry = head.tensors[i];
    const uint64_t begin = payload + entry.begin;
    if (entry.dtype == kRealDType) {
        return take(begin, {reinterpret_cast<uint8_t*>(out.data()), out.size_bytes()});
    }
    std::vector<uint8_t> buffer(std::min<uint64_t>(entry.end - entry.begin, 1 << 16));
    const uint64_t item = bytes_of(entry.dtype);
    for (uint64_t done = 0; done < out.size();) {
        const uint64_t n = std::min<uint64_t>(buffer.size() / item, out.size() - done);
        const std::span<uint8_t> bytes(buffer.data(), n * item);
        take(begin + done * item, bytes);
        const uint64_t n_good = decode_values(entry.dtype, bytes, out.data() + done);
        if (n_good < n) {
            throw DataError("VALUE", path, "tensor " + entry.name,
                            "value " + std::to_string(done + n_good) + " of type " + std::string(name_of(entry.dtype)) +
                                " cannot be held exactly");
        }
        done += n;
    }
}

}  // namespace koine
