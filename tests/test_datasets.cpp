// Orders and batches, drawn digits, and finding and loading image sets.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "data/batches.h"
#include "data/synthetic.h"
#include "tests/datasets_common.h"

using namespace koine;
using namespace koine::testing;

namespace {

/// A small set in the four official files: image i of a split is filled with i, its label is (i + shift) mod 10.
void write_idx_set(const ScratchFolder& scratch, const std::string& folder, uint32_t n_train, uint32_t n_test,
                   uint8_t shift, const std::string& separator = "-", const std::string& ending = ".gz") {
    for (const auto& [stem, n] : {std::pair{"train", n_train}, {"t10k", n_test}}) {
        Bytes pixels, labels;
        for (uint32_t i = 0; i < n; i++) {
            pixels.insert(pixels.end(), 4, uint8_t(i));
            labels.push_back(uint8_t((i + shift) % 10));
        }
        const auto packed = [&](const Bytes& file) { return ending.empty() ? file : gzipped(file); };
        const std::string base = folder + "/" + stem;
        scratch.write(base + "-images" + separator + "idx3-ubyte" + ending, packed(idx_bytes({n, 2, 2}, pixels)));
        scratch.write(base + "-labels" + separator + "idx1-ubyte" + ending, packed(idx_bytes({n}, labels)));
    }
}

/// The form of the subset: pixel values, then the label; `n` rows of label i mod 10.
Bytes pixel_csv(int n, const std::string& last_pixel = "255") {
    std::string text;
    for (int i = 0; i < n; i++) {
        for (int pixel = 0; pixel < 783; pixel++) text += std::to_string(i % 256) + ",";
        text += last_pixel + "," + std::to_string(i % 10) + "\n";
    }
    return bytes_of(text);
}

}  // namespace

TEST_CASE("the order of an epoch is a permutation that depends on seed and epoch alone", "[data]") {
    const auto order = epoch_order(1000, 7, 3);
    auto sorted = order;
    std::sort(sorted.begin(), sorted.end());
    std::vector<int32_t> all(1000);
    std::iota(all.begin(), all.end(), 0);
    CHECK(sorted == all);
    CHECK(order != all);
    CHECK(order == epoch_order(1000, 7, 3));
    CHECK(order != epoch_order(1000, 7, 4));
    CHECK(order != epoch_order(1000, 8, 3));
    CHECK(epoch_order(0, 7, 3).empty());
    CHECK(epoch_order(1, 7, 3) == std::vector<int32_t>{0});
    CHECK_THROWS_AS(epoch_order(-1, 0, 0), ValueError);
    CHECK_THROWS_AS(epoch_order(int64_t{1} << 31, 0, 0), ValueError);
}

TEST_CASE("all orders are equally likely", "[data]") {
    // 24 orders of 4, 24000 draws: chi squared with 23 degrees of freedom is below 49.7 in 999 of 1000 cases.
    std::map<std::vector<int32_t>, int> counts;
    for (int64_t epoch = 0; epoch < 24000; epoch++) counts[epoch_order(4, 0, epoch)]++;
    REQUIRE(counts.size() == 24);
    double chi2 = 0;
    for (const auto& [order, count] : counts) chi2 += (count - 1000.0) * (count - 1000.0) / 1000.0;
    CHECK(chi2 < 49.7);
}

TEST_CASE("batches visit every sample once; the rest is a batch or is dropped", "[data][M5]") {
    const auto order = epoch_order(10, 0, 0);
    std::vector<int32_t> seen;
    std::vector<size_t> sizes;
    for (auto rows : Batches(order, 4)) {
        seen.insert(seen.end(), rows.begin(), rows.end());
        sizes.push_back(rows.size());
    }
    CHECK(seen == order);
    CHECK_OK(sizes == std::vector<size_t>{4, 4, 2});
    CHECK(Batches(order, 4, true).size() == 2);
    CHECK(Batches(order, 5).size() == 2);
    CHECK(Batches(order, 5, true).size() == 2);
    CHECK(Batches(order, 11).size() == 1);
    CHECK(Batches(order, 11, true).size() == 0);
    CHECK(Batches({}, 4).size() == 0);
    CHECK_ERROR(Batches(order, 0), ValueError, "0");
    CHECK_ERROR(Batches(order, 4)[3], ValueError, "3");
}

TEST_CASE("rows are gathered into a batch", "[data]") {
    const Tensor x = Tensor::from({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {3, 2, 2, 1});
    const std::vector<int32_t> rows = {2, 0, 2, 1};
    const Tensor y = gather_rows(x, rows);
    CHECK(y.shape == Shape{4, 2, 2, 1});
    CHECK(y.to_vector() == std::vector<real>{8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7});
    CHECK(gather_rows(x, {}).shape == Shape{0, 2, 2, 1});
    const std::vector<int32_t> labels = {7, 8, 9};
    CHECK(gather_rows(labels, rows).to_vector() == std::vector<int32_t>{9, 7, 9, 8});
    for (int32_t bad : {-1, 3}) {
        CHECK_ERROR(gather_rows(x, std::vector<int32_t>{0, bad}), ValueError, "row " + std::to_string(bad) + " of 3");
        CHECK_THROWS_AS(gather_rows(labels, std::vector<int32_t>{bad}), ValueError);
    }
    CHECK_THROWS_AS(gather_rows(Tensor::scalar(1), rows), ShapeError);
    CHECK_THROWS_AS(gather_rows(x.transpose(0, 1), rows), ValueError);
}

TEST_CASE("drawn digits: deterministic, balanced, dark in the corners, different from class to class", "[data]") {
    const ImageSet a = synthetic_digits(200, 50, 1), b = synthetic_digits(200, 50, 1), c = synthetic_digits(200, 50, 2);
    CHECK(a.hash == b.hash);
    CHECK(a.hash != c.hash);
    CHECK(a.train.images.to_vector() == b.train.images.to_vector());
    CHECK(a.train.images.shape == Shape{200, 28, 28, 1});
    CHECK(a.test.size() == 50);
    CHECK(a.n_classes == 10);
    // A split does not depend on the size of the other one.
    const ImageSet fewer = synthetic_digits(10, 50, 1);
    CHECK(fewer.test.images.to_vector() == a.test.images.to_vector());
    for (const ImageSplit* split : {&a.train, &a.test}) {
        for (int32_t label = 0; label < 10; label++) {
            CHECK(std::count(split->labels.begin(), split->labels.end(), label) == split->size() / 10);
        }
    }
    const auto pixels = a.train.images.to_vector();
    std::set<std::vector<real>> different;
    for (const ImageSplit* split : {&a.train, &a.test}) {
        for (int64_t i = 0; i < split->size(); i++) different.insert(split->images.slice(0, i, i + 1).to_vector());
    }
    CHECK(different.size() == 250);
    CHECK(*std::min_element(pixels.begin(), pixels.end()) == 0);
    CHECK(*std::max_element(pixels.begin(), pixels.end()) <= 1);
    const double mean = std::accumulate(pixels.begin(), pixels.end(), 0.0) / double(pixels.size());
    CHECK(mean > 0.05);
    CHECK(mean < 0.25);  // MNIST: 0.13
    real corners = 0;
    for (size_t i = 0; i < 200; i++)
        corners = std::max({corners, pixels[784 * i], pixels[784 * i + 27], pixels[784 * i + 783]});
    CHECK(corners == 0);
    // The nearest class mean of the training images names most of the test images: the classes are really there.
    std::vector<std::vector<double>> means(10, std::vector<double>(784));
    for (size_t i = 0; i < pixels.size(); i++) means[size_t(a.train.labels[i / 784])][i % 784] += pixels[i] / 20.0;
    const auto test = a.test.images.to_vector();
    int n_right = 0;
    for (size_t i = 0; i < 50; i++) {
        std::vector<double> distance(10);
        for (size_t label = 0; label < 10; label++) {
            for (size_t p = 0; p < 784; p++) distance[label] += std::pow(test[784 * i + p] - means[label][p], 2);
        }
        n_right += std::min_element(distance.begin(), distance.end()) - distance.begin() == a.test.labels[i];
    }
    CHECK(n_right >= 35);
    CHECK(synthetic_digits(0, 0, 0).train.images.shape == Shape{0, 28, 28, 1});
    CHECK_THROWS_AS(synthetic_digits(-1, 0, 0), ValueError);
}

TEST_CASE("image sets are found in every spelling and layout", "[data]") {
    const NoOtherData machine;
    const ScratchFolder& scratch = machine.scratch;
    for (const std::string separator : {"-", "."}) {
        for (const std::string ending : {"", ".gz"}) {
            for (const std::string folder : {"mnist", "MNIST/raw", "."}) {
                const std::string root = "root" + separator + ending + std::to_string(folder.size());
                write_idx_set(scratch, root + "/" + folder, 20, 10, 1, separator, ending);
                const ImageSet set = load_images("mnist", offline(scratch / root));
                CHECK(set.train.images.shape == Shape{20, 2, 2, 1});
                CHECK(set.test.size() == 10);
                CHECK(set.train.labels[3] == 4);
                CHECK(set.train.ids[3] == 3);
                CHECK(set.train.images.at({3, 1, 1, 0}) == real(3) / real(255));
                CHECK(set.n_official == 60000);
                CHECK(set.class_names == numbered_names(10));
                CHECK(mentions(set.source, "20 training and 10 test images (not all of the official 60000 and 10000)"));
            }
        }
    }
}

TEST_CASE("--data comes first, then $KOINE_DATA, then the cache; incomplete folders do not count", "[data]") {
    const NoOtherData machine;
    const ScratchFolder& scratch = machine.scratch;
    write_idx_set(scratch, "cache/koine/mnist", 13, 10, 1);
    CHECK(load_mnist(offline("")).train.size() == 13);
    write_idx_set(scratch, "env/mnist", 12, 10, 1);
    const EnvironmentVariable data("KOINE_DATA", scratch / "env");
    CHECK(load_mnist(offline("")).train.size() == 12);
    write_idx_set(scratch, "dir/mnist", 11, 10, 1);
    CHECK(load_mnist(offline(scratch / "dir")).train.size() == 11);
    std::filesystem::remove(scratch / "dir/mnist/t10k-labels-idx1-ubyte.gz");
    CHECK(load_mnist(offline(scratch / "dir")).train.size() == 12);
    // Only --data may name the folder of the files itself.
    const EnvironmentVariable flat("KOINE_DATA", scratch / "env/mnist");
    CHECK(load_mnist(offline("")).train.size() == 13);
}

TEST_CASE("limits take the first of one fixed shuffle", "[data]") {
    const NoOtherData machine;
    write_idx_set(machine.scratch, "dir/fashion-mnist", 200, 50, 1);
    DataOptions options = offline(machine.scratch / "dir");
    const ImageSet all = load_images("fashion-mnist", options);
    options.train_limit = 30;
    options.test_limit = 20;
    const ImageSet some = load_images("fashion-mnist", options);
    CHECK(some.train.size() == 30);
    CHECK(some.test.size() == 20);
    CHECK(some.hash == all.hash);  // it names the files, not the selection
    CHECK(some.train.ids != std::vector<int32_t>(all.train.ids.begin(), all.train.ids.begin() + 30));
    options.train_limit = 40;
    const ImageSet more = load_images("fashion-mnist", options);
    CHECK(std::equal(some.train.ids.begin(), some.train.ids.end(), more.train.ids.begin()));
    for (int64_t i = 0; i < 30; i++) {
        const int32_t id = some.train.ids[size_t(i)];
        CHECK(some.train.images.at({i, 0, 0, 0}) == all.train.images.at({id, 0, 0, 0}));
        CHECK(some.train.labels[size_t(i)] == all.train.labels[size_t(id)]);
    }
    options.train_limit = 1000;
    CHECK(load_images("fashion-mnist", options).train.size() == 200);
    options.train_limit = -1;
    CHECK_THROWS_AS(load_images("fashion-mnist", options), ValueError);
}

TEST_CASE("colours lie last, whatever their order in the file", "[data]") {
    // Two images of 1 x 2 pixels, three colours: red 0 1, green 2 3, blue 4 5, then the same plus 6.
    const LabelledImages from = {{{2, 3, 1, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}, {7, 8}};
    const ImageSplit split = make_split(from, {1, 0, 1});
    CHECK(split.images.shape == Shape{3, 1, 2, 3});
    std::vector<real> expected;
    for (int byte : {6, 8, 10, 7, 9, 11, 0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11})
        expected.push_back(real(byte) / real(255));
    CHECK(split.images.to_vector() == expected);
    CHECK(split.labels == std::vector<int32_t>{8, 7, 8});
    CHECK(split.ids == std::vector<int32_t>{1, 0, 1});
}

TEST_CASE("offline, a missing set is an error that says where it looked and what to type", "[data][offline]") {
    const NoOtherData machine;
    for (const std::string name : {"mnist", "fashion-mnist", "cifar-10", "cifar-100"}) {
        const DataOptions options = offline(machine.scratch / "my data");
        CHECK(kind_of([&] { load_images(name, options); }) == "MISSING");
        CHECK_ERROR(load_images(name, options), DataError,
                    machine.scratch / "my data" + ", " + (machine.scratch / "cache/koine"));
        CHECK_ERROR(load_images(name, options), DataError,
                    "data/fetch.sh " + name + " --to '" + (machine.scratch / "my data") + "'");
    }
    CHECK_FALSE(std::filesystem::exists(machine.scratch / "my data"));
    CHECK_ERROR(load_images("minst", {}), ValueError,
                "there are mnist, fashion-mnist, cifar-10, cifar-100, cifar-100-coarse, synthetic");
}

TEST_CASE("files of another set under the same names are recognised", "[data]") {
    const NoOtherData machine;
    const ScratchFolder& scratch = machine.scratch;
    write_idx_set(scratch, "dir/mnist", 20, 10, 1);
    // Fashion-MNIST's first test labels, in MNIST's folder.
    scratch.write("dir/mnist/t10k-labels-idx1-ubyte.gz", idx_bytes({10}, {9, 2, 1, 1, 6, 1, 4, 6, 5, 7}));
    CHECK_ERROR(load_mnist(offline(scratch / "dir")), DataError,
                "these are the labels of Fashion-MNIST, expected MNIST");
    // Its own labels are fine.
    scratch.write("dir/mnist/t10k-labels-idx1-ubyte.gz", idx_bytes({10}, {7, 2, 1, 0, 4, 1, 4, 9, 5, 9}));
    CHECK(load_mnist(offline(scratch / "dir")).test.labels[3] == 0);
}

TEST_CASE("splits that do not fit together are refused", "[data][G13]") {
    const NoOtherData machine;
    const ScratchFolder& scratch = machine.scratch;
    write_idx_set(scratch, "dir/mnist", 20, 10, 1);
    scratch.write("dir/mnist/t10k-images-idx3-ubyte.gz", idx_bytes({10, 1, 4}, Bytes(40)));
    CHECK_ERROR(load_mnist(offline(scratch / "dir")), DataError, "its images have another size");
    scratch.write("dir/mnist/t10k-images-idx3-ubyte.gz", idx_bytes({9, 2, 2}, Bytes(36)));
    CHECK_ERROR(load_mnist(offline(scratch / "dir")), DataError, "count mismatch");
}

TEST_CASE("the 5000-image subset is used when nothing better is there, and named as such", "[data]") {
    const NoOtherData machine;
    const ScratchFolder& scratch = machine.scratch;
    scratch.write("dir/mnist/mnist_5k.csv.gz", gzipped(pixel_csv(50)));
    const ImageSet set = load_mnist(offline(scratch / "dir"));
    CHECK(set.train.images.shape == Shape{45, 28, 28, 1});
    CHECK(set.test.size() == 5);
    CHECK(set.n_official == 60000);
    CHECK(mentions(set.source,
                   "a subset of 50 of MNIST's 70000 images, 45 for training and 5 for testing by a fixed shuffle"));
    std::set<int32_t> ids(set.train.ids.begin(), set.train.ids.end());
    ids.insert(set.test.ids.begin(), set.test.ids.end());
    CHECK(ids.size() == 50);  // the splits share no image
    for (int64_t i = 0; i < 45; i++) {
        CHECK(set.train.labels[size_t(i)] == set.train.ids[size_t(i)] % 10);
        CHECK(set.train.images.at({i, 0, 0, 0}) == real(set.train.ids[size_t(i)]) / real(255));
        CHECK(set.train.images.at({i, 27, 27, 0}) == 1);
    }
    DataOptions options = offline(scratch / "dir");
    options.train_limit = 10;
    options.test_limit = 2;
    const ImageSet some = load_mnist(options);
    CHECK(some.train.ids == std::vector<int32_t>(set.train.ids.begin(), set.train.ids.begin() + 10));
    CHECK(some.test.ids == std::vector<int32_t>(set.test.ids.begin(), set.test.ids.begin() + 2));
    write_idx_set(scratch, "cache/koine/mnist", 13, 10, 1);
    CHECK(load_mnist(offline(scratch / "dir")).train.size() == 13);  // official files anywhere are better
}

TEST_CASE("a damaged subset is refused with line and field", "[data][D9]") {
    const NoOtherData machine;
    const ScratchFolder& scratch = machine.scratch;
    const DataOptions options = offline(scratch / "dir");
    scratch.write("dir/mnist/mnist_5k.csv.gz", pixel_csv(50, "256"));
    CHECK_ERROR(load_mnist(options), DataError, "line 1: field 784 is not an integer from 0 to 255");
    scratch.write("dir/mnist/mnist_5k.csv.gz", pixel_csv(50) + bytes_of("1,2,3\n"));
    CHECK_ERROR(load_mnist(options), DataError, "line 51: expected 784 pixels and a label, found 3 fields");
    scratch.write("dir/mnist/mnist_5k.csv.gz", pixel_csv(9));
    CHECK_ERROR(load_mnist(options), DataError, "has 9 images, at least 10 are expected");
    scratch.write("dir/mnist/mnist_5k.csv.gz", {});
    CHECK(kind_of([&] { load_mnist(options); }) == "SHAPE");
}

TEST_CASE("the drawn set is chosen by its name", "[data]") {
    DataOptions options;
    options.train_limit = 30;
    options.test_limit = 20;
    const ImageSet set = load_images("synthetic", options);
    CHECK(set.train.size() == 30);
    CHECK(set.test.size() == 20);
    CHECK(set.n_official == 0);  // they have no end
    CHECK(set.class_names == std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"});
    CHECK(mentions(set.source, "not handwriting"));
}

TEST_CASE("the real image sets load", "[data][real]") {
    if (!std::getenv("KOINE_DATA")) SKIP_TEST("KOINE_DATA is not set");
    DataOptions options;
    options.is_offline = true;
    options.train_limit = 1000;
    ImageSet mnist, fashion;
    try {
        mnist = load_mnist(options);
        fashion = load_fashion_mnist(options);
    } catch (const DataError& error) {
        if (error.kind != "MISSING") throw;
        SKIP_TEST(error.what());
    }
    for (const ImageSet* set : {&mnist, &fashion}) {
        CHECK(set->train.images.shape == Shape{1000, 28, 28, 1});
        CHECK(set->hash.size() == 16);
    }
    CHECK(mnist.hash != fashion.hash);
}
