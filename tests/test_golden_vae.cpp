// One training step of the variational auto-encoders against PyTorch: noise, distribution, relative code, both terms of
// the loss and every gradient. The expected numbers are made by tests/golden/make_vae_golden.py, which draws its noise
// by the same formula.
#include "nn/optim.h"
#include "tests/devices.h"
#include "tests/golden/check_step.h"
#include "tests/golden/relative_ae.h"

using namespace koine;
using namespace koine::testing;

namespace {

void check_step(const std::string& name, Device device) {
    INFO("on " << name_of(device));
    const nlohmann::json file = golden("vae.json"), expected = file.at(name);
    const auto& f = expected.at("form");
    const AutoEncoderForm form{f.at("n_anchors"), f.at("n_latent"), f.at("is_paper")};
    const Tensor anchors = form.is_relative() ? plaids(form.n_anchors, kAnchorStream) : Tensor();
    AutoEncoder model(form, anchors, Generator(0));
    fill_by_formula(model);
    model.to(device);
    model.gaussian->rng = {file.at("seed"), file.at("stream")};
    const FlatParameters parameters(model);

    const Var x(plaids(32, kImageStream).to(device));
    Gaussian::Parameters q;
    const Var y = model.reconstruct(x, &q);
    // Each draw has a stream of its own: with another number of them (the anchors' z drawn, or at their means), nothing
    // below would agree. ANCHORS_ARE_DRAWN in the script says which it is.
    CHECK(model.gaussian->n_draws == expected.at("n_draws"));

    const int64_t n_pixels = 28 * 28;
    const Var mse = mse_loss(y, x), kl = kl_normal(q.mu, q.log_var);
    const Var reconstruction = form.is_paper ? calibrated_nll(mse, n_pixels) : mse * real(n_pixels);
    const Var total = reconstruction + kl;
    backward(total);

    const auto& losses = expected.at(kIsDouble ? "losses_float64" : "losses_float32");
    const auto check_loss = [&](const char* term, const Var& value) {
        INFO(term);
        CHECK(double(value.item()) == Approx(double(losses.at(term))).epsilon(kTolerance));
    };
    check_loss("mse", mse);
    check_loss("reconstruction", reconstruction);
    check_loss("kl", kl);
    check_loss("total", total);

    check_grad_norms(parameters, expected.at("grad_norms"));
    check_pixels(y.value, expected.at("pixels"), kTolerance);
}

}  // namespace

TEST_CASE("a step of the relative VAE is that of PyTorch", "[golden][nn][vae][cuda][A18]") {
    check_step("relative", EACH_DEVICE());
}
TEST_CASE("a step of the paper's relative VAE is that of PyTorch", "[golden][nn][vae][cuda][A18]") {
    check_step("relative_paper", EACH_DEVICE());
}
TEST_CASE("a step of the absolute VAE is that of PyTorch", "[golden][nn][vae][cuda][A18]") {
    check_step("absolute", EACH_DEVICE());
}
