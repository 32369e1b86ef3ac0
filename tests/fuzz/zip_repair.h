// Zip archives with checksums made right: changed bytes would rarely pass them.
#pragma once
#include <zlib.h>

#include "tests/fuzz/fuzz_file.h"

namespace koine::testing {

/// The same with the right checksum wherever a directory's header leads to contents, stored or deflated.
inline std::vector<uint8_t> repaired_zip(ByteSpan zip) {
    std::vector<uint8_t> out(zip.begin(), zip.end());
    const auto is = [&](uint64_t at, std::string_view magic) {
        return at + 46 <= out.size() && std::equal(magic.begin(), magic.end(), out.begin() + std::ptrdiff_t(at));
    };
    const auto number = [&](uint64_t at, int n_bytes) {
        uint64_t value = 0;
        for (int i = n_bytes; i-- > 0;) value = value << 8 | out[at + uint64_t(i)];
        return value;
    };
    const auto put_crc = [&](uint64_t at, uint32_t crc) {
        for (int i = 0; i < 4; i++) out[at + uint64_t(i)] = uint8_t(crc >> (8 * i));
    };
    const auto crc_of = [&](uint64_t data, uint64_t packed_size, uint64_t size, bool is_deflated) {
        if (!is_deflated) return uint32_t(crc32_z(0, out.data() + data, packed_size));
        std::vector<uint8_t> contents(std::min<uint64_t>(size, 1 << 20) + 1);
        z_stream stream{};
        must(inflateInit2(&stream, -MAX_WBITS) == Z_OK);
        stream.next_in = out.data() + data;
        stream.avail_in = uInt(packed_size);
        stream.next_out = contents.data();
        stream.avail_out = uInt(contents.size());
        inflate(&stream, Z_FINISH);
        const uLong n = stream.total_out;
        inflateEnd(&stream);
        return uint32_t(crc32_z(0, contents.data(), n));
    };
    for (uint64_t at = 0; at + 46 <= out.size(); at++) {
        if (!is(at, "PK\x01\x02")) continue;
        const uint64_t method = number(at + 10, 2), local = number(at + 42, 4);
        const uint64_t packed_size = number(at + 20, 4), size = number(at + 24, 4);
        if ((method != 0 && method != 8) || !is(local, "PK\x03\x04")) continue;
        const uint64_t data = local + 30 + number(local + 26, 2) + number(local + 28, 2);
        if (data + packed_size > out.size()) continue;
        const uint32_t crc = crc_of(data, packed_size, size, method == 8);
        put_crc(at + 16, crc);
        const bool has_descriptor = number(at + 8, 2) & 8;
        if (!has_descriptor) put_crc(local + 14, crc);
        if (has_descriptor && is(data + packed_size, "PK\x07\x08")) put_crc(data + packed_size + 4, crc);
    }
    return out;
}

}  // namespace koine::testing
