// IDX reading: rows G3 and G6 to G16 of the catalogue of bad inputs, and the generic sweep.

#include <algorithm>
#include <chrono>

#include "data/idx.h"
#include "tests/data_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

Idx parse(const Bytes& file, bool empty_ok = false) {
    GzipReader in(file, "sample");
    return read_idx(in, empty_ok);
}

ErrorKind kind_of_parsing(const Bytes& file) {
    return kind_of([&] { parse(file); });
}

const Bytes kTwelve = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

/// A gzip file whose contents are `head` and then `megabytes` MB of zeros, made without compressing them all: after a
/// full flush, DEFLATE turns equal input into equal output.
Bytes bomb(const Bytes& head, int megabytes) {
    z_stream stream{};
    deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    const auto flushed = [&](const Bytes& contents) {
        Bytes out(2 * contents.size() + 1000);
        stream.next_in = const_cast<Bytef*>(contents.data());
        stream.avail_in = uInt(contents.size());
        stream.next_out = out.data();
        stream.avail_out = uInt(out.size());
        deflate(&stream, Z_FULL_FLUSH);
        return Bytes(out.data(), stream.next_out);
    };
    Bytes file = flushed(head);
    const Bytes zeros = flushed(Bytes(1000000, 0));
    deflateEnd(&stream);
    for (int i = 0; i < megabytes; i++) file.insert(file.end(), zeros.begin(), zeros.end());
    return file;
}

}  // namespace

TEST_CASE("IDX: a good file, plain or gzip under any name", "[data][G3]") {
    const ScratchFolder scratch;
    const Bytes file = idx_bytes({3, 2, 2}, kTwelve);
    for (const auto& path :
         {scratch.write("a.gz", file), scratch.write("b", gzipped(file)), scratch.write("c.gz", gzipped(file))}) {
        const Idx idx = read_idx(path);
        CHECK(idx.dims == std::vector<int64_t>{3, 2, 2});
        CHECK_OK(idx.values == kTwelve);
    }
    CHECK(parse(idx_bytes({12}, kTwelve)).dims == std::vector<int64_t>{12});
    check_refused([&] { read_idx(scratch.write("text.gz", bytes_of("not an IDX file"))); }, "MAGIC",
                  "text.gz: byte 4: starts with 0x6e 0x6f, an IDX file starts with 0x00 0x00");
}

TEST_CASE("IDX: a gzip bomb stops behind what the header promises", "[data][G6][A20]") {
    const ScratchFolder scratch;
    const std::string path = scratch.write("bomb", bomb(idx_bytes({10, 28, 28}, {}), 1000));
    CHECK(std::filesystem::file_size(path) < 1200000);
    const auto start = std::chrono::steady_clock::now();
    check_refused([&] { read_idx(path); }, "LIMIT", "bytes follow the 7840 values");
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));  // measured: a millisecond
#ifndef __SANITIZE_ADDRESS__
    CHECK(added_kb([&] { kind_of([&] { read_idx(path); }); }) < 4096);
#endif
}

TEST_CASE("IDX: memory follows the data, not the header", "[data][G10]") {
    // 900 MB are promised and possible (1 MB of gzip), but nothing comes: noise stands in for compressed data.
    const ScratchFolder scratch;
    const Bytes head = gzipped(idx_bytes({30000, 1000, 30}, Bytes(1000, 1)));
    const std::string path = scratch.write("cut", head + bomb(Bytes(1000, 2), 2) + Bytes(1000000, 0x55));
    CHECK_FALSE(kind_of([&] { read_idx(path); }).empty());
#ifndef __SANITIZE_ADDRESS__
    CHECK(added_kb([&] { kind_of([&] { read_idx(path); }); }) < 8192);
#endif
}

TEST_CASE("IDX: a magic number that is none", "[data][G7]") {
    Bytes file = idx_bytes({3, 2, 2}, kTwelve);
    file[1] = 1;
    CHECK_ERROR(parse(file), DataError, "sample: byte 4: starts with 0x00 0x01, an IDX file starts with 0x00 0x00");
    CHECK(kind_of_parsing(file) == "MAGIC");
    CHECK_ERROR(parse(Bytes{3, 8, 0, 0, 0, 0, 0, 0}), DataError, "byte order?");
}

TEST_CASE("IDX: value types", "[data][G8]") {
    for (int type = 0; type < 256; type++) {
        Bytes file = idx_bytes({3, 2, 2}, kTwelve);
        file[2] = uint8_t(type);
        if (kind_of_parsing(file) != (type == 8 ? "" : "DTYPE")) FAIL_CHECK("type " << type);
    }
    Bytes file = idx_bytes({3, 2, 2}, kTwelve);
    for (uint8_t type : {0x09, 0x0b, 0x0c, 0x0d, 0x0e}) {
        file[2] = type;
        CHECK_ERROR(parse(file), DataError, "is valid in IDX but not supported here; expected 0x08");
    }
    for (uint8_t type : {0x07, 0x0a}) {
        file[2] = type;
        CHECK_ERROR(parse(file), DataError, "does not exist");
    }
}

TEST_CASE("IDX: number of dimensions", "[data][G9]") {
    for (uint8_t rank : {0, 4, 255}) {
        Bytes file = idx_bytes({3, 2, 2}, kTwelve);
        file[3] = rank;
        CHECK(kind_of_parsing(file) == "SHAPE");
        CHECK_ERROR(parse(file), DataError, "has " + std::to_string(rank) + " dimensions");
    }
}

TEST_CASE("IDX: one byte short", "[data][G10]") {
    Bytes file = idx_bytes({60000, 28, 28}, Bytes(60000 * 784 - 1, 0));
    CHECK_ERROR(parse(file), DataError, "60000 x 28 x 28 = 47040000 values, but there are 47039999");
    CHECK(kind_of_parsing(file) == "TRUNC");
    CHECK(kind_of_parsing(gzipped(file, 1)) == "TRUNC");
    CHECK_ERROR(parse(gzipped(file, 1)), DataError, "there are 47039999");
}

TEST_CASE("IDX: extents whose product overflows", "[data][G11]") {
    const uint32_t max = UINT32_MAX;
    check_refused(
        [&] {
            parse(idx_bytes({max, max, max}, kTwelve));
        },
        "OVERFLOW", "4294967295 x 4294967295 x 4294967295");
    CHECK(kind_of_parsing(gzipped(idx_bytes({max, max, max}, kTwelve))) == "OVERFLOW");
    check_refused([&] { parse(idx_bytes({max, 2}, kTwelve)); }, "TRUNC", "8589934590 values");  // no wrap at 32 bits
    CHECK(kind_of_parsing(idx_bytes({1u << 31, 1u << 31, 4}, kTwelve)) == "OVERFLOW");          // 2^64: wraps to 0
}

TEST_CASE("IDX: bytes behind the values", "[data][G12]") {
    const Bytes file = idx_bytes({3, 2, 2}, kTwelve);
    CHECK_ERROR(parse(file + Bytes{1}), DataError, "1 trailing bytes");
    CHECK_ERROR(parse(gzipped(file + Bytes{1, 2})), DataError, "2 trailing bytes");
    CHECK(kind_of_parsing(file + Bytes(100000, 0)) == "SYNTAX");
    CHECK(kind_of_parsing(gzipped(file + Bytes(1000, 0))) == "SYNTAX");
    check_refused([&] { parse(gzipped(file + Bytes(100000, 0))); }, "LIMIT", "follow the 12 values");
    CHECK(kind_of_parsing(gzipped(file) + gzipped({1})) == "SYNTAX");
}

TEST_CASE("IDX: images and labels that do not belong together", "[data][G13]") {
    const ScratchFolder scratch;
    const std::string images = scratch.write("images", idx_bytes({3, 2, 2}, kTwelve));
    const std::string labels = scratch.write("labels", idx_bytes({3}, {9, 0, 1}));
    const LabelledImages both = read_labelled_images(images, labels, 10);
    CHECK(both.images.values == kTwelve);
    CHECK(both.labels == Bytes{9, 0, 1});
    const std::string two = scratch.write("two", idx_bytes({2}, {9, 0}));
    CHECK_ERROR(read_labelled_images(images, two, 10), DataError, "count mismatch: 2 labels for the 3 images");
    CHECK(kind_of([&] { read_labelled_images(images, two, 10); }) == "SHAPE");
    CHECK_ERROR(read_labelled_images(labels, images, 10), DataError, "expected 3 (images) and 1 (labels)");
}

TEST_CASE("IDX: labels out of range", "[data][G14]") {
    const ScratchFolder scratch;
    const std::string images = scratch.write("images", idx_bytes({3, 2, 2}, kTwelve));
    for (uint8_t label : {10, 255}) {
        const std::string labels = scratch.write("labels", idx_bytes({3}, {9, 0, label}));
        CHECK_ERROR(read_labelled_images(images, labels, 10), DataError,
                    "record 2: label " + std::to_string(label) + ", expected 0 to 9");
        CHECK(kind_of([&] { read_labelled_images(images, labels, 10); }) == "VALUE");
        CHECK(kind_of([&] { read_labelled_images(images, labels, 256); }) == "");
    }
}

TEST_CASE("IDX: extents of 0", "[data][G15]") {
    check_refused([&] { parse(idx_bytes({0, 28, 28}, {})); }, "SHAPE", "0 x 28 x 28");
    CHECK_OK(parse(idx_bytes({0, 28, 28}, {}), true).dims == std::vector<int64_t>{0, 28, 28});
    CHECK(parse(idx_bytes({0, 28, 28}, {}), true).values.empty());
    for (const auto& extents : {std::vector<uint32_t>{3, 0, 28}, {3, 28, 0}, {0, 0, 0}}) {
        CHECK(kind_of([&] { parse(idx_bytes(extents, {}), true); }) == "SHAPE");
    }
}

TEST_CASE("IDX: a little-endian header is named as such", "[data][G16]") {
    const Bytes reversed_images = {0, 0, 8, 3, 2, 0, 0, 0, 28, 0, 0, 0, 28, 0, 0, 0};
    const Bytes file = reversed_images + Bytes(2 * 784, 0);
    for (const Bytes& each : {file, gzipped(file)}) {
        CHECK_ERROR(parse(each), DataError, "byte order? Little-endian it reads 2 x 28 x 28");
        CHECK(kind_of_parsing(each) == "LIMIT");
    }
    const Bytes reversed_labels = Bytes{0, 0, 8, 1, 0x60, 0xea, 0, 0} + Bytes(60000, 0);
    CHECK_ERROR(parse(reversed_labels), DataError, "byte order?");
}

TEST_CASE("IDX: generic sweep", "[data][sweep][A11]") {
    const Bytes good = idx_bytes({3, 2, 2}, kTwelve);
    const std::vector<LengthField> fields = {{4, 4, true}, {8, 4, true}, {12, 4, true}};
    const auto parse_it = [](const Bytes& file) {
        const Idx idx = parse(file, true);
        REQUIRE(int64_t(idx.values.size()) ==
                idx.dims[0] * (idx.dims.size() > 1 ? idx.dims[1] : 1) * (idx.dims.size() > 2 ? idx.dims[2] : 1));
    };
    const int n_refused = sweep(good, 16, fields, true, parse_it);
    CHECK(n_refused >= int(good.size()) + 128 + 256 + 18);  // whatever is changed is refused
    sweep(gzipped(good), 10, {}, true, parse_it);
    const ScratchFolder scratch;
    CHECK(kind_of([&] { read_idx(scratch.path); }) == "IO");
    CHECK(kind_of([&] { read_idx(scratch / "nowhere"); }) == "IO");
}

TEST_CASE("IDX: more values than are accepted, in a file that has them", "[data]") {
    const ScratchFolder folder;
    // A little more than 2 GB, of the other byte order still more, that take no room on the disk.
    const std::string path = folder.write("large", idx_bytes({0x80000081}, {}));
    std::filesystem::resize_file(path, 8 + kMaxIdxBytes + 0x81);
    check_refused(
        [&] {
            GzipReader in(path);
            read_idx(in);
        },
        "LIMIT", "2147483777 values; at most 2147483648 are accepted");
}

TEST_CASE("IDX: the real MNIST and Fashion-MNIST files", "[data][real]") {
    const char* root = std::getenv("KOINE_DATA");
    if (!root) SKIP_TEST("KOINE_DATA is not set");
    for (const std::string set : {"mnist", "fashion-mnist"}) {
        const std::string folder = std::string(root) + "/" + set + "/";
        if (!std::filesystem::exists(folder + "t10k-images-idx3-ubyte.gz")) SKIP_TEST(set + " is not below KOINE_DATA");
        const auto test =
            read_labelled_images(folder + "t10k-images-idx3-ubyte.gz", folder + "t10k-labels-idx1-ubyte.gz", 10);
        CHECK(test.images.dims == std::vector<int64_t>{10000, 28, 28});
        CHECK(std::count(test.labels.begin(), test.labels.end(), 3) == (set == "mnist" ? 1010 : 1000));
    }
}
