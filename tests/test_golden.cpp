// Whole training steps against PyTorch: model, loss, gradients, optimiser and running statistics together. The expected
// numbers are made by tests/golden/make_ae_golden.py.
#include "nn/optim.h"
#include "tests/catch.h"
#include "tests/golden/golden.h"
#include "tests/golden/relative_ae.h"

using namespace koine;
using namespace koine::testing;

namespace {

constexpr bool kIsDouble = sizeof(real) == sizeof(double);

double norm_of(const Tensor& t) {
    double sum = 0;
    for (real v : t.to_vector()) sum += double(v) * double(v);
    return std::sqrt(sum);
}

}  // namespace

TEST_CASE("ten Adam steps of the relative auto-encoder are those of PyTorch", "[golden][nn]") {
    const auto expected = golden("ae_adam.json");
    const std::vector<double> losses = expected[kIsDouble ? "losses_float64" : "losses_float32"];
    const double tolerance = kIsDouble ? 1e-9 : 1e-4;

    RelativeAutoEncoder model(10);
    Adam adam(model, {.lr = 1e-3});
    const Var x(plaids(32, kImageStream));
    for (size_t step = 0; step < losses.size(); step++) {
        INFO("step " << step + 1);
        adam.zero_grad();
        const Var loss = mse_loss(model(x), x);
        backward(loss);
        if (step == 0) {
            // A bias in front of BatchNorm has no effect, and so a gradient of 0 up to rounding, which is measured by
            // the norm of all gradients together.
            const auto& norms = expected["grad_norms_at_step_1"];
            REQUIRE(norms.size() == adam.parameters.vars.size());
            const double rounding = (kIsDouble ? 1e-14 : 1e-6) * grad_norm(adam.parameters);
            for (const NamedVar& p : adam.parameters.vars) {
                INFO("gradient of " << p.name);
                const double norm = norms.at(p.name);
                CHECK(std::abs(norm_of(p.var.grad()) - norm) <= tolerance * norm + rounding);
            }
        }
        adam.step();
        CHECK(double(loss.item()) == Approx(losses[step]).epsilon(tolerance));
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
            CHECK(double(tensor.at({c})) == Approx(statistics[size_t(c)]).margin(drift));
        }
    }
    model.eval();
    const NoGrad no_grad;
    const Tensor y = model(x).value;
    for (const auto& pixel : expected["pixels_in_eval_mode"]) {
        const double value = double(y.at({pixel[0], pixel[1], pixel[2], 0}));
        CHECK(value == Approx(double(pixel[3])).margin(drift));
    }
}
