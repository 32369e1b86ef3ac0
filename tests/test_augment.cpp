// data/augment.h: what may happen to an image, how often, and what it depends on; data/prefetch.h: batches made ahead.
#include <atomic>
#include <chrono>
#include <cmath>
#include <map>
#include <set>
#include <thread>

#include "data/augment.h"
#include "data/prefetch.h"
#include "tests/catch.h"

using namespace koine;

namespace {

const ChannelStatistics kPlain{{0, 0}, {1, 1}};

// Images [n, 3, 4, 2] whose pixels say where they are: image * 100 + row * 10 + column + 1, the second channel
// negative.
Tensor placed_images(int64_t n) {
    const Tensor t = Tensor::empty({n, 3, 4, 2});
    for (int64_t i = 0; i < t.numel() / 2; i++) {
        const int64_t value = i / 12 * 100 + i % 12 / 4 * 10 + i % 4 + 1;
        t.data()[2 * i] = real(value);
        t.data()[2 * i + 1] = real(-value);
    }
    return t;
}

// The image of placed_images that is number `image`, moved and mirrored.
std::vector<real> moved(int64_t image, int64_t down, int64_t right, bool flips) {
    std::vector<real> pixels;
    for (int64_t i = 0; i < 3; i++) {
        for (int64_t j = 0; j < 4; j++) {
            const int64_t row = i + down, column = (flips ? 3 - j : j) + right;
            const bool is_inside = row >= 0 && row < 3 && column >= 0 && column < 4;
            const real value = is_inside ? real(image * 100 + row * 10 + column + 1) : real(0);
            pixels.push_back(value);
            pixels.push_back(value == 0 ? value : -value);
        }
    }
    return pixels;
}

Batch numbered(int64_t i) { return {Tensor::scalar(real(i)), Indices(std::vector<int32_t>{int32_t(i)})}; }

}  // namespace

TEST_CASE("channels are brought to mean 0 and deviation 1", "[data][augment]") {
    const Tensor images = Tensor::from({1, 7, 3, 7, 5, 7, 7, 7}, {2, 1, 2, 2});
    const ChannelStatistics s = channel_statistics(images);
    CHECK(s.mean == std::vector<real>{4, 7});
    CHECK(s.deviation[0] == Approx(std::sqrt(5.0)));
    CHECK(s.deviation[1] == 1);  // the same everywhere
    const std::vector<real> y = normalised(images, s).to_vector();
    for (size_t i = 0; i < 4; i++) {
        CHECK(y[2 * i] == Approx((2.0 * double(i) - 3) / std::sqrt(5.0)));
        CHECK(y[2 * i + 1] == 0);
    }
    CHECK_THROWS_AS(channel_statistics(Tensor::zeros({0, 2, 2, 1})), ShapeError);
    CHECK_THROWS_AS(channel_statistics(Tensor::zeros({2, 2})), ShapeError);
}

TEST_CASE("an augmented image is the image, shifted and mirrored", "[data][augment]") {
    const Tensor images = placed_images(3);
    std::map<std::vector<real>, int> expected;  // every outcome of image 2, by its pixels
    for (int64_t down = -2; down <= 2; down++) {
        for (int64_t right = -2; right <= 2; right++) {
            for (bool flips : {false, true}) expected[moved(2, down, right, flips)] = 0;
        }
    }
    REQUIRE(expected.size() == 50);
    constexpr int kEpochs = 5000;
    for (int64_t epoch = 0; epoch < kEpochs; epoch++) {
        const std::vector<int32_t> rows{2};
        const auto found = expected.find(augment(images, rows, {2, true, kPlain}, 1, epoch).to_vector());
        REQUIRE(found != expected.end());
        found->second++;
    }
    // 100 times each: a binomial number with deviation 10, five of which are not reached in 50 tries.
    for (const auto& [pixels, n] : expected) CHECK(std::abs(n - kEpochs / 50) < 50);

    const std::vector<int32_t> all{2, 0, 1};
    const Tensor as_it_is = augment(images, all, {0, false, kPlain}, 1, 0);
    CHECK(as_it_is.to_vector() == gather_rows(images, all).to_vector());
}

TEST_CASE("what moves in from outside is black before it is normalised", "[data][augment]") {
    const Tensor images = Tensor::full({1, 2, 2, 1}, 3);
    std::set<real> values;
    const std::vector<int32_t> rows{0};
    for (int64_t epoch = 0; epoch < 20; epoch++) {
        for (real v : augment(images, rows, {1, false, {{1}, {2}}}, 0, epoch).to_vector()) values.insert(v);
    }
    CHECK(values == std::set<real>{real(-0.5), 1});
}

TEST_CASE("augmentation depends on seed, epoch and index alone", "[data][augment]") {
    const Tensor images = placed_images(40);
    const Augmentation how{2, true, kPlain};
    std::vector<int32_t> rows(40);
    for (int32_t i = 0; i < 40; i++) rows[size_t(i)] = i;
    const Tensor whole = augment(images, rows, how, 7, 3);
    for (int32_t i : {0, 11, 39}) {
        const std::vector<int32_t> one{i};
        CHECK(augment(images, one, how, 7, 3).to_vector() == whole.slice(0, i, i + 1).to_vector());
    }
    CHECK(augment(images, rows, how, 7, 3).to_vector() == whole.to_vector());
    CHECK(augment(images, rows, how, 7, 4).to_vector() != whole.to_vector());
    CHECK(augment(images, rows, how, 8, 3).to_vector() != whole.to_vector());
}

TEST_CASE("augmentation refuses what it cannot do", "[data][augment]") {
    const Tensor images = placed_images(2);
    const std::vector<int32_t> rows{0}, outside{0, 2};
    CHECK_THROWS_WITH(augment(images, outside, {0, false, kPlain}, 0, 0), "augment: row 2 of 2");
    CHECK_THROWS_AS(augment(images, rows, {4, false, kPlain}, 0, 0), ValueError);
    CHECK_THROWS_AS(augment(images, rows, {-1, false, kPlain}, 0, 0), ValueError);
    CHECK_THROWS_AS(augment(images, rows, {0, false, {{0}, {1}}}, 0, 0), ValueError);
    CHECK_THROWS_AS(augment(images, rows, {0, false, {{0, 0}, {1, 0}}}, 0, 0), ValueError);
    CHECK_THROWS_AS(augment(images.flatten(1), rows, {0, false, kPlain}, 0, 0), ShapeError);
}

TEST_CASE("prefetched batches come in order, each made once", "[data][prefetch][threads]") {
    for (int n_workers : {1, 2, 5}) {
        std::vector<std::atomic<int>> n_made(50);
        std::atomic<int64_t> n_given = 0;
        std::atomic<bool> is_too_early = false, is_alone = true;
        Prefetch batches(
            3, 50,
            [&](int64_t i) {
                n_made[size_t(i)]++;
                if (i - 3 >= n_given + 1 + 4) is_too_early = true;  // one is on its way out
                if (!in_task) is_alone = false;
                std::this_thread::sleep_for(std::chrono::microseconds(i * 37 % 11 * 50));
                return numbered(i);
            },
            n_workers, 4);
        int64_t expected = 3;
        for (Batch batch; batches.next(batch); n_given++, expected++) {
            REQUIRE(batch.labels.to_vector() == std::vector<int32_t>{int32_t(expected)});
            REQUIRE(batch.size() == 1);
        }
        CHECK(expected == 50);
        for (size_t i = 3; i < 50; i++) CHECK(n_made[i] == 1);
        CHECK_FALSE(is_too_early);
        CHECK(is_alone);  // loops inside make() start no threads
        Batch batch;
        CHECK_FALSE(batches.next(batch));
    }
}

TEST_CASE("a batch that cannot be made fails when it is asked for", "[data][prefetch][threads]") {
    Prefetch batches(0, 4, [](int64_t i) {
        if (i == 1) throw ValueError("batch 1 is broken");
        return numbered(i);
    });
    Batch batch;
    REQUIRE(batches.next(batch));
    CHECK_THROWS_WITH(batches.next(batch), "batch 1 is broken");
    REQUIRE(batches.next(batch));
    CHECK(batch.labels.to_vector() == std::vector<int32_t>{2});
}

TEST_CASE("a prefetch may be left at any time", "[data][prefetch][threads]") {
    std::atomic<int> n_made = 0;
    const auto make = [&](int64_t i) {
        n_made++;
        return numbered(i);
    };
    { Prefetch unused(0, 1000, make, 3, 2); }
    CHECK(n_made <= 2);
    {
        Prefetch one(0, 1000, make, 3, 2);
        Batch batch;
        REQUIRE(one.next(batch));
    }
    CHECK(n_made <= 2 + 3);
    Prefetch none(5, 5, make);
    Batch batch;
    CHECK_FALSE(none.next(batch));
    CHECK_THROWS_AS(Prefetch(0, 1, make, 0), ValueError);
    CHECK_THROWS_AS(Prefetch(0, 1, make, 1, 0), ValueError);
}
