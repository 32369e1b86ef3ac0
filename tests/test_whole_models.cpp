// Whole models: the gradient of all their parameters along one random direction, and steps that allocate nothing.
// Catalogue rows A14 and A16. Their gradients against PyTorch are in test_golden*.cpp, each op alone in test_ops.cpp.
#include <functional>

#include "nn/evaluate.h"
#include "nn/optim.h"
#include "tests/catch.h"
#include "tests/golden/convnet.h"
#include "tests/golden/transformer.h"

using namespace koine;
using namespace koine::testing;

namespace {

constexpr bool kIsDouble = sizeof(real) == sizeof(double);

/// A model and its loss on one batch, the same each time it is asked for.
struct Subject {
    std::string name;
    std::shared_ptr<Module> model;
    std::function<Var()> loss;
};

Subject variational(bool is_paper) {
    const auto model =
        std::make_shared<AutoEncoder>(AutoEncoderForm{7, 9, is_paper}, plaids(7, kAnchorStream), Generator(0));
    fill_by_formula(*model);
    model->anchor_grad = true;  // the anchors' latents move with the parameters, as the difference sees it
    return {is_paper ? "the paper's VAE" : "VAE", model, [model] {
                model->gaussian->n_draws = 0;  // the same noise
                const Var x(plaids(6, kImageStream));
                Gaussian::Parameters q;
                const Var y = model->reconstruct(x, &q);
                return mse_loss(y, x) * real(784) + kl_normal(q.mu, q.log_var);
            }};
}

Subject convnet() {
    const auto model = std::make_shared<FormulaConvNet>();
    // Noise: in images with a pattern two values of a pooling window can be equal, and there is no derivative there.
    const Tensor images = Tensor::uniform(colour_plaids(4, kImageStream).shape, -1, 1, {kImageStream, 0});
    return {"CNN", model, [model, images] { return cross_entropy((*model)(Var(images)), labels_in_turn(4)); }};
}

Subject encoder(const std::string& type) {
    const auto model = std::make_shared<FormulaTextClassifier>(tiny_config(type), 3);
    return {type, model, [model] {
                const PackedTokens tokens = PackedTokens::from(formula_texts({5, 1, 20, 9}, 4, 97));
                return cross_entropy((*model)(tokens), Indices(std::vector<int32_t>{2, 0, 1, 2}));
            }};
}

std::vector<Subject> subjects() {
    return {variational(false), variational(true), convnet(), encoder("bert"), encoder("roberta")};
}

}  // namespace

TEST_CASE("gradients of whole models agree with a central difference along a random direction",
          "[gradcheck][nn][A14]") {
    // Two losses per model, whatever its size. The step is short, for the CNN has a hundred thousand kinks (ReLU, pooling)
    // to step over: 1e-6 is off by 2 %, 1e-8 by 3e-8. A float has 24 bits: its step is longer, and more is let pass.
    const double h = kIsDouble ? 1e-8 : 1e-4, tolerance = kIsDouble ? 1e-5 : 5e-2;
    for (const Subject& subject : subjects()) {
        INFO(subject.name);
        for (const NamedVar& p : subject.model->parameters()) p.var.node->has_grad = false;
        backward(subject.loss());
        std::vector<Tensor> before, direction;
        double analytic = 0, length = 0;
        uint64_t stream = 0;
        for (const NamedVar& p : subject.model->parameters()) {
            const Tensor u = Tensor::normal(p.var.shape(), {14, stream++});
            before.push_back(p.var.value.clone());
            direction.push_back(u);
            if (!p.var.node->has_grad) continue;
            const std::vector<real> g = p.var.grad().to_vector();
            for (int64_t i = 0; i < u.numel(); i++) {
                analytic += double(g[size_t(i)]) * double(u.data()[i]);
                length += double(g[size_t(i)]) * double(g[size_t(i)]);
            }
        }
        const auto loss_at = [&](double step) {
            size_t k = 0;
            for (const NamedVar& p : subject.model->parameters()) {
                const Tensor& value = p.var.value;
                for (int64_t i = 0; i < value.numel(); i++) {
                    value.data()[i] = real(double(before[k].data()[i]) + step * double(direction[k].data()[i]));
                }
                k++;
            }
            const NoGrad no_grad;
            return double(subject.loss().item());
        };
        const double numeric = (loss_at(h) - loss_at(-h)) / (2 * h);
        INFO("backward " << analytic << ", central difference " << numeric << ", norm of the gradient "
                         << std::sqrt(length));
        REQUIRE(std::isfinite(analytic));
        // The derivative along a random direction is about the norm of the gradient, but can be nearly 0.
        CHECK(std::abs(analytic) > 1e-3 * std::sqrt(length));
        CHECK(std::abs(numeric - analytic) <= tolerance * std::max(std::abs(analytic), std::sqrt(length)));
    }
}

TEST_CASE("after the first step no whole model allocates anything", "[training][nn][A16]") {
    for (const Subject& subject : subjects()) {
        INFO(subject.name);
        Adam adam(*subject.model, {.lr = 1e-4});
        const auto step = [&] {
            adam.zero_grad();
            backward(subject.loss());
            clip_grad_norm(adam.parameters, 1);
            adam.step();
        };
        step();
        step();
        const int64_t misses = pool().misses;
        for (int i = 0; i < 3; i++) step();
        CHECK(pool().misses == misses);
    }
}

TEST_CASE("batches of no image, of one, and with a pixel that is no number", "[nn][M5]") {
    Generator gen(1);
    FormulaConvNet net;
    CHECK_ERROR(net(Var(colour_plaids(0, kImageStream))), ShapeError, "batch_norm");
    net.eval();
    CHECK_OK(net(Var(colour_plaids(0, kImageStream))).shape() == Shape{0, 100});
    CHECK_OK(net(Var(colour_plaids(1, kImageStream))).shape() == Shape{1, 100});
    // BatchNorm needs two numbers a channel: a batch of one image has them until its map is a single pixel.
    BatchNorm1d rows(3);
    CHECK_ERROR(rows(Var(Tensor::zeros({1, 3}))), ShapeError, "fewer than 2 values per channel");
    // All features of a batch equal: their variance is 0, and what comes out is finite.
    const std::vector<real> equal = rows(Var(Tensor::full({4, 3}, real(0.1)))).value.to_vector();
    CHECK_OK(equal == std::vector<real>(12, 0));

    const Tensor images = colour_plaids(3, kImageStream);
    images.data()[5000] = std::numeric_limits<real>::quiet_NaN();
    CHECK_ERROR(count_confusion(net(Var(images)).value, labels_in_turn(3)), NonFiniteError,
                "a logit of sample 1 is nan");
    net.train();
    Adam adam(net);
    const std::vector<real> before = net.output.weight.value.to_vector();
    backward(cross_entropy(net(Var(images)), labels_in_turn(3)));
    CHECK_ERROR(clip_grad_norm(adam.parameters, 1), NonFiniteError, "");
    CHECK(net.output.weight.value.to_vector() == before);
}

TEST_CASE("labels out of range are named, in every build", "[nn][M6]") {
    const Var logits(Tensor::zeros({2, 3}));
    CHECK_ERROR(cross_entropy(logits, Indices(std::vector<int32_t>{0, 3})), ValueError,
                "cross_entropy: index 3 at position 1 is outside [0, 3)");
    CHECK_ERROR(cross_entropy(logits, Indices(std::vector<int32_t>{-1, 0})), ValueError, "index -1 at position 0");
}
