// Does the emulated GPU block find what it is there to find? Three planted faults, and a kernel that is right. Then the
// fibers: what a lane keeps, in which order lanes run, and that all of it is the same on every thread.
#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "tensor/device.h"
#include "tensor/tensor.h"
#include "tests/catch.h"

#ifndef __CUDACC__  // CUDA builds have the real thing instead

using namespace koine;

namespace {

struct Row {
    real* y;
    const real* x;
    int64_t n;
};

struct GoodSum : Row {
    template <class Team>
    void operator()(Team t, int64_t row) const {
        const real* in = x + row * n;
        const real s = t.sum(n, [=](int64_t i) { return in[i]; });
        real* out = y + row;
        t.once([=] { *out += s; });
    }
};

// Every lane adds to the same place.
struct RepeatedWrite : Row {
    template <class Team>
    void operator()(Team t, int64_t row) const {
        const real* in = x + row * n;
        y[row] += t.sum(n, [=](int64_t i) { return in[i]; });
    }
};

// Lane 0 writes what all lanes read, without waiting for each other.
struct MissingBarrier : Row {
    template <class Team>
    void operator()(Team t, int64_t row) const {
        const real* in = x + row * n;
        real* shared = y + row;
        bool is_first = true;
        t.each(1, [&](int64_t) { is_first = false; });
        if (!is_first) *shared = in[0];
        const real seen = *shared;
        const real wrong = t.sum(n, [=](int64_t) { return seen == in[0] ? real(0) : real(1); });
        t.once([=] { *shared = wrong; });
    }
};

// Only some lanes reach the barrier.
struct DivergentBarrier : Row {
    template <class Team>
    void operator()(Team t, int64_t) const {
        bool has_work = false;
        t.each(2, [&](int64_t) { has_work = true; });
        if (has_work) t.each(1, [](int64_t) {});
    }
};

template <class Kernel>
real run(int lanes) {
    const Tensor x = Tensor::full({1, 100}, 1), y = Tensor::zeros({1});
    const EmulateBlocks guard(lanes, 3);
    for_rows(Device::cpu, 1, 100, Kernel{{y.data(), x.data(), 100}});
    return y.item();
}

// The lanes of a block in the order in which they ran, round by round.
std::vector<int> order_of(int lanes, int n_barriers, uint64_t seed) {
    std::vector<int> order;
    run_emulated_block(lanes, seed, [&] {
        const EmulatedBlock block;
        for (int i = 0; i < n_barriers; i++) {
            order.push_back(block.lane());
            block.barrier();
        }
        order.push_back(block.lane());
    });
    return order;
}

}  // namespace

TEST_CASE("a right kernel runs the same on emulated blocks of any size", "[emulated]") {
    for (const int lanes : {1, 2, 32, 256}) CHECK(run<GoodSum>(lanes) == 100);
    CHECK(emulated_lanes() == 0);
    CHECK_ERROR(EmulateBlocks(12), ValueError, "a power of two lanes, not 12");
}

TEST_CASE("emulated blocks show a write that every lane repeats", "[emulated]") {
    CHECK(run<RepeatedWrite>(1) == 100);
    CHECK(run<RepeatedWrite>(8) == 800);
}

TEST_CASE("emulated blocks show a missing barrier", "[emulated]") {
    CHECK(run<MissingBarrier>(1) == 0);
    CHECK(run<MissingBarrier>(16) > 0);
}

TEST_CASE("emulated blocks refuse lanes that do not meet", "[emulated]") {
    for (int i = 0; i < 3; i++)
        CHECK_ERROR(run<DivergentBarrier>(8), Error, "6 of 8 lanes ended while the others wait");
    CHECK_ERROR(run_emulated_block(100, 1,
                                   [] {
                                       EmulatedBlock{}.barrier();
                                       if (EmulatedBlock{}.lane() != 17) EmulatedBlock{}.barrier();
                                   }),
                Error, "1 of 100 lanes ended while the others wait");
    CHECK(run<GoodSum>(8) == 100);  // nothing is left of those that waited
}

TEST_CASE("lanes of an emulated block run in orders that the seed decides", "[emulated]") {
    for (const int lanes : {1, 3, 64, 1000}) {
        for (const int n_barriers : {0, 1, 5}) {
            const std::vector<int> order = order_of(lanes, n_barriers, 7);
            REQUIRE(order.size() == size_t(lanes * (n_barriers + 1)));
            CHECK(order == order_of(lanes, n_barriers, 7));
            std::vector<int> all(lanes);
            std::iota(all.begin(), all.end(), 0);
            for (auto round = order.begin(); round != order.end(); round += lanes)
                CHECK(std::is_permutation(round, round + lanes, all.begin()));
        }
    }
    const std::vector<int> order = order_of(64, 1, 7);
    CHECK(order != order_of(64, 1, 8));
    CHECK(!std::is_sorted(order.begin(), order.begin() + 64));
    CHECK(!std::equal(order.begin(), order.begin() + 64, order.begin() + 64));
    // Every lane comes first now and then: 1000 orders of 8 lanes, 125 times each but for chance.
    std::vector<int> n_first(8);
    for (uint64_t seed = 0; seed < 1000; seed++) n_first[order_of(8, 1, seed)[8]]++;
    CHECK(*std::min_element(n_first.begin(), n_first.end()) > 80);
    // And no lane has a fixed successor: 32 are possible, in 100 orders nearly all of them occur.
    std::set<int> after_0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        const std::vector<int> lanes = order_of(64, 0, seed);
        const auto zero = std::find(lanes.begin(), lanes.end(), 0);
        if (zero + 1 < lanes.end()) after_0.insert(zero[1]);
    }
    CHECK(after_0.size() > 20);
}

TEST_CASE("lanes of an emulated block keep what is theirs over barriers", "[emulated]") {
    // More numbers than there are registers, of both kinds.
    std::vector<double> sums(256);
    run_emulated_block(256, 3, [&] {
        const EmulatedBlock block;
        const int lane = block.lane();
        int64_t i[12];
        double d[12];
        for (int k = 0; k < 12; k++) i[k] = lane + k, d[k] = 0.5 * lane - k;
        for (int round = 0; round < 20; round++) {
            block.barrier();
            for (int k = 0; k < 12; k++) i[k] += k, d[k] += 0.25;
        }
        double sum = block.lane() == lane ? 0 : 1e9;
        for (int k = 0; k < 12; k++) sum += double(i[k]) + d[k];
        sums[size_t(lane)] = sum;
    });
    for (int lane = 0; lane < 256; lane++) CHECK(sums[size_t(lane)] == 12 * 1.5 * lane + 20 * 66 + 12 * 20 * 0.25);
}

TEST_CASE("a lane has room for an array of 60 KB", "[emulated]") {
    int n_wrong = 0;
    run_emulated_block(100, 3, [&] {
        const EmulatedBlock block;
        volatile char array[60 * 1024];
        for (volatile char& c : array) c = char(block.lane());
        block.barrier();
        for (const volatile char& c : array) n_wrong += c != char(block.lane());
    });
    CHECK(n_wrong == 0);
}

TEST_CASE("emulated blocks run on several threads at once", "[emulated][threads]") {
    constexpr int kBlocks = 200;
    std::vector<std::vector<int>> orders(kBlocks);
#pragma omp parallel for schedule(dynamic, 1) num_threads(4)
    for (int i = 0; i < kBlocks; i++) orders[i] = order_of(1 + i % 40, 3, uint64_t(i));
    for (int i = 0; i < kBlocks; i++) CHECK(orders[i] == order_of(1 + i % 40, 3, uint64_t(i)));
}

#endif  // __CUDACC__
