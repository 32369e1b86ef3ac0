// Does the emulated GPU block find what it is there to find? Three planted faults, and a kernel that is right.
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
    CHECK_ERROR(run<DivergentBarrier>(8), Error, "lanes ended while the others wait");
}

#endif  // __CUDACC__
