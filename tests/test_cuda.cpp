// What the GPU path promises below the ops: copies, views, integers, random numbers, memory, the queue. All of it needs
// a GPU; the fake one runs it everywhere.
#include "autograd/ops.h"
#include "nn/autoencoder.h"
#include "tests/devices.h"
#include "tests/nn_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

std::vector<real> counting(int64_t n) {
    std::vector<real> values(static_cast<size_t>(n));
    for (size_t i = 0; i < values.size(); i++) values[i] = real(i % 1000);
    return values;
}

}  // namespace

TEST_CASE("without a GPU, asking for one is an error in words", "[cuda]") {
    CHECK_NOTHROW(require_device(Device::cpu));
    if (cuda_report().is_usable) SKIP_TEST("there is one: " + cuda_report().text);
    CHECK_ERROR(require_device(Device::cuda), DeviceError, "no usable GPU: " + cuda_report().text);
    CHECK_THROWS_AS(Tensor::zeros({2}, Device::cuda), DeviceError);
    CHECK(cuda_waits() == 0);
}

TEST_CASE("numbers go up and come back", "[cuda]") {
    NEED_GPU();
    // Larger than all of the pinned memory that uploads pass through.
    for (const int64_t n : {int64_t(1), int64_t(1000), int64_t(12) << 20}) {
        const std::vector<real> values = counting(n);
        const Tensor there = Tensor::from(values, {n}, Device::cuda);
        CHECK(there.device() == Device::cuda);
        CHECK((there.to_vector() == values));  // without printing millions of numbers
    }
    CHECK(Tensor::zeros({0, 3}, Device::cuda).to(Device::cpu).shape == Shape{0, 3});
    CHECK(Tensor::full({}, 3, Device::cuda).item() == 3);
    CHECK(Tensor::from({1, 2, 3, 4}, {2, 2}, Device::cuda).at({1, 0}) == 3);
    CHECK(Tensor::from({1, 2}, {2}, Device::cuda).str().find("on cuda") != std::string::npos);
}

TEST_CASE("what was given to the GPU may change here at once", "[cuda]") {
    NEED_GPU();
    std::vector<real> values(1000);
    std::vector<Tensor> there;
    for (int i = 0; i < 50; i++) {
        std::fill(values.begin(), values.end(), real(i));
        there.push_back(Tensor::from(values, {1000}, Device::cuda));
    }
    for (int i = 0; i < 50; i++) CHECK(there[size_t(i)].to_vector() == std::vector<real>(1000, real(i)));
}

TEST_CASE("views of GPU memory", "[cuda]") {
    NEED_GPU();
    const Tensor here = Tensor::from(counting(2 * 3 * 4), {2, 3, 4}), there = here.to(Device::cuda);
    const auto check = [](const Tensor& a, const Tensor& b) {
        REQUIRE(a.shape == b.shape);
        CHECK(b.to_vector() == a.to_vector());
        CHECK(b.contiguous().to_vector() == a.to_vector());
        CHECK(b.to(Device::cpu).to_vector() == a.to_vector());
        CHECK(a.to(Device::cuda).to_vector() == a.to_vector());
    };
    check(here.transpose(0, 2), there.transpose(0, 2));
    check(here.slice(1, 1, 3), there.slice(1, 1, 3));
    check(here.slice(2, 1, 3).transpose(0, 1), there.slice(2, 1, 3).transpose(0, 1));
    check(here.slice(0, 0, 1).expand({5, 3, 4}), there.slice(0, 0, 1).expand({5, 3, 4}));
    // Into views, from either side.
    for (const Device from : {Device::cpu, Device::cuda}) {
        const Tensor a = here.clone(), b = there.clone();
        a.slice(2, 0, 2).copy_from(Tensor::full({2, 3, 2}, 7));
        b.slice(2, 0, 2).copy_from(Tensor::full({2, 3, 2}, 7, from));
        check(a, b);
        a.transpose(0, 1).fill(5);
        b.transpose(0, 1).fill(5);
        check(a, b);
    }
}

TEST_CASE("random numbers are those of the CPU", "[cuda]") {
    NEED_GPU();
    const Random rng{7, 11};
    CHECK(Tensor::uniform({5000}, -1, 3, rng, Device::cuda).to_vector() ==
          Tensor::uniform({5000}, -1, 3, rng).to_vector());
    // Logarithm and cosine may round in another way.
    const std::vector<real> here = Tensor::normal({5000}, rng).to_vector(),
                            there = Tensor::normal({5000}, rng, Device::cuda).to_vector();
    for (size_t i = 0; i < here.size(); i++) CHECK(std::abs(there[i] - here[i]) <= 1e-5);
}

TEST_CASE("integers that came from here are known here", "[cuda]") {
    NEED_GPU();
    const std::vector<int32_t> values{3, 1, 4, 1, 5};
    const Indices there(values, Shape{5}, Device::cuda);
    const int64_t waits = cuda_waits();
    CHECK(there.to_vector() == values);
    CHECK_ERROR(there.require_below("pick", 4), ValueError, "pick: index 4 at position 2");
    CHECK(cuda_waits() == waits);
    const Indices largest = argmax(Tensor::from({1, 9, 2, 8, 3, 4}, {2, 3}, Device::cuda));
    CHECK(largest.to_vector() == std::vector<int32_t>{1, 0});
    CHECK(cuda_waits() == waits + 1);
}

TEST_CASE("devices do not mix", "[cuda]") {
    NEED_GPU();
    const Var here(Tensor::full({2, 2}, 1)), there(Tensor::full({2, 2}, 1, Device::cuda));
    const Indices labels(std::vector<int32_t>{0, 1});
    const Tensor statistics = Tensor::full({2}, 1);
    const Var gain(Tensor::full({2}, 1, Device::cuda));
    CHECK_ERROR(here + there, DeviceError, "add");
    CHECK_ERROR(matmul(here, there), DeviceError, "matmul");
    CHECK_ERROR(linear(there, here, Var()), DeviceError, "linear");
    CHECK_ERROR(cross_entropy(there, labels), DeviceError, "cross_entropy");
    CHECK_ERROR(index_select(there, labels), DeviceError, "index_select");
    CHECK_ERROR(batch_norm(there, gain, gain, statistics, statistics, true), DeviceError, "batch_norm");
    CHECK_ERROR(cosine_rows(there, here), DeviceError, "cosine_rows");
    CHECK_ERROR(mse_loss(there, here), DeviceError, "mse_loss");
}

TEST_CASE("what the pool gives back on a GPU comes from it again", "[cuda]") {
    NEED_GPU();
    const int64_t in_use = pool().bytes_in_use;
    { const Tensor first = Tensor::zeros({70000}, Device::cuda); }
    const int64_t misses = pool().misses, waits = cuda_waits();
    for (int i = 0; i < 10; i++) {
        const Tensor again = Tensor::full({70000}, real(i), Device::cuda);
        CHECK(pool().bytes_in_use >= in_use + int64_t(70000 * sizeof(real)));
    }
    CHECK(pool().misses == misses);
    CHECK(cuda_waits() == waits);
    CHECK(pool().bytes_in_use == in_use);
}

TEST_CASE("a module moves with everything that it has", "[cuda][module]") {
    NEED_GPU();
    for (const bool is_paper : {false, true}) {
        const Tensor anchors = Tensor::uniform({6, 28, 28, 1}, 0, 1, {1, 2}),
                     images = Tensor::uniform({4, 28, 28, 1}, 0, 1, {1, 3});
        const AutoEncoderForm form{.n_anchors = 6, .n_latent = 8, .is_paper = is_paper};
        AutoEncoder here(form, anchors, Generator(3)), there(form, anchors, Generator(3));
        there.to(Device::cuda);
        for (const NamedTensor& t : there.state()) CHECK(t.tensor.device() == Device::cuda);
        here.eval();
        there.eval();
        const NoGrad no_grad;
        const std::vector<real> expected = here(Var(images)).value.to_vector(),
                                got = there(Var(images.to(Device::cuda))).value.to_vector();
        REQUIRE(got.size() == expected.size());
        for (size_t i = 0; i < got.size(); i++) CHECK(got[i] == Approx(expected[i]).margin(1e-5));
        there.to(Device::cpu);
        CHECK(is_same(there.state(), here.state()));
        // Not those from before: a VAE draws anew each time.
        CHECK(there(Var(images)).value.to_vector() == here(Var(images)).value.to_vector());
    }
}
