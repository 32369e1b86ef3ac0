// A whole training step of the auto-encoder: what must hold for every experiment that trains.
#include <omp.h>

#include "nn/autoencoder.h"
#include "nn/checkpoint.h"
#include "nn/optim.h"
#include "nn/relative.h"
#include "tests/catch.h"

using namespace koine;

namespace {

// The relative auto-encoder of experiments/ae_stitch.cpp on random images.
struct TrainingLoop {
    Generator gen{3};
    Sequential encoder = image_encoder(gen), decoder = image_decoder(gen, 10);
    Adam adam{{encoder, decoder}, {.lr = 1e-3}};
    Tensor images = Tensor::uniform({24, 28, 28, 1}, 0, 1, {1, 1});
    Tensor anchors = Tensor::uniform({10, 28, 28, 1}, 0, 1, {1, 2});

    double step() {
        adam.zero_grad();
        const Var z = encoder(Var(images));
        const Var a = [&] {
            const NoGrad no_grad;
            return encoder(Var(anchors));
        }();
        const Var loss = mse_loss(decoder(relative(z, a)), Var(images));
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
        states.push_back(checksum(loop.encoder.state()) ^ checksum(loop.decoder.state()));
    }
    omp_set_num_threads(n_threads);
    CHECK(losses[2] < losses[0]);
    for (size_t i = 3; i < losses.size(); i++) CHECK(losses[i] == losses[i - 3]);
    for (uint32_t state : states) CHECK(state == states[0]);
}
