// The reader of Protocol Buffers: what the format looks like, and what it must refuse.
#include "data/protobuf.h"
#include "tests/protobuf_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

/// Reads every field of a message, whatever it is.
void read_all(const Bytes& bytes) {
    ProtoReader message(bytes, "a.model");
    while (message.next()) {
    }
}

void refuses(const Bytes& bytes, const std::string& kind, const std::string& part) {
    CHECK(kind_of([&] { read_all(bytes); }) == kind);
    CHECK_ERROR(read_all(bytes), DataError, part);
}

/// A message in a message, and so on.
void descend(const ProtoReader& parent) {
    ProtoReader message = parent;
    while (message.next()) descend(message.message("inner"));
}

}  // namespace

TEST_CASE("protobuf: fields of all types, unknown ones are passed over", "[data][protobuf]") {
    const Bytes fixed64 = proto_tag(9, 1) + Bytes{1, 2, 3, 4, 5, 6, 7, 8};
    const Bytes bytes = proto_whole(1, 300) + fixed64 + proto_text(1000, "unknown") + proto_float(3, 0.5f) +
                        proto_text(2, "text") + proto_whole(4, UINT64_MAX) + proto_bytes(5, proto_whole(1, 7));
    ProtoReader message(bytes, "a.model");
    std::vector<uint64_t> numbers;
    while (message.next()) {
        numbers.push_back(message.number());
        if (message.number() == 1) CHECK(message.whole("n") == 300);
        if (message.number() == 2) CHECK(message.text("t") == "text");
        if (message.number() == 3) CHECK(message.number32("x") == 0.5f);
        if (message.number() == 4) CHECK(message.whole("minus one") == -1);
        if (message.number() == 5) {
            ProtoReader inner = message.message("m");
            CHECK(message.bytes_offset() == bytes.size() - 2);
            REQUIRE(inner.next());
            CHECK(inner.offset() == bytes.size() - 2);
            CHECK(inner.whole("inner") == 7);
            CHECK_FALSE(inner.next());
        }
    }
    CHECK(numbers == std::vector<uint64_t>{1, 9, 1000, 3, 2, 4, 5});
    ProtoReader empty({}, "a.model");
    CHECK_FALSE(empty.next());
}

TEST_CASE("protobuf: damaged messages", "[data][protobuf][T1]") {
    const Bytes nine(9, 0xff);
    refuses(proto_tag(1, 0) + nine + Bytes{0x80, 0x01}, "OVERFLOW", "byte 0: a field's value has more than 64 bits");
    refuses(proto_tag(1, 0) + nine + Bytes{0x02}, "OVERFLOW", "more than 64 bits");
    read_all(proto_tag(1, 0) + nine + Bytes{0x01});  // exactly 64
    refuses(nine + Bytes{0xff, 0x01}, "OVERFLOW", "a field's number");
    refuses(proto_tag(1, 2) + varint(6) + bytes_of("short"), "TRUNC", "field 1: wanted 6 bytes, 5 are left");
    refuses(proto_tag(1, 2) + varint(UINT64_MAX), "TRUNC", "wanted 18446744073709551615 bytes, 0 are left");
    refuses(proto_tag(1, 2), "TRUNC", "a field's length");
    refuses(proto_tag(1, 0), "TRUNC", "a field's value");
    refuses(proto_tag(1, 1) + Bytes(7), "TRUNC", "a field's value");
    refuses(proto_tag(1, 5) + Bytes(3), "TRUNC", "a field's value");
    for (const int wire : {3, 4, 6, 7}) {
        refuses(proto_tag(5, wire), "SYNTAX", "field 5 has wire type " + std::to_string(wire));
    }
    refuses(proto_tag(0, 0) + Bytes{1}, "SYNTAX", "field number 0, expected 1 to 536870911");
    refuses(proto_tag(1 << 29, 0) + Bytes{1}, "SYNTAX", "field number 536870912");
    read_all(proto_whole((1 << 29) - 1, 1));
}

TEST_CASE("protobuf: a field of another type than it should be", "[data][protobuf][T1]") {
    const Bytes bytes = proto_text(7, "x");
    ProtoReader message(bytes, "a.model");
    REQUIRE(message.next());
    CHECK(kind_of([&] { message.whole("type"); }) == "DTYPE");
    CHECK_ERROR(message.number32("score"), DataError, "byte 0: field 7 (score) has wire type 2, expected 5");
    const Bytes number = proto_whole(7, 1);
    ProtoReader other(number, "a.model");
    REQUIRE(other.next());
    CHECK_ERROR(other.text("piece"), DataError, "field 7 (piece) has wire type 0, expected 2");
    CHECK_ERROR(other.message("pieces"), DataError, "field 7 (pieces)");
}

TEST_CASE("protobuf: messages that are nested too deep", "[data][protobuf][T2][A23]") {
    Bytes bytes;
    for (int level = 0; level < 100; level++) bytes = proto_bytes(1, bytes);
    descend(ProtoReader(bytes, "a.model"));
    bytes = proto_bytes(1, bytes);
    CHECK(kind_of([&] { read_all(bytes); }) == "");
    CHECK(kind_of([&] { descend(ProtoReader(bytes, "a.model")); }) == "LIMIT");
    CHECK_ERROR(descend(ProtoReader(bytes, "a.model")), DataError, "nested deeper than 100 levels");
    read_all(bytes);  // nobody looks inside
}

TEST_CASE("protobuf: every cut, every bit", "[data][protobuf]") {
    const Bytes bytes = proto_whole(1, 300) + proto_text(2, "text") + proto_float(3, 1.5f) +
                        proto_bytes(4, proto_whole(1, 1) + proto_whole(2, 1u << 31));
    // A cut between two fields is a message, too: nothing says how long it should be.
    CHECK(sweep(bytes, bytes.size(), {}, false, read_all) > 50);
}
