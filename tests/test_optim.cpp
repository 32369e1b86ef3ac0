// nn/optim.h: trajectories against PyTorch 2.15, clipping, schedules, bitwise resumption.
#include <omp.h>

#include "nn/optim.h"
#include "tests/devices.h"
#include "tests/nn_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

// loss = sum(c w^2) / 2 + sum(b^3), with w = [1, -2, 3, 0.5], b = [[0.25], [-1]], c = [1, 2, 3, -1].
struct Bowl : Module {
    Bowl()
        : w(Var::parameter(Tensor::from({1, -2, 3, 0.5}, {4}))),
          b(Var::parameter(Tensor::from({0.25, -1}, {2, 1}))),
          unused(Var::parameter(Tensor::from({7}, {1}))) {}
    Var loss() const { return sum(w * w * Tensor::from({1, 2, 3, -1}, {4}, w.device())) * real(0.5) + sum(b * b * b); }
    void visit(Visitor& v) override {
        v("w", w);
        v("b", b);
        v("unused", unused);
    }
    Var w, b, unused;
};

void descend(Optimizer& optimizer, Bowl& bowl, int n_steps) {
    for (int i = 0; i < n_steps; i++) {
        optimizer.zero_grad();
        backward(bowl.loss());
        optimizer.step();
    }
}

void check_bowl(const Bowl& bowl, std::initializer_list<double> expected, double slack = 10) {
    check_values(concat({bowl.w, flatten(bowl.b, 0)}, 0).value, expected, slack);
}

}  // namespace

// Numbers: five steps of torch.optim.SGD / Adam / AdamW on the same loss in float64, with the options in the test.
TEST_CASE("optimisers follow PyTorch's", "[optim][cuda]") {
    const Device device = EACH_DEVICE();
    INFO("on " << name_of(device));
    Bowl bowl;
    bowl.to(device);
    SECTION("Sgd with weight decay") {
        Sgd sgd(bowl, {.lr = 0.1, .weight_decay = 0.01});
        descend(sgd, bowl, 5);
        check_bowl(bowl, {0.587216782, -0.651274227, 0.500618775, 0.801601399, 0.177583889, -12.862848246});
    }
    SECTION("Sgd with momentum") {
        Sgd sgd(bowl, {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01});
        descend(sgd, bowl, 5);
        check_bowl(bowl, {-0.036815008, 1.167912250, -2.336544391, 1.315444600, 0.066147629, -51.644144923});
    }
    SECTION("Sgd with Nesterov's momentum") {
        Sgd sgd(bowl, {.lr = 0.1, .momentum = 0.9, .is_nesterov = true});
        descend(sgd, bowl, 5);
        check_bowl(bowl, {-0.104581684, 0.831435162, -1.043556719, 1.746239808, 0.056047675, -2848.805017186});
        CHECK(bowl.unused.value.item() == 7);
    }
    SECTION("Adam with weight decay, and an eps that shows where it stands") {
        Adam adam(bowl, {.lr = 0.1, .eps = 1e-3, .weight_decay = 0.01});
        descend(adam, bowl, 5);
        check_bowl(bowl, {0.508490340, -1.503084896, 2.501836283, 1.000902349, -0.120362627, -1.501197211});
        CHECK(adam.n_steps == 5);
    }
    SECTION("AdamW") {
        AdamW adam(bowl, {.lr = 0.1, .beta1 = 0.8, .beta2 = 0.9, .weight_decay = 0.05});
        descend(adam, bowl, 5);
        check_bowl(bowl, {0.489464343, -1.459079981, 2.432999571, 0.985187844, -0.110189040, -1.472632049});
        CHECK(bowl.unused.value.item() == Approx(7 * std::pow(1 - 0.1 * 0.05, 5)));
        CHECK(AdamW(bowl).options.weight_decay == 0.01);
    }
    SECTION("Sgd behind clip_grad_norm, = torch.nn.utils.clip_grad_norm_(.., 2)") {
        Sgd sgd(bowl, {.lr = 0.1});
        const double norms[] = {10.357854809, 9.960122488, 9.631757927, 9.405536091, 9.328528579};
        for (double norm : norms) {
            sgd.zero_grad();
            backward(bowl.loss());
            CHECK(clip_grad_norm(sgd.parameters, 2) == Approx(norm).epsilon(1e-5));
            CHECK(grad_norm(sgd.parameters) == Approx(2).epsilon(1e-5));
            sgd.step();
        }
        check_bowl(bowl, {0.901286832, -1.621049833, 2.181672332, 0.553587783, 0.231842983, -1.404904648});
    }
}

TEST_CASE("a gradient that never came counts as zero, whatever is in its place", "[optim][cuda]") {
    Bowl bowl;
    bowl.to(EACH_DEVICE());
    Adam adam(bowl, {.lr = 0.1});
    descend(adam, bowl, 1);
    for (const NamedVar& p : adam.parameters.vars) p.var.node->grad.fill(std::nanf(""));
    adam.zero_grad();
    const Tensor b = bowl.b.value.clone();
    backward(sum(bowl.w));
    adam.step();
    for (real v : adam.parameters.values.to_vector()) CHECK(std::isfinite(v));
    CHECK_FALSE(is_same(bowl.b.value, b));  // the mean gradient of step 1 still moves it
    CHECK(bowl.unused.value.item() == 7);
}

TEST_CASE("clip_grad_norm leaves small gradients alone and refuses broken ones", "[optim][cuda]") {
    Bowl bowl;
    bowl.to(EACH_DEVICE());
    Sgd sgd(bowl, {.lr = 0.1});
    backward(bowl.loss());
    const Tensor before = sgd.parameters.grads.clone();
    CHECK(clip_grad_norm(sgd.parameters, 11) == Approx(10.357854809));
    CHECK(is_same(sgd.parameters.grads, before));
    CHECK_ERROR(clip_grad_norm(sgd.parameters, 0), ValueError, "max_norm is 0");
    CHECK_ERROR(clip_grad_norm(sgd.parameters, std::nan("")), ValueError, "max_norm is");

    bowl.b.node->grad.slice(0, 1, 2).fill(std::numeric_limits<real>::infinity());
    CHECK_ERROR(clip_grad_norm(sgd.parameters, 1), NonFiniteError, "the gradient of b holds inf");
    bowl.b.node->grad.slice(0, 1, 2).fill(std::numeric_limits<real>::max());
    CHECK_ERROR(clip_grad_norm(sgd.parameters, 1), NonFiniteError, "the sum of their squares");
    sgd.zero_grad();
    CHECK(clip_grad_norm(sgd.parameters, 1) == 0);
}

TEST_CASE("the gradient norm sums pieces in a fixed order", "[optim]") {
    Generator gen(3);
    Linear layer(gen, 300, 100);  // 30000 numbers: seven whole pieces and a part of one
    FlatParameters flat(layer);
    flat.settle_grads();
    flat.grads.copy_from(Tensor::normal(flat.grads.shape, Random{4, 5}));
    double squares = 0;
    for (real g : flat.grads.to_vector()) squares += double(g) * double(g);
    const double norm = grad_norm(flat);
    CHECK(norm == Approx(std::sqrt(squares)).epsilon(1e-6));
    const int n_threads = omp_get_max_threads();
    for (int n : {1, 2, 3}) {
        omp_set_num_threads(n);
        CHECK(grad_norm(flat) == norm);
    }
    omp_set_num_threads(n_threads);
}

TEST_CASE("one optimiser over several modules", "[optim]") {
    Bowl a, b, single;
    Adam both({a, b}, {.lr = 0.1}), one(single, {.lr = 0.1});
    for (int i = 0; i < 3; i++) {
        both.zero_grad();
        backward(a.loss() + b.loss());
        both.step();
    }
    descend(one, single, 3);
    CHECK(is_same(a.state(), single.state()));
    CHECK(is_same(b.state(), single.state()));
}

TEST_CASE("an optimiser's state goes on bit for bit", "[optim]") {
    Bowl straight, first, second;
    Adam whole(straight, {.lr = 0.1}), half(first, {.lr = 0.1}), rest(second, {.lr = 0.1});
    descend(whole, straight, 7);
    descend(half, first, 3);
    second.load(first.state());
    const Counters counters = half.counters();
    CHECK(counters == Counters{{"n_steps", 3}});
    rest.load(half.state(), &counters);
    descend(rest, second, 4);
    CHECK(is_same(second.state(), straight.state()));
    CHECK(is_same(rest.state(), whole.state()));

    Sgd with(first, {.momentum = 0.9}), without(first, {});
    CHECK(with.state().size() == 1);
    CHECK(without.state().empty());
    CHECK_ERROR(with.load(without.state()), CheckpointError, "missing (1): momentum");
}

TEST_CASE("schedules", "[optim]") {
    CHECK(step_decay(0, 10, 0.5) == 1);
    CHECK(step_decay(9, 10, 0.5) == 1);
    CHECK(step_decay(10, 10, 0.5) == 0.5);
    CHECK(step_decay(35, 10, 0.5) == 0.125);
    CHECK(cosine_decay(0, 100) == 1);
    CHECK(cosine_decay(50, 100) == Approx(0.5));
    CHECK(cosine_decay(25, 100, 0.2) == Approx(0.2 + 0.8 * (1 + std::sqrt(0.5)) / 2));
    CHECK(cosine_decay(100, 100, 0.2) == Approx(0.2));
    CHECK(cosine_decay(1000, 100) == Approx(0).margin(1e-15));
    CHECK(warm_up(0, 4) == 0.25);
    CHECK(warm_up(3, 4) == 1);
    CHECK(warm_up(400, 4) == 1);
    CHECK_ERROR(step_decay(1, 0, 0.5), ValueError, "step_decay: step 1 of 0");
    CHECK_ERROR(cosine_decay(-1, 3), ValueError, "cosine_decay: step -1 of 3");
    CHECK_ERROR(warm_up(0, 0), ValueError, "warm_up");
}

TEST_CASE("optimisers refuse options that make no sense", "[optim]") {
    Bowl bowl;
    CHECK_ERROR(Sgd(bowl, {.lr = -1}), ValueError, "Sgd: lr must be 0 or more; got -1");
    CHECK_ERROR(Sgd(bowl, {.momentum = -0.1}), ValueError, "momentum");
    CHECK_ERROR(Sgd(bowl, {.is_nesterov = true}), ValueError, "Nesterov needs a momentum");
    CHECK_ERROR(Adam(bowl, {.lr = std::nan("")}), ValueError, "Adam: lr");
    CHECK_ERROR(Adam(bowl, {.beta1 = 1}), ValueError, "beta1 must be in [0, 1)");
    CHECK_ERROR(Adam(bowl, {.beta2 = -0.5}), ValueError, "beta2");
    CHECK_ERROR(Adam(bowl, {.eps = 0}), ValueError, "eps must be above 0");
    CHECK_ERROR(AdamW(bowl, {.weight_decay = -1}), ValueError, "weight_decay");
}
