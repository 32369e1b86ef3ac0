// Image sets: IDX, CIFAR, tar, gzip around them, the subset of MNIST in CSV.
#include "data/cifar.h"
#include "data/datasets.h"
#include "data/idx.h"
#include "tests/datasets_common.h"
#include "tests/hostile/formats.h"
#include "tests/tar_samples.h"

namespace koine::testing {
namespace {

/// n images of 3 x 4 pixels.
Bytes images(uint32_t n) {
    Bytes pixels(size_t{n} * 12);
    for (size_t i = 0; i < pixels.size(); i++) pixels[i] = uint8_t(i * 7);
    return idx_bytes({n, 3, 4}, pixels);
}

/// Records of CIFAR-10 or CIFAR-100 with these classes; class c has superclass c / 5.
Bytes records(const CifarFormat& format, const std::vector<uint8_t>& classes) {
    Bytes out;
    for (uint8_t c : classes) {
        if (format.n_superclasses > 0) out.push_back(uint8_t(c / 5));
        out.push_back(c);
        for (int i = 0; i < 3072; i++) out.push_back(uint8_t(i / 64 + c));
    }
    return out;
}

Bytes names(int n) {
    std::string text;
    for (int i = 0; i < n; i++) text += "class" + std::to_string(i) + "\n";
    return bytes_of(text);
}

/// Ten rows of 784 pixels and a label.
Bytes pixel_csv() {
    std::string text;
    for (int row = 0; row < 10; row++) {
        for (int i = 0; i < 784; i++) text += std::to_string(i % 28 == row ? 255 : 0) + ",";
        text += std::to_string(row) + "\n";
    }
    return bytes_of(text);
}

std::vector<LengthField> gzip_trailer(const Bytes& file) {
    return {{file.size() - 8, 4, false}, {file.size() - 4, 4, false}};
}

std::function<void(const std::string&)> loads(const std::string& set, const std::string& below = "") {
    return [=](const std::string& folder) { load_images(set, offline(folder + below)); };
}

}  // namespace

std::vector<Format> image_formats() {
    const Bytes two = images(2), labels = idx_bytes({2}, {3, 9}), packed = gzipped(two);
    const std::vector<LengthField> idx_fields = {{2, 1, true}, {3, 1, true}, {4, 4, true}, {8, 4, true}, {12, 4, true}};
    const auto reads_idx = [](const std::string& folder) { read_idx(folder + "/a.idx"); };
    const Bytes ten = records(kCifar10, {3}), hundred = records(kCifar100, {19}), other = records(kCifar100, {77});
    const Bytes archive =
        tar_member("cifar-100-binary/train.bin", hundred) + tar_member("cifar-100-binary/test.bin", other) + tar_end();
    const Bytes packed_archive = gzipped(archive), packed_ten = gzipped(ten), subset = gzipped(pixel_csv());
    const auto mnist_beside = std::vector<std::pair<std::string, Bytes>>{
        {"mnist/train-labels-idx1-ubyte", labels},
        {"mnist/t10k-images-idx3-ubyte", two},
        {"mnist/t10k-labels-idx1-ubyte", labels},
    };
    return {
        {.name = "IDX", .file = "a.idx", .good = two, .load = reads_idx, .header = 16, .fields = idx_fields},
        {.name = "IDX, gzip", .file = "a.idx", .good = packed, .load = reads_idx, .fields = gzip_trailer(packed)},
        {.name = "IDX, labels",
         .file = "labels",
         .good = labels,
         .load = [](const std::string& folder) { read_labelled_images(folder + "/images", folder + "/labels", 10); },
         .fields = {{4, 4, true}},
         .beside = {{"images", two}}},
        {.name = "MNIST folder",
         .file = "mnist/train-images-idx3-ubyte",
         .good = two,
         .load = loads("mnist"),
         .header = 16,
         .fields = idx_fields,
         .beside = mnist_beside},
        {.name = "MNIST subset, CSV in gzip",
         .file = "mnist/mnist_5k.csv.gz",
         .good = subset,
         .load = loads("mnist"),
         .header = 20,
         .fields = gzip_trailer(subset)},
        // No byte says how many records there are: half of two is one.
        {.name = "CIFAR-10 records",
         .file = "a.bin",
         .good = ten,
         .load = [](const std::string& folder) { read_cifar(folder + "/a.bin", kCifar10); },
         .header = 1},
        {.name = "CIFAR-10 records, gzip",
         .file = "a.bin",
         .good = packed_ten,
         .load = [](const std::string& folder) { read_cifar(folder + "/a.bin", kCifar10); },
         .header = 20,
         .fields = gzip_trailer(packed_ten)},
        {.name = "CIFAR-100 folder",
         .file = "cifar-100-binary/train.bin",
         .good = hundred,
         .load = loads("cifar-100"),
         .header = 2,
         .beside = {{"cifar-100-binary/test.bin", other}}},
        {.name = "CIFAR-100 names",
         .file = "cifar-100-binary/fine_label_names.txt",
         .good = names(100),
         .load = loads("cifar-100"),
         .header = 16,
         .refuses_cuts = false,
         .beside = {{"cifar-100-binary/train.bin", hundred}, {"cifar-100-binary/test.bin", other}},
         .may_be_missing = true},
        {.name = "CIFAR-100 archive, tar",
         .file = "cifar-100-binary.tar.gz",
         .good = archive,
         .load = loads("cifar-100"),
         .header = 512,
         .fields = {{124, 8, true}, {148, 8, true}, {512 + 7 * 512 + 124, 8, true}},
         .refuses_cuts = false},  // without its last block of zeros it is whole
        {.name = "CIFAR-100 archive, tar in gzip",
         .file = "cifar-100-binary.tar.gz",
         .good = packed_archive,
         .load = loads("cifar-100"),
         .header = 20,
         .fields = gzip_trailer(packed_archive)},
    };
}

}  // namespace koine::testing
