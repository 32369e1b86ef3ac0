// The algorithms of tensor/conv_algorithms.h, each against the definition: seven loops in double precision.
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#include "tensor/conv_algorithms.h"
#include "tensor/tensor.h"
#include "tests/devices.h"

using namespace koine;
using namespace koine::testing;

namespace {

constexpr bool kIsDouble = sizeof(real) == sizeof(double);
constexpr ConvAlgorithm kAlgorithms[] = {ConvAlgorithm::patches, ConvAlgorithm::twin, ConvAlgorithm::positions,
                                         ConvAlgorithm::winograd};
constexpr ConvProduct kProducts[] = {ConvProduct::forward, ConvProduct::input_grad, ConvProduct::weight_grad};

const char* name_of(ConvAlgorithm a) {
    switch (a) {
        case ConvAlgorithm::patches: return "patches";
        case ConvAlgorithm::twin: return "twin";
        case ConvAlgorithm::positions: return "positions";
        case ConvAlgorithm::direct: return "direct";
        case ConvAlgorithm::winograd: return "winograd";
    }
    return "";
}
const char* name_of(ConvProduct p) {
    return p == ConvProduct::forward ? "forward" : p == ConvProduct::input_grad ? "input gradient" : "weight gradient";
}

// The convolution of x[n, h, w, c] with o square kernels.
ConvShape shape_of(int64_t n, int64_t h, int64_t w, int64_t c, int64_t o, int64_t padding, int64_t kernel = 3,
                   int64_t stride = 1, int64_t dilation = 1) {
    const int64_t out_h = conv_extent(h, kernel, stride, padding, dilation);
    const int64_t out_w = conv_extent(w, kernel, stride, padding, dilation);
    return {n, h, w, c, o, kernel, kernel, out_h, out_w, stride, padding, dilation};
}

std::string str(const ConvShape& s) {
    return Shape{s.n, s.h, s.w, s.c}.str() + " with " + Shape{s.o, s.kh, s.kw, s.c}.str() + ", stride " +
           std::to_string(s.stride) + ", padding " + std::to_string(s.padding) + ", dilation " +
           std::to_string(s.dilation);
}

// What a convolution reads and what its products should be.
struct Problem {
    explicit Problem(const ConvShape& shape, Device device_ = Device::cpu)
        : s(shape),
          device(device_),
          x(Tensor::normal({s.n, s.h, s.w, s.c}, {7, 1})),
          w(Tensor::normal({s.o, s.kh, s.kw, s.c}, {7, 2})),
          dy(Tensor::normal({s.n, s.out_h, s.out_w, s.o}, {7, 3})),
          there_x(x.to(device)),
          there_w(w.to(device)),
          there_dy(dy.to(device)) {}

    const Tensor& result_like(ConvProduct product) const {
        return product == ConvProduct::forward ? dy : product == ConvProduct::input_grad ? x : w;
    }
    /// beta result + the product, by `algorithm`. The forward pass has no beta.
    void run(ConvProduct product, ConvAlgorithm algorithm, real beta, const Tensor& result,
             const RowsDone& done = {}) const {
        switch (product) {
            case ConvProduct::forward:
                return conv_forward(algorithm, device, s, there_x.data(), there_w.data(), result.data(), done);
            case ConvProduct::input_grad:
                return conv_input_grad(algorithm, device, s, there_dy.data(), there_w.data(), beta, result.data(),
                                       done);
            case ConvProduct::weight_grad:
                return conv_weight_grad(algorithm, device, s, there_x.data(), there_dy.data(), beta, result.data());
        }
    }
    /// The same into a buffer full of NaN, with beta 0.
    std::vector<real> fresh(ConvProduct product, ConvAlgorithm algorithm) const {
        const Tensor result = Tensor::full(result_like(product).shape, std::numeric_limits<real>::quiet_NaN(), device);
        run(product, algorithm, 0, result);
        return result.to_vector();
    }
    /// The product by its definition.
    std::vector<double> expected(ConvProduct product) const;

    ConvShape s;
    Device device;
    Tensor x, w, dy;                    // here
    Tensor there_x, there_w, there_dy;  // on the device
};

std::vector<double> Problem::expected(ConvProduct product) const {
    std::vector<double> result(size_t(result_like(product).numel()), 0);
    for (int64_t n = 0; n < s.n; n++)
        for (int64_t i = 0; i < s.out_h; i++)
            for (int64_t j = 0; j < s.out_w; j++)
                for (int64_t a = 0; a < s.kh; a++)
                    for (int64_t b = 0; b < s.kw; b++) {
                        const int64_t row = i * s.stride - s.padding + a * s.dilation,
                                      col = j * s.stride - s.padding + b * s.dilation;
                        if (row < 0 || row >= s.h || col < 0 || col >= s.w) continue;
                        for (int64_t o = 0; o < s.o; o++)
                            for (int64_t c = 0; c < s.c; c++) {
                                const int64_t at_x = ((n * s.h + row) * s.w + col) * s.c + c,
                                              at_w = ((o * s.kh + a) * s.kw + b) * s.c + c,
                                              at_y = ((n * s.out_h + i) * s.out_w + j) * s.o + o;
                                const double vx = x.data()[at_x], vw = w.data()[at_w], vy = dy.data()[at_y];
                                switch (product) {
                                    case ConvProduct::forward: result[size_t(at_y)] += vx * vw; break;
                                    case ConvProduct::input_grad: result[size_t(at_x)] += vy * vw; break;
                                    case ConvProduct::weight_grad: result[size_t(at_w)] += vy * vx; break;
                                }
                            }
                    }
    return result;
}

// The root mean square of the error relative to that of the expected values.
double relative_error(const std::vector<double>& expected, const std::vector<real>& got) {
    REQUIRE(expected.size() == got.size());
    double error = 0, size = 0;
    for (size_t i = 0; i < got.size(); i++) {
        error += (double(got[i]) - expected[i]) * (double(got[i]) - expected[i]);
        size += expected[i] * expected[i];
    }
    return error == 0 ? 0 : std::sqrt(error / size);
}

// f(product, algorithm) for every algorithm that can compute s.
template <class F>
void for_each_algorithm(const ConvShape& s, F f) {
    for (const ConvAlgorithm algorithm : kAlgorithms) {
        for (const ConvProduct product : kProducts) {
            if (!can_use(algorithm, product, s)) continue;
            INFO(name_of(algorithm) << ", " << name_of(product) << ", " << str(s));
            f(product, algorithm);
        }
    }
}

void check_against_definition(const ConvShape& s, Device device) {
    INFO("on " << koine::name_of(device));
    const Problem problem(s, device);
    std::map<ConvProduct, std::vector<double>> definition;
    for (const ConvProduct product : kProducts) definition[product] = problem.expected(product);
    for_each_algorithm(s, [&](ConvProduct product, ConvAlgorithm algorithm) {
        // A few times what was measured.
        const double direct = kIsDouble ? 5e-15 : 1e-6, winograd = kIsDouble ? 3e-14 : 6e-6;
        const double tolerance = algorithm == ConvAlgorithm::winograd ? winograd : direct;
        std::vector<double> expected = definition[product];
        CHECK(relative_error(expected, problem.fresh(product, algorithm)) <= tolerance);

        if (product == ConvProduct::forward) return;
        const Tensor before = Tensor::normal(problem.result_like(product).shape, {7, 4}), sum = before.to(device);
        for (int64_t i = 0; i < before.numel(); i++) expected[size_t(i)] += before.data()[i];
        problem.run(product, algorithm, 1, sum);
        CHECK(relative_error(expected, sum.to_vector()) <= tolerance);
    });
}

}  // namespace

TEST_CASE("every algorithm of a convolution computes the definition", "[conv][cuda][A12]") {
    const Device device = EACH_DEVICE();
    // n, h, w, c, o, padding
    check_against_definition(shape_of(1, 1, 1, 1, 1, 1), device);
    check_against_definition(shape_of(3, 1, 1, 17, 3, 2), device);
    check_against_definition(shape_of(1, 5, 7, 1, 16, 0), device);
    check_against_definition(shape_of(3, 7, 5, 3, 17, 1), device);
    check_against_definition(shape_of(3, 9, 11, 16, 16, 2), device);
    check_against_definition(shape_of(130, 4, 4, 3, 16, 1), device);
    check_against_definition(shape_of(130, 3, 5, 17, 3, 0), device);
    check_against_definition(shape_of(1, 13, 6, 64, 100, 1), device);  // two panels of outputs, the second one narrow
    check_against_definition(shape_of(1, 6, 13, 100, 64, 2), device);
    check_against_definition(shape_of(3, 8, 8, 64, 64, 1), device);
    check_against_definition(shape_of(1, 5, 103, 16, 17, 1), device);  // a row of tiles longer than a block
    check_against_definition(shape_of(7, 34, 33, 3, 4, 1),
                             device);  // several blocks of tiles, and sums of more than 192
    check_against_definition(shape_of(13, 13, 13, 70, 100, 1),
                             device);  // so many weights that the tiles come in two chunks
    check_against_definition(shape_of(0, 6, 6, 3, 4, 1), device);
}

TEST_CASE("every size and padding of a small map", "[conv][cuda]") {
    const Device device = EACH_DEVICE();
    for (int64_t h = 1; h <= 9; h++)
        for (int64_t w = 1; w <= 9; w++)
            for (int64_t padding = 0; padding <= 2; padding++) {
                const ConvShape s = shape_of(2, h, w, 3, 2, padding);
                if (s.out_h > 0 && s.out_w > 0) check_against_definition(s, device);
            }
}

TEST_CASE("kernels of 4 x 4 and stride 2: every size and padding", "[conv][cuda]") {
    const Device device = EACH_DEVICE();
    for (int64_t h = 1; h <= 12; h++)
        for (int64_t w = h % 3 + 1; w <= 12; w += 2)
            for (int64_t padding = 0; padding <= 3; padding++) {
                const ConvShape s = shape_of(2, h, w, 3, 2, padding, 4, 2);
                if (s.out_h > 0 && s.out_w > 0) check_against_definition(s, device);
            }
    check_against_definition(shape_of(3, 14, 14, 33, 40, 1, 4, 2), device);  // cells of 132 channels: three panels
    check_against_definition(shape_of(130, 4, 4, 5, 130, 1, 4, 2), device);  // two groups of images, two panels
    check_against_definition(shape_of(3, 28, 27, 32, 70, 1, 4, 2), device);
    check_against_definition(shape_of(40, 13, 13, 100, 70, 1, 4, 2), device);  // tiles in several chunks
    check_against_definition(shape_of(0, 6, 6, 3, 4, 1, 4, 2), device);
}

TEST_CASE("kernels, strides and dilations that Winograd does not know", "[conv][cuda]") {
    const Device device = EACH_DEVICE();
    // n, h, w, c, o, padding, kernel, stride, dilation
    for (const ConvShape& s :
         {shape_of(3, 7, 6, 5, 4, 0, 1), shape_of(2, 9, 8, 4, 6, 2, 5), shape_of(2, 9, 8, 6, 2, 1, 3, 2),
          shape_of(2, 9, 8, 3, 5, 2, 3, 1, 2), shape_of(2, 9, 8, 3, 5, 3), shape_of(2, 9, 8, 3, 5, 1, 4),
          shape_of(2, 9, 8, 3, 5, 4, 4, 2), shape_of(2, 11, 9, 3, 5, 3, 3, 3, 2)}) {
        for (const ConvProduct product : kProducts) CHECK_FALSE(can_use(ConvAlgorithm::winograd, product, s));
        check_against_definition(s, device);
    }
    const ConvShape strided = shape_of(2, 9, 8, 3, 5, 1, 3, 2), dilated = shape_of(2, 9, 8, 3, 5, 2, 3, 1, 2);
    CHECK_FALSE(can_use(ConvAlgorithm::twin, ConvProduct::forward, strided));
    CHECK_FALSE(can_use(ConvAlgorithm::direct, ConvProduct::forward, dilated));
    CHECK_FALSE(can_use(ConvAlgorithm::direct, ConvProduct::input_grad, strided));
}

// Normal inputs, 128 channels on both sides, 16 x 16 pixels written, four images; 3 x 3 taps, and 4 x 4 of stride 2.
TEST_CASE("the rounding errors of Winograd", "[conv]") {
    const bool is_strided = GENERATE(false, true);
    const Problem problem(is_strided ? shape_of(4, 32, 32, 32, 128, 1, 4, 2) : shape_of(4, 16, 16, 128, 128, 1));
    INFO(str(problem.s));
    const auto error = [&](ConvProduct product, ConvAlgorithm algorithm) {
        return relative_error(problem.expected(product), problem.fresh(product, algorithm));
    };
    using enum ConvAlgorithm;
    for (const ConvProduct product : kProducts) {
        INFO(name_of(product));
        const double direct = error(product, patches), winograd_error = error(product, winograd);
        // Measured: 1.2e-15 and 4.7e-15 in double, 3.1e-7 and 2.5e-6 in float.
        CHECK(direct <= (kIsDouble ? 2e-15 : 5e-7));
        CHECK(winograd_error <= (kIsDouble ? 8e-15 : 4e-6));
        CHECK(winograd_error > direct);
    }
}

// Small whole numbers. The sums of patches are exact. Winograd divides kernels by 24^2 before the products, and their
// gradients after them: exact when there is no remainder, and sums stay below 2^24.
TEST_CASE("what is exact on whole numbers", "[conv][A17]") {
    const auto fill = [](const Tensor& t, uint64_t stream, real scale) {
        for (int64_t i = 0; i < t.numel(); i++)
            t.data()[i] = scale * (real(Random{5, stream}.below(uint64_t(i), 3)) - 1);
    };
    for (const int64_t padding : {0, 1, 2}) {
        for (const Problem& problem :
             {Problem(shape_of(1, 8, 12, 12, 12, padding)), Problem(shape_of(1, 8, 12, 12, 12, padding, 4, 2))}) {
            fill(problem.x, 1, 1);
            fill(problem.dy, 2, 1);
            for (const real scale : {real(1), real(576)}) {
                fill(problem.w, 3, scale);
                for_each_algorithm(problem.s, [&](ConvProduct product, ConvAlgorithm algorithm) {
                    if (algorithm == ConvAlgorithm::winograd && product != ConvProduct::weight_grad && scale == 1)
                        return;
                    const std::vector<double> expected = problem.expected(product);
                    const std::vector<real> got = problem.fresh(product, algorithm);
                    CHECK(std::equal(got.begin(), got.end(), expected.begin(), expected.end()));
                });
            }
        }
    }
}

TEST_CASE("convolutions give the same bytes for any number of threads", "[conv][determinism][A26][threads]") {
    const int n_threads = omp_get_max_threads();
    for (const ConvShape& s : {shape_of(9, 15, 14, 16, 70, 1), shape_of(13, 13, 13, 70, 100, 1),
                               shape_of(40, 9, 9, 5, 3, 0), shape_of(150, 14, 14, 16, 70, 1, 4, 2)}) {
        const Problem problem(s);
        for_each_algorithm(s, [&](ConvProduct product, ConvAlgorithm algorithm) {
            omp_set_num_threads(1);
            const std::vector<real> one = problem.fresh(product, algorithm);
            for (const int n : {2, 3, 7}) {
                omp_set_num_threads(n);
                CHECK(problem.fresh(product, algorithm) == one);
            }
        });
    }
    omp_set_num_threads(n_threads);
}

// On one thread, what is finished but not yet reported would show as well.
TEST_CASE("every row is reported once, as soon as it is finished", "[conv]") {
    const int n_threads = omp_get_max_threads();
    for (const ConvShape& s : {shape_of(3, 15, 13, 9, 20, 1), shape_of(30, 4, 5, 9, 8, 0), shape_of(1, 5, 103, 3, 2, 2),
                               shape_of(5, 1, 1, 8, 70, 1), shape_of(3, 27, 12, 9, 20, 1, 4, 2)}) {
        const Problem problem(s);
        for_each_algorithm(s, [&](ConvProduct product, ConvAlgorithm algorithm) {
            if (product == ConvProduct::weight_grad) return;
            for (const int n_used : {n_threads, 1}) {
                omp_set_num_threads(n_used);
                const Tensor result =
                    Tensor::full(problem.result_like(product).shape, std::numeric_limits<real>::quiet_NaN());
                const int64_t n_rows = result.numel() / result.shape[3], n_channels = result.shape[3];
                std::vector<int> n_reports(size_t(n_rows), 0);
                std::vector<real> reported(size_t(result.numel()));
                std::mutex mutex;
                problem.run(product, algorithm, 0, result, [&](int64_t first, int64_t n) {
                    const std::lock_guard lock(mutex);
                    REQUIRE((first >= 0 && first + n <= n_rows));
                    for (int64_t row = first; row < first + n; row++) n_reports[size_t(row)]++;
                    const real* rows = result.data() + first * n_channels;
                    std::copy_n(rows, n * n_channels, reported.begin() + first * n_channels);
                    if (n_used > 1 || algorithm == ConvAlgorithm::positions) return;  // which reports at its end
                    bool is_all_reported = true;
                    for (int64_t row = 0; row < n_rows; row++) {
                        const bool is_written = !std::isnan(result.data()[row * n_channels]);
                        is_all_reported = is_all_reported && is_written == (n_reports[size_t(row)] == 1);
                    }
                    CHECK(is_all_reported);
                });
                CHECK(std::all_of(n_reports.begin(), n_reports.end(), [](int n) { return n == 1; }));
                CHECK(reported == result.to_vector());
            }
        });
    }
    omp_set_num_threads(n_threads);
}

TEST_CASE("a convolution takes its memory from the pool", "[conv]") {
    for (const ConvShape& s : {shape_of(5, 12, 12, 16, 20, 1), shape_of(5, 12, 12, 16, 20, 1, 4, 2)}) {
        const Problem problem(s);
        for_each_algorithm(problem.s, [&](ConvProduct product, ConvAlgorithm algorithm) {
            const Tensor result = Tensor::zeros(problem.result_like(product).shape);
            problem.run(product, algorithm, 0, result);
            const int64_t misses = pool().misses;
            problem.run(product, algorithm, 0, result);
            CHECK(pool().misses == misses);
        });
    }
}

TEST_CASE("convolutions on an emulated GPU block", "[conv][emulated]") {
    if (!kernels_can_be_emulated()) SKIP_TEST("kernels by nvcc know the GPU itself, and no emulated blocks");
    const int n_threads = omp_get_max_threads();
    omp_set_num_threads(1);  // the emulation belongs to this thread
    for (const ConvShape& s : {shape_of(2, 6, 5, 9, 10, 1), shape_of(2, 7, 9, 5, 6, 1, 4, 2)}) {
        const Problem problem(s);
        for_each_algorithm(problem.s, [&](ConvProduct product, ConvAlgorithm algorithm) {
            const std::vector<real> expected = problem.fresh(product, algorithm);
            const EmulateBlocks guard(8, 1);
            const std::vector<real> got = problem.fresh(product, algorithm);
            CHECK(relative_error({expected.begin(), expected.end()}, got) <= (kIsDouble ? 1e-14 : 5e-6));
        });
    }
    omp_set_num_threads(n_threads);
}

TEST_CASE("which algorithm is chosen for which shape", "[conv]") {
    const auto choice = [](const ConvShape& s, Device device = Device::cpu) {
        std::string names;
        for (const ConvProduct product : kProducts)
            names += std::string(names.empty() ? "" : " ") + name_of(choose_algorithm(product, device, s));
        return names;
    };
    // n, h, w, c, o, padding, kernel, stride
    CHECK(choice(shape_of(128, 32, 32, 32, 32, 1)) == "winograd winograd winograd");
    CHECK(choice(shape_of(128, 8, 8, 128, 256, 1)) == "winograd winograd winograd");
    CHECK(choice(shape_of(1, 8, 8, 128, 256, 1)) == "winograd winograd winograd");  // the same for every batch
    CHECK(choice(shape_of(128, 32, 32, 3, 32, 1)) == "patches patches patches");    // first layer
    CHECK(choice(shape_of(128, 28, 28, 32, 1, 1)) == "direct twin direct");         // last layer
    CHECK(choice(shape_of(128, 3, 3, 64, 64, 1)) == "positions positions positions");
    CHECK(choice(shape_of(128, 4, 4, 64, 64, 1)) == "winograd winograd winograd");
    CHECK(choice(shape_of(128, 4, 4, 64, 64, 0)) == "positions winograd positions");  // writes 2 x 2, reads 4 x 4
    CHECK(choice(shape_of(128, 5, 5, 8, 8, 1)) == "winograd winograd winograd");      // too few channels for positions
    CHECK(choice(shape_of(128, 9, 9, 64, 64, 1)) == "winograd winograd winograd");
    CHECK(choice(shape_of(128, 14, 14, 32, 64, 1, 3, 2)) == "positions patches positions");
    CHECK(choice(shape_of(128, 4, 4, 128, 256, 1, 3, 2)) == "positions positions positions");
    CHECK(choice(shape_of(128, 4, 4, 128, 256, 1, 4, 2)) == "positions positions positions");
    CHECK(choice(shape_of(128, 8, 8, 64, 64, 1, 4, 2)) == "winograd positions winograd");  // 5 x 5 cells in 8 x 8
    CHECK(choice(shape_of(128, 16, 16, 64, 64, 1, 4, 2)) == "winograd patches winograd");  // 9 x 9 cells in 12 x 12
    CHECK(choice(shape_of(128, 28, 28, 32, 32, 1, 4, 2)) == "winograd winograd winograd");
    CHECK(choice(shape_of(128, 14, 14, 32, 64, 2, 5)) == "patches twin patches");
    CHECK(choice(shape_of(128, 14, 14, 64, 32, 2, 5)) == "patches twin twin");
    CHECK(choice(shape_of(128, 14, 14, 64, 8, 2, 5)) == "twin twin twin");
    CHECK(choice(shape_of(128, 14, 14, 4, 32, 2, 5)) == "patches patches patches");
    CHECK(choice(shape_of(128, 32, 32, 64, 64, 1), Device::cuda) == "patches twin patches");
}
