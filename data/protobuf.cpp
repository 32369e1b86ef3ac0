// Fields of Protocol Buffers; see protobuf.h.
#include "data/protobuf.h"

#include <bit>

namespace koine {
namespace {

constexpr uint64_t kMaxFieldNumber = (1 << 29) - 1;
constexpr int kMaxDepth = 100;

}  // namespace

/// Seven bits a byte, the lowest first; the eighth bit says that more follow.
uint64_t ProtoReader::read_varint(std::string_view what) {
    uint64_t number = 0;
    for (int shift = 0;; shift += 7) {
        const uint8_t byte = in.u8(what);
        // The tenth byte has room for one bit only.
        if (shift == 63 && byte > 1) fail("OVERFLOW", std::string(what) + " has more than 64 bits");
        number |= uint64_t(byte & 0x7f) << shift;
        if (byte < 0x80) return number;
    }
}

bool ProtoReader::next() {
    if (in.at_end()) return false;
    field_offset = in.offset();
    const uint64_t tag = read_varint("a field's number");
    field_number = tag >> 3;
    if (field_number == 0 || field_number > kMaxFieldNumber) {
        fail("SYNTAX", "field number " + std::to_string(field_number) + ", expected 1 to " +
                           std::to_string(kMaxFieldNumber) + "; is this the right file?");
    }
    wire = Wire(tag & 7);
    switch (wire) {
        case Wire::varint: value = read_varint("a field's value"); break;
        case Wire::fixed64: value = in.le64("a field's value"); break;
        case Wire::fixed32: value = in.le32("a field's value"); break;
        case Wire::bytes: {
            const uint64_t n = read_varint("a field's length");
            contents_offset = in.offset();
            contents = in.take(n, "field " + std::to_string(field_number));
            break;
        }
        default:
            fail("SYNTAX", "field " + std::to_string(field_number) + " has wire type " + std::to_string(tag & 7) +
                               ", expected 0, 1, 2 or 5");
    }
    return true;
}

void ProtoReader::expect(Wire wanted, std::string_view name) const {
    if (wire == wanted) return;
    fail("DTYPE", "field " + std::to_string(field_number) + " (" + std::string(name) + ") has wire type " +
                      std::to_string(int(wire)) + ", expected " + std::to_string(int(wanted)));
}

int64_t ProtoReader::whole(std::string_view name) const {
    expect(Wire::varint, name);
    return int64_t(value);
}

float ProtoReader::number32(std::string_view name) const {
    expect(Wire::fixed32, name);
    return std::bit_cast<float>(uint32_t(value));
}

std::span<const uint8_t> ProtoReader::bytes(std::string_view name) const {
    expect(Wire::bytes, name);
    return contents;
}

std::string_view ProtoReader::text(std::string_view name) const {
    const auto taken = bytes(name);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
}

ProtoReader ProtoReader::message(std::string_view name) const {
    expect(Wire::bytes, name);
    if (depth == kMaxDepth) fail("LIMIT", "messages are nested deeper than " + std::to_string(kMaxDepth) + " levels");
    return {ByteReader(contents, in.file(), contents_offset), depth + 1};
}

}  // namespace koine
