// Products against the definition: gemm, and the three products of a convolution, on integers (so: exactly) and on
// shapes that take every path.
#include "tensor/gemm.h"

#include <omp.h>

#include "tensor/conv.h"
#include "tensor/tensor.h"
#include "tests/catch.h"

using namespace koine;

namespace {

// Small integers: sums below 2^24 are exact in float, so results must be equal, not close.
Tensor integers(const Shape& shape, uint64_t stream) {
    const Tensor t = Tensor::empty(shape);
    for (int64_t i = 0; i < t.numel(); i++) t.data()[i] = real(int(Random{5, stream}.below(uint64_t(i), 9)) - 4);
    return t;
}

void check_gemm(int64_t m, int64_t n, int64_t k, Op op_a, Op op_b, real beta) {
    INFO("m " << m << " n " << n << " k " << k << " a " << int(op_a) << " b " << int(op_b) << " beta " << beta);
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
    gemm(Device::cpu, m, n, k, 1, {a.data(), a.shape[1], op_a}, {b.data(), b.shape[1], op_b}, beta, c.data(), n);
    CHECK(c.to_vector() == expected.to_vector());
}

void check_conv(ConvShape s) {
    s.out_h = conv_extent(s.h, s.kh, s.stride, s.padding, s.dilation);
    s.out_w = conv_extent(s.w, s.kw, s.stride, s.padding, s.dilation);
    INFO("n " << s.n << " h " << s.h << " w " << s.w << " c " << s.c << " o " << s.o << " k " << s.kh << " stride "
              << s.stride << " padding " << s.padding << " dilation " << s.dilation);
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
    const Tensor got_y = Tensor::full(y.shape, nan), got_dx = Tensor::full(x.shape, nan),
                 got_dw = Tensor::full(w.shape, nan);
    conv_forward(Device::cpu, s, x.data(), w.data(), got_y.data());
    conv_input_grad(Device::cpu, s, dy.data(), w.data(), 0, got_dx.data());
    conv_weight_grad(Device::cpu, s, x.data(), dy.data(), 0, got_dw.data());
    CHECK(got_y.to_vector() == y.to_vector());
    CHECK(got_dx.to_vector() == dx.to_vector());
    CHECK(got_dw.to_vector() == dw.to_vector());
    // beta = 1 adds the same once more.
    conv_input_grad(Device::cpu, s, dy.data(), w.data(), 1, got_dx.data());
    conv_weight_grad(Device::cpu, s, x.data(), dy.data(), 1, got_dw.data());
    bool doubled = true;
    for (int64_t i = 0; i < dx.numel(); i++) doubled = doubled && got_dx.data()[i] == 2 * dx.data()[i];
    for (int64_t i = 0; i < dw.numel(); i++) doubled = doubled && got_dw.data()[i] == 2 * dw.data()[i];
    CHECK(doubled);
}

}  // namespace

TEST_CASE("gemm is exact on integers for every cut and transpose", "[gemm]") {
    for (const Op op_a : {Op::plain, Op::transposed})
        for (const Op op_b : {Op::plain, Op::transposed})
            for (const real beta : {real(0), real(1)}) {
                check_gemm(3, 5, 7, op_a, op_b, beta);
                check_gemm(150, 70, 60, op_a, op_b, beta);   // cut by rows
                check_gemm(10, 400, 80, op_a, op_b, beta);   // by columns
                check_gemm(6, 9, 5000, op_a, op_b, beta);    // by depth, parts added in order
                check_gemm(1, 1, 300000, op_a, op_b, beta);  // one dot product
                check_gemm(200, 3, 1000, op_a, op_b, beta);
                check_gemm(5, 4, 0, op_a, op_b, beta);  // an empty sum
            }
    check_gemm(0, 4, 3, Op::plain, Op::plain, 0);
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

TEST_CASE("gemm gives the same bytes for any number of threads", "[gemm][determinism]") {
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

TEST_CASE("convolutions are exact on integers", "[conv]") {
    // n, h, w, c, o, kh, kw, (out), stride, padding, dilation
    check_conv({2, 5, 6, 3, 4, 3, 3, 0, 0, 1, 1, 1});
    check_conv({3, 28, 28, 1, 8, 3, 3, 0, 0, 2, 1, 1});  // first layer of the encoder
    check_conv({2, 7, 7, 16, 8, 4, 4, 0, 0, 2, 1, 1});   // a transposed layer's shape
    check_conv({2, 9, 9, 8, 1, 3, 3, 0, 0, 1, 1, 1});    // last layer: patches of the one-channel side
    check_conv({2, 9, 8, 5, 2, 3, 3, 0, 0, 1, 0, 2});    // the same, dilated
    check_conv({2, 6, 6, 5, 2, 3, 2, 0, 0, 1, 1, 1});    // uneven kernel
    check_conv({70, 4, 4, 3, 5, 3, 3, 0, 0, 1, 1, 1});   // several groups of images
    check_conv({1, 40, 40, 16, 16, 3, 3, 0, 0, 3, 2, 2});
    check_conv({2, 3, 3, 4, 4, 5, 5, 0, 0, 1, 4, 1});  // more padding than image
    check_conv({0, 5, 5, 2, 3, 3, 3, 0, 0, 1, 1, 1});  // no image
}
