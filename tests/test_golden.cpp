// Whole training steps against PyTorch: model, loss, gradients, optimiser and running statistics together. The expected
// numbers are made by tests/golden/make_ae_golden.py and make_convnet_golden.py.
#include "nn/optim.h"
#include "tests/devices.h"
#include "tests/golden/check_step.h"
#include "tests/golden/convnet.h"

using namespace koine;
using namespace koine::testing;

TEST_CASE("ten Adam steps of the relative auto-encoder are those of PyTorch", "[golden][nn][cuda][A18]") {
    const Device device = EACH_DEVICE();
    INFO("on " << name_of(device));
    const auto expected = golden("ae_adam.json");
    const std::vector<double> losses = expected[kIsDouble ? "losses_float64" : "losses_float32"];

    RelativeAutoEncoder model(10);
    model.to(device);
    Adam adam(model, {.lr = 1e-3});
    const Var x(plaids(32, kImageStream).to(device));
    for (size_t step = 0; step < losses.size(); step++) {
        INFO("step " << step + 1);
        adam.zero_grad();
        const Var loss = mse_loss(model(x), x);
        backward(loss);
        if (step == 0) check_grad_norms(adam.parameters, expected["grad_norms_at_step_1"]);
        adam.step();
        CHECK(double(loss.item()) == Approx(losses[step]).epsilon(kTolerance));
    }

    // These see the biases in front of BatchNorm, too, which Adam moves in the direction of a rounding error: by up to
    // lr a step in float, where that error is not small against eps.
    const double drift = kIsDouble ? 1e-9 : 1e-3;
    for (const auto& [name, tensor] : model.state()) {
        if (!expected.contains(name)) continue;
        INFO(name);
        const std::vector<double> statistics = expected[name];
        REQUIRE(int64_t(statistics.size()) == tensor.numel());
        for (int64_t c = 0; c < tensor.numel(); c++) {
            CHECK(std::abs(double(tensor.at({c})) - statistics[size_t(c)]) <= drift);
        }
    }
    model.eval();
    const NoGrad no_grad;
    check_pixels(model(x).value, expected["pixels_in_eval_mode"], drift);
}

TEST_CASE("three Adam steps of the classifier are those of PyTorch", "[golden][nn][convnet][cuda][A18]") {
    const Device device = EACH_DEVICE();
    INFO("on " << name_of(device));
    const auto expected = golden("convnet.json");
    const std::vector<double> losses = expected["losses"];  // in float64
    // These steps are steep: after five of them PyTorch's own float32 loss is 1.2e-3 away from its float64 one.
    const double tolerance = kIsDouble ? 1e-9 : 1e-3;

    FormulaConvNet model;
    model.to(device);
    Adam adam(model, {.lr = 1e-3});
    const Var x(colour_plaids(24, kImageStream).to(device));
    const Indices labels(labels_in_turn(24).to_vector(), Shape{24}, device);
    for (size_t step = 0; step < losses.size(); step++) {
        INFO("step " << step + 1);
        adam.zero_grad();
        const Var loss = cross_entropy(model(x), labels);
        backward(loss);
        if (step == 0) check_grad_norms(adam.parameters, expected["grad_norms_at_step_1"]);
        adam.step();
        CHECK(double(loss.item()) == Approx(losses[step]).epsilon(tolerance));
    }

    model.eval();
    const NoGrad no_grad;
    const Tensor embeddings = model.penultimate(x).value;
    const std::vector<double> lengths = expected["lengths_of_embeddings"];
    REQUIRE(lengths.size() == 24);
    for (int64_t n = 0; n < 24; n++) {
        CHECK(norm_of(embeddings.slice(0, n, n + 1)) == Approx(lengths[size_t(n)]).epsilon(tolerance));
    }
}
