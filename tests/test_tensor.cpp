// Shapes, views, copies, the pool, printing.
#include "tensor/tensor.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <thread>

#include "tests/catch.h"

using namespace koine;

namespace {
Tensor counting(const Shape& shape) {
    std::vector<real> values(static_cast<size_t>(shape.numel()));
    std::iota(values.begin(), values.end(), real(0));
    return Tensor::from(values, shape);
}
}  // namespace

TEST_CASE("shapes count, index and broadcast", "[tensor]") {
    CHECK(Shape{2, 3, 4}.numel() == 24);
    CHECK(Shape{}.numel() == 1);
    CHECK(Shape{2, 0}.numel() == 0);
    CHECK(Shape{2, 3}[-1] == 3);
    CHECK_ERROR((Shape{2, 3}[2]), ShapeError, "axis 2 of shape [2, 3]");
    CHECK_ERROR((Shape{2, -3}), ShapeError, "negative extent -3");
    CHECK(broadcast("op", {4, 1, 3}, {2, 1}) == Shape{4, 2, 3});
    CHECK(broadcast("op", {0, 3}, {1, 3}) == Shape{0, 3});
    CHECK_ERROR(broadcast("op", {2, 3}, {3, 2}), ShapeError,
                "op: [2, 3] and [3, 2] do not broadcast: axis -1 has extents 3 and 2");
}

TEST_CASE("views share memory and see the right elements", "[tensor]") {
    const Tensor x = counting({2, 3, 4});
    CHECK(x.transpose(0, 2).at({3, 1, 0}) == 7);
    CHECK(x.slice(1, 1, 3).at({1, 0, 2}) == 18);
    CHECK(x.reshape({6, 4}).at({5, 3}) == 23);
    CHECK(x.flatten(1).shape == Shape{2, 12});
    CHECK(x.transpose(0, 1).flatten().to_vector()[4] == 12);  // a copy: row-major order of the view
    CHECK(counting({3, 1}).expand({2, 3, 4}).at({1, 2, 3}) == 2);
    x.slice(0, 0, 1).fill(-1);
    CHECK(x.at({0, 2, 3}) == -1);
    CHECK(x.at({1, 0, 0}) == 12);
    CHECK(x.reshape({24}).storage == x.storage);
    CHECK_FALSE(x.transpose(0, 1).is_contiguous());
    CHECK(x.transpose(0, 1).contiguous().is_contiguous());
    CHECK_ERROR(x.at({2, 0, 0}), ShapeError, "slice");
    CHECK_ERROR(x.item(), ShapeError, "[2, 3, 4] has more than one element");
    CHECK_ERROR(Tensor::from({1, 2, 3}, {2, 2}), ShapeError, "3 values for shape [2, 2]");
}

TEST_CASE("copies reach every element whatever the strides", "[tensor]") {
    // More elements than one row of a Walk, odd extents, both sides permuted.
    const Tensor x = counting({7, 130, 11});
    const Tensor y = Tensor::empty({11, 7, 130});
    const std::vector<int> axes{2, 0, 1};
    y.copy_from(x.permute(axes));
    bool all_equal = true;
    for (int64_t i = 0; i < 7; i++)
        for (int64_t j = 0; j < 130; j++)
            for (int64_t k = 0; k < 11; k++)
                all_equal = all_equal && y.data()[(k * 7 + i) * 130 + j] == x.data()[(i * 130 + j) * 11 + k];
    CHECK(all_equal);
    CHECK(counting({9001}).clone().to_vector() == counting({9001}).to_vector());
    CHECK_ERROR(y.copy_from(x), ShapeError, "copy: from [7, 130, 11] to [11, 7, 130]");
}

TEST_CASE("the pool hands freed memory out again", "[tensor][A16]") {
    Tensor::empty({1000, 3});
    const int64_t misses = pool().misses, in_use = pool().bytes_in_use;
    for (int i = 0; i < 10; i++) {
        const Tensor a = Tensor::empty({1000, 3});
        CHECK(pool().bytes_in_use >= in_use + int64_t(3000 * sizeof(real)));
    }
    CHECK(pool().misses == misses);
    CHECK(pool().bytes_in_use == in_use);
}

TEST_CASE("threads that take and give back at once never share a buffer", "[tensor][threads]") {
    const int64_t in_use = pool().bytes_in_use;
    std::vector<int> n_shared(4);
    std::vector<std::thread> users;
    for (int u = 0; u < 4; u++) {
        users.emplace_back([u, &n_shared] {
            for (int64_t i = 0; i < 200; i++) {
                const Tensor mine = Tensor::full({1 + i % 7 * 100}, real(u));
                std::this_thread::yield();
                const std::vector<real> seen = mine.to_vector();
                n_shared[size_t(u)] += int(seen.size()) - int(std::count(seen.begin(), seen.end(), real(u)));
                if (i % 50 == 0) pool().trim();
            }
        });
    }
    for (std::thread& user : users) user.join();
    for (const int n : n_shared) CHECK(n == 0);
    CHECK(pool().bytes_in_use == in_use);
}

TEST_CASE("poisoned memory is NaN until written", "[tensor][A26]") {
    const bool before = pool().poisons;
    pool().poisons = true;
    const Tensor t = Tensor::empty({37});
    pool().poisons = before;
    for (real v : t.to_vector()) CHECK(std::isnan(v));
}

TEST_CASE("tensors print as nested brackets, long axes shortened", "[tensor]") {
    CHECK(counting({2, 2}).str() == "Tensor [2, 2]\n[[0, 1],\n [2, 3]]");
    CHECK(counting({8}).str() == "Tensor [8]\n[0, 1, 2, ..., 5, 6, 7]");
    CHECK(Tensor().str() == "(undefined)");
}

TEST_CASE("indices are checked against a bound", "[tensor]") {
    const Indices i(std::vector<int32_t>{0, 4, 2});
    CHECK_NOTHROW(i.require_below("op", 5));
    CHECK_ERROR(i.require_below("op", 4), ValueError, "op: index 4 at position 1 is outside [0, 4)");
}
