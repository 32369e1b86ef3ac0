// Scores of images against scikit-image (tests/golden/make_ae_golden.py), counts of classes against scikit-learn, and
// running a model in batches.
#include "nn/evaluate.h"

#include <limits>

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

// Logits whose largest is at the class that is predicted for each sample.
Confusion confusion_of(const std::vector<int32_t>& right, const std::vector<int32_t>& predicted, int64_t n_classes) {
    const Tensor logits = Tensor::full({int64_t(predicted.size()), n_classes}, -1);
    for (size_t i = 0; i < predicted.size(); i++) logits.data()[int64_t(i) * n_classes + predicted[i]] = real(0.5);
    return count_confusion(logits, Indices(right));
}

void check_scores(const Confusion& c, double accuracy, double f1, double error) {
    CHECK(c.accuracy() == Approx(accuracy).epsilon(1e-12));
    CHECK(c.weighted_f1() == Approx(f1).epsilon(1e-12));
    CHECK(c.mean_absolute_error() == Approx(error).epsilon(1e-12));
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

TEST_CASE("classes are counted by what is right and what was predicted", "[nn][evaluate]") {
    const Confusion c = confusion_of({0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2}, {0, 0, 1, 2, 1, 1, 0, 2, 2, 2, 1, 0}, 3);
    CHECK(c.n_classes == 3);
    CHECK(c.counts == std::vector<int64_t>{2, 1, 1, 1, 2, 0, 1, 1, 3});
    CHECK(c.at(0, 2) == 1);
    CHECK(c.at(2, 0) == 1);
    CHECK(c.at(1, 2) == 0);
    CHECK(c.n_of(0) == 4);
    CHECK(c.n_of(1) == 3);
    CHECK(c.n_of(2) == 5);
    // By hand: 7 of 12; F1 of the classes 4/8, 4/7 and 6/9, weighted by 4, 3 and 5; three errors of 1 and two of 2.
    check_scores(c, 7.0 / 12, (4 * 4.0 / 8 + 3 * 4.0 / 7 + 5 * 6.0 / 9) / 12, 7.0 / 12);
    // sklearn.metrics, computed once: accuracy_score, f1_score(average="weighted"), mean_absolute_error.
    check_scores(c, 0.583333333333333, 0.587301587301587, 0.583333333333333);

    // Everything right, everything wrong.
    check_scores(confusion_of({0, 1, 2, 2}, {0, 1, 2, 2}, 3), 1, 1, 0);
    check_scores(confusion_of({0, 0, 2}, {2, 2, 0}, 3), 0, 0, 2);
    check_scores(confusion_of({1}, {0}, 2), 0, 0, 1);
}

TEST_CASE("classes that do not occur, or that nothing was taken for", "[nn][evaluate][M5]") {
    // sklearn.metrics, computed once, with f1_score(average="weighted", zero_division=0, labels=all).
    const Confusion absent = confusion_of({0, 0, 2, 2, 2}, {0, 2, 2, 2, 0}, 3);  // no 1 anywhere
    CHECK(absent.n_of(1) == 0);
    check_scores(absent, 0.6, 0.6, 0.8);
    const Confusion unused = confusion_of({0, 0, 1, 1, 1, 2}, {0, 2, 0, 2, 2, 2}, 3);  // nothing is taken for a 1
    CHECK(unused.n_of(1) == 3);
    CHECK(unused.at(1, 1) == 0);
    check_scores(unused, 0.333333333333333, 0.233333333333333, 0.833333333333333);
    const Confusion invented = confusion_of({0, 0, 2, 2}, {1, 0, 1, 2}, 3);  // no 1 is there, two are predicted
    check_scores(invented, 0.5, 0.666666666666667, 0.5);

    // Five classes, two of which never occur and one of which is never predicted.
    std::vector<int32_t> right, predicted;
    for (int32_t n = 0; n < 40; n++) right.push_back((7 * n * n + 3) % 5), predicted.push_back((3 * n + n * n / 4) % 5);
    check_scores(confusion_of(right, predicted, 5), 0.1, 0.114285714285714, 1.7);
}

TEST_CASE("of equal logits the smallest class is predicted", "[nn][evaluate]") {
    const auto inf = std::numeric_limits<real>::infinity();
    const Tensor logits = Tensor::from({1, 1, 1, 0, 2, 2, -inf, -inf, -inf, 3, inf, inf}, {4, 3});
    CHECK(count_confusion(logits, Indices(std::vector<int32_t>{2, 2, 2, 2})).counts ==
          std::vector<int64_t>{0, 0, 0, 0, 0, 0, 2, 2, 0});
}

TEST_CASE("the accuracy of a confusion is that of the scores", "[nn][evaluate]") {
    for (const int64_t n_classes : {2, 3, 7}) {
        const Tensor fine = noise({200, n_classes}, 5), coarse = Tensor::empty(fine.shape);
        for (int64_t i = 0; i < fine.numel(); i++) coarse.data()[i] = real(int(4 * fine.data()[i]));  // many ties
        std::vector<int32_t> labels;
        for (uint32_t i = 0; i < 200; i++) labels.push_back(int32_t(double(n_classes) * formula(6, i)));
        for (const Tensor& logits : {fine, coarse}) {
            const Confusion c = count_confusion(logits, Indices(labels));
            CHECK(c.accuracy() == Approx(score_classes(logits, Indices(labels)).top1).epsilon(1e-12));
            int64_t n = 0;
            for (int64_t k = 0; k < n_classes; k++) n += c.n_of(k);
            CHECK(n == 200);
        }
        // Views are logits, too.
        const std::vector<int> exchanged{1, 0};
        const Tensor turned = fine.permute(exchanged).contiguous().permute(exchanged);
        CHECK(count_confusion(turned, Indices(labels)).counts == count_confusion(fine, Indices(labels)).counts);
    }
}

TEST_CASE("what cannot be counted is refused", "[nn][evaluate][errors]") {
    const auto labels = [](const std::vector<int32_t>& values) { return Indices(values); };
    const Tensor logits = Tensor::zeros({4, 3});
    logits.data()[2 * 3 + 1] = std::numeric_limits<real>::quiet_NaN();
    CHECK_ERROR(count_confusion(logits, labels({0, 1, 2, 0})), NonFiniteError,
                "count_confusion: a logit of sample 2 is nan");

    const Tensor good = Tensor::zeros({2, 3});
    CHECK_ERROR(count_confusion(good, labels({0, 1, 2})), ShapeError,
                "count_confusion: logits [2, 3], labels [3]; want [N, K], [N] with N >= 1");
    CHECK_ERROR(count_confusion(Tensor::zeros({6}), labels({0})), ShapeError, "logits [6], labels [1]");
    CHECK_ERROR(count_confusion(Tensor::zeros({0, 3}), labels({})), ShapeError, "logits [0, 3], labels [0]");
    CHECK_ERROR(count_confusion(Tensor::zeros({1, 2, 3}), labels({0})), ShapeError, "logits [1, 2, 3]");
    CHECK_ERROR(count_confusion(good, labels({0, 3})), ValueError,
                "count_confusion: index 3 at position 1 is outside [0, 3)");
    CHECK_ERROR(count_confusion(good, labels({-1, 0})), ValueError, "index -1 at position 0");
    CHECK_ERROR(count_confusion(Tensor::zeros({1, 0}), labels({0})), ValueError, "outside [0, 0)");
    CHECK_THROWS_AS(confusion_of({0}, {0}, 2).at(2, 0), std::out_of_range);
}
