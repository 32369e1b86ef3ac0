// A whole training step of the auto-encoder: what must hold for every experiment that trains.
#include <omp.h>

#include "nn/autoencoder.h"
#include "nn/checkpoint.h"
#include "nn/optim.h"
#include "tests/catch.h"

using namespace koine;

namespace {

// The relative auto-encoder of experiments/ae_stitch.cpp on random images.
struct TrainingLoop {
    AutoEncoder model{{.n_anchors = 10}, Tensor::uniform({10, 28, 28, 1}, 0, 1, {1, 2}), Generator(3)};
    Adam adam{model, {.lr = 1e-3}};
    Var images = Tensor::uniform({24, 28, 28, 1}, 0, 1, {1, 1});

    double step() {
        adam.zero_grad();
        const Var loss = mse_loss(model(images), images);
        backward(loss);
        adam.step();
        return double(loss.item());
    }
};

}  // namespace

TEST_CASE("after the first step a training loop allocates nothing", "[training]") {
    TrainingLoop loop;
    loop.step();
    const int64_t misses = pool().misses;
    for (int i = 0; i < 3; i++) loop.step();
    CHECK(pool().misses == misses);
}

TEST_CASE("training gives the same bytes for any number of threads", "[training][determinism]") {
    const int n_threads = omp_get_max_threads();
    std::vector<double> losses;
    std::vector<uint32_t> states;
    for (const int n : {1, 2, 3, 7}) {
        omp_set_num_threads(n);
        TrainingLoop loop;
        for (int i = 0; i < 3; i++) losses.push_back(loop.step());
        states.push_back(checksum(loop.model.state()));
    }
    omp_set_num_threads(n_threads);
    CHECK(losses[2] < losses[0]);
    for (size_t i = 3; i < losses.size(); i++) CHECK(losses[i] == losses[i - 3]);
    for (uint32_t state : states) CHECK(state == states[0]);
}
