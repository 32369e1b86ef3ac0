// nn/layers.h and nn/init.h: values against PyTorch 2.15 in float64, first values, state.
//
// The numbers come from PyTorch's module of the same name with weights `torch.sin(torch.arange(1, n + 1) * k) / 2` in
// the layout used here, permuted to PyTorch's (table in layers.h); see wave() in nn_samples.h.
#include <array>
#include <cmath>
#include <limits>

#include "tests/nn_samples.h"

using namespace koine;
using namespace koine::testing;

TEST_CASE("Linear with a fused activation", "[layers]") {
    Generator gen(0);
    Linear layer(gen, 4, 3, Activation::gelu);
    set(layer.weight, wave({3, 4}, 0.3));
    set(layer.bias, wave({3}, 1.1));
    check_values(layer(wave({2, 4}, 0.7)).value,
                 {0.712677328, 0.893247555, -0.022330486, -0.020683897, -0.088881258, -0.018668176});
}

TEST_CASE("Conv2d", "[layers]") {
    Generator gen(0);
    Conv2d layer(gen, 2, 3, 3, {.stride = 2, .padding = 1});
    set(layer.weight, wave({3, 3, 3, 2}, 0.3));
    set(layer.bias, wave({3}, 1.1));
    const Var y = layer(wave({2, 4, 4, 2}, 0.7));
    CHECK(y.shape() == Shape{2, 2, 2, 3});
    check_values(y.value, {-0.083441708, 0.404804402,  0.450878574,  0.778751703, 0.645872640, -0.105306251,
                           1.101245490,  0.877387561,  -0.133918297, 0.086790465, 0.125441033, -0.073973479,
                           0.992829909,  0.448122939,  -0.570405110, 0.083309962, 0.270473192, 0.113608779,
                           -0.050134446, -0.013969863, -0.114014775, 0.845771320, 0.619559745, -0.205727082});
}

TEST_CASE("ConvTranspose2d", "[layers]") {
    Generator gen(0);
    ConvTranspose2d layer(gen, 2, 3, 3, {.stride = 2, .padding = 1, .output_padding = 1});
    set(layer.weight, wave({2, 3, 3, 3}, 0.3));
    set(layer.bias, wave({3}, 1.1));
    const Var y = layer(wave({1, 2, 2, 2}, 0.7));
    CHECK(y.shape() == Shape{1, 4, 4, 3});
    check_values(y.value,
                 {0.202644490,  0.199026645,  -0.228024939, 0.313007560,  0.289973394,  -0.164618514, 0.252245740,
                  0.194115227,  -0.287010305, 0.258054039,  0.254039628,  -0.178322668, 0.595285256,  0.608123600,
                  0.160984791,  0.452756682,  0.430572202,  -0.035729292, 0.335101787,  0.366050319,  -0.041354617,
                  0.555486632,  0.576680358,  0.140705662,  0.622833877,  0.538038356,  -0.000473813, 0.583904479,
                  0.540258809,  0.042698145,  0.699208241,  0.659861038,  0.155915130,  0.638593889,  0.538201401,
                  -0.015922298, 0.233999697,  0.211827678,  -0.234921559, 0.326190861,  0.269187518,  -0.217516827,
                  0.235612084,  0.159549533,  -0.336420386, 0.198213227,  0.189113486,  -0.242534482});
}

TEST_CASE("BatchNorm: the batch while training, running statistics in eval mode", "[layers]") {
    BatchNorm2d layer(2);
    set(layer.weight, wave({2}, 0.9));
    set(layer.bias, wave({2}, 0.4));
    const Tensor x = wave({2, 4, 4, 2}, 0.7);
    check_values(slice(flatten(layer(x), 0), 0, 0, 6).value,
                 {0.550121742, 1.020953051, 0.672393810, 0.576013389, -0.005428226, -0.249320745});
    check_values(layer.running_mean, {0.000383339, 0.000863176});
    check_values(layer.running_var, {0.912697546, 0.913075464});
    layer.eval();
    const Tensor mean_before = layer.running_mean.clone();
    check_values(slice(flatten(layer(x), 0), 0, 0, 6).value,
                 {0.326605504, 0.609316843, 0.371495012, 0.443588436, 0.122647518, 0.136173021});
    CHECK(is_same(layer.running_mean, mean_before));

    // A table of the same rows has the same statistics: BatchNorm1d is the same layer.
    BatchNorm1d rows(2);
    rows(x.reshape({32, 2}));
    CHECK(is_same(rows.running_mean, mean_before));
}

TEST_CASE("Sequential: a BatchNorm runs with the activation behind it, as one op", "[layers]") {
    const auto largest_difference = [](const Tensor& a, const Tensor& b) {
        double largest = 0;
        for (int64_t i = 0; i < a.numel(); i++)
            largest = std::max(largest, std::abs(double(a.data()[i] - b.data()[i])));
        return largest;
    };
    const auto check = [&](auto make_activation, const char* name) {
        INFO(name);
        const auto results = [&](bool is_together, bool training) {
            Sequential both{BatchNorm2d(5), make_activation()};
            auto& norm = dynamic_cast<BatchNorm2d&>(both[0]);
            norm.weight.value.copy_from(Tensor::normal({5}, {3, 1}));
            norm.bias.value.copy_from(Tensor::normal({5}, {3, 2}));
            const Var x = Var::parameter(Tensor::normal({6, 3, 3, 5}, {3, 3}));
            both.train(training);
            profile_mode() = is_together;
            const Var y = is_together ? both(x) : both[1](both[0](x));
            backward(sum(y * Var(Tensor::normal(y.shape(), {3, 4}))));
            profile_mode() = false;
            return std::vector<Tensor>{y.value,          x.grad(),          norm.weight.grad(),
                                       norm.bias.grad(), norm.running_mean, norm.running_var};
        };
        for (const bool training : {true, false}) {
            clear_profile();
            const std::vector<Tensor> together = results(true, training), apart = results(false, training);
            REQUIRE(together.size() == apart.size());
            for (size_t i = 0; i < together.size(); i++) CHECK(largest_difference(together[i], apart[i]) <= 2e-6);
            const std::vector<ProfileRow> rows = profile_rows();
            CHECK(
                std::none_of(rows.begin(), rows.end(), [&](const ProfileRow& r) { return r.op == std::string(name); }));
        }
        clear_profile();
    };
    check([] { return Relu(); }, "relu");
    check([] { return Gelu(); }, "gelu");
    check([] { return Silu(); }, "silu");
    check([] { return Tanh(); }, "tanh");
    check([] { return Sigmoid(); }, "sigmoid");

    // Softplus is none that can be taken over, and a Linear takes none over: both run by themselves.
    Generator gen(1);
    Sequential apart{BatchNorm1d(3), Softplus(), Linear(gen, 3, 3), Relu()};
    const Tensor y = apart(Var(Tensor::normal({4, 3}, {3, 5}))).value;
    for (int64_t i = 0; i < y.numel(); i++) CHECK(y.data()[i] >= 0);
}

TEST_CASE("BatchNorm: a large mean does not spoil the variance", "[layers]") {
    // Sums in chunks, with rows left over; the reference is what float64 makes of the same numbers.
    constexpr int64_t kRows = 1000;
    for (const double mean : {0., 100., 1e4, 1e6}) {
        INFO("mean " << mean);
        const Tensor x = Tensor::normal({kRows, 1}, {1, 0});
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < kRows; i++) sum += double(x.data()[i] += real(mean));
        for (int64_t i = 0; i < kRows; i++) squares += std::pow(double(x.data()[i]) - sum / kRows, 2);
        BatchNorm1d layer(1, {.momentum = 1});
        layer(x);
        CHECK(layer.running_mean.item() == Approx(sum / kRows).epsilon(2e-7).margin(1e-6));
        CHECK(layer.running_var.item() == Approx(squares / (kRows - 1)).epsilon(5e-6));
    }
}

TEST_CASE("NoGrad does not switch to eval mode", "[layers]") {
    BatchNorm2d layer(2);
    const NoGrad no_grad;
    layer(wave({2, 4, 4, 2}, 0.7));
    check_values(layer.running_mean, {0.000383339, 0.000863176});
}

TEST_CASE("LayerNorm", "[layers]") {
    LayerNorm layer(4);
    set(layer.weight, wave({4}, 0.9));
    set(layer.bias, wave({4}, 0.4));
    check_values(layer(wave({2, 4}, 0.7)).value, {0.095290165, 0.907224204, 0.601082954, 0.832732489, 0.772680406,
                                                  0.032625104, 0.225329222, 0.428919872});
}

TEST_CASE("Embedding picks rows, for ids of any shape", "[layers]") {
    Generator gen(0);
    Embedding layer(gen, 3, 2);
    set(layer.weight, Tensor::from({0, 1, 10, 11, 20, 21}, {3, 2}));
    const Var y = layer(Indices(std::vector<int32_t>{2, 0, 0, 1}, Shape{2, 2}));
    CHECK(y.shape() == Shape{2, 2, 2});
    check_values(y.value, {20, 21, 0, 1, 0, 1, 10, 11});
    backward(sum(y));
    check_values(layer.weight.grad(), {2, 2, 1, 1, 1, 1});
    CHECK_ERROR(layer(Indices(std::vector<int32_t>{3})), ValueError, "index 3");
    CHECK_ERROR(layer(Indices(std::vector<int32_t>{-1})), ValueError, "index -1");
}

TEST_CASE("activations", "[layers]") {
    const Tensor z = Tensor::from({-2, -0.5, 0, 1, 3}, {5});
    check_values(Relu()(z).value, {0, 0, 0, 1, 3});
    check_values(LeakyRelu()(z).value, {-0.02, -0.005, 0, 1, 3});
    check_values(LeakyRelu(real(0.5))(z).value, {-1, -0.25, 0, 1, 3});
    check_values(Gelu()(z).value, {-0.045500264, -0.154268769, 0, 0.841344746, 2.995950306});
    check_values(Silu()(z).value, {-0.238405844, -0.188770334, 0, 0.731058579, 2.857722380});
    check_values(Tanh()(z).value, {-0.964027580, -0.462117157, 0, 0.761594156, 0.995054754});
    check_values(Sigmoid()(z).value, {0.119202922, 0.377540669, 0.5, 0.731058579, 0.952574127});
    check_values(Softplus()(z).value, {0.126928011, 0.474076984, 0.693147181, 1.313261688, 3.048587352});
}

TEST_CASE("pooling", "[layers]") {
    const Tensor x = wave({1, 5, 5, 1}, 0.7);
    check_values(MaxPool2d(3, 2, 1)(x).value, {0.492724865, 0.492724865, 0.328493299, 0.494084117, 0.427299454,
                                               0.495303678, 0.422873416, 0.334784881, 0.495303678});
    check_values(AvgPool2d(2)(x).value, {-0.028045121, 0.072968097, 0.030681538, 0.081976505});
    check_values(AdaptiveAvgPool2d(2, 3)(x).value,
                 {0.134867181, 0.077442224, -0.049014122, 0.116193124, -0.004124792, -0.120765901});
    CHECK(MaxPool2d(2)(wave({1, 5, 5, 1}, 1)).shape() == Shape{1, 2, 2, 1});
}

TEST_CASE("max pooling: the first of equal values wins, a NaN wins over all", "[layers]") {
    const real nan = std::numeric_limits<real>::quiet_NaN(), infinity = std::numeric_limits<real>::infinity();
    const std::vector<std::array<real, 4>> windows = {{1, 2, 2, 0},
                                                      {3, 3, 3, 3},
                                                      {1, nan, 5, 2},
                                                      {nan, 9, nan, 1},
                                                      {-infinity, -infinity, -infinity, -infinity},
                                                      {-1, -3, -infinity, nan}};
    const std::vector<int> winners = {1, 0, 1, 0, 0, 3};
    // As many channels as fill a vector and some more; channel c has the window c mod 6, in a window of its own and in
    // one that the padding cuts.
    constexpr int64_t kChannels = 41;
    for (const int padding : {0, 1}) {
        const Var x = Var::parameter(Tensor::empty({1, 2, 2, kChannels}));
        const auto window = [&](int64_t c) { return size_t(c) % windows.size(); };
        for (int64_t i = 0; i < x.value.numel(); i++)
            x.value.data()[i] = windows[window(i % kChannels)][size_t(i / kChannels)];
        const Var y = MaxPool2d(2 + padding, 0, padding)(x);
        REQUIRE(y.value.numel() == kChannels);
        backward(y, Tensor::full(y.shape(), 7));
        const Tensor dx = x.grad();
        for (int64_t c = 0; c < kChannels; c++) {
            INFO("channel " << c << ", padding " << padding);
            const int winner = winners[window(c)];
            const real best = windows[window(c)][size_t(winner)], found = y.value.data()[c];
            CHECK((found == best || (found != found && best != best)));
            for (int64_t i = 0; i < 4; i++) CHECK(dx.data()[i * kChannels + c] == (i == winner ? 7 : 0));
        }
    }
}

TEST_CASE("Flatten and Unflatten are each other's inverse", "[layers]") {
    const Tensor x = wave({2, 3, 4, 5}, 0.7);
    const Var flat = Flatten()(x);
    CHECK(flat.shape() == Shape{2, 60});
    CHECK(is_same(Unflatten(3, 4, 5)(flat).value, x));
    CHECK_ERROR(Unflatten(3, 4, 4)(flat), ShapeError, "Unflatten: x [2, 60]; want [N, 48] for images [3, 4, 4]");
    CHECK_ERROR(Unflatten(3, 4, 5)(x), ShapeError, "x [2, 3, 4, 5]");
}

TEST_CASE("Dropout: its mask is a function of seed, layer and call, and the calls are state", "[layers]") {
    const Tensor x = Tensor::full({1000}, 1);
    Generator gen(3), same_gen(3);
    Dropout a(gen, real(0.25)), other_layer(gen, real(0.25)), b(same_gen, real(0.25));
    const Tensor first = a(x).value, second = a(x).value;
    CHECK_FALSE(is_same(first, second));
    CHECK_FALSE(is_same(first, other_layer(x).value));
    CHECK(is_same(first, b(x).value));

    int n_dropped = 0;
    for (real v : first.to_vector()) {
        n_dropped += v == 0;
        if (v != 0) CHECK(std::abs(v - real(4) / 3) < 1e-6);
    }
    CHECK(n_dropped > 200);  // 250 expected, standard deviation 14
    CHECK(n_dropped < 300);

    a.eval();
    CHECK(is_same(a(x).value, x));
    CHECK(a.n_calls == 2);
    const Counters one_call{{"n_calls", 1}};
    b.load({}, &one_call);
    CHECK(is_same(b(x).value, second));
    for (real p : {real(-0.1), real(1), real(std::nan(""))}) {
        CHECK_ERROR(Dropout(gen, p), ValueError, "want 0 <= p < 1");
    }
}

TEST_CASE("first values are PyTorch's: U(-1/sqrt(fan_in), 1/sqrt(fan_in)), with its idea of fan_in", "[layers]") {
    Generator gen(5);
    const auto check_uniform = [](const Var& w, const Shape& shape, double fan_in) {
        CHECK(w.shape() == shape);
        const double bound = 1 / std::sqrt(fan_in);
        double largest = 0, squares = 0, total = 0;
        for (real v : w.value.to_vector()) {
            largest = std::max(largest, std::abs(double(v)));
            squares += double(v) * double(v);
            total += double(v);
        }
        const double n = double(w.value.numel());
        CHECK(largest <= bound * 1.000001);
        CHECK(largest > bound * 0.95);
        if (n < 1000) return;
        CHECK(std::abs(total / n) < 0.05 * bound);
        CHECK(std::abs(squares / n / (bound * bound) - 1.0 / 3) < 0.02);
    };
    const Linear linear(gen, 70, 90);
    check_uniform(linear.weight, {90, 70}, 70);
    check_uniform(linear.bias, {90}, 70);
    const Conv2d conv(gen, 20, 64, 3);
    check_uniform(conv.weight, {64, 3, 3, 20}, 20 * 9);
    check_uniform(conv.bias, {64}, 20 * 9);
    const ConvTranspose2d transpose(gen, 64, 24, 4);
    check_uniform(transpose.weight, {64, 4, 4, 24}, 24 * 16);
    check_uniform(transpose.bias, {24}, 24 * 16);
    CHECK_FALSE(Conv2d(gen, 1, 1, 1, {}, Activation::none, false).bias.value.is_defined());
    CHECK_FALSE(ConvTranspose2d(gen, 1, 1, 1, {}, false).bias.value.is_defined());
}

TEST_CASE("the other first values have the variances of their papers", "[layers]") {
    Generator gen(6);
    const auto variance_of = [](const Tensor& t) {
        double squares = 0;
        for (real v : t.to_vector()) squares += double(v) * double(v);
        return squares / double(t.numel());
    };
    const Shape shape{100, 200};
    CHECK(variance_of(kaiming_uniform(shape, 200, gen.next())) == Approx(2.0 / 200).epsilon(0.03));
    CHECK(variance_of(kaiming_normal(shape, 200, gen.next())) == Approx(2.0 / 200).epsilon(0.03));
    CHECK(variance_of(xavier_uniform(shape, 200, 100, gen.next())) == Approx(2.0 / 300).epsilon(0.03));
    CHECK(variance_of(xavier_normal(shape, 200, 100, gen.next())) == Approx(2.0 / 300).epsilon(0.03));
    CHECK(variance_of(Embedding(gen, 100, 200).weight.value) == Approx(1).epsilon(0.03));
    CHECK_ERROR(kaiming_normal(shape, 0, gen.next()), ValueError, "fan_in is 0");
    CHECK_ERROR(xavier_uniform(shape, 1, -1, gen.next()), ValueError, "fan_out is -1");
}

TEST_CASE("streams of one Generator differ, and so do the 2^32 behind each", "[layers]") {
    Generator gen(9), same(9);
    const Random a = gen.next(), b = gen.next();
    CHECK(a.bits(0) != b.bits(0));
    CHECK(a.bits(0) == same.next().bits(0));
    CHECK(b.stream - a.stream == uint64_t{1} << 32);
}

TEST_CASE("layers refuse sizes that make no sense", "[layers]") {
    Generator gen(0);
    CHECK_ERROR(Linear(gen, 0, 3), ValueError, "Linear: the number of inputs is 0; want at least 1");
    CHECK_ERROR(Linear(gen, 3, -1), ValueError, "outputs is -1");
    CHECK_ERROR(Conv2d(gen, 1, 1, 0), ValueError, "Conv2d: the size of the kernel is 0");
    CHECK_ERROR(Conv2d(gen, 1, 1, 3, {.stride = 0}), ValueError, "stride is 0");
    CHECK_ERROR(Conv2d(gen, 1, 1, 3, {.padding = -1}), ValueError, "padding is -1");
    CHECK_ERROR(ConvTranspose2d(gen, 1, 0, 3), ValueError, "ConvTranspose2d: the number of output channels is 0");
    CHECK_ERROR(BatchNorm2d(0), ValueError, "BatchNorm: the number of channels is 0");
    CHECK_ERROR(LayerNorm(0), ValueError, "LayerNorm");
    CHECK_ERROR(Embedding(gen, 0, 2), ValueError, "Embedding: the number of rows is 0");
    CHECK_ERROR(MaxPool2d(0), ValueError, "MaxPool2d: size is 0");
    CHECK_ERROR(MaxPool2d(2, 2, 2), ValueError, "padding is 2; want 0 to half of the size, 2");
    CHECK_ERROR(AvgPool2d(2, -1), ValueError, "AvgPool2d: stride is -1");
    CHECK_ERROR(AdaptiveAvgPool2d(1, 0), ValueError, "out_w is 0");
    CHECK_ERROR(Unflatten(0, 1, 1), ValueError, "Unflatten: h is 0");
}
