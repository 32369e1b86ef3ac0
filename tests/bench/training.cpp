// Training steps of networks of images, batch 128: forward, loss, backward, Adam. The models are those of peer.py.
#include <initializer_list>
#include <memory>

#include "nn/optim.h"
#include "tests/bench/bench.h"
#include "tests/golden/convnet.h"

namespace koine::bench {
namespace {

constexpr int64_t kBatch = 128;

Step training_step(std::shared_ptr<Module> model, std::function<Var(const Var&)> loss_of, const Tensor& x) {
    model->to(device());
    const auto adam = std::make_shared<Adam>(*model, AdamOptions{});
    return [=] {
        adam->zero_grad();
        const Var loss = loss_of((*model)(Var(x)));
        backward(loss);
        adam->step();
        return double(loss.item());
    };
}

Step mlp_step() {
    Generator gen(0);
    using enum Activation;
    const auto model = std::make_shared<Sequential>(std::initializer_list<Sequential::Child>{
        Linear(gen, 784, 512, relu), Linear(gen, 512, 256, relu), Linear(gen, 256, 64, relu),
        Linear(gen, 64, 256, relu), Linear(gen, 256, 512, relu), Linear(gen, 512, 784, sigmoid)});
    testing::fill_by_formula(*model);
    const Tensor x = testing::plaids(kBatch, testing::kImageStream).flatten(1).to(device());
    return training_step(
        model, [=](const Var& y) { return mse_loss(y, x); }, x);
}

Step ae_step(int64_t n_images) {
    const Tensor x = testing::plaids(n_images, testing::kImageStream).to(device());
    return training_step(
        std::make_shared<testing::RelativeAutoEncoder>(10), [=](const Var& y) { return mse_loss(y, x); }, x);
}

// A classifier's step on images [128, 32, 32, 3] of 100 classes.
Step classifier_step(std::shared_ptr<Module> model) {
    const Indices labels(testing::labels_in_turn(kBatch).to_vector(), Shape{kBatch}, device());
    return training_step(
        std::move(model), [=](const Var& y) { return cross_entropy(y, labels); },
        testing::colour_plaids(kBatch, testing::kImageStream).to(device()));
}

Step convnet_step() { return classifier_step(std::make_shared<testing::FormulaConvNet>()); }

Step cnn_step(double p_dropout) {
    Generator gen(0);
    const auto model = std::make_shared<Sequential>(std::initializer_list<Sequential::Child>{});
    int64_t n_in = 3;
    for (const int64_t n_out : {64, 128, 256}) {
        for (int i = 0; i < 2; i++) {
            model->append(Conv2d(gen, n_in, n_out, 3, {.padding = 1}));
            model->append(BatchNorm2d(n_out));
            model->append(Relu());
            n_in = n_out;
        }
        model->append(MaxPool2d(2));
    }
    model->append(Flatten());
    model->append(Linear(gen, 4096, 512, Activation::relu));
    model->append(Dropout(gen, real(p_dropout)));
    model->append(Linear(gen, 512, 100));
    testing::fill_by_formula(*model);
    return classifier_step(model);
}

// A convolution 3 x 3 of 64 channels to 64, and its gradients: 16 images of side x side pixels.
Step conv_step(int64_t side) {
    Generator gen(0);
    const auto layer = std::make_shared<Conv2d>(gen, 64, 64, 3, ConvOptions{.padding = 1});
    layer->to(device());
    const Var x = Var::parameter(Tensor::uniform({16, side, side, 64}, -1, 1, {2, 0}, device()));
    const Tensor dy = Tensor::uniform({16, side, side, 64}, -1, 1, {2, 1}, device());
    return [=] {
        layer->weight.zero_grad();
        layer->bias.zero_grad();
        x.zero_grad();
        backward(layer->forward(x), dy);
        finish();
        return 0.0;
    };
}

// A layer as one matrix product for each image: a convolution has as many rows as it makes pixels (a transposed one: as
// it reads), and kh kw times as many inputs (outputs).
struct Product {
    int64_t rows, n_in, n_out;
};

// Billions of multiplications and additions of one step, counted as direct products: each once forward and, but for the
// gradient of the images, twice backward.
double step_gflop(const std::vector<Product>& layers) {
    int64_t n = 0;
    for (const Product& p : layers) n += 3 * p.rows * p.n_in * p.n_out;
    n -= layers[0].rows * layers[0].n_in * layers[0].n_out;
    return 2e-9 * double(kBatch * n);
}

// Images [28, 28, 1] through the relative auto-encoder of 10 anchors.
const std::vector<Product> kAutoEncoder = {{196, 9, 32},       {49, 9 * 32, 64},   {16, 9 * 64, 128}, {4, 9 * 128, 256},
                                           {1, 10, 1024},      {4, 256, 16 * 128}, {16, 128, 9 * 64}, {49, 64, 16 * 32},
                                           {196, 32, 16 * 32}, {784, 9 * 32, 1}};

Workload step_workload(const std::string& name, std::function<Step()> make, int n_steps,
                       const std::vector<Product>& layers, std::function<std::vector<Value>()> check) {
    Workload workload{.name = name, .group = name, .make = std::move(make)};
    workload.n_steps = n_steps;
    workload.facts = gflop_of(step_gflop(layers));
    workload.check = std::move(check);
    return workload;
}

}  // namespace

// The classifiers' losses are steep: rounding is seen in the fifth digit from the second step on.
std::vector<Workload> training_workloads() {
    return {step_workload("mlp", mlp_step, 50,
                          {{1, 784, 512}, {1, 512, 256}, {1, 256, 64}, {1, 64, 256}, {1, 256, 512}, {1, 512, 784}},
                          [] { return losses(mlp_step(), 5); }),
            step_workload(
                "ae", [] { return ae_step(kBatch); }, 15, kAutoEncoder, [] { return losses(ae_step(kBatch), 5); }),
            step_workload("convnet", convnet_step, 9,
                          {{1024, 9 * 3, 32},
                           {1024, 9 * 32, 32},
                           {256, 9 * 32, 64},
                           {256, 9 * 64, 64},
                           {64, 9 * 64, 128},
                           {64, 9 * 128, 128},
                           {1, 2048, 256},
                           {1, 256, 100}},
                          [] { return losses(convnet_step(), 1); }),
            step_workload(
                "cnn", [] { return cnn_step(0.5); }, 5,
                {{1024, 9 * 3, 64},
                 {1024, 9 * 64, 64},
                 {256, 9 * 64, 128},
                 {256, 9 * 128, 128},
                 {64, 9 * 128, 256},
                 {64, 9 * 256, 256},
                 {1, 4096, 512},
                 {1, 512, 100}},
                [] { return losses(cnn_step(0), 1); })};
}

std::vector<Workload> image_scaling_workloads() {
    std::vector<Workload> all;
    const auto add = [&](const std::string& name, std::function<Step()> make, double gflop) {
        all.push_back({.name = name, .group = "scaling", .make = std::move(make), .is_default = false});
        all.back().n_warm_up = 2;
        all.back().facts = gflop_of(gflop);
    };
    for (const int64_t n : {32, 64, 128, 256, 512}) {
        add(
            "scaling-batch-" + std::to_string(n), [n] { return ae_step(n); },
            step_gflop(kAutoEncoder) * double(n) / kBatch);
    }
    for (const int64_t side : {8, 16, 32, 64, 128}) {
        add(
            "scaling-image-" + std::to_string(side), [side] { return conv_step(side); },
            3 * 2e-9 * double(16 * side * side * 9 * 64 * 64));
    }
    return all;
}

}  // namespace koine::bench
