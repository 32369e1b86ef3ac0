// Scores of images against scikit-image (tests/golden/make_ae_golden.py), and running a model in batches.
#include "nn/evaluate.h"
#include "tests/catch.h"
#include "tests/golden/golden.h"
#include "tests/golden/relative_ae.h"

using namespace koine;
using namespace koine::testing;

namespace {

Tensor noise(const Shape& shape, uint32_t stream) {
    const Tensor t = Tensor::empty(shape);
    for (int64_t i = 0; i < t.numel(); i++) t.data()[i] = real(formula(stream, uint32_t(i)));
    return t;
}

}  // namespace

TEST_CASE("image scores are those of scikit-image", "[golden][nn][evaluate]") {
    const auto expected = golden("image_scores.json");
    const Shape shape{2, 16, 20, 3};
    const Tensor target = noise(shape, 1);
    const Tensor y = ((Var(target) + Var(noise(shape, 2))) / real(2)).value;
    const double tolerance = sizeof(real) == 8 ? 1e-12 : 1e-6;

    const ImageScores scores = compare_images(y, target);
    CHECK(scores.mse == Approx(double(expected["mse"])).epsilon(tolerance));
    CHECK(scores.psnr == Approx(double(expected["psnr"])).epsilon(tolerance));
    CHECK(scores.ssim == Approx(double(expected["ssim"])).epsilon(tolerance));

    // Views are images, too: rows and columns exchanged in both leave every score.
    const std::vector<int> exchanged{0, 2, 1, 3};
    const ImageScores turned = compare_images(y.permute(exchanged), target.permute(exchanged));
    CHECK(turned.mse == Approx(scores.mse).epsilon(1e-12));
    CHECK(turned.ssim == Approx(scores.ssim).epsilon(1e-12));
}

TEST_CASE("an image scores best against itself", "[nn][evaluate]") {
    const Tensor image = noise({1, 11, 11, 1}, 3);  // one window
    const ImageScores scores = compare_images(image, image);
    CHECK(scores.mse == 0);
    CHECK(scores.psnr == 100);
    CHECK(scores.ssim == Approx(1).epsilon(1e-12));
    // A black image beside a white one: mean 0 and 1, no variance, so SSIM is C1 / (1 + C1).
    const ImageScores worst = compare_images(Tensor::zeros({1, 11, 11, 1}), Tensor::full({1, 11, 11, 1}, 1));
    CHECK(worst.mse == Approx(1));
    CHECK(worst.psnr == Approx(0).margin(1e-12));
    CHECK(worst.ssim == Approx(1e-4 / 1.0001).epsilon(1e-6));
}

TEST_CASE("images that cannot be compared are refused", "[nn][evaluate][errors]") {
    const auto compare = [](const Shape& y, const Shape& target) {
        compare_images(Tensor::zeros(y), Tensor::zeros(target));
    };
    CHECK_ERROR(compare({1, 11, 11, 1}, {1, 11, 12, 1}), ShapeError,
                "[1, 11, 11, 1] and [1, 11, 12, 1]; want the same [N, H, W, C]");
    CHECK_ERROR(compare({1, 11, 10, 1}, {1, 11, 10, 1}), ShapeError, "H and W of 11 or more");
    CHECK_ERROR(compare({1, 10, 11, 1}, {1, 10, 11, 1}), ShapeError, "H and W of 11 or more");
    CHECK_ERROR(compare({0, 11, 11, 1}, {0, 11, 11, 1}), ShapeError, "[0, 11, 11, 1]");
    CHECK_ERROR(compare({11, 11, 1}, {11, 11, 1}), ShapeError, "[11, 11, 1]");
}

TEST_CASE("batches together give what one pass gives", "[nn][evaluate]") {
    const Tensor x = noise({7, 5}, 4);
    Generator gen(1);
    Linear layer(gen, 5, 3, Activation::gelu);
    std::vector<int64_t> sizes;
    const auto f = [&](const Var& batch) {
        sizes.push_back(batch.shape()[0]);
        CHECK(NoGrad::is_active());
        return layer(batch);
    };
    const std::vector<real> whole = layer(Var(x)).value.to_vector();
    for (const int64_t batch : {1, 2, 3, 7, 100}) {
        INFO("batches of " << batch);
        sizes.clear();
        const Tensor y = apply_in_batches(x, f, batch);
        CHECK(y.shape == Shape{7, 3});
        const std::vector<real> values = y.to_vector();
        for (size_t i = 0; i < whole.size(); i++) CHECK(double(values[i]) == Approx(double(whole[i])).margin(1e-6));
        CHECK(int64_t(sizes.size()) == (7 + batch - 1) / batch);
        CHECK(sizes.back() == 7 - batch * (int64_t(sizes.size()) - 1));
    }
    CHECK(!NoGrad::is_active());
}

TEST_CASE("what cannot be cut into batches is refused", "[nn][evaluate][errors]") {
    const auto same = [](const Var& x) { return x; };
    CHECK_ERROR(apply_in_batches(Tensor::zeros({3, 2}), same, 0), ValueError,
                "apply_in_batches: a batch of 0; want 1 or more");
    CHECK_ERROR(apply_in_batches(Tensor::zeros({0, 2}), same), ShapeError, "x [0, 2]; want [N, *] with N >= 1");
    CHECK_ERROR(apply_in_batches(Tensor::zeros({}), same), ShapeError, "x []; want [N, *]");
    // What f throws comes out, and NoGrad ends.
    CHECK_ERROR(apply_in_batches(Tensor::zeros({3, 2}), [](const Var& x) { return linear(x, x, Var()) + Var(); }),
                Error, "undefined");
    CHECK(!NoGrad::is_active());
}
