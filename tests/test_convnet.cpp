// nn/convnet.h: sizes, names, the cut at the penultimate layer; and the scores of a classifier (nn/evaluate.h).
#include <cmath>
#include <limits>

#include "nn/convnet.h"
#include "nn/evaluate.h"
#include "nn/optim.h"
#include "tests/catch.h"

using namespace koine;

TEST_CASE("a ConvNet has the layers of its form", "[nn][convnet]") {
    ConvNet model(ConvNetForm{}, Generator(0));
    // Convolutions without bias, two numbers a channel for each BatchNorm, 8 x 8 ... 4 x 4 x 128 inputs of `hidden`.
    const int64_t convolutions = 9 * (3 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128);
    const int64_t norms = 2 * 2 * (32 + 64 + 128);
    const int64_t head = 4 * 4 * 128 * 256 + 256 + 256 * 100 + 100;
    CHECK(model.n_parameters() == convolutions + norms + head);
    CHECK(model.parameters().front().name == "blocks.0.weight");
    CHECK(model.parameters().back().name == "output.bias");

    const Var x(Tensor::uniform({2, 32, 32, 3}, 0, 1, {1, 0}));
    model.eval();
    const Var embedding = model.penultimate(x), logits = model(x);
    CHECK(embedding.shape() == Shape{2, 256});
    CHECK(logits.shape() == Shape{2, 100});
    for (real v : embedding.value.to_vector()) CHECK(v >= 0);
    CHECK(model.output(embedding).value.to_vector() == logits.value.to_vector());

    // The same seed, the same network; another seed, another one.
    ConvNet twin(ConvNetForm{}, Generator(0)), other(ConvNetForm{}, Generator(1));
    CHECK(checksum(twin.state()) == checksum(model.state()));
    CHECK(checksum(other.state()) != checksum(model.state()));
}

TEST_CASE("a ConvNet takes images of other sizes", "[nn][convnet]") {
    const ConvNetForm form{
        .height = 28, .width = 20, .n_channels = 1, .n_classes = 10, .widths = {4, 8}, .n_hidden = 6};
    CHECK(form.n_features() == 7 * 5 * 8);
    ConvNet model(form, Generator(0));
    CHECK(model(Var(Tensor::zeros({3, 28, 20, 1}))).shape() == Shape{3, 10});
    CHECK(form.metadata().at("form.widths") == "4,8");

    CHECK_THROWS_WITH(ConvNet({.height = 7}, Generator(0)), "ConvNet: images of 7 x 32 cannot be halved 3 times");
    CHECK_THROWS_WITH(ConvNet({.n_classes = 0}, Generator(0)), "ConvNet: every size must be 1 or more");
    CHECK_THROWS_WITH(ConvNet({.widths = {4, 0}}, Generator(0)), "ConvNet: every size must be 1 or more");
}

TEST_CASE("a ConvNet learns a few images by heart", "[nn][convnet]") {
    const ConvNetForm form{.height = 8, .width = 8, .n_channels = 1, .n_classes = 3, .widths = {4, 8}, .n_hidden = 16};
    ConvNet model(form, Generator(0));
    Adam adam(model, {.lr = 1e-2});
    const Var x(Tensor::uniform({12, 8, 8, 1}, -1, 1, {5, 0}));
    const Indices labels(std::vector<int32_t>{0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2});
    const double before = score_classes(model(x).value, labels).loss;
    for (int i = 0; i < 60; i++) {
        adam.zero_grad();
        backward(cross_entropy(model(x), labels));
        adam.step();
    }
    const ClassScores after = score_classes(model(x).value, labels);
    CHECK(before > 0.9);
    CHECK(after.loss < 0.1);
    CHECK(after.top1 == 1);
}

TEST_CASE("right answers are counted", "[nn][evaluate]") {
    constexpr real nan = std::numeric_limits<real>::quiet_NaN();
    const Tensor logits = Tensor::from({1, 2, 3, 4, 5, 6, 7,   // class 1 is sixth
                                        1, 2, 3, 4, 5, 6, 7,   // class 2 is fifth
                                        1, 2, 3, 4, 5, 6, 7,   // class 6 is first
                                        5, 5, 5, 5, 5, 5, 5},  // class 4 is fifth, as equal ones go by number
                                       {4, 7});
    const ClassScores s = score_classes(logits, Indices(std::vector<int32_t>{1, 2, 6, 4}));
    CHECK(s.top1 == 0.25);
    CHECK(s.top5 == 0.75);
    double sum = 0;
    for (int k = 1; k <= 7; k++) sum += std::exp(k);
    CHECK(s.loss == Approx((3 * std::log(sum) - 2 - 3 - 7 + std::log(7.0)) / 4).epsilon(1e-6));

    // Large logits do not overflow, and NaN is never right.
    const Indices first(std::vector<int32_t>{0});
    CHECK(score_classes(Tensor::from({20000, -20000}, {1, 2}), first).loss == 0);
    for (const Tensor& row : {Tensor::from({nan, 0}, {1, 2}), Tensor::from({0, nan}, {1, 2})}) {
        const ClassScores broken = score_classes(row, first);
        CHECK(std::isnan(broken.loss));
        CHECK(broken.top1 == 0);
    }
    CHECK_THROWS_AS(score_classes(logits, first), ShapeError);
    CHECK_THROWS_AS(score_classes(Tensor::zeros({0, 7}), Indices(std::vector<int32_t>{})), ShapeError);
    CHECK_THROWS_AS(score_classes(Tensor::zeros({1, 7}), Indices(std::vector<int32_t>{7})), ValueError);
}
