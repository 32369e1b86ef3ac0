// Fuzz target: whole sets of images, found in a folder. The first byte of the input chooses what the rest is: the four
// files of MNIST, its subset as a table, the files of CIFAR-100, an archive of CIFAR-10.
// A DataError is the right answer to a damaged set. Every other exception, and whatever the sanitizers see, is a
// finding. What is accepted must keep the promises of datasets.h.
#include "data/datasets.h"

#include "tensor/error.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;

namespace {

void check(const ImageSplit& split, int n_classes, int64_t n_channels) {
    const int64_t n = split.size();
    must(n >= 1 && split.images.shape.rank == 4 && split.images.shape[0] == n && split.images.shape[3] == n_channels);
    must(split.labels.size() == size_t(n) && split.ids.size() == size_t(n));
    must(std::all_of(split.labels.begin(), split.labels.end(), [&](int c) { return c >= 0 && c < n_classes; }));
    const real* x = split.images.data();
    must(std::all_of(x, x + split.images.numel(), [](real v) { return v >= 0 && v <= 1; }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    static FuzzFolder folder;
    static const bool is_alone = [] {
        for (const char* variable : {"KOINE_DATA", "HOME"}) unsetenv(variable);
        return setenv("XDG_CACHE_HOME", (folder / "none").c_str(), 1) == 0;
    }();
    must(is_alone);
    const ByteSpan rest(data + 1, size - 1);
    const std::vector<std::vector<std::string>> kSets = {
        {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"},
        {"mnist_5k.csv.gz"},
        {"train.bin", "test.bin", "fine_label_names.txt", "coarse_label_names.txt"},
        {"cifar-10-binary.tar.gz"}};
    const auto& names = kSets[data[0] % kSets.size()];
    const char* set = names.size() == 4 ? (names[0] == "train.bin" ? "cifar-100" : "mnist")
                                        : (names[0] == "mnist_5k.csv.gz" ? "mnist" : "cifar-10");
    const std::string name = std::string(set) == "cifar-100" && (data[0] & 8) ? "cifar-100-coarse" : set;
    const auto parts = parts_of(rest, names.size());
    folder.clear();
    for (size_t i = 0; i < names.size(); i++) {
        if (!parts[i].empty()) folder.put(names[i], parts[i]);
    }
    DataOptions options;
    options.dir = folder.path;
    options.is_offline = true;
    options.train_limit = data[0] & 4 ? 1 : 0;
    try {
        const ImageSet images = load_images(name, options);
        const int64_t n_channels = images.name == "mnist" ? 1 : 3;
        check(images.train, images.n_classes, n_channels);
        check(images.test, images.n_classes, n_channels);
        must(images.class_names.size() == size_t(images.n_classes) && images.hash.size() == 16);
        must(options.train_limit == 0 || images.train.size() == 1);
    } catch (const DataError&) {
    }
    return 0;
}
