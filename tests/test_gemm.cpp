// Products against the definition: gemm, and the three products of a convolution, on integers (so: exactly) and on
// shapes that take every path.
#include "tensor/gemm.h"

#include <omp.h>

#include <thread>

#include "autograd/ops.h"
#include "tensor/conv.h"
#include "tensor/small_gemm.h"
#include "tensor/tensor.h"
#include "tests/devices.h"

using namespace koine;
using namespace koine::testing;

namespace {

// Small integers: sums below 2^24 are exact in float, so results must be equal, not close.
Tensor integers(const Shape& shape, uint64_t stream) {
    const Tensor t = Tensor::empty(shape);
    for (int64_t i = 0; i < t.numel(); i++) t.data()[i] = real(int(Random{5, stream}.below(uint64_t(i), 9)) - 4);
    return t;
}

void check_gemm(Device device, int64_t m, int64_t n, int64_t k, Op op_a, Op op_b, real beta) {
    INFO("on " << name_of(device) << " m " << m << " n " << n << " k " << k << " a " << int(op_a) << " b " << int(op_b)
               << " beta " << beta);
    const Tensor a = integers(op_a == Op::plain ? Shape{m, k} : Shape{k, m}, 1),
                 b = integers(op_b == Op::plain ? Shape{k, n} : Shape{n, k}, 2);
    const Tensor c = beta == 0 ? Tensor::full({m, n}, std::numeric_limits<real>::quiet_NaN()) : integers({m, n}, 3);
    const Tensor expected = Tensor::empty({m, n});
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            real s = beta == 0 ? 0 : beta * c.data()[i * n + j];
            for (int64_t p = 0; p < k; p++) {
                s += (op_a == Op::plain ? a.data()[i * k + p] : a.data()[p * m + i]) *
                     (op_b == Op::plain ? b.data()[p * n + j] : b.data()[j * k + p]);
            }
            expected.data()[i * n + j] = s;
        }
    const Tensor there_a = a.to(device), there_b = b.to(device), there_c = c.to(device);
    gemm(device, m, n, k, 1, {there_a.data(), a.shape[1], op_a}, {there_b.data(), b.shape[1], op_b}, beta,
         there_c.data(), n);
    CHECK(there_c.to_vector() == expected.to_vector());
}

void check_conv(Device device, ConvShape s) {
    s.out_h = conv_extent(s.h, s.kh, s.stride, s.padding, s.dilation);
    s.out_w = conv_extent(s.w, s.kw, s.stride, s.padding, s.dilation);
    INFO("on " << name_of(device) << " n " << s.n << " h " << s.h << " w " << s.w << " c " << s.c << " o " << s.o
               << " k " << s.kh << " stride " << s.stride << " padding " << s.padding << " dilation " << s.dilation);
    const Tensor x = integers({s.n, s.h, s.w, s.c}, 1), w = integers({s.o, s.kh, s.kw, s.c}, 2),
                 dy = integers({s.n, s.out_h, s.out_w, s.o}, 3);
    const Tensor y = Tensor::zeros(dy.shape), dx = Tensor::zeros(x.shape), dw = Tensor::zeros(w.shape);
    for (int64_t n = 0; n < s.n; n++)
        for (int64_t i = 0; i < s.out_h; i++)
            for (int64_t j = 0; j < s.out_w; j++)
                for (int64_t a = 0; a < s.kh; a++)
                    for (int64_t b = 0; b < s.kw; b++) {
                        const int64_t r = i * s.stride - s.padding + a * s.dilation,
                                      q = j * s.stride - s.padding + b * s.dilation;
                        if (r < 0 || r >= s.h || q < 0 || q >= s.w) continue;
                        for (int64_t o = 0; o < s.o; o++)
                            for (int64_t c = 0; c < s.c; c++) {
                                const int64_t at_x = ((n * s.h + r) * s.w + q) * s.c + c,
                                              at_y = ((n * s.out_h + i) * s.out_w + j) * s.o + o;
                                const int64_t at_w = ((o * s.kh + a) * s.kw + b) * s.c + c;
                                y.data()[at_y] += x.data()[at_x] * w.data()[at_w];
                                dx.data()[at_x] += dy.data()[at_y] * w.data()[at_w];
                                dw.data()[at_w] += dy.data()[at_y] * x.data()[at_x];
                            }
                    }
    const real nan = std::numeric_limits<real>::quiet_NaN();
    const Tensor got_y = Tensor::full(y.shape, nan, device), got_dx = Tensor::full(x.shape, nan, device),
                 got_dw = Tensor::full(w.shape, nan, device);
    const Tensor there_x = x.to(device), there_w = w.to(device), there_dy = dy.to(device);
    conv_forward(device, s, there_x.data(), there_w.data(), got_y.data());
    conv_input_grad(device, s, there_dy.data(), there_w.data(), 0, got_dx.data());
    conv_weight_grad(device, s, there_x.data(), there_dy.data(), 0, got_dw.data());
    CHECK(got_y.to_vector() == y.to_vector());
    CHECK(got_dx.to_vector() == dx.to_vector());
    CHECK(got_dw.to_vector() == dw.to_vector());
    // beta = 1 adds the same once more.
    conv_input_grad(device, s, there_dy.data(), there_w.data(), 1, got_dx.data());
    conv_weight_grad(device, s, there_x.data(), there_dy.data(), 1, got_dw.data());
    for (int64_t i = 0; i < dx.numel(); i++) dx.data()[i] *= 2;
    for (int64_t i = 0; i < dw.numel(); i++) dw.data()[i] *= 2;
    CHECK(got_dx.to_vector() == dx.to_vector());
    CHECK(got_dw.to_vector() == dw.to_vector());
}

}  // namespace

TEST_CASE("gemm is exact on integers for every cut and transpose", "[gemm][cuda][A12][A17]") {
    const Device device = EACH_DEVICE();
    for (const Op op_a : {Op::plain, Op::transposed})
        for (const Op op_b : {Op::plain, Op::transposed})
            for (const real beta : {real(0), real(1)}) {
                check_gemm(device, 3, 5, 7, op_a, op_b, beta);
                check_gemm(device, 150, 70, 60, op_a, op_b, beta);   // cut by rows
                check_gemm(device, 10, 400, 80, op_a, op_b, beta);   // by columns
                check_gemm(device, 6, 9, 5000, op_a, op_b, beta);    // by depth, parts added in order
                check_gemm(device, 1, 1, 300000, op_a, op_b, beta);  // one dot product
                check_gemm(device, 200, 3, 1000, op_a, op_b, beta);
                check_gemm(device, 5, 4, 0, op_a, op_b, beta);  // an empty sum
            }
    check_gemm(device, 0, 4, 3, Op::plain, Op::plain, 0);
}

// Every remainder of rows and columns, sums in one block and in several; C and B wider than the product.
TEST_CASE("small_gemm is exact on integers for every size", "[gemm][A17]") {
    const auto check = [](int64_t m, int64_t n, int64_t k, Op op_a, Op op_b, real alpha, real beta) {
        INFO("m " << m << " n " << n << " k " << k << " a " << int(op_a) << " b " << int(op_b) << " beta " << beta);
        const auto stored = [](Op op, int64_t rows, int64_t cols) {
            return op == Op::plain ? Shape{rows, cols + 3} : Shape{cols, rows + 3};
        };
        const Tensor a = integers(stored(op_a, m, k), 1), b = integers(stored(op_b, k, n), 2);
        const Tensor before = integers({m, n + 5}, 3), c = before.clone();
        // What must not be read does no harm.
        if (beta == 0) c.slice(1, 0, n).fill(std::numeric_limits<real>::quiet_NaN());
        small_gemm(m, n, k, alpha, {a.data(), a.shape[1], op_a}, {b.data(), b.shape[1], op_b}, beta, c.data(), n + 5);
        const auto at = [](const Tensor& t, Op op, int64_t i, int64_t j) {
            return op == Op::plain ? t.data()[i * t.shape[1] + j] : t.data()[j * t.shape[1] + i];
        };
        bool is_right = true;
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n + 5; j++) {
                real expected = before.data()[i * (n + 5) + j];
                if (j < n) {
                    real sum = 0;
                    for (int64_t p = 0; p < k; p++) sum += at(a, op_a, i, p) * at(b, op_b, p, j);
                    expected = alpha * sum + (beta != 0 ? beta * expected : real(0));
                }
                is_right = is_right && c.data()[i * (n + 5) + j] == expected;
            }
        CHECK(is_right);
    };
    for (const Op op_a : {Op::plain, Op::transposed})
        for (const Op op_b : {Op::plain, Op::transposed}) {
            for (int64_t m = 0; m <= 25; m++)
                for (const int64_t n : {0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 64, 70}) check(m, n, 5, op_a, op_b, 1, 0);
            for (const int64_t k : {0, 1, 2, 255, 256, 257, 600})
                for (const real beta : {0, 1, 2}) check(13, 37, k, op_a, op_b, 2, beta);
            for (const int64_t n : {70, 200}) check(13, n, 100, op_a, op_b, 2, 1);  // several blocks of strips
        }
}

TEST_CASE("gemm writes into a wider matrix", "[gemm]") {
    const Tensor a = integers({100, 80}, 1), b = integers({80, 60}, 2), wide = Tensor::full({100, 90}, 7),
                 c = Tensor::empty({100, 60});
    gemm(Device::cpu, 100, 60, 80, 1, {a.data(), 80}, {b.data(), 60}, 0, c.data(), 60);
    gemm(Device::cpu, 100, 60, 80, 1, {a.data(), 80}, {b.data(), 60}, 0, wide.data() + 20, 90);
    CHECK(wide.slice(1, 20, 80).to_vector() == c.to_vector());
    CHECK(wide.slice(1, 0, 20).to_vector() == std::vector<real>(100 * 20, 7));
    CHECK(wide.slice(1, 80, 90).to_vector() == std::vector<real>(100 * 10, 7));
}

TEST_CASE("gemm_batched is gemm for each", "[gemm][cuda]") {
    const Device device = EACH_DEVICE();
    const int64_t m = 3, n = 5, k = 4, count = 7;
    const Tensor a = integers({count, m, k}, 1).to(device), b = integers({count, n, k}, 2).to(device);
    for (const int64_t a_step : {m * k, int64_t(0)}) {  // 0: one matrix for all
        for (const real beta : {real(0), real(1)}) {
            INFO("on " << name_of(device) << ", step " << a_step << ", beta " << beta);
            // Each result stands in a wider matrix, with a gap behind it.
            const Tensor all = Tensor::full({count, m + 1, n + 2}, 5, device), one = all.clone();
            const int64_t c_stride = n + 2, c_step = (m + 1) * c_stride;
            gemm_batched(device, count, m, n, k, 2, {a.data(), k}, a_step, {b.data(), k, Op::transposed}, n * k, beta,
                         all.data(), c_stride, c_step);
            for (int64_t i = 0; i < count; i++) {
                gemm(device, m, n, k, 2, {a.data() + i * a_step, k}, {b.data() + i * n * k, k, Op::transposed}, beta,
                     one.data() + i * c_step, c_stride);
            }
            CHECK(all.to_vector() == one.to_vector());
        }
    }
    const Tensor untouched = Tensor::full({1}, 5, device);
    gemm_batched(device, 0, 1, 1, 1, 1, {a.data(), 1}, 0, {b.data(), 1}, 0, 0, untouched.data(), 1, 1);
    CHECK(untouched.item() == 5);
}

TEST_CASE("TF32 rounds products on a GPU, when it is asked for", "[gemm][cuda]") {
    NEED_GPU();
    if (sizeof(real) == sizeof(double)) SKIP_TEST("TF32 is about float");
    const Tensor a = Tensor::uniform({16, 64}, 1, 2, {1, 1}), b = Tensor::uniform({64, 16}, 1, 2, {1, 2});
    const Var x(a.to(Device::cuda)), w(b.to(Device::cuda));
    const std::vector<real> exact = matmul(x, w).value.to_vector();
    uses_tf32() = true;
    const std::vector<real> rounded = matmul(x, w).value.to_vector(), here = matmul(Var(a), Var(b)).value.to_vector();
    uses_tf32() = false;
    double worst = 0;
    for (size_t i = 0; i < exact.size(); i++) {
        worst = std::max(worst, std::abs(double(rounded[i] - exact[i])));
        CHECK(rounded[i] == Approx(exact[i]).epsilon(1e-3));
        CHECK(here[i] == Approx(exact[i]).epsilon(1e-6));  // the CPU takes no notice
    }
    // 144 summed up from 64 products, each with an error of up to 2^-10: from sm_80 on it shows.
    if (cuda_report().text.find("sm_7") == std::string::npos) CHECK(worst > 1e-4);
    CHECK(matmul(x, w).value.to_vector() == exact);
}

TEST_CASE("gemm gives the same bytes for any number of threads", "[gemm][determinism][A26][threads]") {
    const int n_threads = omp_get_max_threads();
    for (const auto& [m, n, k] : {std::tuple{128, 1024, 300}, {33, 77, 1000}, {32, 288, 25088}, {500, 3, 700}}) {
        const Tensor a = Tensor::normal({m, k}, {1, 1}), b = Tensor::normal({k, n}, {1, 2}), c = Tensor::empty({m, n});
        std::vector<real> first;
        for (const int threads : {1, 2, 3, 7}) {
            omp_set_num_threads(threads);
            gemm(Device::cpu, m, n, k, 1, {a.data(), k}, {b.data(), n}, 0, c.data(), n);
            if (first.empty()) first = c.to_vector();
            CHECK(c.to_vector() == first);
        }
    }
    omp_set_num_threads(n_threads);
}

// OpenBLAS without locks (USE_LOCKING=0 of its single-threaded builds) mixes up the buffers of callers: issues 1755,
// 2126.
TEST_CASE("products asked for by several threads at once are the right ones", "[gemm][A27][threads]") {
    struct Caller {
        int64_t m, n, k;
        Tensor a, b;
        std::vector<real> expected;
        int n_wrong = 0;
    };
    std::vector<Caller> callers;
    for (const auto& [m, n, k] : {std::tuple{64, 48, 200}, {33, 77, 1000}, {150, 70, 60}, {5, 300, 400}}) {
        Caller c{
            m, n, k, integers({m, k}, uint64_t(m)), integers({k, n}, uint64_t(n)), std::vector<real>(size_t(m * n))};
        for (int64_t i = 0; i < m; i++) {
            for (int64_t l = 0; l < k; l++) {
                for (int64_t j = 0; j < n; j++) c.expected[size_t(i * n + j)] += c.a.at({i, l}) * c.b.at({l, j});
            }
        }
        callers.push_back(std::move(c));
    }
    std::vector<std::thread> threads;
    for (Caller& caller : callers) {
        threads.emplace_back([&c = caller] {
            const Tensor out = Tensor::empty({c.m, c.n});
            for (int round = 0; round < 50; round++) {
                gemm(Device::cpu, c.m, c.n, c.k, 1, {c.a.data(), c.k}, {c.b.data(), c.n}, 0, out.data(), c.n);
                c.n_wrong += out.to_vector() != c.expected;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (const Caller& c : callers) {
        INFO(c.m << " x " << c.n << " x " << c.k);
        CHECK(c.n_wrong == 0);
    }
}

TEST_CASE("convolutions are exact on integers", "[conv][cuda][A17]") {
    const Device device = EACH_DEVICE();
    // n, h, w, c, o, kh, kw, (out), stride, padding, dilation
    check_conv(device, {2, 5, 6, 3, 4, 3, 3, 0, 0, 1, 1, 1});
    check_conv(device, {3, 28, 28, 1, 8, 3, 3, 0, 0, 2, 1, 1});    // first layer of the encoder
    check_conv(device, {2, 7, 7, 16, 7, 4, 4, 0, 0, 2, 1, 1});     // a transposed layer's shape, too thin for Winograd
    check_conv(device, {130, 4, 4, 16, 17, 3, 3, 0, 0, 2, 1, 1});  // place by place
    check_conv(device, {2, 9, 9, 8, 1, 3, 3, 0, 0, 1, 1, 1});      // last layer: patches of the one-channel side
    check_conv(device, {2, 9, 8, 5, 2, 3, 3, 0, 0, 1, 0, 2});      // the same, dilated
    check_conv(device, {2, 6, 6, 5, 2, 3, 2, 0, 0, 1, 1, 1});      // uneven kernel
    check_conv(device, {70, 4, 4, 3, 5, 3, 3, 0, 0, 1, 1, 1});     // several groups of images
    check_conv(device, {1, 40, 40, 16, 16, 3, 3, 0, 0, 3, 2, 2});
    check_conv(device, {2, 3, 3, 4, 4, 5, 5, 0, 0, 1, 4, 1});  // more padding than image
    check_conv(device, {0, 5, 5, 2, 3, 3, 3, 0, 0, 1, 1, 1});  // no image
}
