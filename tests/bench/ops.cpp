// Single ops: every row of the op table, whose inputs are so small that what is timed is the cost of calling an op at
// all; and square matrix products, where it is the arithmetic.
#include <algorithm>
#include <cstdio>

#include "tensor/gemm.h"
#include "tests/bench/bench.h"
#include "tests/golden/relative_ae.h"
#include "tests/op_table.h"

namespace koine::bench {
namespace {

// Microseconds of one f(): the median of seven runs of about a millisecond each.
template <class F>
double microseconds(F f) {
    f();
    const double once = seconds(f);
    const int n = std::clamp(int(1e-3 / std::max(once, 1e-8)), 1, 10000);
    std::vector<double> times;
    for (int run = 0; run < 7; run++) {
        times.push_back(1e6 / n * seconds([&] {
                            for (int i = 0; i < n; i++) f();
                            finish();
                        }));
    }
    return median(times);
}

// A square matrix of a stream of the formula, as peer.py has it.
Tensor square(int64_t n, uint32_t stream) {
    const Tensor x = Tensor::empty({n, n});
    for (int64_t i = 0; i < x.numel(); i++) x.data()[i] = real(testing::formula(stream, uint32_t(i)));
    return x.to(device());
}

// c = a b, all of them [n, n].
struct SquareProduct {
    int64_t n;
    Tensor a = square(n, 6000), b = square(n, 6001), c = Tensor::zeros({n, n}, device());
    void run() const {
        gemm(device(), n, n, n, 1, {a.data(), n}, {b.data(), n}, 0, c.data(), n);
        finish();
    }
};

}  // namespace

void bench_ops() {
    std::printf("%-45s %12s %12s\n", "op, in us", "forward", "and backward");
    for (const testing::OpRow& row : testing::op_table()) {
        std::vector<Var> in;
        for (size_t i = 0; i < row.shapes.size(); i++)
            in.push_back(Var::parameter(testing::op_input(row, i, row.shapes[i]).to(device())));
        std::printf("%-45s %12.2f", row.name().c_str(), microseconds([&] { row.fn(in); }));
        if (row.has_gradient) {
            const Tensor dy = Tensor::full(row.fn(in).shape(), 1, device());
            std::printf(" %12.2f", microseconds([&] {
                            for (const Var& x : in) x.zero_grad();
                            backward(row.fn(in), dy);
                        }));
        }
        std::printf("\n");
    }
    const Var a = Var::parameter(Tensor::scalar(1, device())), b = Var::parameter(Tensor::scalar(2, device()));
    std::printf("%-45s %12.2f\n", "one number plus another, recorded", microseconds([&] { add(a, b); }));
    const NoGrad no_grad;
    std::printf("%-45s %12.2f\n", "one number plus another, under NoGrad", microseconds([&] { add(a, b); }));
}

std::vector<Workload> product_workloads() {
    std::vector<Workload> all;
    for (const int64_t n : {256, 512, 1024, 2048}) {
        Workload workload{.name = "gemm-" + std::to_string(n), .group = "gemm"};
        workload.make = [n]() -> Step {
            return [product = SquareProduct{n}] {
                product.run();
                return 0.0;
            };
        };
        workload.n_steps = 15, workload.n_warm_up = 1;
        workload.facts = gflop_of(2e-9 * double(n * n * n));
        workload.check = [n] {
            const SquareProduct product{n};
            product.run();
            const Tensor c = product.c.to(Device::cpu);
            std::vector<Value> values;
            for (int64_t i = 0; i < n; i += n / 8)
                values.push_back({"entry-" + std::to_string(i), double(c.data()[i * n + n - 1 - i])});
            return values;
        };
        all.push_back(std::move(workload));
    }
    return all;
}

}  // namespace koine::bench
