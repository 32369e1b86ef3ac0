// Single ops: every row of the op table, whose inputs are so small that what is timed is the cost of calling an op at
// all; and square matrix products, where it is the arithmetic.
#include "tensor/gemm.h"
#include "tests/bench/bench.h"
#include "tests/op_table.h"

namespace koine::bench {
namespace {

// The end of all that was queued on a GPU.
void finish() {
    if (device() == Device::cuda) Tensor::zeros({}, Device::cuda).item();
}

// Microseconds of one f(): the median of seven runs of about a millisecond each.
template <class F>
double microseconds(F f) {
    f();
    const double once = seconds(f);
    const int n = std::clamp(int(1e-3 / std::max(once, 1e-8)), 1, 10000);
    return 1e6 / n * median_seconds(7, [&] {
               for (int i = 0; i < n; i++) f();
               finish();
           });
}

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

void bench_gemm() {
    for (const int64_t n : {256, 512, 1024, 2048}) {
        const Tensor a = Tensor::uniform({n, n}, 0, 1, {1, 0}, device()),
                     b = Tensor::uniform({n, n}, 0, 1, {1, 1}, device()), c = Tensor::zeros({n, n}, device());
        const auto product = [&] {
            gemm(device(), n, n, n, 1, {a.data(), n}, {b.data(), n}, 0, c.data(), n);
            finish();
        };
        product();
        const std::string name = "gemm-" + std::to_string(n);
        print_result(name, "ours", 1e3 * median_seconds(15, product));
        print_result(name, "gflop", 2e-9 * double(n * n * n));
    }
}

}  // namespace koine::bench
