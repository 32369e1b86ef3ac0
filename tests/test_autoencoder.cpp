// nn/autoencoder.h: the four forms, the Gaussian layer, and models put together from two checkpoints. Against PyTorch:
// test_golden.cpp, test_golden_vae.cpp.
#include "nn/autoencoder.h"

#include "nn/relative.h"
#include "tests/nn_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

const AutoEncoderForm kForms[] = {
    {},                                                 // absolute
    {.n_anchors = 3},                                   // relative
    {.n_anchors = 3, .is_paper = true},                 // with LayerNorm
    {.n_latent = 5},                                    // absolute VAE
    {.n_anchors = 3, .n_latent = 5},                    // relative VAE
    {.n_anchors = 3, .n_latent = 5, .is_paper = true},  // the Gaussian behind the code
};

Tensor some_images(int64_t n, uint64_t stream) { return Tensor::uniform({n, 28, 28, 1}, 0, 1, {5, stream}); }
Tensor anchors_of(const AutoEncoderForm& form) {
    return form.is_relative() ? some_images(form.n_anchors, 1) : Tensor();
}

AutoEncoder make(const AutoEncoderForm& form, uint64_t seed) {
    AutoEncoder model(form, anchors_of(form), Generator(seed));
    model.eval();
    return model;
}

Checkpoint saved(AutoEncoder& model, const std::string& source) {
    Checkpoint c;
    c.source = source;
    c.metadata = model.form.metadata();
    c.add("model", model);
    return c;
}

Tensor without_graph(AutoEncoder& model, const Tensor& x) {
    const NoGrad no_grad;
    return model(x).value;
}

std::vector<std::string> names_of(AutoEncoder& model) {
    std::vector<std::string> names;
    for (const NamedTensor& t : model.state()) names.push_back(t.name);
    return names;
}

bool has(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

TEST_CASE("every form goes from images to a code of its size and back", "[nn][autoencoder]") {
    const Tensor x = some_images(4, 2);
    const NoGrad no_grad;
    for (const AutoEncoderForm& form : kForms) {
        INFO(form.str());
        AutoEncoder model = make(form, 1);
        const Var code = model.encode(x);
        CHECK(code.shape() == Shape{4, form.n_code()});
        const Tensor y = model.decode(code).value;
        CHECK(y.shape == x.shape);
        for (real v : y.to_vector()) CHECK((v > 0 && v < 1));
        if (!form.is_relative()) continue;
        for (real v : code.value.to_vector()) CHECK(std::abs(v) <= real(1.00001));
    }
    CHECK(AutoEncoderForm{}.n_code() == kImageLatent);
    CHECK(AutoEncoderForm{.n_anchors = 3, .n_latent = 5}.str() == "a relative VAE (3 anchors, 5 latent dimensions)");
    CHECK(AutoEncoderForm{.n_anchors = 3, .is_paper = true}.str() ==
          "a relative auto-encoder of the paper's form (3 anchors)");
    CHECK(AutoEncoderForm{}.str() == "an absolute auto-encoder");
    CHECK_ERROR(AutoEncoder({.n_anchors = 3}, some_images(2, 1), Generator(1)), ShapeError, "2 anchors; want 3");
    CHECK_ERROR(AutoEncoder({}, some_images(2, 1), Generator(1)), ShapeError, "2 anchors; want 0");
}

TEST_CASE("whatever is learnt behind the cosines is on the decoder's side", "[nn][autoencoder]") {
    for (const AutoEncoderForm& form : kForms) {
        INFO(form.str());
        AutoEncoder model = make(form, 1);
        const std::vector<std::string> names = names_of(model);
        CHECK(has(names, "decoder.norm.weight") == (form.is_paper && form.is_relative()));
        CHECK(has(names, "encoder.gaussian.mu.weight") == form.draws_in_encoder());
        CHECK(has(names, "decoder.gaussian.mu.weight") == (form.is_variational() && !form.draws_in_encoder()));
        for (const std::string& name : names) CHECK((name.starts_with("encoder.") || name.starts_with("decoder.")));
    }
    // The code of the paper's form is the plain cosines; its decoder starts with LayerNorm.
    AutoEncoder paper = make(kForms[2], 1);
    const NoGrad no_grad;
    const Var x(some_images(4, 2)), code = paper.encode(x);
    CHECK(is_same(code.value, relative(paper.encoder(x), paper.encoder(Var(paper.anchors))).value));
    CHECK(is_same(paper.decode(code).value, paper.decoder((*paper.norm)(code)).value));
}

TEST_CASE("a relative model learns nothing through its anchors unless it is told to", "[nn][autoencoder]") {
    const Var x(some_images(2, 2));
    for (const bool anchor_grad : {false, true}) {
        AutoEncoder model = make(kForms[1], 1);
        model.anchor_grad = anchor_grad;
        // A code of the anchors themselves: with gradients through both, moving the latents together changes less.
        backward(sum(model.encode(x)));
        const Tensor g = model.parameters()[0].var.grad().clone();
        AutoEncoder other = make(kForms[1], 1);
        const Var z = other.encoder(x), a = other.encoder(Var(other.anchors));
        backward(sum(relative(z, a, anchor_grad)));
        CHECK(is_same(g, other.parameters()[0].var.grad()));
    }
}

TEST_CASE("Gaussian: draws have the mean and variance that the layer gives", "[nn][autoencoder]") {
    Generator gen(1);
    Gaussian layer(gen, 2, 1);
    set(layer.mu.weight, Tensor::zeros({1, 2}));
    set(layer.mu.bias, Tensor::full({1}, 3));
    set(layer.log_var.weight, Tensor::zeros({1, 2}));
    set(layer.log_var.bias, Tensor::full({1}, real(std::log(0.25))));
    constexpr int64_t kN = 40000;
    const auto p = layer.parameters_of(Var(Tensor::zeros({kN, 2})));
    double sum = 0, sum2 = 0;
    for (real v : layer.draw(p).value.to_vector()) sum += double(v), sum2 += double(v) * double(v);
    const double mean = sum / kN, variance = sum2 / kN - mean * mean;
    CHECK(std::abs(mean - 3) < 5 * 0.5 / std::sqrt(double(kN)));
    CHECK(std::abs(variance - 0.25) < 5 * 0.25 * std::sqrt(2.0 / kN));
    // Every draw is new, and the number of draws is state.
    CHECK_FALSE(is_same(layer.draw(p).value, layer.draw(p).value));
    CHECK(layer.counters().at("n_draws") == 3);
    layer.n_draws = 7;
    const Tensor seventh = layer.draw(p).value;
    CHECK_FALSE(is_same(seventh, layer.draw(p).value));
    layer.n_draws = 7;
    CHECK(is_same(seventh, layer.draw(p).value));
}

TEST_CASE("a VAE draws anew each time, at the mean it does not, and it reports what it drew from",
          "[nn][autoencoder]") {
    const Tensor x = some_images(3, 2);
    const NoGrad no_grad;
    for (const AutoEncoderForm& form : {kForms[3], kForms[4], kForms[5]}) {
        INFO(form.str());
        AutoEncoder model = make(form, 1);
        CHECK_FALSE(is_same(model(x).value, model(x).value));
        Gaussian::Parameters q;
        model.reconstruct(x, &q);
        CHECK(q.mu.shape() == Shape{3, 5});
        CHECK(q.log_var.shape() == Shape{3, 5});
        const uint64_t n_draws = model.gaussian->n_draws;
        model.is_at_mean = true;
        CHECK(is_same(model(x).value, model(x).value));
        CHECK(model.gaussian->n_draws == n_draws);
        {
            // Evaluation draws from noise of its own, and leaves the training noise where it was.
            const Random rng = model.gaussian->rng;
            model.is_at_mean = false;
            Tensor first;
            for (int i = 0; i < 2; i++) {
                const NoiseScope noise(model, {8, 8});
                const Tensor y = model(x).value;
                if (i == 0) first = y;
                CHECK(is_same(y, first));
                CHECK_FALSE(is_same(model(x).value, first));
            }
            CHECK(model.gaussian->n_draws == n_draws);
            CHECK(model.gaussian->rng.seed == rng.seed);
            CHECK(model.gaussian->rng.stream == rng.stream);
        }
        // What it invents depends on the noise alone, and is an image.
        model.is_at_mean = true;
        const Tensor a = model.sample(4, {1, 1}).value;
        CHECK(a.shape == Shape{4, 28, 28, 1});
        CHECK(is_same(a, model.sample(4, {1, 1}).value));
        CHECK_FALSE(is_same(a, model.sample(4, {1, 2}).value));
    }
    CHECK_ERROR(make(kForms[1], 1).sample(1, {}), ValueError, "only a VAE");
}

TEST_CASE("load_stitched: the encoder of one, the decoder of the other", "[nn][autoencoder][checkpoint]") {
    const Tensor x = some_images(3, 2);
    const NoGrad no_grad;
    for (const AutoEncoderForm& form : kForms) {
        INFO(form.str());
        AutoEncoder a = make(form, 1), b = make(form, 2);
        const Checkpoint ca = saved(a, "a"), cb = saved(b, "b");
        AutoEncoder own = load_stitched(ca, ca, anchors_of(form)), ab = load_stitched(ca, cb, anchors_of(form));
        a.is_at_mean = b.is_at_mean = own.is_at_mean = ab.is_at_mean = true;
        CHECK_FALSE(ab.training);
        CHECK(is_same(without_graph(own, x), without_graph(a, x)));
        const Var code = ab.encode(x);
        CHECK(is_same(code.value, a.encode(x).value));
        CHECK(is_same(ab.decode(code).value, b.decode(code).value));
        CHECK_FALSE(is_same(ab.decode(code).value, a.decode(code).value));
    }
}

TEST_CASE("load_stitched lists everything that does not fit", "[nn][autoencoder][checkpoint]") {
    AutoEncoder model = make(kForms[1], 1);
    const Tensor anchors = anchors_of(kForms[1]);
    const Checkpoint good = saved(model, "good.safetensors");

    Checkpoint renamed = good;
    for (NamedTensor& t : renamed.tensors) {
        if (t.name == "model.decoder.2.weight") t.name = "model.decoder.2.wieght";
        if (t.name == "model.decoder.3.bias") t.tensor = Tensor::zeros({7});
    }
    std::erase_if(renamed.tensors, [](const NamedTensor& t) { return t.name == "model.decoder.5.bias"; });
    renamed.source = "renamed.safetensors";
    const char* parts[] = {"the encoder of good.safetensors and the decoder of renamed.safetensors does not fit",
                           "missing (2): decoder.2.weight (nearest: decoder.2.wieght", "decoder.5.bias",
                           "unexpected (1): decoder.2.wieght", "mis-shaped (1): decoder.3.bias is [7], want [128]"};
    for (const char* part : parts) CHECK_ERROR(load_stitched(good, renamed, anchors), CheckpointError, part);
    CHECK_NOTHROW(load_stitched(renamed, good, anchors));  // its encoder is whole

    AutoEncoder vae = make(kForms[4], 1);
    CHECK_ERROR(load_stitched(good, saved(vae, "vae.safetensors"), anchors), CheckpointError,
                "good.safetensors and vae.safetensors cannot be stitched: the first is of a relative auto-encoder (3 "
                "anchors), the second of a relative VAE (3 anchors, 5 latent dimensions)");

    Checkpoint foreign = good;
    foreign.metadata.clear();
    CHECK_ERROR(load_stitched(foreign, good, anchors), DataError, "has no entry \"form.n_anchors\"");
}

TEST_CASE("a size that a checkpoint claims is not believed", "[nn][autoencoder][checkpoint]") {
    AutoEncoder model = make(kForms[5], 1);
    Checkpoint c = saved(model, "c");
    c.metadata["form.n_latent"] = "1000000";  // its Gaussian alone would take 24 MB a head, its decoder 4 GB
    CHECK_ERROR(load_stitched(c, c, anchors_of(kForms[5])), DataError,
                "model.decoder.gaussian.mu.weight: expected a matrix");
    c.metadata["form.n_latent"] = "18446744073709551615";
    CHECK_ERROR(load_stitched(c, c, anchors_of(kForms[5])), DataError, "entry form.n_latent");
    c.metadata["form.n_latent"] = "-1";
    CHECK_ERROR(load_stitched(c, c, anchors_of(kForms[5])), DataError, "expected a whole number");
    c.metadata["form.n_latent"] = "6";  // harmless, and said with the names
    CHECK_ERROR(load_stitched(c, c, anchors_of(kForms[5])), CheckpointError,
                "decoder.gaussian.mu.weight is [5, 3], want [6, 3]");
    c.metadata["form.is_paper"] = "2";
    CHECK_ERROR(load_stitched(c, c, anchors_of(kForms[5])), DataError, "form.is_paper");
}
