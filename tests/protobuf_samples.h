// Messages of Protocol Buffers and SentencePiece models, made in memory.
#pragma once
#include <cstring>
#include <string_view>

#include "tests/data_samples.h"

namespace koine::testing {

inline Bytes varint(uint64_t number) {
    Bytes out;
    for (; number >= 0x80; number >>= 7) out.push_back(uint8_t(number | 0x80));
    out.push_back(uint8_t(number));
    return out;
}

inline Bytes proto_tag(uint64_t field, int wire) { return varint(field << 3 | uint64_t(wire)); }
inline Bytes proto_whole(uint64_t field, uint64_t value) { return proto_tag(field, 0) + varint(value); }
inline Bytes proto_bytes(uint64_t field, const Bytes& value) {
    return proto_tag(field, 2) + varint(value.size()) + value;
}
inline Bytes proto_text(uint64_t field, std::string_view value) {
    return proto_bytes(field, Bytes(value.begin(), value.end()));
}
inline Bytes proto_float(uint64_t field, float value) {
    Bytes bits(4);
    std::memcpy(bits.data(), &value, 4);
    return proto_tag(field, 5) + bits;
}

/// A piece of a SentencePiece model (inlined, g++ 12 warns of copies that do not happen). Types: 1 normal, 2 unknown, 3
/// control, 4 user-defined, 5 unused, 6 byte.
[[gnu::noinline]] inline Bytes sp_piece(std::string_view text, float score, uint64_t type = 1) {
    return proto_bytes(1, proto_text(1, text) + proto_float(2, score) + proto_whole(3, type));
}
inline Bytes sp_trainer(const Bytes& fields) { return proto_bytes(2, fields); }
inline Bytes sp_normalizer(const Bytes& fields) { return proto_bytes(3, fields); }
/// The three pieces that most models begin with.
inline Bytes sp_specials() { return sp_piece("<unk>", 0, 2) + sp_piece("<s>", 0, 3) + sp_piece("</s>", 0, 3); }

/// A table of the normaliser: the units of its trie, then what its values lead to.
inline Bytes charsmap_bytes(const std::vector<uint32_t>& units, std::string_view replacements) {
    Bytes out;
    const auto put = [&](uint32_t number) {
        for (int shift = 0; shift < 32; shift += 8) out.push_back(uint8_t(number >> shift));
    };
    put(uint32_t(4 * units.size()));
    for (const uint32_t unit : units) put(unit);
    out.insert(out.end(), replacements.begin(), replacements.end());
    return out;
}

}  // namespace koine::testing
