// data/safetensors.h, data/dtype.h, and load_checkpoint() on files of other programs: catalogue rows S1 to S18.
#include <sys/stat.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <ctime>
#include <limits>
#include <thread>

#include "data/safetensors.h"
#include "data/weights.h"
#include "nn/checkpoint.h"
#include "tests/data_samples.h"
#include "tests/nn_samples.h"
#include "tests/torch_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

Bytes little_endian(uint64_t value, int n_bytes = 8) {
    Bytes out;
    for (int i = 0; i < n_bytes; i++) out.push_back(uint8_t(value >> (8 * i)));
    return out;
}

Bytes safetensors(const std::string& json, const Bytes& payload = {}) {
    return little_endian(json.size()) + bytes_of(json) + payload;
}

Bytes floats(std::initializer_list<float> values) {
    Bytes out;
    for (float v : values) out = out + little_endian(std::bit_cast<uint32_t>(v), 4);
    return out;
}

Checkpoint load(const Bytes& file) {
    const ScratchFolder folder;
    return load_checkpoint(folder.write("x.safetensors", file));
}

/// The kind of error that a header leads to, with a payload of n bytes; "" for none.
ErrorKind kind(const std::string& json, size_t n = 0) {
    return kind_of([&] { load(safetensors(json, Bytes(n))); });
}

/// A header that is refused, with the kind and a part of the text.
void refused(const std::string& json, size_t n, const char* expected, const std::string& part) {
    check_refused([&] { load(safetensors(json, Bytes(n))); }, expected, part);
}

const std::string kOne = R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})";

/// kOne with something else in the place of a part of it.
std::string with(const std::string& part, const std::string& replacement) {
    std::string json = kOne;
    const size_t at = json.find(part);
    REQUIRE(at != json.npos);
    return json.replace(at, part.size(), replacement);
}

}  // namespace

TEST_CASE("a file of another program loads", "[safetensors]") {
    const Checkpoint c =
        load(safetensors(R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},)"
                         R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})",
                         floats({1, -2, 0.5, 3e38f})));
    REQUIRE(c.tensors.size() == 2);
    CHECK(c.tensors[0].name == "a");
    CHECK(c.tensors[0].tensor.shape == Shape{1, 2});
    CHECK(c.tensors[0].tensor.at({0, 1}) == -2);
    CHECK(c.tensors[1].tensor.at({1}) == real(3e38f));
    CHECK(c.metadata == std::map<std::string, std::string>{{"format", "pt"}});
    CHECK(c.warnings.empty());
}

TEST_CASE("S1: the length of the header", "[safetensors][S1]") {
    const auto kind_with_length = [](uint64_t length) {
        return kind_of([&] { load(little_endian(length) + bytes_of(kOne) + Bytes(24)); });
    };
    for (size_t n = 0; n < 8; n++) CHECK(kind_of([&] { load(Bytes(n)); }) == "TRUNC");
    CHECK(kind_with_length(kOne.size()) == "");
    CHECK(kind_with_length(kOne.size() + 25) == "TRUNC");
    CHECK(kind_with_length(100'000'000) == "TRUNC");
    const auto refused_with_length = [](uint64_t length, const char* wanted, const char* part) {
        check_refused([&] { load(little_endian(length) + bytes_of(kOne) + Bytes(24)); }, wanted, part);
    };
    refused_with_length(kOne.size() + 25, "TRUNC", "byte 0: the header's length is given as");
    refused_with_length(100'000'001, "LIMIT", "the header's length is given as 100000001");
    refused_with_length(UINT64_MAX, "OVERFLOW", "the header's length is given as 18446744073709551615");
    CHECK(kind_with_length(100'000'001) == "LIMIT");
    CHECK(kind_with_length(uint64_t{1} << 63) == "LIMIT");
    CHECK(kind_with_length(UINT64_MAX - 8) == "LIMIT");
    CHECK(kind_with_length(UINT64_MAX - 7) == "OVERFLOW");
    CHECK(kind_with_length(UINT64_MAX) == "OVERFLOW");
    const ScratchFolder folder;
    CHECK_ERROR(load_checkpoint(folder.write("x", bytes_of("<!DOCTYPE html>"))), DataError,
                "is this a safetensors file?");
}

TEST_CASE("S2: what is not a JSON object in UTF-8", "[safetensors][S2]") {
    CHECK(kind("") == "SYNTAX");
    CHECK(kind("   ") == "SYNTAX");
    CHECK(kind("[]") == "SYNTAX");
    CHECK(kind("null") == "SYNTAX");
    CHECK(kind("\"w\"") == "SYNTAX");
    CHECK(kind("{") == "SYNTAX");
    CHECK(kind("{w:1}") == "SYNTAX");
    CHECK(kind("{\"w\":{}},") == "MISSING");
    CHECK(kind("{\xff}") == "UTF8");
    CHECK(kind("{\"\xc0\x80\":1}") == "UTF8");
    CHECK(kind("\xef\xbb\xbf{}") == "SYNTAX");
    CHECK(kind("{}") == "");
    refused("{\"w\" 1}", 0, "SYNTAX", "x.safetensors: byte 13: the header is not JSON");
    refused("[]", 0, "SYNTAX", "byte 8: the header does not begin with {");
    refused("", 0, "SYNTAX", "byte 0: the header is empty");
    refused("{}\xff", 0, "UTF8", "byte 10: the header is not UTF-8");
    refused("{\"w\":{}}", 0, "MISSING", "header, tensor \"w\": has no field dtype");
}

TEST_CASE("S3: blanks around the header", "[safetensors][S3][A2]") {
    for (const char* blank : {" ", "\t", "\n", "\r\n", "      "}) {
        CHECK(kind(blank + kOne, 24) == "");
        CHECK(kind(kOne + blank, 24) == "");
    }
    refused(kOne + std::string(1, '\0'), 24, "SYNTAX",
            "byte " + std::to_string(8 + kOne.size()) + ": the header holds a NUL");
    refused(kOne + "x", 24, "SYNTAX", "byte " + std::to_string(8 + kOne.size()) + ": the header is not JSON");
    CHECK(kind(kOne + "x", 24) == "SYNTAX");
    CHECK(kind(kOne + "{}", 24) == "SYNTAX");
    CHECK(kind(kOne + "// comment", 24) == "SYNTAX");
    CHECK(kind("x" + kOne, 24) == "SYNTAX");
}

TEST_CASE("S4: names and fields that come twice", "[safetensors][S4][A1][A2]") {
    const std::string w = kOne.substr(1, kOne.size() - 2);
    CHECK(kind("{" + w + "," + w + "}", 24) == "DUP");
    CHECK(
        kind(
            R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"v":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},)"
            R"("w":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
            12) == "DUP");
    CHECK(kind(with("\"dtype\":\"F32\"", R"("dtype":"F32","dtype":"F32")"), 24) == "DUP");
    CHECK(kind(with("\"shape\"", R"("shape":[6],"shape")"), 24) == "DUP");
    CHECK(kind(with("\"shape\"", R"("x":1,"x":1,"shape")"), 24) == "DUP");
    refused(with("\"dtype\":\"F32\"", R"("dtype":"F32","dtype":"F32")"), 24, "DUP",
            "header, tensor \"w\": the field \"dtype\" occurs twice");
    CHECK(kind(R"({"__metadata__":{"a":"1","a":"1"}})") == "DUP");
    CHECK(kind(R"({"__metadata__":{},"__metadata__":{}})") == "DUP");
    CHECK_ERROR(load(safetensors("{" + w + "," + w + "}", Bytes(24))), DataError, "tensor \"w\": occurs twice");
}

TEST_CASE("S5: holes, overlaps and ends", "[safetensors][S5][A1]") {
    const auto two = [](const char* a, const char* b) {
        return std::string(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":)") + a +
               R"(},"b":{"dtype":"F32","shape":[2],"data_offsets":)" + b + "}}";
    };
    CHECK(kind(two("[0,8]", "[8,16]"), 16) == "");
    CHECK(kind(two("[8,16]", "[0,8]"), 16) == "");
    CHECK(kind(two("[0,8]", "[9,17]"), 17) == "OFFSET");
    CHECK(kind(two("[0,8]", "[12,20]"), 20) == "OFFSET");
    CHECK(kind(two("[0,8]", "[4,12]"), 12) == "OFFSET");
    CHECK(kind(two("[0,8]", "[0,8]"), 8) == "OFFSET");
    CHECK(kind(two("[4,12]", "[12,20]"), 20) == "OFFSET");
    CHECK(kind(two("[0,8]", "[16,8]"), 16) == "OFFSET");
    CHECK(kind(two("[0,8]", "[8,16]"), 15) == "OFFSET");
    CHECK(kind(two("[0,8]", "[8,16]"), 17) == "OFFSET");
    CHECK(kind("{}", 1) == "OFFSET");
    refused(two("[0,8]", "[9,17]"), 17, "OFFSET",
            "tensor \"b\": begins at byte 9 of the payload, not at the end of the tensor before it, which ends at 8");
    refused(two("[0,8]", "[4,12]"), 12, "OFFSET", "tensor \"b\": begins at byte 4 of the payload, inside the tensor");
    refused(two("[0,8]", "[16,8]"), 16, "OFFSET", "tensor \"b\": data_offsets [16, 8] end before they begin");
    refused(two("[0,8]", "[8,16]"), 15, "OFFSET", "data_offsets [8, 16] reach beyond the file, which has 15 bytes");
    refused(two("[0,8]", "[8,16]"), 17, "OFFSET", "the tensors end at byte 16 of the payload, the file at byte 17");
    CHECK(kind(two("[0,8]", "[18446744073709551608,18446744073709551615]"), 16) == "OFFSET");
}

TEST_CASE("S6: shapes and offsets that are none", "[safetensors][S6]") {
    const auto shape = [](const std::string& text) { return kind(with("[2,3]", text), 24); };
    CHECK(shape("[2, 18446744073709551614]") == "OVERFLOW");
    CHECK(shape("[2, 18446744073709551616]") == "OVERFLOW");
    CHECK(shape("[4294967296, 4294967296, 2]") == "OVERFLOW");
    CHECK(shape("[4611686018427387904]") == "OVERFLOW");
    CHECK(shape("[1099511627776, 2097152, 0]") == "OVERFLOW");  // no shape could count as far as its 0
    std::string ones = "[1";
    for (int i = 1; i < 1000; i++) ones += ",1";
    CHECK(shape(ones + "]") == "LIMIT");
    CHECK(shape("[1,1,1,1,2,3]") == "");
    refused(with("[2,3]", ones + "]"), 24, "LIMIT", "tensor \"w\": has more than 6 axes");
    refused(with("[2,3]", "[2, 18446744073709551614]"), 24, "OVERFLOW", "has an extent of 18446744073709551614");
    refused(with("[2,3]", "[4294967296, 4294967296, 2]"), 24, "OVERFLOW",
            "the shape [4294967296, 4294967296, 2] holds more values than 64 bits can count");
    refused(with("[2,3]", "[-2,-3]"), 24, "SYNTAX", "found a negative number, expected whole numbers in shape");
    refused(with("[2,3]", "[2,1.5]"), 24, "SYNTAX", "found a fraction, expected whole numbers in shape");
    refused(with("[2,3]", "[\"3\"]"), 24, "SYNTAX", "found a string, expected whole numbers in shape");
    refused(with("[2,3]", "null"), 24, "SYNTAX", "found null, expected an array for shape");
    CHECK(shape("[1,1,1,1,1,2,3]") == "LIMIT");
    for (const char* wrong : {"[-2,-3]", "[2,1.5]", "[2,1e0]", "[\"2\",3]", "[null]", "[true]", "[[2,3]]", "[{}]", "6",
                              "\"6\"", "null", "{}"}) {
        INFO(wrong);
        CHECK(shape(wrong) == "SYNTAX");
    }
    const auto offsets = [](const std::string& text) { return kind(with("[0,24]", text), 24); };
    for (const char* wrong : {"[]", "[24]", "[0,12,24]", "[0,-24]", "[0,24.0]", "[0,\"24\"]", "24", "{}", "null"}) {
        INFO(wrong);
        CHECK(offsets(wrong) == "SYNTAX");
    }
    CHECK(offsets("[0,99999999999999999999]") == "OVERFLOW");
}

TEST_CASE("S7: a size that is not shape times type", "[safetensors][S7]") {
    CHECK(kind(with("[2,3]", "[2,2]"), 24) == "SHAPE");
    CHECK(kind(with("F32", "F64"), 24) == "SHAPE");
    CHECK(kind(with("[2,3]", "[0]"), 24) == "SHAPE");
    CHECK_ERROR(load(safetensors(with("[2,3]", "[2,2]"), Bytes(24))), DataError, "hold 24 bytes; F32 [2, 2] takes 16");
}

TEST_CASE("S8: types", "[safetensors][S8]") {
    CHECK(kind(with("F32", "F31"), 24) == "DTYPE");
    CHECK(kind(with("F32", "f32"), 24) == "DTYPE");
    refused(with("\"F32\"", "32"), 24, "SYNTAX", "tensor \"w\": found a number, expected a string for dtype");
    for (const std::string type : {"F8_E4M3", "F8_E5M2", "F4", "F6_E2M3", "F8_E8M0", "C64"}) {
        refused(with("F32", type), 24, "DTYPE", "the type \"" + type + "\" is valid but not supported here");
    }
    refused(with("F32", "f32"), 24, "DTYPE", "the type \"f32\" does not exist");
    CHECK_ERROR(load(safetensors(with("F32", "F30"), Bytes(24))), DataError, "\"F30\" does not exist");

    const auto read = [](const std::string& type, size_t n_values, const Bytes& payload) {
        return load(safetensors("{\"w\":{\"dtype\":\"" + type + "\",\"shape\":[" + std::to_string(n_values) +
                                    "],\"data_offsets\":[0," + std::to_string(payload.size()) + "]}}",
                                payload))
            .tensors[0]
            .tensor;
    };
    const real infinity = std::numeric_limits<real>::infinity();
    CHECK(is_same(
        read("F64", 2, little_endian(std::bit_cast<uint64_t>(0.1)) + little_endian(std::bit_cast<uint64_t>(-1e30))),
        Tensor::from({real(0.1), real(-1e30)}, {2})));
    // 1, -2, the largest half 65504, the smallest 2^-24, infinity, -0: IEEE 754 binary16.
    CHECK(is_same(read("F16", 6, {0x00, 0x3c, 0x00, 0xc0, 0xff, 0x7b, 0x01, 0x00, 0x00, 0x7c, 0x00, 0x80}),
                  Tensor::from({1, -2, 65504, real(0x1p-24), infinity, real(-0.0)}, {6})));
    CHECK(std::isnan(read("F16", 1, {0x01, 0x7e}).item()));
    CHECK_OK(is_same(read("BF16", 3, {0x80, 0x3f, 0x49, 0x40, 0x80, 0xff}),
                     Tensor::from({1, real(3.140625), -infinity}, {3})));
    CHECK(is_same(read("I64", 2, little_endian(513) + little_endian(uint64_t(-7))), Tensor::from({513, -7}, {2})));
    CHECK(is_same(read("U64", 1, little_endian(7)), Tensor::from({7}, {1})));
    CHECK(is_same(read("I32", 1, little_endian(uint32_t(-5), 4)), Tensor::from({-5}, {1})));
    CHECK(is_same(read("U32", 1, little_endian(1 << 24, 4)), Tensor::from({1 << 24}, {1})));
    CHECK(is_same(read("I16", 1, {0xfe, 0xff}), Tensor::from({-2}, {1})));
    CHECK(is_same(read("U16", 1, {0xfe, 0xff}), Tensor::from({65534}, {1})));
    CHECK(is_same(read("I8", 2, {0x80, 0x7f}), Tensor::from({-128, 127}, {2})));
    CHECK(is_same(read("U8", 2, {0x80, 0x7f}), Tensor::from({128, 127}, {2})));
    CHECK(is_same(read("BOOL", 3, {0, 1, 1}), Tensor::from({0, 1, 1}, {3})));
    // More values than the buffer for conversion holds.
    Bytes many;
    for (int i = 0; i < 40000; i++) many = std::move(many) + Bytes{uint8_t(i), uint8_t(i >> 8)};
    const Tensor counted = read("U16", 40000, many);
    for (int i = 0; i < 40000; i++) REQUIRE(counted.data()[i] == real(i));

    CHECK(kind_of([&] { read("BOOL", 3, {0, 1, 2}); }) == "VALUE");
    CHECK_ERROR(read("BOOL", 3, {0, 1, 2}), DataError, "value 2 of type BOOL");
    CHECK(kind_of([&] { read("I64", 1, little_endian((uint64_t{1} << 53) + 1)); }) == "VALUE");
    CHECK(kind_of([&] { read("I64", 1, little_endian(uint64_t{1} << 63)); }) == "VALUE");
    CHECK(kind_of([&] { read("U64", 1, little_endian(UINT64_MAX)); }) == "VALUE");
    if (sizeof(real) == 4) {
        CHECK(kind_of([&] { read("I32", 1, little_endian((1 << 24) + 1, 4)); }) == "VALUE");
        CHECK(kind_of([&] { read("F64", 1, little_endian(std::bit_cast<uint64_t>(1e300))); }) == "VALUE");
    }
}

TEST_CASE("S9: tensors without values, and without axes", "[safetensors][S9]") {
    const Checkpoint c =
        load(safetensors(R"({"none":{"dtype":"F32","shape":[0,5],"data_offsets":[4,4]},)"
                         R"("one":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
                         R"("first":{"dtype":"I8","shape":[0,9223372036854775807],"data_offsets":[0,0]}})",
                         floats({2})));
    REQUIRE(c.tensors.size() == 3);
    CHECK(c.tensors[0].name == "first");
    CHECK(c.tensors[1].tensor.shape == Shape{});
    CHECK(c.tensors[1].tensor.item() == 2);
    CHECK_OK(c.tensors[2].tensor.shape == Shape{0, 5});
}

TEST_CASE("S10: metadata that is no text", "[safetensors][S10]") {
    for (const char* value : {"1", "null", "true", "[\"a\"]", "{}", "1.5", "-1"}) {
        INFO(value);
        CHECK(kind(std::string(R"({"__metadata__":{"format":)") + value + "}}") == "SYNTAX");
    }
    refused(R"({"__metadata__":{"format":1}})", 0, "SYNTAX",
            "header, __metadata__: found a number, expected a string for the key \"format\"");
    CHECK(kind(R"({"__metadata__":"pt"})") == "SYNTAX");
    CHECK(kind(R"({"__metadata__":null})") == "SYNTAX");
    CHECK(kind(R"({"__metadata__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4) == "SYNTAX");
}

TEST_CASE("S11: fields that are missing, and fields that nobody knows", "[safetensors][S11]") {
    refused(with(R"(,"data_offsets":[0,24])", ""), 24, "MISSING", "tensor \"w\": has no field data_offsets");
    CHECK(kind(with(R"(,"shape":[2,3])", ""), 24) == "MISSING");
    CHECK(kind(with(R"("dtype":"F32",)", ""), 24) == "MISSING");
    refused(R"({"w":1})", 0, "SYNTAX", "found a number, expected an object");
    CHECK(kind(R"({"w":[]})") == "SYNTAX");
    const Checkpoint c =
        load(safetensors(with("\"shape\"", R"("note":{"a":[1,-2,{"b":null}],"c":1.5},"shape")"), Bytes(24)));
    REQUIRE(c.warnings.size() == 1);
    CHECK_OK(mentions(c.warnings[0], "tensor \"w\": the unknown field \"note\" is ignored"));
    std::string many;
    for (int i = 0; i < 100; i++) many += "\"f" + std::to_string(i) + "\":0,";
    refused(with("\"shape\"", many + "\"shape\""), 24, "LIMIT", "tensor \"w\": has more than 64 fields");
}

TEST_CASE("S12: very many tensors", "[safetensors][S12]") {
    const auto start = std::chrono::steady_clock::now();
    std::string json = "{";
    for (int i = 0; i < 100'000; i++) {
        json += "\"" + std::to_string(i) + R"(":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)";
    }
    json.back() = '}';
    refused(json, 8, "OFFSET", "begins at byte 0 of the payload, inside the tensor before it, which ends at 8");
    const auto empty_tensors = [](size_t n, const std::string& field) {
        std::string header = "{";
        for (size_t i = 0; i < n; i++) {
            header += "\"" + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],")" + field + R"(":[0,0]},)";
        }
        header.back() = '}';
        return header;
    };
    CHECK(kind(empty_tensors(kMaxTensors, "data_offsets")) == "");
    refused(empty_tensors(kMaxTensors + 1, "data_offsets"), 0, "LIMIT",
            "header: has 100001 data_offsets; at most 100000 tensors are accepted");
    // The same, written so that they cannot be counted beforehand.
    refused(empty_tensors(kMaxTensors + 1, "data\\u005foffsets"), 0, "LIMIT",
            "tensor \"100000\": is one more than the 100000 tensors that are accepted");
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    CHECK(seconds < 20);  // measured: half a second; quadratic behaviour would take hours
}

TEST_CASE("the four attacks of the audit of safetensors", "[safetensors][A3]") {
    // github.com/huggingface/safetensors/tree/main/attacks: refused soon, and without the memory that they promise.
    const ScratchFolder folder;
    const auto attack = [&](const char* name, const Bytes& file, const char* expected, const char* part) {
        INFO(name);
        const std::string path = folder.write("x.safetensors", file);
        for (const auto& load :
             {std::function<void()>([&] { load_checkpoint(path); }), {[&] { open_weights(path); }}}) {
            [[maybe_unused]] const std::clock_t start = std::clock();  // of this process: other programs may run
            check_refused(load, expected, part);
#ifndef __SANITIZE_ADDRESS__
            CHECK(double(std::clock() - start) / CLOCKS_PER_SEC < 1);
#endif
        }
#ifndef __SANITIZE_ADDRESS__
        for (const auto& load :
             {std::function<void()>([&] { load_checkpoint(path); }), {[&] { open_weights(path); }}}) {
            CHECK(added_kb([&] { kind_of(load); }) <= long(2 * file.size() / 1024) + 16 * 1024);
        }
#endif
    };
    // A header of which 100 000 tensors are the same bytes.
    std::string json = "{";
    for (int i = 0; i < 100'000; i++) {
        json += "\"" + std::to_string(i) + R"(":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)";
    }
    json.back() = '}';
    attack("100 000 tensors of the same bytes", safetensors(json, Bytes(8)), "OFFSET", "inside the tensor before it");
    // 10 million tensors: their header would be longer than any that is read.
    const Bytes ten_million = little_endian(600'000'000) + bytes_of(json);
    check_refused([&] { load_checkpoint(folder.write("x.safetensors", ten_million)); }, "LIMIT",
                  "at most 100000000 are accepted");
    check_refused([&] { open_weights(folder / "x.safetensors"); }, "MAGIC", "expected safetensors");
    // As many as fit into a header that is read.
    std::string million = "{";
    million.reserve(100'000'000);
    for (int i = 0; million.size() < 60'000'000; i++) {
        million += "\"" + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)";
    }
    million.back() = '}';
    attack("more than a million tensors", safetensors(million), "LIMIT", "at most 100000 tensors are accepted");
    // A header as long as can be said, in a file of a few bytes.
    attack("a huge header, said", little_endian(99'999'999) + bytes_of("{}"), "TRUNC",
           "the header's length is given as 99999999, but the file has 10 bytes");
    // A zip bomb under the name of a safetensors file: 256 MB from 256 KB.
    const Bytes zip = zip_archive({{"m/data.pkl", bytes_of(pk::program(pk::state({{"w", "N"}})))},
                                   {"m/version", bytes_of("3")},
                                   {"m/data/0", Bytes(256 << 20), true}})
                          .bytes;
    CHECK(zip.size() < 300'000);
    const std::string path = folder.write("bomb.safetensors", zip);
    check_refused([&] { load_checkpoint(path); }, "LIMIT", "is this a safetensors file?");
    check_refused([&] { open_weights(path); }, "LIMIT", "8 times its size");
#ifndef __SANITIZE_ADDRESS__
    CHECK(added_kb([&] { kind_of([&] { open_weights(path); }); }) <= long(2 * zip.size() / 1024) + 16 * 1024);
#endif
}

TEST_CASE("S13: values that are not finite load, and are reported", "[safetensors][S13]") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const Checkpoint c = load(safetensors(kOne, floats({1, 2, 3, nan, 5, 6})));
    REQUIRE(c.warnings.size() == 1);
    CHECK_OK(mentions(c.warnings[0], "w holds nan at position 3"));
    check_refused([&] { c.require_finite(); }, "VALUE", "w holds nan at position 3");
    load(safetensors(kOne, floats({1, 2, 3, 4, 5, 6}))).require_finite();
}

TEST_CASE("S14: names are text, and nothing but text", "[safetensors][S14]") {
    const auto name = [](const std::string& text) { return with("\"w\"", "\"" + text + "\""); };
    refused(name("\\ud800"), 24, "UTF8", "surrogate");
    CHECK(kind(name("\\udc00"), 24) == "UTF8");
    CHECK(kind(name("\\ud800\\u0041"), 24) == "UTF8");
    refused(name(std::string("a\0b", 3)), 24, "SYNTAX", "byte 11: the header holds a NUL");
    CHECK(kind(name("a\nb"), 24) == "SYNTAX");
    const auto loaded = [&](const std::string& text) {
        return load(safetensors(name(text), Bytes(24))).tensors[0].name;
    };
    CHECK(loaded("a\\u0000b") == std::string("a\0b", 3));
    CHECK_OK(loaded("../../x") == "../../x");
    CHECK(loaded("\\ud83d\\ude00") == "\xf0\x9f\x98\x80");
    CHECK(loaded("") == "");
    // In messages they are quoted and cut short.
    CHECK_ERROR(load(safetensors(with("\"w\":{\"dtype\":\"F32\"", "\"\\u001b[31m\":{\"dtype\":\"F0\""), Bytes(24))),
                DataError, "tensor \"\\u001b[31m\"");
    CHECK_ERROR(load(safetensors(name(std::string(100'000, 'n')), Bytes(23))), DataError,
                std::string(80, 'n') + "\"...");
}

TEST_CASE("S15: values that are not aligned", "[safetensors][S15]") {
    const std::string json =
        R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F64","shape":[1],"data_offsets":[1,9]}} )";
    for (int i = 0; i < 8; i++) {
        const Checkpoint c = load(
            safetensors(json + std::string(size_t(i), ' '), Bytes{7} + little_endian(std::bit_cast<uint64_t>(2.5))));
        CHECK(c.tensors[0].tensor.item() == 7);
        CHECK_OK(c.tensors[1].tensor.item() == real(2.5));
    }
}

TEST_CASE("S17: nesting", "[safetensors][S17][A23]") {
    const std::string deep(100'000, '[');
    CHECK(kind(deep) == "SYNTAX");
    refused("{\"w\":" + deep, 0, "SYNTAX", "tensor \"w\": found an array, expected an object");
    refused(with("\"shape\"", "\"note\":" + deep + std::string(100'000, ']') + ",\"shape\""), 24, "LIMIT",
            "tensor \"w\": is nested deeper than 64");
    CHECK(kind(with("\"shape\"", "\"note\":" + deep + std::string(100'000, ']') + ",\"shape\""), 24) == "LIMIT");
    CHECK(kind(with("\"shape\"", "\"note\":" + std::string(50, '[') + std::string(50, ']') + ",\"shape\""), 24) == "");
    std::string objects;
    for (int i = 0; i < 100'000; i++) objects += "{\"a\":";
    CHECK(kind("{\"w\":" + objects) == "LIMIT");
}

TEST_CASE("S18: a file that shrinks while it is read", "[safetensors][S18]") {
    const ScratchFolder folder;
    const std::string json = R"({"w":{"dtype":"F32","shape":[500000],"data_offsets":[0,2000000]}})";
    const Bytes whole = safetensors(json, Bytes(2'000'000));
    const std::string path = folder.write("x", whole);
    std::atomic<bool> is_done = false;
    std::thread shrinker([&] {
        while (!is_done) {
            std::filesystem::resize_file(path, 1'000'000);
            std::filesystem::resize_file(path, whole.size());
        }
    });
    int n_read = 0;
    for (int i = 0; i < 300; i++) {
        const std::string found = kind_of([&] { load_checkpoint(path); }).str();
        n_read += found.empty() || found == "TRUNC" || found == "OFFSET";
    }
    is_done = true;
    shrinker.join();
    CHECK(n_read == 300);

    // A file that is always shorter than it says: sysfs gives the size of a page.
    const std::string short_file = "/sys/kernel/mm/transparent_hugepage/use_zero_page";
    if (!std::filesystem::exists(short_file)) return;
    CHECK(std::filesystem::file_size(short_file) == 4096);
    CHECK(kind_of([&] { load_checkpoint(short_file); }).str() == "TRUNC");
}

TEST_CASE("generic sweep: every cut, every flipped bit, every length", "[safetensors][sweep][A1][A11]") {
    const std::string json =
        R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,1],"data_offsets":[1,9]},)"
        R"("a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}  )";
    const Bytes good = safetensors(json, Bytes{1} + floats({1, 2}));
    const ScratchFolder folder;
    const int n_refused = sweep(good, 8 + json.size(), {{0, 8, false}}, true, [&](const Bytes& input) {
        std::filesystem::remove(folder / "x");  // overwriting it would wait for the disk each time
        load_checkpoint(folder.write("x", input));
    });
    CHECK(n_refused > 1000);

    for (const std::string& path : {folder.path, folder / "missing"}) {
        CHECK(kind_of([&] { load_checkpoint(path); }) == "IO");
    }
    REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
    CHECK(kind_of([&] { load_checkpoint(folder / "pipe"); }) == "IO");
}

TEST_CASE("headers are written as they are read", "[safetensors][A2]") {
    SafetensorsHeader header;
    header.metadata = {{"epoch", "3"}, {"note", "\"quoted\"\n\xc3\xa9"}};
    header.tensors = {
        {"a", DType::f32, {2, 3}, 0, 24}, {"none", DType::i64, {0}, 24, 24}, {"b\n", DType::f16, {}, 24, 26}};
    const std::string text = format_safetensors_header(header);
    CHECK(text.size() % 8 == 0);
    const Bytes bytes = bytes_of(text);
    CHECK(safetensors_header_length(std::span(bytes).first(8), bytes.size() + 26, "f") == bytes.size() - 8);
    const SafetensorsHeader back = parse_safetensors_header(std::string_view(text).substr(8), 26, "f");
    CHECK(back.metadata == header.metadata);
    REQUIRE(back.tensors.size() == 3);
    CHECK(back.tensors[2].name == "b\n");
    CHECK(back.tensors[2].dtype == DType::f16);
    CHECK(back.tensors[0].shape == Shape{2, 3});
    CHECK(format_safetensors_header(back) == text);
    CHECK(text[8] == '{');  // no blanks before it, whatever is accepted from others
    CHECK(format_safetensors_header({}) == std::string("\x08\0\0\0\0\0\0\0{}      ", 16));

    header.tensors[1].name = "a";
    CHECK_ERROR(format_safetensors_header(header), ValueError, "two tensors are called \"a\"");
    header.tensors[1].name = "__metadata__";
    CHECK_ERROR(format_safetensors_header(header), ValueError, "__metadata__");
    header.tensors[1].name = "\xff";
    CHECK_ERROR(format_safetensors_header(header), ValueError, "not UTF-8");
}
