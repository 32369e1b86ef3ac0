// The wire format of Protocol Buffers, as far as reading needs it: a message is a row of fields, each a number, a wire
// type and a value. Names and types of fields are not in the file; who reads a message knows them.
// Format: protobuf.dev, "Encoding".
//
//   ProtoReader message(bytes, "tokenizer.model");
//   while (message.next()) {
//       if (message.number() == 1) name = message.text("name");
//   }                                                       // fields that nobody asks for are skipped
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "data/bytes.h"

namespace koine {

class ProtoReader {
public:
    /// Views `bytes`, the caller keeps them.
    ProtoReader(std::span<const uint8_t> bytes, std::string file)
        : ProtoReader(ByteReader(bytes, std::move(file)), 0) {}

    /// Goes to the next field; false at the message's end. Throws DataError: TRUNC for a field that does not fit into
    /// what is left, OVERFLOW for a number of more than 64 bits, SYNTAX for field 0, numbers above 2^29 - 1, and wire
    /// types other than the four in use (groups, 3 and 4, are long obsolete).
    bool next();

    /// The number of the field, and its place in the file.
    uint64_t number() const { return field_number; }
    uint64_t offset() const { return field_offset; }
    /// Where the bytes of a field of bytes begin.
    uint64_t bytes_offset() const { return contents_offset; }

    /// The field's value. `name` is for errors: DTYPE when the file has another wire type here.
    int64_t whole(std::string_view name) const;
    bool flag(std::string_view name) const { return whole(name) != 0; }
    float number32(std::string_view name) const;
    std::span<const uint8_t> bytes(std::string_view name) const;
    std::string_view text(std::string_view name) const;
    /// A message inside this one. LIMIT when it is deeper than 100 levels.
    ProtoReader message(std::string_view name) const;

    /// Throws DataError(kind) at the field.
    [[noreturn]] void fail(const char* kind, const std::string& problem) const {
        in.fail_at(field_offset, kind, problem);
    }

private:
    enum class Wire { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

    ProtoReader(ByteReader in_, int depth_) : in(std::move(in_)), depth(depth_) {}
    uint64_t read_varint(std::string_view what);
    void expect(Wire wanted, std::string_view name) const;

    ByteReader in;
    int depth;
    uint64_t field_number = 0, field_offset = 0;
    Wire wire = Wire::varint;
    uint64_t value = 0;  // of a varint or fixed field
    std::span<const uint8_t> contents;
    uint64_t contents_offset = 0;
};

}  // namespace koine
