// ONE table of all ops. Each row is used eight ways, by tests/test_ops.cpp and tests/bench:
//   1. float64 projection gradient check          5. one CPU thread against an emulated GPU block
//   2. gradients poisoned with NaN, and pre-filled  6. error inputs, with the text of the error
//   3. non-contiguous views and empty inputs       7. the benchmark
//   4. the float build against the float64 build   8. a GPU, or the fake one, against the CPU
// A new op needs a row here: `make test` fails when a function of autograd/ops.h has none.
#pragma once
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "autograd/gradcheck.h"
#include "autograd/ops.h"

namespace koine::testing {

/// How inputs are drawn, so that a central difference meets no kink and no pole.
enum class Domain {
    normal,    ///< standard normal
    positive,  ///< uniform in [0.5, 2)
    off_zero,  ///< |x| in [0.3, 1.5), both signs
    unit,      ///< uniform in [0.1, 0.9)
};

struct ErrorInput {
    std::function<void()> call;
    std::string text;  ///< part of the message
};

struct OpRow {
    std::string op;       ///< name in ops.h
    std::string variant;  ///< what is special about this row
    GradcheckFn fn;
    std::vector<Shape> shapes;
    Domain domain = Domain::normal;
    std::vector<ErrorInput> errors = {};
    /// Shapes with a 0 extent (or none at all): the op must work on them, or throw ShapeError.
    std::vector<Shape> empty_shapes = {};
    bool has_gradient = true;

    std::string name() const { return variant.empty() ? op : op + " " + variant; }
};

/// About normal (the sum of four uniform 12-bit numbers) and exact in float, so that both builds see the same numbers.
inline Tensor exact_normal(const Shape& shape, Random rng) {
    const Tensor x = Tensor::empty(shape);
    for (int64_t k = 0; k < x.numel(); k++) {
        const Words4 b = rng.block(uint64_t(k));
        x.data()[k] = real(int64_t(b.w[0] >> 20) + (b.w[1] >> 20) + (b.w[2] >> 20) + (b.w[3] >> 20) - 8190) / 4096;
    }
    return x;
}

/// Input i of a row.
inline Tensor op_input(const OpRow& row, size_t i, const Shape& shape) {
    const Random rng{2209, 15430 + i};
    const Tensor x = exact_normal(shape, rng);
    if (row.domain == Domain::normal) return x;
    for (int64_t k = 0; k < x.numel(); k++) {
        const real u = real(rng.bits(uint64_t(k)) >> 20) / 4096;
        real& v = x.data()[k];
        if (row.domain == Domain::positive) v = real(0.5) + real(1.5) * u;
        if (row.domain == Domain::unit) v = real(0.1) + real(0.8) * u;
        if (row.domain == Domain::off_zero)
            v = u < real(0.5) ? real(-0.3) - real(2.4) * u : real(0.3) + real(2.4) * (u - real(0.5));
    }
    return x;
}

// ---- the rows: a row stays a row -----------------------------------------------------------------------------------
// clang-format off

namespace rows {

using Vars = std::vector<Var>;

inline Var zeros(const Shape& shape) { return Var(Tensor::zeros(shape)); }
inline Indices ints(std::vector<int32_t> values) { return Indices(values); }
/// On the device of x, as an op wants them.
inline Indices ints(std::vector<int32_t> values, const Var& x) { return Indices(values, Shape{int64_t(values.size())}, x.device()); }

// The three ways in which an elementwise op of two operands can be misused.
inline std::vector<ErrorInput> pair_errors(Var (*op)(const Var&, const Var&), const std::string& name) {
    return {
        {[=] { op(zeros({2, 3}), zeros({2, 4})); }, name + ": [2, 3] and [2, 4] do not broadcast"},
        {[=] { op(zeros({4}), zeros({3, 5})); }, "axis -1 has extents 4 and 5"},
        {[=] { op(zeros({2}), Var()); }, name + ": an input is undefined"},
    };
}
template <class F>
std::vector<ErrorInput> unary_errors(F op, const std::string& name) {
    return {
        {[=] { op(Var()); }, name + ": an input is undefined"},
        {[=] { backward(op(Var::parameter(Tensor::full({2}, 1)))); }, "the loss has shape [2]; want one element"},
        {[=] { backward(op(zeros({}))); }, "does not depend on any parameter"},
    };
}
template <class F>
std::vector<ErrorInput> reduce_errors(F op, const std::string& name) {
    return {
        {[=] { op(zeros({2, 3}), Axes{2}); }, "axis 2 of shape [2, 3]"},
        {[=] { op(zeros({2, 3}), Axes{1, -1}); }, name + ": axis -1 of [2, 3] given twice"},
        {[=] { op(zeros({2, 3}), Axes{-3}); }, "axis -3 of shape [2, 3]"},
    };
}

// A row per broadcast pattern: same shape, row, column, scalar, missing axes on the left, both sides broadcast.
inline void add_zip(std::vector<OpRow>& rows, const std::string& name, Var (*op)(const Var&, const Var&), Domain domain = Domain::normal) {
    const auto fn = [op](const Vars& in) { return op(in[0], in[1]); };
    rows.push_back({name, "", fn, {{3, 5}, {3, 5}}, domain, pair_errors(op, name), {{0, 5}, {0, 5}}});
    rows.push_back({name, "row", fn, {{3, 5}, {5}}, domain, {}, {{0, 5}, {5}}});
    rows.push_back({name, "column", fn, {{3, 1}, {3, 5}}, domain, {}, {{3, 1}, {3, 0}}});
    rows.push_back({name, "scalar", fn, {{2, 3, 4}, {}}, domain});
    rows.push_back({name, "outer", fn, {{4, 1, 3}, {2, 1}}, domain});
    rows.push_back({name, "one", fn, {{1}, {1}}, domain});
    rows.push_back({name, "itself", [op](const Vars& in) { return op(in[0], in[0] * in[0]); }, {{7}}, domain});
}
template <class F>
inline void add_map(std::vector<OpRow>& rows, const std::string& name, F op, Domain domain = Domain::normal) {
    const auto fn = [op](const Vars& in) { return op(in[0]); };
    rows.push_back({name, "", fn, {{4, 7}}, domain, unary_errors(op, name), {{0, 7}}});
    rows.push_back({name, "one", fn, {{}}, domain});
    rows.push_back({name, "long", fn, {{5000}}, domain});
}
template <class F>
inline void add_reduce(std::vector<OpRow>& rows, const std::string& name, F op) {
    const auto fn = [op](Axes axes, bool keepdim) { return [=](const Vars& in) { return op(in[0], axes, keepdim); }; };
    const auto errors = reduce_errors([op](const Var& x, const Axes& a) { return op(x, a, false); }, name);
    rows.push_back({name, "all", fn({}, false), {{3, 4, 5}}, Domain::normal, errors, {{0, 3}}});
    rows.push_back({name, "last", fn({-1}, false), {{6, 9}}, Domain::normal, {}, {{0, 3}}});
    rows.push_back({name, "first", fn({0}, false), {{300, 4}}});
    rows.push_back({name, "middle keepdim", fn({1}, true), {{3, 4, 5}}});
    rows.push_back({name, "outer two", fn({0, 2}, false), {{3, 4, 5}}});
    rows.push_back({name, "one", fn({}, false), {{1}}});
}

inline void add_elementwise(std::vector<OpRow>& rows) {
    add_zip(rows, "add", add);
    add_zip(rows, "sub", sub);
    add_zip(rows, "mul", mul);
    add_zip(rows, "div", div, Domain::off_zero);
    add_zip(rows, "pow", pow, Domain::positive);
    add_zip(rows, "maximum", maximum);
    add_zip(rows, "minimum", minimum);
    const auto condition = [](const Shape& s) {
        const Tensor c = Tensor::empty(s);
        for (int64_t i = 0; i < c.numel(); i++) c.data()[i] = real(i % 3 == 0);
        return c;
    };
    rows.push_back({"where", "", [=](const Vars& in) { return where(condition({4, 5}).to(in[0].device()), in[0], in[1]); }, {{4, 5}, {4, 5}}, Domain::normal,
                    {{[=] { where(condition({2}), zeros({3}), zeros({3})); }, "where: [2] and [3] do not broadcast"},
                     {[=] { where(condition({3}), zeros({2}), zeros({3})); }, "where: [2] and [3] do not broadcast"},
                     {[=] { where(condition({3}), zeros({3}), Var()); }, "where: an input is undefined"}}});
    rows.push_back({"where", "broadcast", [=](const Vars& in) { return where(condition({4, 1}).to(in[0].device()), in[0], in[1]); }, {{5}, {4, 1}}});

    add_map(rows, "neg", neg);
    add_map(rows, "sqrt", [](Var x) { return sqrt(x); }, Domain::positive);
    add_map(rows, "exp", [](Var x) { return exp(x); });
    add_map(rows, "log", [](Var x) { return log(x); }, Domain::positive);
    add_map(rows, "abs", [](Var x) { return abs(x); }, Domain::off_zero);
    add_map(rows, "clamp", [](Var x) { return clamp(x, real(-0.2), real(0.2)); }, Domain::off_zero);
    add_map(rows, "clamp", [](Var x) { return clamp(x, -1, 1); });
    rows.back().errors.push_back({[] { clamp(zeros({1}), 2, 1); }, "clamp: low 2.000000 is above high 1.000000"});
    add_map(rows, "relu", relu, Domain::off_zero);
    add_map(rows, "leaky_relu", [](Var x) { return leaky_relu(x, real(0.1)); }, Domain::off_zero);
    add_map(rows, "gelu", gelu);
    add_map(rows, "gelu_tanh", gelu_tanh);
    add_map(rows, "silu", silu);
    add_map(rows, "tanh", [](Var x) { return tanh(x); });
    add_map(rows, "sigmoid", sigmoid);
    add_map(rows, "softplus", softplus);
}

inline void add_reductions(std::vector<OpRow>& rows) {
    add_reduce(rows, "sum", sum);
    add_reduce(rows, "mean", mean);
    add_reduce(rows, "max", [](const Var& x, const Axes& a, bool k) { return max(x, a, k); });
    add_reduce(rows, "min", [](const Var& x, const Axes& a, bool k) { return min(x, a, k); });
    add_reduce(rows, "logsumexp", logsumexp);
    add_reduce(rows, "variance", [](const Var& x, const Axes& a, bool k) { return variance(x, a, k); });
    rows.push_back({"sum", "long", [](const Vars& in) { return sum(in[0], {1}); }, {{2, 40000}}});
    rows.push_back({"variance", "unbiased", [](const Vars& in) { return variance(in[0], {1}, false, true); }, {{3, 5}}, Domain::normal,
                    {{[] { variance(zeros({3, 1}), {1}, false, true); }, "has 1 elements to reduce over; want at least 2"},
                     {[] { mean(zeros({3, 0}), {1}); }, "mean: [3, 0] has no elements to reduce over"},
                     {[] { max(zeros({0}), {}); }, "max: [0] has no elements to reduce over"}}});
    rows.push_back({"argmax", "", [](const Vars& in) {
                        const std::vector<int32_t> at = argmax(in[0].value).to_vector();
                        return Var(Tensor::from(std::vector<real>(at.begin(), at.end()), Shape{int64_t(at.size())}, in[0].device()));
                    },
                    {{6, 9}}, Domain::normal,
                    {{[] { argmax(Tensor::zeros({2, 0})); }, "argmax: [2, 0] has no elements"},
                     {[] { argmax(Tensor::zeros({2, 3}), 2); }, "axis 2 of shape [2, 3]"},
                     {[] { argmax(Tensor::zeros({})); }, "axis -1 of shape []"}},
                    {}, false});
}

inline void add_shape_ops(std::vector<OpRow>& rows) {
    // The square makes the gradient depend on where each element went.
    const auto square = [](const Var& x) { return x * x; };
    rows.push_back({"reshape", "", [=](const Vars& in) { return square(reshape(in[0], {6, 2})); }, {{3, 4}}, Domain::normal,
                    {{[] { reshape(zeros({3, 4}), {5, 2}); }, "reshape: [3, 4] to [5, 2]: the number of elements differs"},
                     {[] { reshape(zeros({3, 4}), {-1, 2}); }, "negative extent -1"},
                     {[] { Shape{1, 1, 1, 1, 1, 1, 1}; }, "a shape has at most 6 axes"}}});
    rows.push_back({"reshape", "of a parameter used twice", [=](const Vars& in) { return square(reshape(in[0], {12})) + reshape(in[0] * real(2), {12}); }, {{3, 4}}});
    rows.push_back({"flatten", "", [=](const Vars& in) { return square(flatten(in[0])); }, {{2, 3, 2}}, Domain::normal,
                    {{[] { flatten(zeros({2, 3}), 3); }, "axis 3 of shape [2, 3]"}}, {{0, 3, 2}}});
    rows.push_back({"transpose", "", [=](const Vars& in) { return square(transpose(in[0], 0, -1)); }, {{2, 3, 4}}, Domain::normal,
                    {{[] { transpose(zeros({2, 3}), 0, 2); }, "axis 2 of shape [2, 3]"}}, {{0, 3, 4}}});
    rows.push_back({"permute", "", [=](const Vars& in) { return square(permute(in[0], {2, 0, 1})); }, {{2, 3, 4}}, Domain::normal,
                    {{[] { permute(zeros({2, 3}), {0, 0}); }, "permute: the axes given are not a permutation of those of [2, 3]"},
                     {[] { permute(zeros({2, 3}), {0}); }, "not a permutation"},
                     {[] { permute(zeros({2, 3}), {0, 2}); }, "axis 2 of shape [2, 3]"}}, {{2, 0, 4}}});
    rows.push_back({"slice", "", [=](const Vars& in) { return square(slice(in[0], 1, 1, 3)); }, {{3, 5, 2}}, Domain::normal,
                    {{[] { slice(zeros({2, 3}), 1, 2, 4); }, "slice: [2, 4) of axis 1 of [2, 3]"},
                     {[] { slice(zeros({2, 3}), 1, -1, 2); }, "slice: [-1, 2)"},
                     {[] { slice(zeros({2, 3}), 0, 2, 1); }, "slice: [2, 1)"}}, {{0, 5, 2}}});
    rows.push_back({"slice", "overlapping twice", [=](const Vars& in) { return square(slice(in[0], 0, 0, 3)) + slice(in[0], 0, 1, 4) * real(3); }, {{5, 2}}});
    rows.push_back({"slice", "empty", [=](const Vars& in) { return square(slice(in[0], 0, 2, 2)); }, {{5, 2}}});
    rows.push_back({"expand", "", [=](const Vars& in) { return square(expand(in[0], {4, 3, 5})); }, {{3, 1}}, Domain::normal,
                    {{[] { expand(zeros({3}), {3, 2}); }, "expand: [3] and [3, 2] do not broadcast"},
                     {[] { expand(zeros({3, 2}), {2}); }, "expand: [3, 2] does not expand to [2]"},
                     {[] { expand(zeros({2}), {1}); }, "expand: [2] does not expand to [1]"}}});
    rows.push_back({"concat", "", [=](const Vars& in) { return square(concat({in[0], in[1], in[0]}, 1)); }, {{2, 3}, {2, 4}}, Domain::normal,
                    {{[] { concat({}, 0); }, "concat: nothing to join"},
                     {[] { concat({zeros({2, 3}), zeros({3, 3})}, 1); }, "concat: [2, 3] and [3, 3] differ outside axis 1"},
                     {[] { concat({zeros({2, 3}), zeros({2})}, 0); }, "concat: [2, 3] and [2] differ"}}, {{2, 0}, {2, 4}}});
    rows.push_back({"stack", "", [=](const Vars& in) { return square(stack({in[0], in[1]}, -1)); }, {{2, 3}, {2, 3}}, Domain::normal,
                    {{[] { stack({}, 0); }, "stack: nothing to join"},
                     {[] { stack({zeros({2}), zeros({3})}, 0); }, "stack: [2] and [3] differ"},
                     {[] { stack({zeros({2})}, 2); }, "stack: axis 2 for parts of shape [2]"}}, {{0, 3}, {0, 3}}});
    rows.push_back({"pad", "", [=](const Vars& in) { return square(pad(in[0], 1, 1, 2, real(0.5))); }, {{2, 3, 2}}, Domain::normal,
                    {{[] { pad(zeros({2}), 0, -1, 0); }, "pad: -1 before and 0 after axis 0"},
                     {[] { pad(zeros({2}), 0, 0, -2); }, "pad: 0 before and -2 after"},
                     {[] { pad(zeros({2}), 1, 0, 0); }, "axis 1 of shape [2]"}}, {{2, 0, 2}}});
    rows.push_back({"index_select", "", [=](const Vars& in) { return square(index_select(in[0], ints({3, 0, 3, 1}, in[0]))); }, {{5, 3}}, Domain::normal,
                    {{[] { index_select(zeros({3, 2}), ints({0, 3})); }, "index_select: index 3 at position 1 is outside [0, 3)"},
                     {[] { index_select(zeros({3, 2}), ints({-1})); }, "index -1 at position 0"},
                     {[] { index_select(zeros({}), ints({0})); }, "index_select: x [], index [1]; want [N, *], [M]"}}});
    rows.push_back({"index_select", "nothing", [=](const Vars& in) { return square(index_select(in[0], ints({}, in[0]))); }, {{5, 3}}});
}

inline void add_products(std::vector<OpRow>& rows) {
    const auto mm = [](const Vars& in) { return matmul(in[0], in[1]); };
    rows.push_back({"matmul", "", mm, {{4, 7}, {7, 5}}, Domain::normal,
                    {{[] { matmul(zeros({2, 3}), zeros({2, 3})); }, "matmul: a [2, 3], b [2, 3]; want [*, M, K], [*, K, N]"},
                     {[] { matmul(zeros({3}), zeros({3, 2})); }, "matmul: a [3], b [3, 2]"},
                     {[] { matmul(zeros({2, 4, 3}), zeros({3, 3, 2})); }, "matmul: [2] and [3] do not broadcast"}},
                    {{0, 7}, {7, 5}}});
    rows.push_back({"matmul", "inner 0", mm, {{4, 1}, {1, 5}}, Domain::normal, {}, {{4, 0}, {0, 5}}});
    rows.push_back({"matmul", "batched", mm, {{3, 4, 2}, {3, 2, 5}}});
    rows.push_back({"matmul", "broadcast batch", mm, {{2, 1, 4, 3}, {3, 3, 2}}});
    rows.push_back({"matmul", "transposed", [](const Vars& in) { return matmul(transpose(in[0], -1, -2), transpose(in[1], -1, -2)); }, {{2, 3, 4}, {2, 5, 3}}});
    rows.push_back({"matmul", "large", mm, {{130, 70}, {70, 110}}});

    const auto lin = [](Activation act) { return [act](const Vars& in) { return linear(in[0], in[1], in.size() > 2 ? in[2] : Var(), act); }; };
    rows.push_back({"linear", "", lin(Activation::none), {{4, 7}, {5, 7}, {5}}, Domain::normal,
                    {{[] { linear(zeros({4, 7}), zeros({5, 6}), zeros({5})); }, "linear: x [4, 7], w [5, 6], b [5]; want [*, I], [O, I], [O]"},
                     {[] { linear(zeros({4, 7}), zeros({5, 7}), zeros({4})); }, "b [4]; want"},
                     {[] { linear(zeros({}), zeros({5, 7}), Var()); }, "linear: x [], w [5, 7]; want"}},
                    {{0, 7}, {5, 7}, {5}}});
    rows.push_back({"linear", "no bias", lin(Activation::none), {{4, 7}, {5, 7}}});
    rows.push_back({"linear", "relu", lin(Activation::relu), {{4, 7}, {5, 7}, {5}}});
    rows.push_back({"linear", "gelu", lin(Activation::gelu), {{4, 7}, {5, 7}, {5}}});
    rows.push_back({"linear", "gelu_tanh", lin(Activation::gelu_tanh), {{4, 7}, {5, 7}, {5}}});
    rows.push_back({"linear", "silu no bias", lin(Activation::silu), {{4, 7}, {5, 7}}});
    rows.push_back({"linear", "tanh", lin(Activation::tanh), {{2, 3, 7}, {5, 7}, {5}}});
    rows.push_back({"linear", "sigmoid", lin(Activation::sigmoid), {{4, 7}, {5, 7}, {5}}});
    rows.push_back({"linear", "long sums", lin(Activation::none), {{3000, 6}, {7, 6}, {7}}});
}

inline void add_convolutions(std::vector<OpRow>& rows) {
    const auto conv = [](ConvOptions o, Activation act = Activation::none) {
        return [=](const Vars& in) { return conv2d(in[0], in[1], in.size() > 2 ? in[2] : Var(), o, act); };
    };
    rows.push_back({"conv2d", "", conv({}), {{2, 5, 6, 3}, {4, 3, 3, 3}, {4}}, Domain::normal,
                    {{[] { conv2d(zeros({2, 5, 6, 3}), zeros({4, 3, 3, 2}), Var()); }, "conv2d: x [2, 5, 6, 3], w [4, 3, 3, 2]; want [N, H, W, C], [O, kh, kw, C], [O]"},
                     {[] { conv2d(zeros({2, 2, 2, 3}), zeros({4, 3, 3, 3}), Var()); }, "want a kernel that fits into the padded image"},
                     {[] { conv2d(zeros({2, 5, 6, 3}), zeros({4, 3, 3, 3}), zeros({3})); }, "b [3]; want"},
                     {[] { conv2d(zeros({2, 5, 6, 3}), zeros({4, 3, 3, 3}), Var(), {.stride = 0}); }, "conv2d: stride 0"},
                     {[] { conv2d(zeros({1, 40, 40, 1}), zeros({1, 17, 17, 1}), Var()); }, "conv2d: a kernel of 17 x 17; want 1 to 256 taps"}},
                    {{0, 5, 6, 3}, {4, 3, 3, 3}, {4}}});
    rows.push_back({"conv2d", "stride 2 padding 1", conv({.stride = 2, .padding = 1}), {{2, 7, 8, 3}, {4, 3, 3, 3}, {4}}});
    rows.push_back({"conv2d", "dilation 2", conv({.padding = 2, .dilation = 2}), {{2, 6, 7, 2}, {5, 3, 3, 2}, {5}}});
    rows.push_back({"conv2d", "stride 3 dilation 2", conv({.stride = 3, .padding = 1, .dilation = 2}), {{2, 9, 8, 2}, {3, 3, 2, 2}}});
    rows.push_back({"conv2d", "few outputs", conv({.padding = 1}), {{2, 6, 5, 4}, {1, 3, 3, 4}, {1}}});
    rows.push_back({"conv2d", "few outputs unpadded", conv({}), {{2, 6, 5, 4}, {2, 3, 3, 4}, {2}}});
    rows.push_back({"conv2d", "few outputs dilated", conv({.padding = 1, .dilation = 2}), {{2, 7, 8, 3}, {2, 3, 3, 3}, {2}}});
    rows.push_back({"conv2d", "kernel 1", conv({}), {{2, 3, 4, 3}, {5, 1, 1, 3}, {5}}});
    rows.push_back({"conv2d", "uneven kernel", conv({.padding = 1}), {{2, 5, 6, 3}, {2, 2, 3, 3}, {2}}});
    rows.push_back({"conv2d", "gelu", conv({.padding = 1}, Activation::gelu), {{2, 4, 4, 2}, {3, 3, 3, 2}, {3}}});
    rows.push_back({"conv2d", "relu no bias", conv({.stride = 2}, Activation::relu), {{2, 5, 5, 2}, {3, 3, 3, 2}}});
    rows.push_back({"conv2d", "many groups", conv({.padding = 1}), {{40, 6, 6, 2}, {3, 3, 3, 2}, {3}}});
    rows.push_back({"conv2d", "winograd", conv({.padding = 1}, Activation::silu), {{2, 5, 6, 8}, {9, 3, 3, 8}, {9}}});
    rows.push_back({"conv2d", "winograd unpadded", conv({}), {{2, 7, 6, 9}, {8, 3, 3, 9}}});
    rows.push_back({"conv2d", "winograd on cells", conv({.stride = 2, .padding = 1}, Activation::gelu), {{2, 8, 14, 8}, {9, 4, 4, 8}, {9}}});
    rows.push_back({"conv2d", "place by place", conv({.stride = 2, .padding = 1}), {{2, 4, 5, 16}, {17, 3, 3, 16}, {17}}});
    rows.push_back({"conv2d", "one output", conv({.padding = 1}, Activation::sigmoid), {{2, 6, 5, 8}, {1, 3, 3, 8}, {1}}});
    rows.push_back({"conv2d", "input used twice", [](const Vars& in) { return conv2d(in[0], in[1], Var(), {.padding = 1}) + conv2d(in[0], in[1], Var(), {.padding = 1}) * in[0]; },
                    {{2, 4, 4, 2}, {2, 3, 3, 2}}});
    rows.push_back({"conv2d", "few outputs, input used twice", [](const Vars& in) { return conv2d(in[0], in[1], Var(), {.padding = 1}) + sum(in[0], {3}, true); },
                    {{2, 4, 4, 3}, {1, 3, 3, 3}}});

    const auto deconv = [](ConvOptions o) { return [=](const Vars& in) { return conv_transpose2d(in[0], in[1], in.size() > 2 ? in[2] : Var(), o); }; };
    rows.push_back({"conv_transpose2d", "", deconv({}), {{2, 4, 3, 3}, {3, 3, 3, 2}, {2}}, Domain::normal,
                    {{[] { conv_transpose2d(zeros({2, 4, 3, 3}), zeros({2, 3, 3, 2}), Var()); }, "conv_transpose2d: x [2, 4, 3, 3], w [2, 3, 3, 2]; want [N, H, W, I], [I, kh, kw, O], [O]"},
                     {[] { conv_transpose2d(zeros({2, 4, 3, 3}), zeros({3, 3, 3, 2}), Var(), {.stride = 2, .output_padding = 2}); }, "output_padding 2; want less than the stride, 2"},
                     {[] { conv_transpose2d(zeros({2, 1, 1, 3}), zeros({3, 3, 3, 2}), Var(), {.padding = 2}); }, "want an output of at least 1 x 1"}},
                    {{0, 4, 3, 3}, {3, 3, 3, 2}, {2}}});
    rows.push_back({"conv_transpose2d", "stride 2 kernel 4", deconv({.stride = 2, .padding = 1}), {{2, 3, 4, 3}, {3, 4, 4, 2}, {2}}});
    rows.push_back({"conv_transpose2d", "stride 2 kernel 3", deconv({.stride = 2, .padding = 1}), {{2, 4, 4, 3}, {3, 3, 3, 2}, {2}}});
    rows.push_back({"conv_transpose2d", "output padding", deconv({.stride = 2, .padding = 1, .output_padding = 1}), {{2, 3, 3, 2}, {2, 3, 3, 4}, {4}}});
    rows.push_back({"conv_transpose2d", "dilation 2", deconv({.stride = 3, .padding = 1, .dilation = 2}), {{2, 3, 3, 2}, {2, 3, 3, 3}}});
    rows.push_back({"conv_transpose2d", "winograd", deconv({.padding = 1}), {{2, 4, 5, 8}, {8, 3, 3, 9}, {9}}});
    rows.push_back({"conv_transpose2d", "winograd on cells", deconv({.stride = 2, .padding = 1}), {{2, 7, 3, 8}, {8, 4, 4, 9}, {9}}});
    rows.push_back({"conv_transpose2d", "place by place", deconv({.stride = 2, .padding = 1}), {{2, 2, 3, 16}, {16, 4, 4, 16}, {16}}});
    rows.push_back({"conv_transpose2d", "stride 1 few inputs", deconv({.padding = 1}), {{2, 4, 5, 1}, {1, 3, 3, 4}, {4}}});
    rows.push_back({"conv_transpose2d", "input used twice", [](const Vars& in) { return conv_transpose2d(in[0], in[1], Var(), {.padding = 1}) * in[0]; }, {{2, 4, 4, 2}, {2, 3, 3, 2}}});
}

inline void add_pools(std::vector<OpRow>& rows) {
    const auto pool_errors = [](auto op, const std::string& name) -> std::vector<ErrorInput> {
        return {{[=] { op(zeros({2, 4, 4})); }, name + ": x [2, 4, 4]; want [N, H, W, C]"},
                {[=] { op(zeros({2, 1, 4, 3})); }, name + ": x [2, 1, 4, 3] is smaller than a window of 2 x 2"},
                {[=] { op(Var()); }, name + ": x []; want [N, H, W, C]"}};
    };
    const auto max_pool = [](int size, int stride, int padding) { return [=](const Vars& in) { return max_pool2d(in[0], size, stride, padding); }; };
    rows.push_back({"max_pool2d", "", max_pool(2, 2, 0), {{2, 4, 6, 3}}, Domain::normal, pool_errors([](const Var& x) { return max_pool2d(x, 2, 2); }, "max_pool2d"), {{0, 4, 6, 3}}});
    rows.back().errors.push_back({[] { max_pool2d(zeros({1, 4, 4, 1}), 2, 2, 2); }, "padding 2; want size and stride of 1 or more, 0 <= padding <= size / 2"});
    rows.push_back({"max_pool2d", "overlapping padded", max_pool(3, 2, 1), {{2, 7, 6, 3}}});
    rows.push_back({"max_pool2d", "gaps", max_pool(2, 3, 0), {{2, 8, 8, 2}}});
    rows.push_back({"max_pool2d", "gaps, padded", max_pool(3, 4, 1), {{2, 9, 10, 2}}});
    rows.push_back({"max_pool2d", "pixels left over, many channels", max_pool(2, 2, 0), {{2, 5, 7, 37}}});
    const auto avg = [](int size, int stride) { return [=](const Vars& in) { return avg_pool2d(in[0], size, stride); }; };
    rows.push_back({"avg_pool2d", "", avg(2, 2), {{2, 4, 6, 3}}, Domain::normal, pool_errors([](const Var& x) { return avg_pool2d(x, 2, 2); }, "avg_pool2d"), {{0, 4, 6, 3}}});
    rows.push_back({"avg_pool2d", "overlapping", avg(3, 1), {{2, 6, 5, 3}}});
    rows.push_back({"avg_pool2d", "gaps", avg(2, 3), {{2, 8, 8, 2}}});
    const auto adaptive = [](int h, int w) { return [=](const Vars& in) { return adaptive_avg_pool2d(in[0], h, w); }; };
    rows.push_back({"adaptive_avg_pool2d", "global", adaptive(1, 1), {{2, 4, 5, 3}}, Domain::normal,
                    {{[] { adaptive_avg_pool2d(zeros({2, 4}), 1, 1); }, "adaptive_avg_pool2d: x [2, 4]; want [N, H, W, C]"},
                     {[] { adaptive_avg_pool2d(zeros({2, 4, 4, 1}), 0, 1); }, "output 0 x 1; want 1 or more"},
                     {[] { adaptive_avg_pool2d(zeros({2, 0, 4, 1}), 1, 1); }, "x [2, 0, 4, 1]; want"}}, {{0, 4, 5, 3}}});
    rows.push_back({"adaptive_avg_pool2d", "uneven", adaptive(3, 2), {{2, 7, 5, 3}}});
    rows.push_back({"adaptive_avg_pool2d", "upwards", adaptive(4, 3), {{2, 3, 2, 2}}});
}

inline void add_rows_ops(std::vector<OpRow>& rows) {
    const auto affine_errors = [](auto op, const std::string& name) -> std::vector<ErrorInput> {
        return {{[=] { op(zeros({2, 3}), zeros({2}), zeros({3})); }, name + ": x [2, 3], gamma [2], beta [3]; want [*, D], [D], [D]"},
                {[=] { op(zeros({2, 3}), zeros({3}), zeros({2})); }, "beta [2]; want"},
                {[=] { op(zeros({}), zeros({3}), zeros({3})); }, name + ": x []"}};
    };
    const auto bn = [](bool training, Activation act = Activation::none) {
        return [=](const Vars& in) {
            const Tensor &gain = in[1].value, mean = Tensor::full(gain.shape, real(0.3), gain.device());
            return batch_norm(in[0], in[1], in[2], mean, Tensor::full(gain.shape, real(1.7), gain.device()), training, real(0.1), real(1e-5), act);
        };
    };
    rows.push_back({"batch_norm", "train", bn(true), {{6, 3}, {3}, {3}}, Domain::normal,
                    affine_errors([](const Var& x, const Var& g, const Var& b) { return batch_norm(x, g, b, Tensor::zeros({3}), Tensor::zeros({3}), true); }, "batch_norm")});
    rows.back().errors.push_back({[] { batch_norm(zeros({1, 3}), zeros({3}), zeros({3}), Tensor::zeros({3}), Tensor::zeros({3}), true); }, "fewer than 2 values per channel"});
    rows.back().errors.push_back({[] { batch_norm(zeros({4, 3}), zeros({3}), zeros({3}), Tensor::zeros({2}), Tensor::zeros({3}), true); }, "running mean [2] and variance [3]; want [3]"});
    rows.push_back({"batch_norm", "train images", bn(true), {{5, 8, 8, 4}, {4}, {4}}});
    rows.push_back({"batch_norm", "train many channels", bn(true), {{2, 7, 5, 37}, {37}, {37}}});
    rows.push_back({"batch_norm", "train, gelu", bn(true, Activation::gelu), {{5, 4, 8, 4}, {4}, {4}}});
    rows.push_back({"batch_norm", "train, silu", bn(true, Activation::silu), {{2, 7, 5, 37}, {37}, {37}}});
    rows.push_back({"batch_norm", "eval, tanh", bn(false, Activation::tanh), {{2, 2, 3, 4}, {4}, {4}}, Domain::normal, {}, {{0, 3}, {3}, {3}}});
    rows.push_back({"batch_norm", "eval", bn(false), {{2, 2, 3, 4}, {4}, {4}}, Domain::normal, {}, {{0, 3}, {3}, {3}}});
    const auto ln = [](const Vars& in) { return layer_norm(in[0], in[1], in[2]); };
    rows.push_back({"layer_norm", "", ln, {{5, 9}, {9}, {9}}, Domain::normal, affine_errors([](const Var& x, const Var& g, const Var& b) { return layer_norm(x, g, b); }, "layer_norm"), {{0, 9}, {9}, {9}}});
    rows.push_back({"layer_norm", "tokens", ln, {{2, 3, 17}, {17}, {17}}});
    rows.push_back({"layer_norm", "many rows", ln, {{141, 5}, {5}, {5}}});
    const auto add_ln = [](const Vars& in) { return add_layer_norm(in[0], in[1], in[2], in[3]); };
    rows.push_back({"add_layer_norm", "", add_ln, {{5, 9}, {5, 9}, {9}, {9}}, Domain::normal,
                    affine_errors([](const Var& x, const Var& g, const Var& b) { return add_layer_norm(x, x, g, b); }, "add_layer_norm"), {{0, 9}, {0, 9}, {9}, {9}}});
    rows.back().errors.push_back({[] { add_layer_norm(zeros({2, 3}), zeros({3}), zeros({3}), zeros({3})); }, "add_layer_norm: x [2, 3], residual [3]; want equal shapes"});
    rows.push_back({"add_layer_norm", "tokens", add_ln, {{2, 3, 17}, {2, 3, 17}, {17}, {17}}});
    rows.push_back({"add_layer_norm", "to itself", [](const Vars& in) { return add_layer_norm(in[0], in[0], in[1], in[2]); }, {{3, 5}, {5}, {5}}});
    rows.push_back({"add_layer_norm", "of another op", [](const Vars& in) { return add_layer_norm(in[0] * in[1], in[1] * in[1], in[2], in[2]); }, {{3, 5}, {3, 5}, {5}}});
    const auto last_axis_errors = [](auto op, const std::string& name) -> std::vector<ErrorInput> {
        return {{[=] { op(zeros({})); }, name + ": x []; want [*, "}, {[=] { op(Var()); }, name + ": x []"}};
    };
    rows.push_back({"softmax", "", [](const Vars& in) { return softmax(in[0]); }, {{4, 7}}, Domain::normal, last_axis_errors(softmax, "softmax"), {{0, 7}}});
    rows.push_back({"softmax", "one", [](const Vars& in) { return softmax(in[0]); }, {{3, 1}}, Domain::normal, {}, {{3, 0}}});
    rows.push_back({"log_softmax", "", [](const Vars& in) { return log_softmax(in[0]); }, {{2, 3, 7}}, Domain::normal, last_axis_errors(log_softmax, "log_softmax"), {{0, 7}}});
    rows.push_back({"l2_normalize", "", [](const Vars& in) { return l2_normalize(in[0]); }, {{4, 7}}, Domain::normal, last_axis_errors([](const Var& x) { return l2_normalize(x); }, "l2_normalize"), {{0, 7}}});
    rows.back().errors.push_back({[] { l2_normalize(zeros({2, 2}), 0); }, "l2_normalize: eps 0.000000; want more than 0"});
    rows.push_back({"l2_normalize", "below eps", [](const Vars& in) { return l2_normalize(in[0], 100); }, {{4, 7}}});
    rows.push_back({"cosine_rows", "", [](const Vars& in) { return cosine_rows(in[0], in[1]); }, {{5, 8}, {3, 8}}, Domain::normal,
                    {{[] { cosine_rows(zeros({5, 8}), zeros({3, 7})); }, "cosine_rows: x [5, 8], a [3, 7]; want [N, D], [A, D]"},
                     {[] { cosine_rows(zeros({8}), zeros({3, 8})); }, "cosine_rows: x [8], a [3, 8]"},
                     {[] { cosine_rows(zeros({2, 8}), zeros({2, 3, 8})); }, "a [2, 3, 8]; want"}}, {{0, 8}, {3, 8}}});
    rows.push_back({"dropout", "", [](const Vars& in) { return dropout(in[0], real(0.3), true, {7, 7}); }, {{6, 9}}, Domain::normal,
                    {{[] { dropout(zeros({2}), 1, true, {}); }, "dropout: p 1.000000; want 0 <= p < 1"},
                     {[] { dropout(zeros({2}), real(-0.1), true, {}); }, "dropout: p -0.1"},
                     {[] { dropout(zeros({2}), real(NAN), true, {}); }, "want 0 <= p < 1"}}, {{0, 9}}});
    rows.push_back({"dropout", "eval", [](const Vars& in) { return dropout(in[0] * real(2), real(0.3), false, {7, 7}); }, {{6, 9}}});
}

inline void add_text_ops(std::vector<OpRow>& rows) {
    using Starts = std::vector<int64_t>;
    const auto starts_errors = [](auto op, const std::string& name) -> std::vector<ErrorInput> {
        return {{[=] { op(zeros({5, 6}), Starts{}); }, name + ": starts is empty; want them to rise from 0 to the number of rows, 5"},
                {[=] { op(zeros({5, 6}), Starts{1, 5}); }, name + ": starts[0] is 1; want"},
                {[=] { op(zeros({5, 6}), Starts{0, 4, 3, 5}); }, name + ": starts[2] is 3 behind 4; want"},
                {[=] { op(zeros({5, 6}), Starts{0, 3, 6}); }, name + ": starts ends with 6; want"},
                {[=] { op(zeros({5, 6}), Starts{0, 3}); }, name + ": starts ends with 3; want"},
                {[=] { op(zeros({6}), Starts{0, 6}); }, "[6]"}};
    };
    // Texts of 3, 0, 1 and 3 tokens; one empty text when there are no tokens at all.
    const auto starts_of = [](const Var& x) { return x.shape()[0] ? Starts{0, 3, 3, 4, 7} : Starts{0, 0}; };
    rows.push_back({"attention", "", [=](const Vars& in) { return attention(in[0], starts_of(in[0]), 2); }, {{7, 18}}, Domain::normal,
                    starts_errors([](const Var& x, const Starts& s) { return attention(x, s, 2); }, "attention"), {{0, 18}}});
    for (const ErrorInput& misuse : std::vector<ErrorInput>{
             {[] { attention(zeros({5, 7}), {0, 5}, 2); }, "attention: qkv [5, 7], 2 heads; want [T, 3D], D a multiple of one head or more"},
             {[] { attention(zeros({5, 6}), {0, 5}, 0); }, "attention: qkv [5, 6], 0 heads; want"},
             {[] { attention(zeros({5, 0}), {0, 5}, 1); }, "attention: qkv [5, 0], 1 heads; want"},
             {[] { attention(zeros({5, 6}), {0, 5}, 2, 1, true); }, "attention: p 1.000000; want 0 <= p < 1"},
             {[] { attention(zeros({5, 6}), {0, 5}, 2, real(NAN), true); }, "want 0 <= p < 1"}})
        rows.back().errors.push_back(misuse);
    rows.push_back({"attention", "heads of one column", [](const Vars& in) { return attention(in[0], {0, 1, 5}, 4); }, {{5, 12}}});
    rows.push_back({"attention", "one head", [](const Vars& in) { return attention(in[0], {0, 5}, 1); }, {{5, 21}}});
    rows.push_back({"attention", "dropout", [=](const Vars& in) { return attention(in[0], starts_of(in[0]), 2, real(0.3), true, {7, 7}); }, {{7, 30}}, Domain::normal, {}, {{0, 18}}});
    rows.push_back({"attention", "eval", [=](const Vars& in) { return attention(in[0], starts_of(in[0]), 2, real(0.3), false, {7, 7}); }, {{7, 30}}});
    rows.push_back({"attention", "more than one block of queries", [](const Vars& in) { return attention(in[0], {0, 2, 402}, 2); }, {{402, 12}}});
    rows.push_back({"attention", "more than one block, dropout", [](const Vars& in) { return attention(in[0], {0, 402}, 1, real(0.2), true, {7, 7}); }, {{402, 6}}});
    rows.push_back({"attention", "input used twice", [=](const Vars& in) { return attention(in[0], starts_of(in[0]), 1) * slice(in[0], 1, 0, 3); }, {{7, 9}}});

    rows.push_back({"segment_mean", "", [=](const Vars& in) { return segment_mean(in[0], starts_of(in[0])); }, {{7, 5}}, Domain::normal,
                    starts_errors([](const Var& x, const Starts& s) { return segment_mean(x, s); }, "segment_mean"), {{0, 5}}});
    rows.push_back({"segment_mean", "no texts", [](const Vars& in) { return segment_mean(in[0], {0}); }, {{0, 5}}});
    rows.push_back({"segment_mean", "long text", [](const Vars& in) { return segment_mean(in[0], {0, 293, 300}); }, {{300, 17}}});
    rows.push_back({"segment_mean", "input used twice", [=](const Vars& in) { return segment_mean(in[0], starts_of(in[0])) * slice(in[0], 0, 0, 4); }, {{7, 5}}});
}

inline void add_losses(std::vector<OpRow>& rows) {
    const auto add_pair = [&](const std::string& name, auto op, Domain domain = Domain::normal) {
        rows.push_back({name, "", [op](const Vars& in) { return op(in[0], in[1]); }, {{3, 5}, {3, 5}}, domain,
                        {{[=] { op(zeros({2, 1}), zeros({2, 2})); }, name + ": [2, 1] and [2, 2]; want equal shapes"},
                         {[=] { op(zeros({0, 3}), zeros({0, 3})); }, name + ": nothing to average over in [0, 3]"},
                         {[=] { op(zeros({3}), zeros({3, 1})); }, "want equal shapes"}}});
    };
    add_pair("mse_loss", mse_loss);
    add_pair("l1_loss", l1_loss);
    add_pair("huber_loss", [](const Var& y, const Var& t) { return huber_loss(y, t, real(0.7)); });
    rows.back().errors.push_back({[] { huber_loss(zeros({1}), zeros({1}), 0); }, "huber_loss: delta 0.000000; want more than 0"});
    add_pair("bce_with_logits", bce_with_logits, Domain::unit);
    add_pair("kl_normal", kl_normal);
    rows.back().errors.push_back({[] { kl_normal(zeros({3}), zeros({3})); }, "kl_normal: mu [3]; want [N, D]"});
    rows.push_back({"calibrated_nll", "", [](const Vars& in) { return calibrated_nll(in[0], 784); }, {{}}, Domain::positive,
                    {{[] { calibrated_nll(zeros({2}), 784); }, "calibrated_nll: mse [2]; want one number"},
                     {[] { calibrated_nll(zeros({}), 0); }, "calibrated_nll: n is 0; want at least 1"},
                     {[] { calibrated_nll(zeros({0}), 784); }, "calibrated_nll: mse [0]; want one number"}}});
    const auto ce = [](real smoothing) { return [=](const Vars& in) { return cross_entropy(in[0], ints({2, 0, 5, 2}, in[0]), smoothing); }; };
    rows.push_back({"cross_entropy", "", ce(0), {{4, 6}}, Domain::normal,
                    {{[] { cross_entropy(zeros({2, 3}), ints({0, 3})); }, "cross_entropy: index 3 at position 1 is outside [0, 3)"},
                     {[] { cross_entropy(zeros({2, 3}), ints({0})); }, "cross_entropy: logits [2, 3], target [1]; want [N, C], [N]"},
                     {[] { cross_entropy(zeros({0, 3}), ints({})); }, "N and C of 1 or more"},
                     {[] { cross_entropy(zeros({1, 3}), ints({0}), 1); }, "label smoothing 1.000000; want 0 <= s < 1"}}});
    rows.push_back({"cross_entropy", "smoothed", ce(real(0.2)), {{4, 6}}});
}

}  // namespace rows

inline std::vector<OpRow> op_table() {
    std::vector<OpRow> table;
    rows::add_elementwise(table);
    rows::add_reductions(table);
    rows::add_shape_ops(table);
    rows::add_products(table);
    rows::add_convolutions(table);
    rows::add_pools(table);
    rows::add_rows_ops(table);
    rows::add_text_ops(table);
    rows::add_losses(table);
    return table;
}

}  // namespace koine::testing
