// A whole training step of the auto-encoder: what must hold for every experiment that trains.
#include <omp.h>

#include <optional>

#include "nn/autoencoder.h"
#include "nn/checkpoint.h"
#include "nn/optim.h"
#include "tests/devices.h"
#include "tests/data_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

// The relative auto-encoder of experiments/ae_stitch.cpp on random images.
struct TrainingLoop {
    explicit TrainingLoop(Device device = Device::cpu) : images(make_images().to(device)) {
        model.to(device);
        adam.emplace(model, AdamOptions{.lr = 1e-3});
    }
    static Tensor make_images() { return Tensor::uniform({24, 28, 28, 1}, 0, 1, {1, 1}); }

    AutoEncoder model{{.n_anchors = 10}, Tensor::uniform({10, 28, 28, 1}, 0, 1, {1, 2}), Generator(3)};
    std::optional<Adam> adam;
    Var images;

    // The loss, which nobody has looked at yet.
    Var step() {
        adam->zero_grad();
        const Var loss = mse_loss(model(images), images);
        backward(loss);
        adam->step();
        return loss.detach();
    }
};

}  // namespace

TEST_CASE("after the first step a training loop allocates nothing", "[training][cuda][A16]") {
    TrainingLoop loop(EACH_DEVICE());
    loop.step();
    const int64_t misses = pool().misses;
    for (int i = 0; i < 3; i++) loop.step();
    CHECK(pool().misses == misses);
}

TEST_CASE("training gives the same bytes for any number of threads", "[training][determinism][A26][threads]") {
    const int n_threads = omp_get_max_threads();
    std::vector<double> losses;
    std::vector<uint32_t> states;
    for (const int n : {1, 2, 3, 7}) {
        omp_set_num_threads(n);
        TrainingLoop loop;
        for (int i = 0; i < 3; i++) losses.push_back(double(loop.step().item()));
        states.push_back(checksum(loop.model.state()));
    }
    omp_set_num_threads(n_threads);
    CHECK(losses[2] < losses[0]);
    for (size_t i = 3; i < losses.size(); i++) CHECK(losses[i] == losses[i - 3]);
    for (uint32_t state : states) CHECK(state == states[0]);
}

TEST_CASE("a training step does not wait for the GPU", "[training][cuda]") {
    NEED_GPU();
    TrainingLoop loop(Device::cuda);
    loop.step();
    std::vector<Var> losses;
    const int64_t waits = cuda_waits();
    for (int i = 0; i < 5; i++) {
        // Batches go up while the steps before them are still queued, and their memory here is gone at once.
        loop.images = Var(TrainingLoop::make_images().to(Device::cuda));
        losses.push_back(loop.step());
    }
    CHECK(cuda_waits() == waits);
    CHECK(losses.back().item() < losses.front().item());
    CHECK(cuda_waits() == waits + 2);
}

TEST_CASE("training on a GPU is training on the CPU, up to rounding", "[training][cuda]") {
    NEED_GPU();
    TrainingLoop here, there(Device::cuda), again(Device::cuda);
    for (int i = 0; i < 5; i++) {
        const double loss = double(here.step().item());
        CHECK(double(there.step().item()) == Approx(loss).epsilon(1e-4));
        again.step();
    }
    CHECK(checksum(there.model.state()) == checksum(again.model.state()));  // to the last bit
}

TEST_CASE("a checkpoint goes on on another device", "[training][checkpoint][cuda]") {
    NEED_GPU();
    const ScratchFolder folder;
    TrainingLoop there(Device::cuda);
    for (int i = 0; i < 3; i++) there.step();
    Checkpoint saved;
    saved.add("model", there.model);
    saved.add("optimizer", *there.adam);
    save_checkpoint(folder / "gpu.safetensors", saved);

    const Checkpoint loaded = load_checkpoint(folder / "gpu.safetensors");
    TrainingLoop here, back(Device::cuda);
    for (TrainingLoop* loop : {&here, &back}) {
        loaded.restore("model", loop->model);
        loaded.restore("optimizer", *loop->adam);
        CHECK(checksum(loop->model.state()) == checksum(there.model.state()));
        CHECK(checksum(loop->adam->state()) == checksum(there.adam->state()));
    }
    Checkpoint copy;
    copy.add("model", here.model);
    copy.add("optimizer", *here.adam);
    save_checkpoint(folder / "cpu.safetensors", copy);
    CHECK((contents_of(folder / "cpu.safetensors") == contents_of(folder / "gpu.safetensors")));
    const double loss = double(there.step().item());
    CHECK(double(here.step().item()) == Approx(loss).epsilon(1e-4));
    CHECK(double(back.step().item()) == loss);
}
