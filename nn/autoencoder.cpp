#include "nn/autoencoder.h"

#include <utility>

#include "nn/relative.h"

namespace koine {

// ---- the parts ----------------------------------------------------------------------------------------------------

Sequential image_encoder(Generator& gen, int64_t n_channels) {
    const ConvOptions halve{.stride = 2, .padding = 1};
    return {
        Conv2d(gen, n_channels, 32, 3, halve), BatchNorm2d(32),  Gelu(),
        Conv2d(gen, 32, 64, 3, halve),         BatchNorm2d(64),  Gelu(),
        Conv2d(gen, 64, 128, 3, halve),        BatchNorm2d(128), Gelu(),
        Conv2d(gen, 128, 256, 3, halve),       BatchNorm2d(256), Flatten(),
    };
}

Sequential image_decoder(Generator& gen, int64_t n_code, int64_t n_channels) {
    const ConvOptions twice{.stride = 2, .padding = 1};
    // clang-format off
    return {
        Linear(gen, n_code, kImageLatent, Activation::gelu), Unflatten(2, 2, 256),
        ConvTranspose2d(gen, 256, 128, 4, twice), BatchNorm2d(128), Gelu(),
        ConvTranspose2d(gen, 128, 64, 3, twice),  BatchNorm2d(64),  Gelu(),
        ConvTranspose2d(gen, 64, 32, 4, twice),   BatchNorm2d(32),  Gelu(),
        ConvTranspose2d(gen, 32, 32, 4, twice),   BatchNorm2d(32),  Gelu(),
        Conv2d(gen, 32, n_channels, 3, {.padding = 1}, Activation::sigmoid),
    };
    // clang-format on
}

Gaussian::Gaussian(Generator& gen, int64_t n_in, int64_t n_out)
    : mu(gen, n_in, n_out), log_var(gen, n_in, n_out), rng(gen.next()) {}

Var Gaussian::draw(const Parameters& p) {
    const Var eps(Tensor::normal(p.mu.shape(), Random{rng.seed, rng.stream + n_draws++}, p.mu.device()));
    return p.mu + exp(p.log_var * real(0.5)) * eps;
}

void Gaussian::visit(Visitor& v) {
    v("mu", mu);
    v("log_var", log_var);
    v("n_draws", n_draws);
}

// ---- the form -----------------------------------------------------------------------------------------------------

int64_t AutoEncoderForm::n_code() const {
    if (is_relative()) return n_anchors;
    return is_variational() ? n_latent : kImageLatent;
}

std::string AutoEncoderForm::str() const {
    std::string text =
        std::string(is_relative() ? "a relative" : "an absolute") + (is_variational() ? " VAE" : " auto-encoder");
    if (is_relative() && is_paper) text += " of the paper's form";
    std::string sizes;
    if (is_relative()) sizes = std::to_string(n_anchors) + " anchors";
    if (is_variational()) sizes += (sizes.empty() ? "" : ", ") + std::to_string(n_latent) + " latent dimensions";
    return sizes.empty() ? text : text + " (" + sizes + ")";
}

std::map<std::string, std::string> AutoEncoderForm::metadata() const {
    return {{"form.n_anchors", std::to_string(n_anchors)},
            {"form.n_latent", std::to_string(n_latent)},
            {"form.is_paper", std::to_string(int(is_paper))}};
}

AutoEncoderForm AutoEncoderForm::of(const Checkpoint& checkpoint) {
    constexpr uint64_t kMax = 1 << 20;
    const auto entry = [&](const char* name, uint64_t max) {
        const uint64_t n = checkpoint.number(name);
        if (n > max) {
            throw DataError("VALUE", checkpoint.source, "entry " + std::string(name),
                            "is " + std::to_string(n) + ", expected at most " + std::to_string(max));
        }
        return int64_t(n);
    };
    return {entry("form.n_anchors", kMax), entry("form.n_latent", kMax), entry("form.is_paper", 1) == 1};
}

// ---- the model ----------------------------------------------------------------------------------------------------

AutoEncoder::AutoEncoder(const AutoEncoderForm& form_, const Tensor& anchors_, Generator gen)
    : form(form_), anchors(anchors_), encoder(image_encoder(gen)), decoder({}) {
    const int64_t n_anchors = anchors.is_defined() ? anchors.shape[0] : 0;
    if (n_anchors != form.n_anchors) {
        throw ShapeError("AutoEncoder: " + std::to_string(n_anchors) + " anchors; want " +
                         std::to_string(form.n_anchors));
    }
    int64_t n_in = form.n_code();
    if (form.draws_in_encoder()) gaussian.emplace(gen, kImageLatent, form.n_latent);
    if (form.is_relative() && form.is_paper) norm.emplace(n_in);
    if (form.is_variational() && !form.draws_in_encoder()) {
        gaussian.emplace(gen, n_in, form.n_latent);
        n_in = form.n_latent;
    }
    decoder = image_decoder(gen, n_in);
}

Var AutoEncoder::encode(const Var& x, Gaussian::Parameters* q) { return project(latent(x, q)); }

Var AutoEncoder::decode(const Var& code, Gaussian::Parameters* q) {
    Var c = norm ? (*norm)(code) : code;
    if (gaussian && !form.draws_in_encoder()) c = draw(c, q);
    return decoder(c);
}

Var AutoEncoder::latent(const Var& x, Gaussian::Parameters* q) {
    const Var e = encoder(x);
    return form.draws_in_encoder() ? draw(e, q) : e;
}

Var AutoEncoder::project(const Var& z) {
    if (!form.is_relative()) return z;
    // The anchors' latents are constants of the step, but their pass moves BatchNorm's statistics like any other.
    std::optional<NoGrad> constant;
    if (!anchor_grad) constant.emplace();
    const Var a = latent(Var(anchors), nullptr);
    constant.reset();
    return relative(z, a, anchor_grad);
}

Var AutoEncoder::draw(const Var& e, Gaussian::Parameters* q) {
    const Gaussian::Parameters p = gaussian->parameters_of(e);
    if (q != nullptr) *q = p;
    return is_at_mean ? p.mu : gaussian->draw(p);
}

Var AutoEncoder::sample(int64_t n, Random noise) {
    if (!form.is_variational()) throw ValueError("AutoEncoder::sample: only a VAE has a prior to draw from");
    const Var z(Tensor::normal({n, form.n_latent}, noise, gaussian->mu.weight.device()));
    return decoder(form.draws_in_encoder() ? project(z) : z);
}

void AutoEncoder::visit(Visitor& v) {
    v.constant(anchors);
    v("encoder", encoder);
    v("decoder", decoder);
    if (gaussian) v(form.draws_in_encoder() ? "encoder.gaussian" : "decoder.gaussian", *gaussian);
    if (norm) v("decoder.norm", *norm);
}

NoiseScope::NoiseScope(AutoEncoder& model, Random noise) : gaussian(model.gaussian ? &*model.gaussian : nullptr) {
    if (gaussian == nullptr) return;
    rng = std::exchange(gaussian->rng, noise);
    n_draws = std::exchange(gaussian->n_draws, 0);
}

NoiseScope::~NoiseScope() {
    if (gaussian == nullptr) return;
    gaussian->rng = rng;
    gaussian->n_draws = n_draws;
}

// ---- loading ------------------------------------------------------------------------------------------------------

namespace {

// Sizes that a file claims are believed when a weight in it has them: nothing large is allocated on a claim alone.
void require_weight(const Checkpoint& c, const std::string& name, int axis, int64_t size) {
    constexpr int64_t kHarmless = 1024;
    for (const auto& [found, tensor] : c.tensors) {
        if (found == name && tensor.shape.rank == 2 && tensor.shape[axis] == size) return;
    }
    if (size > kHarmless) {
        throw DataError("SHAPE", c.source, name,
                        "expected a matrix with " + std::to_string(size) + " along axis " + std::to_string(axis));
    }
}

void require_weights(const Checkpoint& c, const AutoEncoderForm& form) {
    if (form.is_variational()) {
        const std::string side = form.draws_in_encoder() ? "encoder" : "decoder";
        require_weight(c, "model." + side + ".gaussian.mu.weight", 0, form.n_latent);
    }
    const int64_t n_in = form.draws_in_encoder() || !form.is_variational() ? form.n_code() : form.n_latent;
    require_weight(c, "model.decoder.0.weight", 1, n_in);
}

}  // namespace

AutoEncoderForm common_form(const Checkpoint& a, const Checkpoint& b) {
    const AutoEncoderForm form = AutoEncoderForm::of(a), other = AutoEncoderForm::of(b);
    if (form == other) return form;
    throw CheckpointError(a.source + " and " + b.source + " cannot be stitched: the first is of " + form.str() +
                          ", the second of " + other.str());
}

AutoEncoder load_stitched(const Checkpoint& encoder, const Checkpoint& decoder, const Tensor& anchors) {
    const AutoEncoderForm form = common_form(encoder, decoder);
    require_weights(encoder, form);
    require_weights(decoder, form);
    StateDict parts;
    for (const auto& [name, tensor] : encoder.tensors) {
        if (name.starts_with("model.encoder.")) parts.push_back({name, tensor});
    }
    for (const auto& [name, tensor] : decoder.tensors) {
        if (name.starts_with("model.decoder.")) parts.push_back({name, tensor});
    }
    AutoEncoder model(form, anchors, Generator(0));
    model.load(select(parts, "model"), nullptr,
               "the encoder of " + encoder.source + " and the decoder of " + decoder.source);
    model.eval();
    return model;
}

}  // namespace koine
