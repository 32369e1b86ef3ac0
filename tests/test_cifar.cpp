// CIFAR-10 and CIFAR-100: records, folders and archives, and everything that must be refused.
#include <array>
#include <iostream>
#include <numeric>
#include <sstream>

#include "data/cifar.h"
#include "tests/datasets_common.h"
#include "tests/tar_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

constexpr size_t kPixels = 3072;

/// The superclass that the samples give to a class.
uint8_t superclass_of(int label) { return uint8_t(label * 7 % 20); }

/// Records of the labels; all pixels of record i are first + i, but for the corners, which differ in every colour.
Bytes records(const CifarFormat& format, const std::vector<int>& labels, int first = 0) {
    Bytes out;
    for (size_t i = 0; i < labels.size(); i++) {
        if (format.n_superclasses > 0) out.push_back(superclass_of(labels[i]));
        out.push_back(uint8_t(labels[i]));
        Bytes pixels(kPixels, uint8_t(size_t(first) + i));
        for (size_t colour = 0; colour < 3; colour++) {
            pixels[1024 * colour] = uint8_t(100 + colour);            // top left
            pixels[1024 * colour + 31] = uint8_t(110 + colour);       // top right
            pixels[1024 * colour + 31 * 32] = uint8_t(120 + colour);  // bottom left
        }
        out = out + pixels;
    }
    return out;
}

Bytes lines(const std::string& stem, int n) {
    std::string text;
    for (int i = 0; i < n; i++) text += stem + std::to_string(i) + "\n";
    return bytes_of(text);
}

/// Name and bytes of the files of a small data set.
using Files = std::vector<std::pair<std::string, Bytes>>;

Files files_of_100() {
    return {{"train.bin", records(kCifar100, {19, 29, 0, 99})},
            {"test.bin", records(kCifar100, {49, 33}, 50)},
            {"fine_label_names.txt", lines("class ", 100)},
            {"coarse_label_names.txt", lines("superclass ", 20)}};
}

/// Two images in each batch: image i of all has label i % 10 and pixels i.
Files files_of_10() {
    Files files;
    for (int b = 0; b < 5; b++) {
        files.emplace_back("data_batch_" + std::to_string(b + 1) + ".bin",
                           records(kCifar10, {2 * b, 2 * b + 1}, 2 * b));
    }
    files.emplace_back("test_batch.bin", records(kCifar10, {3, 8, 8}, 60));
    files.emplace_back("batches.meta.txt", lines("thing ", 10) + bytes_of("\n"));
    return files;
}

void write_folder(const ScratchFolder& scratch, const std::string& folder, const Files& files, bool is_gzip = false) {
    for (const auto& [name, bytes] : files) {
        const bool packs = is_gzip && name.ends_with(".bin");
        scratch.write(folder + "/" + name + (packs ? ".gz" : ""), packs ? gzipped(bytes) : bytes);
    }
}

/// As published: a folder, then its files, in no order.
Bytes archive_of(const std::string& folder, const Files& files) {
    Bytes tar = tar_header(folder + "/", 0, '5');
    for (size_t i = 0; i < files.size(); i++) {
        const auto& [name, bytes] = files[(i + files.size() / 2) % files.size()];
        tar = tar + tar_member(folder + "/" + name, bytes);
    }
    return gzipped(tar + tar_member(folder + "/readme.html", bytes_of("<html>")) + tar_end());
}

const Bytes kPickle = bytes_of("\x80\x02}q\x01(U\tfilenamesq\x02");

CifarImages parse(const Bytes& bytes, const CifarFormat& format) { return parse_cifar(bytes, "a.bin", format); }

/// What goes to stderr while one of these lives.
struct ErrorText {
    ErrorText() : before(std::cerr.rdbuf(text.rdbuf())) {}
    ~ErrorText() { std::cerr.rdbuf(before); }
    std::ostringstream text;
    std::streambuf* before;
};

}  // namespace

TEST_CASE("cifar: records become pixels, classes and superclasses", "[data][cifar]") {
    const Bytes file = records(kCifar100, {19, 29, 99}, 5);
    const CifarImages images = parse(file, kCifar100);
    CHECK(images.images.dims == std::vector<int64_t>{3, 3, 32, 32});
    CHECK(images.labels == Bytes{19, 29, 99});
    CHECK(images.superclasses == Bytes{19 * 7 % 20, 29 * 7 % 20, 99 * 7 % 20});
    Bytes pixels;
    for (size_t i = 0; i < 3; i++) {
        pixels.insert(pixels.end(), file.begin() + std::ptrdiff_t(i * 3074 + 2),
                      file.begin() + std::ptrdiff_t((i + 1) * 3074));
    }
    CHECK(images.images.values == pixels);
    const CifarImages ten = parse(records(kCifar10, {9, 0}), kCifar10);
    CHECK(ten.images.dims == std::vector<int64_t>{2, 3, 32, 32});
    CHECK(ten.labels == Bytes{9, 0});
    CHECK(ten.superclasses.empty());
    // The hash is the file's, wherever a change is.
    Bytes changed = file;
    CHECK(parse(changed, kCifar100).hash == images.hash);
    changed.back() ^= 1;
    CHECK(parse(changed, kCifar100).hash != images.hash);
    // gzip or plain, by content.
    const ScratchFolder scratch;
    for (const Bytes& bytes :
         {file, gzipped(file),
          gzipped(Bytes(file.begin(), file.begin() + 100)) + gzipped(Bytes(file.begin() + 100, file.end()))}) {
        const CifarImages read = read_cifar(scratch.write("any name", bytes), kCifar100);
        CHECK(read.hash == images.hash);
        CHECK(read.images.values == pixels);
    }
}

TEST_CASE("cifar: a part of a record is left over", "[data][cifar][C1]") {
    const Bytes ten = records(kCifar10, {1, 2, 3}), hundred = records(kCifar100, {1, 2});
    check_refused([&] { parse(Bytes(ten.begin(), ten.end() - 1), kCifar10); }, "TRUNC",
                  "a.bin: record 2: 3072 bytes are left over behind 2 records of 3073 bytes");
    check_refused([&] { parse(ten + Bytes{1}, kCifar10); }, "TRUNC",
                  "record 3: 1 bytes are left over behind 3 records");
    check_refused([&] { parse(Bytes(hundred.begin(), hundred.begin() + 5), kCifar100); }, "TRUNC",
                  "record 0: 5 bytes are left over behind 0 records of 3074 bytes");
}

TEST_CASE("cifar: a file of the other set is recognised", "[data][cifar][C2]") {
    const Bytes ten = records(kCifar10, {1, 2, 3}), hundred = records(kCifar100, {1, 2});
    check_refused(
        [&] { parse(hundred, kCifar10); }, "VALUE",
        "a.bin: seems to be a file of CIFAR-100: whole records of 3074 bytes, all labels right; expected CIFAR-10");
    check_refused(
        [&] { parse(ten, kCifar100); }, "VALUE",
        "a.bin: seems to be a file of CIFAR-10: whole records of 3073 bytes, all labels right; expected CIFAR-100");
    // Where the sizes fit both, 3073 records of 3074 bytes, the labels decide.
    Bytes both;
    for (int i = 0; i < 3073; i++) {
        both.push_back(superclass_of(i % 100));
        both.push_back(uint8_t(i % 100));
        both.insert(both.end(), kPixels, 200);
    }
    CHECK(parse(both, kCifar100).labels.size() == 3073);
    check_refused([&] { parse(both, kCifar10); }, "VALUE", "seems to be a file of CIFAR-100");
    // What is neither is called damaged.
    Bytes damaged = hundred;
    damaged[0] = 20;
    check_refused([&] { parse(damaged, kCifar10); }, "TRUNC", "left over");
}

TEST_CASE("cifar: labels out of range are named with their record", "[data][cifar][C3]") {
    const auto with = [](Bytes bytes, size_t offset, uint8_t value) {
        bytes[offset] = value;
        return bytes;
    };
    const Bytes ten = records(kCifar10, {1, 2, 3}), hundred = records(kCifar100, {1, 2, 3});
    check_refused([&] { parse(with(ten, 2 * 3073, 10), kCifar10); }, "VALUE",
                  "a.bin: record 2: class 10, expected 0 to 9");
    check_refused([&] { parse(with(ten, 0, 255), kCifar10); }, "VALUE", "record 0: class 255, expected 0 to 9");
    check_refused([&] { parse(with(hundred, 3074, 20), kCifar100); }, "VALUE",
                  "record 1: superclass 20, expected 0 to 19");
    check_refused([&] { parse(with(hundred, 3075, 100), kCifar100); }, "VALUE",
                  "record 1: class 100, expected 0 to 99");
    // In range, but not the superclass that the class had before.
    const Bytes twice = records(kCifar100, {4, 8, 4});
    check_refused([&] { parse(with(twice, 2 * 3074, 3), kCifar100); }, "VALUE",
                  "record 2: class 4 has superclass 3, but 8 in record 0");
    CHECK(parse(with(twice, 3074, 8), kCifar100).superclasses == Bytes{8, 8, 8});
}

TEST_CASE("cifar: an empty file, and a batch that is not there", "[data][cifar][C4]") {
    check_refused([] { parse({}, kCifar10); }, "MISSING", "a.bin: the file is empty, expected records");
    check_refused([] { parse({}, kCifar100); }, "MISSING", "a.bin: the file is empty");
    const NoOtherData machine;
    const ScratchFolder& scratch = machine.scratch;
    write_folder(scratch, "dir/cifar-10-batches-bin", files_of_10());
    scratch.write("dir/cifar-10-batches-bin/data_batch_4.bin", {});
    check_refused([&] { load_images("cifar-10", offline(scratch / "dir")); }, "MISSING",
                  "data_batch_4.bin: the file is empty");
    std::filesystem::remove(scratch / "dir/cifar-10-batches-bin/data_batch_4.bin");
    check_refused([&] { load_images("cifar-10", offline(scratch / "dir")); }, "MISSING",
                  "dir/cifar-10-batches-bin: holds no data_batch_4.bin; CIFAR-10 needs data_batch_1.bin to "
                  "data_batch_5.bin and test_batch.bin. To fetch all of it: data/fetch.sh cifar-10");
    std::filesystem::remove(scratch / "dir/cifar-10-batches-bin/test_batch.bin");
    check_refused([&] { load_images("cifar-10", offline(scratch / "dir")); }, "MISSING",
                  "holds no data_batch_4.bin, test_batch.bin;");
    // The same in an archive.
    Files files = files_of_10();
    files.erase(files.begin() + 1);
    scratch.write("other/cifar-10-binary.tar.gz", archive_of("cifar-10-batches-bin", files));
    check_refused([&] { load_images("cifar-10", offline(scratch / "other")); }, "MISSING",
                  "other/cifar-10-binary.tar.gz: holds no data_batch_2.bin;");
    // A complete set elsewhere is better than an error.
    const EnvironmentVariable data("KOINE_DATA", scratch / "env");
    write_folder(scratch, "env/cifar-10", files_of_10());
    CHECK(load_images("cifar-10", offline(scratch / "dir")).train.size() == 10);
}

TEST_CASE("cifar: the Python version is refused, and the way to the right one is said", "[data][cifar][C5]") {
    const std::string hint =
        "is a pickle, of the Python version of CIFAR-100; pickles can run code and are not read. "
        "Get the binary version, cifar-100-binary.tar.gz: data/fetch.sh cifar-100";
    check_refused([&] { parse(kPickle, kCifar100); }, "MAGIC", "a.bin: " + hint);
    for (uint8_t protocol : {3, 4, 5}) {
        check_refused([&] { parse(Bytes{0x80, protocol} + Bytes(3072), kCifar100); }, "MAGIC", hint);
    }
    const NoOtherData machine;
    const ScratchFolder& scratch = machine.scratch;
    const auto refuses = [&](const std::string& name, const std::string& dir, const std::string& part) {
        check_refused([&] { load_images(name, offline(scratch / dir)); }, "MAGIC", part);
    };
    // In a folder, torchvision's or any other; nothing is fetched by itself then.
    scratch.write("one/cifar-100-python/train", kPickle);
    refuses("cifar-100", "one", "one/cifar-100-python/train: " + hint);
    DataOptions online = offline(scratch / "one");
    online.is_offline = false;
    check_refused([&] { load_images("cifar-100", online); }, "MAGIC", hint);
    scratch.write("two/test", kPickle);
    refuses("cifar-100-coarse", "two", "two/test: " + hint);
    scratch.write("three/cifar-10-batches-py/data_batch_2", kPickle);
    refuses("cifar-10", "three", "data_batch_2: is a pickle, of the Python version of CIFAR-10;");
    // As an archive: found by its name, given by the user, or under the binary version's name.
    const Bytes archive =
        gzipped(tar_header("cifar-100-python/", 0, '5') + tar_member("cifar-100-python/meta", kPickle) +
                tar_member("cifar-100-python/train", kPickle) + tar_end());
    scratch.write("four/cifar-100-python.tar.gz", archive);
    refuses("cifar-100", "four", "four/cifar-100-python.tar.gz/train: " + hint);
    refuses("cifar-100", "four/cifar-100-python.tar.gz", "four/cifar-100-python.tar.gz/train: " + hint);
    scratch.write("five/cifar-100/cifar-100-binary.tar.gz", archive);
    refuses("cifar-100", "five", "cifar-100-binary.tar.gz/train: " + hint);
    // A file of that name that is no pickle means nothing; a binary version beside it is used.
    scratch.write("six/train", bytes_of("notes about training"));
    check_refused([&] { load_images("cifar-100", offline(scratch / "six")); }, "MISSING", "cifar-100");
    write_folder(scratch, "one/cifar-100-binary", files_of_100());
    CHECK(load_images("cifar-100", offline(scratch / "one")).train.size() == 4);
}

TEST_CASE("cifar: the same batch twice loads, with a warning", "[data][cifar][C6]") {
    const NoOtherData machine;
    Files files = files_of_10();
    {
        const ErrorText errors;
        write_folder(machine.scratch, "good/cifar-10", files);
        CHECK(load_images("cifar-10", offline(machine.scratch / "good")).train.size() == 10);
        CHECK(errors.text.str().empty());
    }
    files[3].second = files[1].second;
    write_folder(machine.scratch, "dir/cifar-10", files);
    const ErrorText errors;
    const ImageSet set = load_images("cifar-10", offline(machine.scratch / "dir"));
    CHECK(errors.text.str() == "cifar-10: warning: data_batch_4.bin holds the same records as data_batch_2.bin in " +
                                   (machine.scratch / "dir/cifar-10") + "\n");
    CHECK_OK(set.train.labels == std::vector<int32_t>{0, 1, 2, 3, 4, 5, 2, 3, 8, 9});
}

TEST_CASE("cifar-100 loads from files, gzip files and the archive, and is the same each time", "[data][cifar]") {
    const NoOtherData machine;
    const ScratchFolder& scratch = machine.scratch;
    const Files files = files_of_100();
    const Bytes archive = archive_of("cifar-100-binary", files);
    write_folder(scratch, "a/cifar-100-binary", files);
    write_folder(scratch, "b/cifar-100", files, true);
    write_folder(scratch, "c", files);  // --data is the folder itself
    scratch.write("d/cifar-100-binary.tar.gz", archive);
    scratch.write("e/cifar-100/cifar-100-binary.tar.gz", archive);  // where fetch.sh puts it
    scratch.write("f/cifar-100-binary/cifar-100-binary.tar.gz", archive);
    scratch.write("g/renamed.tgz", archive);  // --data is the archive
    std::string hash;
    for (const std::string dir : {"a", "b", "c", "d", "e", "f", "g/renamed.tgz"}) {
        INFO(dir);
        const ImageSet set = load_images("cifar-100", offline(scratch / dir));
        CHECK(set.name == "cifar-100");
        CHECK(mentions(set.source,
                       "CIFAR-100 in binary records, 4 training and 2 test images (not all of the official "
                       "50000 and 10000), from " +
                           (scratch / dir)));
        CHECK(set.n_classes == 100);
        CHECK(set.n_official == 50000);
        CHECK(set.class_names.size() == 100);
        CHECK(set.class_names[29] == "class 29");
        CHECK(set.train.images.shape == Shape{4, 32, 32, 3});
        CHECK(set.test.images.shape == Shape{2, 32, 32, 3});
        CHECK(set.train.labels == std::vector<int32_t>{19, 29, 0, 99});
        CHECK(set.test.labels == std::vector<int32_t>{49, 33});
        CHECK(set.train.ids == std::vector<int32_t>{0, 1, 2, 3});
        for (int64_t colour = 0; colour < 3; colour++) {
            CHECK(set.train.images.at({2, 0, 0, colour}) == real(100 + colour) / real(255));
            CHECK(set.train.images.at({2, 0, 31, colour}) == real(110 + colour) / real(255));
            CHECK(set.train.images.at({2, 31, 0, colour}) == real(120 + colour) / real(255));
            CHECK(set.train.images.at({2, 31, 31, colour}) == real(2) / real(255));
            CHECK(set.test.images.at({1, 5, 5, colour}) == real(51) / real(255));
        }
        if (hash.empty()) hash = set.hash;
        CHECK(set.hash == hash);
        const ImageSet coarse = load_images("cifar-100-coarse", offline(scratch / dir));
        CHECK(coarse.name == "cifar-100-coarse");
        CHECK(mentions(coarse.source, "its 20 superclasses as labels"));
        CHECK(coarse.n_classes == 20);
        CHECK(coarse.class_names.size() == 20);
        CHECK(coarse.class_names[3] == "superclass 3");
        CHECK(coarse.train.labels == std::vector<int32_t>{13, 3, 0, 13});
        CHECK(coarse.test.labels == std::vector<int32_t>{3, 11});
        CHECK(coarse.train.images.to_vector() == set.train.images.to_vector());
        CHECK(coarse.hash == hash);  // it names the files
    }
    // Only --data may name the files themselves.
    const EnvironmentVariable data("KOINE_DATA", scratch / "c");
    CHECK(kind_of([&] { load_images("cifar-100", offline("")); }) == "MISSING");
    CHECK_THROWS_AS(load_cifar("cifar-1000", offline(scratch / "a")), ValueError);
}

TEST_CASE("cifar-10 joins its batches in their order, whatever the archive's", "[data][cifar]") {
    const NoOtherData machine;
    const ScratchFolder& scratch = machine.scratch;
    const Files files = files_of_10();
    write_folder(scratch, "a/cifar-10-batches-bin", files);
    write_folder(scratch, "b/cifar-10", files, true);
    write_folder(scratch, "c/cifar-10-binary", files);
    scratch.write("d/cifar-10/cifar-10-binary.tar.gz", archive_of("cifar-10-batches-bin", files));
    std::string hash;
    for (const std::string dir : {"a", "b", "c", "d"}) {
        const ImageSet set = load_images("cifar-10", offline(scratch / dir));
        CHECK(set.n_classes == 10);
        CHECK(set.n_official == 50000);
        CHECK(set.class_names[9] == "thing 9");
        CHECK(set.train.images.shape == Shape{10, 32, 32, 3});
        CHECK(set.train.labels == std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
        for (int64_t i = 0; i < 10; i++) CHECK(set.train.images.at({i, 9, 9, 1}) == real(i) / real(255));
        CHECK(set.test.labels == std::vector<int32_t>{3, 8, 8});
        if (hash.empty()) hash = set.hash;
        CHECK(set.hash == hash);
    }
    // The hash sees every batch, and that two have changed places.
    Files swapped = files;
    std::swap(swapped[0].second, swapped[1].second);
    write_folder(scratch, "swapped/cifar-10", swapped);
    CHECK(load_images("cifar-10", offline(scratch / "swapped")).hash != hash);
    // A limit chooses as for MNIST, and the hash is still that of everything.
    DataOptions options = offline(scratch / "a");
    options.train_limit = 4;
    options.test_limit = 1;
    const ImageSet some = load_images("cifar-10", options);
    CHECK(some.hash == hash);
    CHECK(some.train.ids == limited_ids(10, 4));
    CHECK(some.test.size() == 1);
    for (int64_t i = 0; i < 4; i++) CHECK(some.train.labels[size_t(i)] == some.train.ids[size_t(i)]);
}

TEST_CASE("cifar: names of classes are used when there are as many as classes", "[data][cifar]") {
    const auto parse_names = [](const std::string& text, int n) {
        return parse_class_names(bytes_of(text), "n.txt", n);
    };
    const std::vector<std::string> two = {"maple tree", "caf\xc3\xa9"};
    CHECK(parse_names("maple tree\ncaf\xc3\xa9", 2) == two);
    CHECK(parse_names("maple tree\r\ncaf\xc3\xa9\r\n\r\n\n", 2) == two);
    check_refused([&] { parse_names("a\nb\n", 3); }, "SHAPE", "n.txt: has 2 names, expected 3, one for each class");
    check_refused([&] { parse_names("a\nb\nc\nd\n", 3); }, "SHAPE", "has 4 names, expected 3");
    check_refused([&] { parse_names("", 3); }, "SHAPE", "has 0 names");
    check_refused([&] { parse_names("a\nb\xff\nc\n", 3); }, "UTF8", "line 2: the name is not UTF-8");
    check_refused([&] { parse_names("a\nb\n\x1b[2Jc\n", 3); }, "SYNTAX", "line 3: a control character in a name");
    check_refused([&] { parse_names("a\nb\na\n", 3); }, "DUP", "line 3: the name 'a' for the second time");

    const NoOtherData machine;
    const ScratchFolder& scratch = machine.scratch;
    Files files = files_of_100();
    files[2].second = lines("class ", 99);
    write_folder(scratch, "a/cifar-100", files);
    check_refused([&] { load_images("cifar-100", offline(scratch / "a")); }, "SHAPE",
                  "fine_label_names.txt: has 99 names, expected 100");
    scratch.write("a/cifar-100/fine_label_names.txt", Bytes(kMaxNamesBytes + 1, 'x'));
    CHECK(kind_of([&] { load_images("cifar-100", offline(scratch / "a")); }) == "LIMIT");
    files.resize(2);
    write_folder(scratch, "b/cifar-100", files);
    CHECK(load_images("cifar-100", offline(scratch / "b")).class_names == numbered_names(100));
    CHECK(load_images("cifar-100-coarse", offline(scratch / "b")).class_names == numbered_names(20));
}

TEST_CASE("cifar: archives that are odd", "[data][cifar]") {
    const NoOtherData machine;
    const ScratchFolder& scratch = machine.scratch;
    const Bytes train = records(kCifar100, {1}), test = records(kCifar100, {2}, 9);
    const auto load = [&](const Bytes& archive) {
        return load_images("cifar-100", offline(scratch.write("a.tar.gz", archive)));
    };
    const auto refuses = [&](const Bytes& archive, const char* kind, const std::string& part) {
        check_refused([&] { load(archive); }, kind, part);
    };
    const Bytes both = tar_member("train.bin", train) + tar_member("test.bin", test);
    CHECK(load(both + tar_end()).train.size() == 1);  // not compressed, without a folder
    refuses(tar_member("a/train.bin", train) + tar_member("b/train.bin", train) + tar_end(), "DUP",
            "a.tar.gz/train.bin: is in the archive twice");
    refuses(tar_member("train.bin", train) + tar_end(), "MISSING",
            "a.tar.gz: holds no test.bin; CIFAR-100 needs train.bin");
    refuses(tar_end(), "MISSING", "holds no train.bin, test.bin;");
    refuses(bytes_of(std::string(2000, 'x')), "MAGIC", "is no tar archive");
    // Links are not followed.
    Bytes link = tar_header("test.bin", 0, '2');
    put_text(link, 157, scratch.write("elsewhere", test));
    set_tar_checksum(link, 0);
    refuses(tar_member("train.bin", train) + link + tar_end(), "MISSING", "holds no test.bin;");
    // A damaged record names the member and the record; more records than the set has are refused before they are read.
    Bytes damaged = train;
    damaged[0] = 21;
    refuses(tar_member("train.bin", damaged) + tar_end(), "VALUE", "a.tar.gz/train.bin: record 0: superclass 21");
    const Bytes many = tar_header("train.bin", 60001 * 3074) + Bytes(100000);
    refuses(many, "TRUNC", "a size of 184443074 bytes, but there are at most 100000");
    refuses(gzipped(many + Bytes(400000), 0), "LIMIT",
            "train.bin: has 184443074 bytes; at most 184440000 are accepted");
}

TEST_CASE("cifar: cuts, flipped bits and lengths, in files and archives", "[data][cifar][A11]") {
    const NoOtherData machine;
    const ScratchFolder& scratch = machine.scratch;
    const ErrorText errors;
    const Bytes hundred = records(kCifar100, {19, 29}), ten = records(kCifar10, {3, 4});
    // Every cut is refused, but for the one between two records: such a file is a smaller one.
    CHECK(sweep(hundred, 2, {}, false, [](const Bytes& b) { parse(b, kCifar100); }) >= 2 * 3074 - 2);
    CHECK(sweep(ten, 1, {}, false, [](const Bytes& b) { parse(b, kCifar10); }) >= 2 * 3073 - 2);
    const Bytes one = records(kCifar100, {19});
    sweep(one, 2, {}, true, [](const Bytes& b) { parse(b, kCifar100); });
    sweep(gzipped(hundred), 10, {}, true, [&](const Bytes& b) { read_cifar(scratch.write("a.bin.gz", b), kCifar100); });
    const auto load = [&](const Bytes& b) { load_images("cifar-100", offline(scratch.write("a.tar.gz", b))); };
    sweep(archive_of("cifar-100-binary", {{"train.bin", hundred}, {"test.bin", one}}), 20, {}, true, load);
    const Bytes plain = tar_member("train.bin", one) + tar_member("test.bin", hundred) + Bytes(512);
    for (size_t at = 0; at < plain.size(); at += 61) {
        CHECK_FALSE(kind_of([&] { load(Bytes(plain.begin(), plain.begin() + std::ptrdiff_t(at))); }).empty());
    }
    for (size_t at = 0; at < 512; at++) {
        Bytes changed = plain;
        changed[at] ^= 0x11;
        CHECK_FALSE(kind_of([&] { load(changed); }).empty());  // the header's checksum sees it
    }
    // Not files at all.
    CHECK(kind_of([&] { read_cifar(scratch.path, kCifar10); }) == "IO");
    CHECK(kind_of([&] { read_cifar(scratch / "nowhere", kCifar10); }) == "IO");
}

TEST_CASE("cifar: memory follows the limits, and a bomb costs no more than a data set", "[data][cifar][G6]") {
#ifdef __SANITIZE_ADDRESS__
    SKIP_TEST("AddressSanitizer's own memory would be measured");
#else
    const NoOtherData machine;
    const ScratchFolder& scratch = machine.scratch;
    Bytes train;
    for (int i = 0; i < 10000; i++) {
        train.push_back(superclass_of(i % 100));
        train.push_back(uint8_t(i % 100));
        for (size_t j = 0; j < kPixels; j++) train.push_back(uint8_t(size_t(i) * j >> 3));
    }
    const Files files = {{"train.bin", train}, {"test.bin", records(kCifar100, {1})}};
    write_folder(scratch, "a/cifar-100", files);
    scratch.write("b/cifar-100-binary.tar.gz", archive_of("cifar-100-binary", files));
    const long file_kb = long(train.size() / 1024), image_kb = 3072 * long(sizeof(real)) / 1024;
    for (const std::string dir : {"a", "b"}) {
        DataOptions options = offline(scratch / dir);
        options.train_limit = 100;
        // A plain file doubles its buffer while it grows; the archive says beforehand how long it is.
        CHECK(added_kb([&] { load_images("cifar-100", options); }) <
              (dir == "a" ? 2 : 1) * file_kb + 100 * image_kb + 8192);
    }
    const std::string bomb = scratch.write("bomb.bin.gz", gzipped(Bytes(400 << 20)));
    CHECK(kind_of([&] { read_cifar(bomb, kCifar100); }) == "LIMIT");
#endif
}

TEST_CASE("the real cifar-100 loads", "[data][cifar][real]") {
    if (!std::getenv("KOINE_DATA")) SKIP_TEST("KOINE_DATA is not set");
    DataOptions options;
    options.is_offline = true;
    ImageSet set, coarse;
    try {
        set = load_images("cifar-100", options);
        coarse = load_images("cifar-100-coarse", options);
    } catch (const DataError& error) {
        if (error.kind != "MISSING") throw;
        SKIP_TEST(error.what());
    }
    REQUIRE(set.train.size() >= 10000);
    REQUIRE(set.test.size() >= 5000);
    CHECK(set.train.images.shape.str() == "[" + std::to_string(set.train.size()) + ", 32, 32, 3]");
    // What numpy finds in the first 10000 and 5000 records of the official files.
    const auto begins = [](const std::vector<int32_t>& labels, const std::vector<int32_t>& first) {
        return std::equal(first.begin(), first.end(), labels.begin());
    };
    CHECK(begins(set.train.labels, {19, 29, 0, 11, 1, 86, 90, 28, 23, 31}));
    CHECK(begins(set.test.labels, {49, 33, 72, 51, 71, 92, 15, 14, 23, 0}));
    CHECK(begins(coarse.train.labels, {11, 15, 4, 14, 1, 5, 18, 3, 10, 11}));
    CHECK(begins(coarse.test.labels, {10, 10, 0, 4, 10, 2, 11, 7, 10, 4}));
    const auto counts = [](const std::vector<int32_t>& labels, int n, int n_classes) {
        std::vector<int> count(static_cast<size_t>(n_classes));
        for (int i = 0; i < n; i++) count[size_t(labels[size_t(i)])]++;
        const auto [least, most] = std::minmax_element(count.begin(), count.end());
        return std::pair(*least, *most);
    };
    CHECK(counts(set.train.labels, 10000, 100) == std::pair(67, 125));
    CHECK(counts(set.test.labels, 5000, 100) == std::pair(36, 60));
    CHECK(counts(coarse.train.labels, 10000, 20) == std::pair(456, 539));
    CHECK(counts(coarse.test.labels, 5000, 20) == std::pair(229, 267));
    const auto bytes_of_image = [](const ImageSplit& split, int64_t i) {
        std::vector<int64_t> bytes;
        for (real x : split.images.slice(0, i, i + 1).to_vector()) bytes.push_back(std::llround(double(x) * 255));
        return bytes;
    };
    const auto checksum = [&](const ImageSplit& split, int64_t i) {
        const auto bytes = bytes_of_image(split, i);
        int64_t sum = 0;
        for (size_t j = 0; j < bytes.size(); j++) sum += bytes[j] * int64_t(j % 251 + 1);
        return sum;
    };
    CHECK(checksum(set.train, 0) == 52390903);
    CHECK(checksum(set.train, 1234) == 58668548);
    CHECK(checksum(set.test, 0) == 69130398);
    CHECK(checksum(set.test, 1234) == 45170966);
    const auto sums = [&](const ImageSplit& split, int64_t n) {  // red, green, blue
        std::vector<int64_t> sum(3);
        const real* x = split.images.data();
        for (int64_t j = 0; j < n * int64_t(kPixels); j++) sum[size_t(j % 3)] += std::llround(double(x[j]) * 255);
        return sum;
    };
    CHECK(sums(set.train, 10000) == std::vector<int64_t>{1320984704, 1268926251, 1151839753});
    CHECK(sums(set.test, 5000) == std::vector<int64_t>{664791378, 636090586, 576316987});
    if (set.class_names[0] != "0") {
        CHECK(set.class_names[size_t(set.train.labels[0])] == "cattle");
        CHECK(coarse.class_names[size_t(coarse.train.labels[0])] == "large_omnivores_and_herbivores");
    }
    CHECK(mentions(set.source, "not all of") == (set.train.size() != 50000 || set.test.size() != 10000));
}
