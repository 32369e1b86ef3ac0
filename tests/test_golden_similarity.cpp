// nn/similarity.h and nn/correlation.h against NumPy, which works from the definitions: Gram matrices, centring
// matrices, decompositions of the data itself. The expected numbers are made by
// tests/golden/make_similarity_golden.py, which makes the same spaces by the same formula.
#include "nn/correlation.h"
#include "nn/similarity.h"
#include "tests/catch.h"
#include "tests/golden/golden.h"
#include "tests/golden/relative_ae.h"

using namespace koine;
using namespace koine::testing;
using nlohmann::json;

namespace {

// Inputs have 24 bits and everything is summed in float64 in both builds. Measured: 1e-14 at the most.
constexpr double kExact = 1e-12;
// Relative codes have the precision of the build.
constexpr double kRelative = sizeof(real) == sizeof(double) ? 1e-9 : 1e-6;

/// Numbers in [-1, 1).
Matrix64 matrix(uint32_t stream, int64_t rows, int64_t cols) {
    Matrix64 m(rows, cols);
    for (size_t i = 0; i < m.values.size(); i++) m.values[i] = 2 * formula(stream, uint32_t(i)) - 1;
    return m;
}

void add_scaled(Matrix64& to, const Matrix64& m, double factor) {
    for (size_t i = 0; i < to.values.size(); i++) to.values[i] += factor * m.values[i];
}

struct Case {
    int64_t n, d, e, n_latents;
    double noise, mean;
    bool is_turned, is_unrelated, is_flat;
    uint32_t stream;

    explicit Case(const json& j)
        : n(j.at("n")),
          d(j.at("d")),
          e(j.at("e")),
          n_latents(j.at("latents")),
          noise(j.at("noise")),
          mean(j.at("mean")),
          is_turned(j.value("turned", false)),
          is_unrelated(j.value("unrelated", false)),
          is_flat(j.value("flat", false)),
          stream(j.at("stream")) {}

    Matrix64 space(int64_t cols, const Matrix64& latents, uint32_t first_stream) const {
        Matrix64 x(n, cols);
        add_product(latents, Op::plain, matrix(first_stream, n_latents, cols), Op::plain, x);
        for (double& v : x.values) v /= std::sqrt(double(n_latents));
        add_scaled(x, matrix(first_stream + 1, n, cols), noise);
        for (int64_t i = 0; i < n && is_flat; i++) x.row(i)[0] = 0;
        for (double& v : x.values) v += mean;
        return x;
    }
    Matrix64 x() const { return space(d, matrix(stream, n, n_latents), stream + 1); }
    Matrix64 y() const {
        if (!is_turned) return space(e, matrix(is_unrelated ? stream + 5 : stream, n, n_latents), stream + 3);
        Matrix64 y = x();
        for (const uint32_t s : {stream + 3, stream + 4}) {  // reflected: y - 2 (y . h) h / |h|^2
            const Matrix64 h = matrix(s, 1, d);
            Matrix64 along(n, 1), square(1, 1), part(n, d);
            add_product(y, Op::plain, h, Op::transposed, along);
            add_product(h, Op::plain, h, Op::transposed, square);
            add_product(along, Op::plain, h, Op::plain, part);
            add_scaled(y, part, -2 / square.at(0, 0));
        }
        add_scaled(y, matrix(stream + 5, n, e), noise);
        return y;
    }
};

Tensor rounded(const Matrix64& m) {
    const Tensor t = Tensor::empty({m.rows, m.cols});
    for (int64_t i = 0; i < t.numel(); i++) t.data()[i] = real(float(m.values[size_t(i)]));
    return t;
}

}  // namespace

TEST_CASE("measures of similarity are those of NumPy", "[golden][nn][similarity][A18]") {
    const json file = golden("similarity.json");
    REQUIRE(file.at("cases").size() == 6);
    for (const auto& [name, expected] : file.at("cases").items()) {
        INFO(name);
        const Case c(expected.at("case"));
        const Tensor x = rounded(c.x()), y = rounded(c.y()), x0 = centred(x), y0 = centred(y);
        const auto check = [&](const char* measure, double value, double tolerance) {
            INFO(measure);
            CHECK(value == Approx(double(expected.at(measure))).margin(tolerance).epsilon(0));
        };
        check("linear_cka", linear_cka(x, y), kExact);
        check("linear_cka_debiased", linear_cka_debiased(x, y), kExact);
        check("svcca", svcca(x, y), kExact);
        check("svcca_half", svcca(x, y, 0.5), kExact);
        check("procrustes_distance", procrustes_distance(x, y), kExact);
        const int64_t n_anchors = file.at("n_anchors");
        check("relative_cosine", relative_cosine(x0, x0.slice(0, 0, n_anchors), y0, y0.slice(0, 0, n_anchors)),
              kRelative);
        check("neighbourhood_jaccard", neighbourhood_jaccard(x0, y0, file.at("k")), kExact);
        if (c.d == c.e) check("mean_cosine", mean_cosine(x, y), kExact);
    }
}

TEST_CASE("correlations of lists with ties are those of NumPy", "[golden][nn][similarity][A18]") {
    const json expected = golden("similarity.json").at("correlation");
    std::vector<double> a, b;
    for (uint32_t i = 0; i < expected.at("n"); i++) {
        a.push_back(std::floor(8 * formula(901, i)));
        b.push_back(a.back() * a.back() + std::floor(30 * formula(902, i)));
    }
    CHECK(pearson(a, b) == Approx(double(expected.at("pearson"))).epsilon(1e-12));
    CHECK(spearman(a, b) == Approx(double(expected.at("spearman"))).epsilon(1e-12));
}
