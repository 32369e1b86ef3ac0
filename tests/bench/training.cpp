// Training steps, batch 128: forward, loss, backward, Adam. The models are those of peer.py.
#include <initializer_list>
#include <memory>

#include "nn/optim.h"
#include "tensor/error.h"
#include "tests/bench/bench.h"
#include "tests/golden/convnet.h"

namespace koine::bench {
namespace {

constexpr int64_t kBatch = 128;
constexpr int kWarmUp = 3;

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

Step ae_step() {
    const Tensor x = testing::plaids(kBatch, testing::kImageStream).to(device());
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

Step cnn_step() {
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
    model->append(Dropout(gen, real(0.5)));
    model->append(Linear(gen, 512, 100));
    return classifier_step(model);
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

}  // namespace

void time_step(const char* name, const Step& step, int n_steps, double gflop, bool may_allocate) {
    for (int i = 0; i < kWarmUp; i++) step();
    const int64_t misses = pool().misses;
    print_result(name, "ours", 1e3 * median_seconds(n_steps, step));
    print_result(name, "gflop", gflop);
    print_result(name, "pool_misses", double(pool().misses - misses));
    if (pool().misses != misses && !may_allocate)
        throw Error(std::string(name) + ": a step after the first ones allocated memory");
}

void bench_mlp() {
    time_step("mlp", mlp_step(), 50,
              step_gflop({{1, 784, 512}, {1, 512, 256}, {1, 256, 64}, {1, 64, 256}, {1, 256, 512}, {1, 512, 784}}));
}

void bench_ae() {
    time_step("ae", ae_step(), 15,
              step_gflop({{196, 9, 32},
                          {49, 9 * 32, 64},
                          {16, 9 * 64, 128},
                          {4, 9 * 128, 256},
                          {1, 10, 1024},
                          {4, 256, 16 * 128},
                          {16, 128, 9 * 64},
                          {49, 64, 16 * 32},
                          {196, 32, 16 * 32},
                          {784, 9 * 32, 1}}));
}

void bench_cnn() {
    time_step("cnn", cnn_step(), 5,
              step_gflop({{1024, 9 * 3, 64},
                          {1024, 9 * 64, 64},
                          {256, 9 * 64, 128},
                          {256, 9 * 128, 128},
                          {64, 9 * 128, 256},
                          {64, 9 * 256, 256},
                          {1, 4096, 512},
                          {1, 512, 100}}));
}

void bench_convnet() {
    time_step("convnet", convnet_step(), 9,
              step_gflop({{1024, 9 * 3, 32},
                          {1024, 9 * 32, 32},
                          {256, 9 * 32, 64},
                          {256, 9 * 64, 64},
                          {64, 9 * 64, 128},
                          {64, 9 * 128, 128},
                          {1, 2048, 256},
                          {1, 256, 100}}));
}

void print_losses() {
    const auto print = [](const char* name, const Step& step, int n_steps = 5) {
        for (int i = 1; i <= n_steps; i++) std::printf("%s loss-%d %.8f\n", name, i, step());
    };
    print("mlp", mlp_step());
    print("ae", ae_step());
    print("encoder", encoder_pass(), 1);
    print("encoder-step", encoder_step(0));
    print("convnet", convnet_step(), 1);  // steep: rounding is seen in the fifth digit from the second step on
}

}  // namespace koine::bench
