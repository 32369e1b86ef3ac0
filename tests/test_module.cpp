// nn/module.h: names, counts, modes, moving, freezing, strict loading, flat parameters.
#include "tests/devices.h"
#include "tests/nn_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

std::vector<std::string> names_of(const StateDict& state) {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : state) names.push_back(name);
    return names;
}

Tensor& part(StateDict& state, const std::string& name) {
    for (NamedTensor& named : state) {
        if (named.name == name) return named.tensor;
    }
    throw ValueError("no part " + name);
}

// A Linear whose weight a second one shares: a tied decoder.
struct Tied : Module {
    explicit Tied(Generator& gen) : first(gen, 3, 3), second(gen, 3, 3) { second.weight = first.weight; }
    Var forward(const Var& x) override { return second(first(x)); }
    void visit(Visitor& v) override {
        v("first", first);
        v("second", second);
    }
    Linear first, second;
};

}  // namespace

TEST_CASE("a module's names are PyTorch's, in the order of visit()", "[module]") {
    Generator gen(1);
    SmallNet net(gen);
    CHECK(names_of(net.state()) == std::vector<std::string>{"body.0.weight", "body.0.bias", "body.1.weight",
                                                            "body.1.bias", "body.1.running_mean", "body.1.running_var",
                                                            "head.weight", "head.bias"});
    CHECK(net.counters() == Counters{{"body.4.n_calls", 0}});
    CHECK(net.n_parameters() == 4 * 9 * 2 + 4 + 4 + 4 + 16 * 3 + 3);
    std::vector<std::string> parameters;
    for (const NamedVar& p : net.parameters()) parameters.push_back(p.name);
    CHECK(parameters == std::vector<std::string>{"body.0.weight", "body.0.bias", "body.1.weight", "body.1.bias",
                                                 "head.weight", "head.bias"});
    CHECK(Linear(gen, 4, 3, Activation::none, false).n_parameters() == 12);
}

TEST_CASE("the same seed gives the same model, another seed another", "[module]") {
    Generator a(7), b(7), c(8);
    SmallNet x(a), y(b), z(c);
    CHECK(is_same(x.state(), y.state()));
    CHECK_FALSE(is_same(x.state(), z.state()));
}

TEST_CASE("train() and eval() reach every child", "[module]") {
    Generator gen(1);
    SmallNet net(gen);
    CHECK(net.body[1].training);
    net.eval();
    CHECK_FALSE(net.training);
    CHECK_FALSE(net.body.training);
    CHECK_FALSE(net.body[4].training);
    net.train();
    CHECK(net.body[4].training);
    CHECK_ERROR(net.body[5], ValueError, "child 5 of 5");
    CHECK_ERROR(net.body[-1], ValueError, "child -1");
}

TEST_CASE("Sequential applies its children in order; an empty one is the identity", "[module]") {
    Generator gen(1);
    Sequential two{Linear(gen, 2, 2), Relu()};
    set(static_cast<Linear&>(two[0]).weight, Tensor::from({1, 2, -1, 1}, {2, 2}));
    set(static_cast<Linear&>(two[0]).bias, Tensor::from({0, 1}, {2}));
    check_values(two(Tensor::from({1, 1, 3, -1}, {2, 2})).value, {3, 1, 1, 0});
    two.append(Softplus());
    CHECK(two.size() == 3);
    check_values(two(Tensor::from({3, -1}, {1, 2})).value, {1.313261688, 0.693147181});

    Sequential none{};
    check_values(none(Tensor::from({5}, {1, 1})).value, {5});
    CHECK_ERROR(Embedding(gen, 3, 2).forward(Tensor::zeros({1})), Error, "other arguments");
}

TEST_CASE("state() shares memory, and load() copies into the parts where they are", "[module]") {
    Generator gen(1), other_gen(2);
    SmallNet net(gen), other(other_gen);
    StateDict saved = copy_of(net.state());
    const real* place = net.head.weight.value.data();
    net.load(other.state());
    CHECK(is_same(net.state(), other.state()));
    CHECK(net.head.weight.value.data() == place);
    CHECK_FALSE(other.head.weight.value.data() == place);
    part(saved, "head.bias").fill(real(0.5));
    net.load(saved);
    CHECK(net.head.bias.value.at({2}) == real(0.5));
    net.head.bias.value.fill(4);
    StateDict state = net.state();
    CHECK(part(state, "head.bias").at({0}) == 4);

    const Counters counters{{"body.4.n_calls", 41}};
    net.load(saved, &counters);
    CHECK(net.counters() == counters);
    net.load(saved);
    CHECK(net.counters() == counters);
}

TEST_CASE("M1: a strict load lists every missing and unexpected name, with the nearest, and changes nothing",
          "[module][M1]") {
    Generator gen(1), other_gen(2);
    SmallNet net(gen), other(other_gen);
    const StateDict before = copy_of(net.state());
    StateDict state = copy_of(other.state());
    state[0].name = "body.0.wieght";
    state[7].name = "tail.bias";
    state.push_back({"position_ids", Tensor::zeros({4})});
    for (const char* mention : {"missing (2): body.0.weight (nearest: body.0.wieght", "head.bias (nearest: tail.bias",
                                "unexpected (3): body.0.wieght, tail.bias, position_ids", "other.file does not fit"}) {
        CHECK_ERROR(net.load(state, nullptr, "other.file"), CheckpointError, mention);
    }
    CHECK(is_same(net.state(), before));

    SECTION("a name that comes twice") {
        StateDict twice = copy_of(other.state());
        twice.push_back(twice[2]);
        CHECK_ERROR(net.load(twice), CheckpointError, "repeated (1): body.1.weight");
    }
    SECTION("counters are names, too") {
        const Counters none, wrong{{"body.4.n_cals", 1}};
        CHECK_ERROR(net.load(before, &none), CheckpointError, "missing (1): body.4.n_calls");
        CHECK_ERROR(net.load(before, &wrong), CheckpointError, "unexpected (1): body.4.n_cals");
    }
    SECTION("a prefix is found, and taken away by select()") {
        StateDict prefixed = copy_of(other.state());
        for (NamedTensor& t : prefixed) t.name = "module." + t.name;
        CHECK_ERROR(net.load(prefixed), CheckpointError, "head.bias (nearest: module.head.bias");
        net.load(select(prefixed, "module"));
        CHECK_OK(is_same(net.state(), other.state()));
        CHECK(select(prefixed, "mod").empty());
    }
    SECTION("thousands of wrong names do not take minutes") {
        StateDict many;
        for (int i = 0; i < 20000; i++) many.push_back({std::to_string(i) + std::string(200, 'x'), Tensor()});
        CHECK_ERROR(net.load(many), CheckpointError, "unexpected (20000)");
    }
}

TEST_CASE("M2: a shape that differs is told with both shapes", "[module][M2]") {
    Generator gen(1);
    SmallNet net(gen);
    const StateDict before = copy_of(net.state());
    StateDict state = copy_of(net.state());
    part(state, "head.weight") = part(state, "head.weight").transpose(0, 1);
    part(state, "body.1.running_var") = Tensor::zeros({4, 1});
    CHECK_ERROR(net.load(state), CheckpointError,
                "mis-shaped (2): body.1.running_var is [4, 1], want [4], head.weight is [16, 3], want [3, 16]");
    CHECK(is_same(net.state(), before));
}

TEST_CASE("a frozen module gets no gradients and no optimiser sees it", "[module]") {
    Generator gen(1);
    SmallNet net(gen);
    net.body.freeze();
    CHECK(net.parameters().size() == 6);
    const FlatParameters flat(net);
    REQUIRE(flat.vars.size() == 2);
    CHECK(flat.vars[0].name == "head.weight");
    backward(mean(net(wave({2, 4, 4, 2}, 0.7))));
    CHECK(net.head.weight.node->has_grad);
    CHECK_FALSE(static_cast<Conv2d&>(net.body[0]).weight.needs_grad());

    net.freeze();
    CHECK_ERROR(FlatParameters(net), ValueError, "nothing to train");
    Sequential stateless{Relu()};
    CHECK_ERROR(FlatParameters(stateless), ValueError, "nothing to train");
}

TEST_CASE("FlatParameters: values and gradients become views of two buffers", "[module]") {
    Generator gen(1), same_gen(1);
    SmallNet net(gen), twin(same_gen);
    FlatParameters flat(net);
    CHECK(is_same(net.state(), twin.state()));

    const int64_t sizes[] = {72, 4, 4, 4, 48, 3}, begins[] = {0, 80, 96, 112, 128, 176};
    REQUIRE(flat.values.shape == Shape{192});
    for (size_t i = 0; i < 6; i++) {
        CHECK(flat.vars[i].var.value.data() == flat.values.data() + begins[i]);
        CHECK(flat.vars[i].var.node->grad.data() == flat.grads.data() + begins[i]);
        CHECK(flat.vars[i].var.value.numel() == sizes[i]);
    }
    flat.values.fill(2);
    CHECK(net.head.bias.value.at({1}) == 2);
    net.load(twin.state());
    CHECK(flat.values.at({176}) == twin.head.bias.value.at({0}));

    SECTION("gradients are those of a model that was never flattened") {
        const Tensor x = wave({2, 4, 4, 2}, 0.7);
        flat.grads.fill(std::nanf(""));
        backward(mean(net(x) * net(x)));
        backward(mean(twin(x) * twin(x)));
        for (size_t i = 0; i < 6; i++) CHECK(is_same(flat.vars[i].var.grad(), twin.parameters()[i].var.grad()));
    }
    SECTION("settle_grads() writes zeros where no gradient came") {
        flat.zero_grad();
        flat.grads.fill(std::nanf(""));
        backward(sum(net.head.bias * real(3)));
        flat.settle_grads();
        CHECK(flat.grads.at({177}) == 3);
        for (int64_t i = 0; i < 4; i++) CHECK(flat.grads.at({80 + i}) == 0);
        backward(sum(net.head.bias));
        CHECK(flat.grads.at({177}) == 4);
        flat.zero_grad();
        backward(sum(net.head.bias));
        CHECK(flat.grads.at({177}) == 1);
    }
    SECTION("the buffers outlive a move of the module") {
        SmallNet moved = std::move(net);
        flat.values.fill(3);
        CHECK(moved.head.bias.value.at({0}) == 3);
    }
}

TEST_CASE("FlatParameters works for several modules, and keeps shared parameters shared", "[module]") {
    Generator gen(1);
    Linear a(gen, 2, 3), b(gen, 3, 1);
    FlatParameters both({a, b});
    CHECK(both.vars.size() == 4);
    CHECK(b.bias.value.data() == both.values.data() + 48);

    Tied tied(gen);
    CHECK(tied.n_parameters() == 9 + 3 + 3);
    CHECK(tied.state().size() == 4);
    FlatParameters flat(tied);
    CHECK(flat.vars.size() == 3);
    CHECK(tied.first.weight.node == tied.second.weight.node);
    tied.to(Device::cpu);
    CHECK(tied.first.weight.node == tied.second.weight.node);
    CHECK(tied.first.weight.value.data() == flat.values.data());
    FlatParameters again({tied, tied});
    CHECK(again.vars.size() == 3);
    tied.freeze();
    CHECK_FALSE(tied.second.weight.needs_grad());
    CHECK(tied.first.weight.value.data() == tied.second.weight.value.data());
}

TEST_CASE("a constant is no state, and moves along", "[module][cuda]") {
    struct WithConstant : Module {
        explicit WithConstant(Generator& gen) : layer(gen, 2, 3), table(Tensor::full({2}, 7)) {}
        void visit(Visitor& v) override {
            v("layer", layer);
            v.constant(table), v.constant(nothing);
        }
        Linear layer;
        Tensor table, nothing;
    };
    struct Outer : Module {
        explicit Outer(Generator& gen) : inner(gen) {}
        void visit(Visitor& v) override { v("inner", inner); }
        WithConstant inner;
    };
    Generator gen(1);
    Outer outer(gen);
    CHECK(names_of(outer.state()) == std::vector<std::string>{"inner.layer.weight", "inner.layer.bias"});
    outer.to(Device::cpu);
    CHECK(outer.inner.table.at({1}) == 7);
    CHECK_FALSE(outer.inner.nothing.is_defined());
    NEED_GPU();
    outer.to(Device::cuda);
    CHECK(outer.inner.table.device() == Device::cuda);
    CHECK(outer.inner.table.at({1}) == 7);
    CHECK_FALSE(outer.inner.nothing.is_defined());
    outer.to(Device::cpu);
    CHECK(outer.inner.table.device() == Device::cpu);
}

TEST_CASE("to() a device that is not there is an error", "[module][cuda]") {
    Generator gen(1);
    Linear layer(gen, 2, 3);
    try {
        require_device(Device::cuda);
    } catch (const DeviceError&) {
        CHECK_THROWS_AS(layer.to(Device::cuda), DeviceError);
        return;
    }
    layer.to(Device::cuda);
    CHECK(layer.weight.device() == Device::cuda);
    CHECK(layer.weight.needs_grad());
}
