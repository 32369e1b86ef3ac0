// The engine: order, accumulation, reuse, NoGrad, anomaly mode, deep graphs, memory.
#include <cmath>

#include "autograd/ops.h"
#include "tests/catch.h"

using namespace koine;

namespace {
Var leaf(std::initializer_list<real> values) {
    return Var::parameter(Tensor::from(values, Shape{int64_t(values.size())}));
}
}  // namespace

TEST_CASE("gradients of a diamond add up", "[autograd]") {
    const Var x = leaf({3});
    const Var a = x * x, b = a * a, c = a * x;  // x^2, x^4, x^3
    backward(b + c);                            // 4 x^3 + 3 x^2
    CHECK(x.grad().item() == Approx(4 * 27 + 3 * 9));
}

TEST_CASE("gradients accumulate over backward passes until they are zeroed", "[autograd]") {
    const Var x = leaf({2});
    backward(x * x);
    backward(x * x);
    CHECK(x.grad().item() == Approx(8));
    x.zero_grad();
    CHECK(x.grad().item() == 0);
    backward(x * real(5));
    CHECK(x.grad().item() == Approx(5));
}

TEST_CASE("a graph is used once", "[autograd]") {
    const Var x = leaf({2}), y = x * x, z = y * real(3), w = y * real(2);
    backward(z);
    CHECK_ERROR(backward(z), Error, "freed by an earlier backward()");
    CHECK_ERROR(backward(w), Error, "the graph below mul was freed");
}

TEST_CASE("constants, detach and NoGrad stop gradients", "[autograd]") {
    const Var x = leaf({2});
    CHECK_FALSE((Var(Tensor::full({1}, 2)) * Var(Tensor::full({1}, 3))).needs_grad());
    const Var y = x.detach() * x;  // d = x as a constant
    backward(y);
    CHECK(x.grad().item() == Approx(2));
    {
        const NoGrad outer;
        const NoGrad inner;
        CHECK_FALSE((x * x).needs_grad());
    }
    CHECK((x * x).needs_grad());
    CHECK_ERROR(Var(Tensor::zeros({1})).grad(), Error, "is a constant");
}

TEST_CASE("a graph of 200 000 nodes neither overflows the stack forwards nor when dropped", "[autograd]") {
    const Var x = leaf({1});
    {
        Var y = x;
        for (int i = 0; i < 200000; i++) y = neg(y);
    }  // dropped without backward
    Var y = x;
    for (int i = 0; i < 200000; i++) y = neg(y);
    backward(y);
    CHECK(x.grad().item() == 1);
}

TEST_CASE("under NoGrad a buffer nobody else sees is reused", "[autograd]") {
    const NoGrad guard;
    Var x(Tensor::full({1000}, -2));
    const real* memory = x.value.data();
    const Var kept = relu(x);  // x is still needed: a new buffer
    CHECK(kept.value.data() != memory);
    CHECK(x.value.at({5}) == -2);
    const Var y = relu(std::move(x));
    CHECK(y.value.data() == memory);
    CHECK(y.value.at({5}) == 0);
    const Var parameter = Var::parameter(Tensor::full({4}, -1));
    Var copy = parameter;
    CHECK(relu(std::move(copy)).value.at({0}) == 0);
    CHECK(parameter.value.at({0}) == -1);
}

TEST_CASE("backward frees activations as it goes", "[autograd]") {
    const Var x = Var::parameter(Tensor::full({1 << 16}, real(0.5)));
    x.node->grad = Tensor::zeros(x.shape());
    const int64_t before = pool().bytes_in_use;
    Var loss = sum(gelu(gelu(gelu(x))));
    CHECK(pool().bytes_in_use > before + 3 * int64_t(sizeof(real) << 16));
    backward(loss);
    loss = Var();
    CHECK(pool().bytes_in_use == before);
}

TEST_CASE("anomaly mode names the op that made the first NaN", "[autograd]") {
    anomaly_mode() = true;
    const Var x = leaf({-1, 4});
    CHECK_ERROR(log(x) * real(2), NonFiniteError, "log: output [2] holds");
    CHECK_NOTHROW(sqrt(abs(x)));
    const Var y = leaf({0, 4});  // where the root is fine and its slope is not
    CHECK_ERROR(backward(sum(sqrt(y))), NonFiniteError, "sqrt: gradient of input 0 [2] holds inf at position 0");
    anomaly_mode() = false;
    CHECK_NOTHROW(log(x));
}

TEST_CASE("losses and softmax stay finite at the ends of the number line", "[autograd][numerics][A25]") {
    const real infinity = std::numeric_limits<real>::infinity();
    CHECK(logsumexp(Var(Tensor::from({10000, 9999}, {2}))).item() == Approx(10000 + std::log(1 + std::exp(-1.0))));
    CHECK(logsumexp(Var(Tensor::from({-infinity, -infinity}, {2}))).item() == -infinity);
    CHECK(logsumexp(Var(Tensor::from({infinity, 1}, {2}))).item() == infinity);
    CHECK(softmax(Var(Tensor::from({-infinity, -infinity, -infinity}, {1, 3}))).value.to_vector() ==
          std::vector<real>{0, 0, 0});
    CHECK(softmax(Var(Tensor::from({1e4, -1e4}, {1, 2}))).value.to_vector() == std::vector<real>{1, 0});
    CHECK(bce_with_logits(Var(Tensor::from({1e4, -1e4}, {2})), Var(Tensor::from({1, 0}, {2}))).item() == 0);
    CHECK(cross_entropy(Var(Tensor::from({1e4, 0}, {1, 2})), Indices(std::vector<int32_t>{1})).item() == Approx(1e4));
    CHECK(std::isnan(softmax(Var(Tensor::from({real(NAN), 0}, {1, 2}))).value.at({0, 1})));
    CHECK(std::isnan(max(Var(Tensor::from({1, real(NAN), 0}, {3}))).item()));
    CHECK(std::isnan(relu(Var(Tensor::full({1}, real(NAN)))).item()));
    // Cosines of zero vectors are 0, of huge and tiny ones exact.
    const Var rows(Tensor::from({0, 0, 3e18, 4e18, 3e-20, 4e-20}, {3, 2}));
    const Var anchors(Tensor::from({1, 0}, {1, 2}));
    const std::vector<real> cosines = cosine_rows(rows, anchors).value.to_vector();
    CHECK(cosines[0] == 0);
    CHECK(cosines[1] == Approx(0.6));
    // Fixed eps: vectors shorter than 1e-12 count as short, not as directions.
    CHECK(std::fabs(cosines[2]) <= 1);
}
