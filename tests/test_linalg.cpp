// Eigenvectors, singular values, principal components, random rotations: against their definitions.
#include "tensor/linalg.h"

#include <cmath>
#include <limits>

#include "tensor/gemm.h"
#include "tests/catch.h"

using namespace koine;

namespace {

constexpr double kClose = sizeof(real) == sizeof(double) ? 1e-12 : 2e-5;

Tensor product(const Tensor& a, Op op_a, const Tensor& b, Op op_b) {
    const int64_t m = op_a == Op::plain ? a.shape[0] : a.shape[1], k = op_a == Op::plain ? a.shape[1] : a.shape[0];
    const int64_t n = op_b == Op::plain ? b.shape[1] : b.shape[0];
    const Tensor c = Tensor::empty({m, n});
    gemm(Device::cpu, m, n, k, 1, {a.data(), a.shape[1], op_a}, {b.data(), b.shape[1], op_b}, 0, c.data(), n);
    return c;
}

double distance_to_identity(const Tensor& a) {
    double worst = 0;
    for (int64_t i = 0; i < a.numel(); i++) {
        worst = std::max(worst, std::fabs(double(a.data()[i]) - (i / a.shape[1] == i % a.shape[1] ? 1 : 0)));
    }
    return worst;
}

double distance(const Tensor& a, const Tensor& b) {
    double worst = 0;
    for (int64_t i = 0; i < a.numel(); i++) worst = std::max(worst, std::fabs(double(a.data()[i] - b.data()[i])));
    return worst;
}

}  // namespace

TEST_CASE("symmetric eigenvectors diagonalise", "[linalg]") {
    const Tensor half = Tensor::normal({20, 6}, {1, 0}), a = product(half, Op::transposed, half, Op::plain);
    const Eigen e = eigen_symmetric(a);
    CHECK(distance_to_identity(product(e.vectors, Op::plain, e.vectors, Op::transposed)) < kClose);
    const Tensor av = product(e.vectors, Op::plain, a, Op::plain);  // row i: a v_i, a being symmetric
    for (int64_t i = 0; i < 6; i++) {
        if (i) CHECK(e.values.at({i}) <= e.values.at({i - 1}));
        for (int64_t j = 0; j < 6; j++)
            CHECK(av.at({i, j}) == Approx(e.values.at({i}) * e.vectors.at({i, j})).margin(50 * kClose));
    }
    CHECK_ERROR(eigen_symmetric(Tensor::zeros({2, 3})), ShapeError, "eigen_symmetric: a [2, 3]; want [D, D]");
    CHECK_ERROR(eigen_symmetric(Tensor::full({2, 2}, real(NAN))), NonFiniteError, "holds NaN");
}

TEST_CASE("a singular value decomposition multiplies back", "[linalg]") {
    for (const Shape& shape : {Shape{7, 4}, Shape{4, 7}, Shape{5, 5}, Shape{1, 3}}) {
        const Tensor a = Tensor::normal(shape, {2, 0});
        const Svd s = svd(a);
        CHECK(distance_to_identity(product(s.u, Op::transposed, s.u, Op::plain)) < kClose);
        CHECK(distance_to_identity(product(s.vt, Op::plain, s.vt, Op::transposed)) < kClose);
        const Tensor scaled = s.vt.clone();
        for (int64_t i = 0; i < scaled.numel(); i++) scaled.data()[i] *= s.values.data()[i / scaled.shape[1]];
        CHECK(distance(product(s.u, Op::plain, scaled, Op::plain), a) < kClose);
    }
    CHECK_ERROR(svd(Tensor::zeros({2})), ShapeError, "svd: a [2]; want [M, N]");
}

TEST_CASE("principal components find the direction of the largest spread", "[linalg]") {
    // Points along (3, 4) / 5 with a little noise across, far from the origin.
    const Tensor x = Tensor::empty({500, 2});
    for (int64_t i = 0; i < 500; i++) {
        const real along = Random{3, 0}.normal(uint64_t(i)) * 2, across = Random{3, 1}.normal(uint64_t(i)) * real(0.1);
        x.data()[2 * i] = 10 + along * real(0.6) - across * real(0.8);
        x.data()[2 * i + 1] = -20 + along * real(0.8) + across * real(0.6);
    }
    const Pca p = pca(x, 2);
    CHECK(p.components.at({0, 0}) == Approx(0.6).margin(0.02));
    CHECK(p.components.at({0, 1}) == Approx(0.8).margin(0.02));
    CHECK(p.variance.at({0}) == Approx(4).epsilon(0.2));
    CHECK(p.variance.at({1}) == Approx(0.01).epsilon(0.2));
    const Tensor y = p.project(x);
    double mean = 0;
    for (int64_t i = 0; i < 500; i++) mean += double(y.at({i, 0})) / 500;
    CHECK(std::fabs(mean) < 1e-3);
    CHECK_ERROR(pca(x, 3), ShapeError, "pca: 3 components of x [500, 2]");
}

TEST_CASE("random orthogonal maps are orthogonal and differ", "[linalg]") {
    const Tensor q = random_orthogonal(30, {4, 0});
    CHECK(distance_to_identity(product(q, Op::plain, q, Op::transposed)) < kClose);
    CHECK(distance(q, random_orthogonal(30, {4, 1})) > 0.1);
    CHECK(distance(q, random_orthogonal(30, {4, 0})) == 0);
    // Uniform over all maps: an entry has mean 0, which LAPACK's own sign convention alone would not give.
    double mean = 0;
    for (uint64_t s = 0; s < 400; s++) mean += double(random_orthogonal(3, {5, s}).at({0, 0})) / 400;
    CHECK(std::fabs(mean) < 4 * std::sqrt(1. / 3 / 400));
}

TEST_CASE("products, eigenvectors and singular values in float64", "[linalg][threads]") {
    Matrix64 a(300, 140), b(300, 150), c(140, 150);
    for (size_t i = 0; i < a.values.size(); i++) a.values[i] = double(Random{11, 1}.normal(i));
    for (size_t i = 0; i < b.values.size(); i++) b.values[i] = double(Random{11, 2}.normal(i));
    std::fill(c.values.begin(), c.values.end(), 1.0);
    add_product(a, Op::transposed, b, Op::plain, c);
    for (const auto& [i, j] : {std::pair<int64_t, int64_t>{0, 0}, {69, 74}, {70, 75}, {139, 149}, {3, 140}}) {
        double sum = 1;
        for (int64_t n = 0; n < 300; n++) sum += a.at(n, i) * b.at(n, j);
        CHECK(c.at(i, j) == Approx(sum).margin(1e-12));
    }
    Matrix64 again(140, 150);
    std::fill(again.values.begin(), again.values.end(), 1.0);
    add_product(a.transposed(), Op::plain, b.transposed(), Op::transposed, again);
    for (size_t i = 0; i < c.values.size(); i++) REQUIRE(again.values[i] == Approx(c.values[i]).margin(1e-12));

    // [2 1; 1 2] has 3 along (1, 1) and 1 along (1, -1); [3 0; 4 0; 0 2] has 5 and 2.
    Matrix64 symmetric(2, 2), tall(3, 2);
    symmetric.values = {2, 1, 1, 2}, tall.values = {3, 0, 4, 0, 0, 2};
    const Eigen64 e = eigen_symmetric(symmetric);
    CHECK((e.values[0] == Approx(3).epsilon(1e-15) && e.values[1] == Approx(1).epsilon(1e-15)));
    CHECK(e.vectors.at(0, 0) == Approx(std::sqrt(0.5)).epsilon(1e-15));
    CHECK(e.vectors.at(1, 0) == Approx(-e.vectors.at(1, 1)).epsilon(1e-15));
    for (const Matrix64& m : {tall, tall.transposed()}) {
        const std::vector<double> values = singular_values(m);
        REQUIRE(values.size() == 2);
        CHECK((values[0] == Approx(5).epsilon(1e-15) && values[1] == Approx(2).epsilon(1e-15)));
    }
    CHECK(singular_values(Matrix64(0, 3)).empty());
    CHECK_ERROR(add_product(a, Op::plain, b, Op::plain, c), ShapeError, "a [300, 140], b [300, 150], c [140, 150]");
    CHECK_ERROR(eigen_symmetric(tall), ShapeError, "eigen_symmetric: a [3, 2]; want [D, D]");
    symmetric.values[1] = std::numeric_limits<double>::infinity();
    CHECK_ERROR(eigen_symmetric(symmetric), NonFiniteError, "eigen_symmetric: a [2, 2] holds NaN");
    CHECK_ERROR(singular_values(symmetric), NonFiniteError, "singular_values: a [2, 2] holds NaN");
}
