// Elementwise ops: a struct of scalar functions each, lifted by map or zip (kernels.h).
#include <cmath>

#include "autograd/activations.h"
#include "autograd/kernels.h"

namespace koine {

// ---- two operands ------------------------------------------------------------------------------------------------------

namespace {

struct Add {
    HD real f(real a, real b) const { return a + b; }
    HD real da(real, real) const { return 1; }
    HD real db(real, real) const { return 1; }
};
struct Sub {
    HD real f(real a, real b) const { return a - b; }
    HD real da(real, real) const { return 1; }
    HD real db(real, real) const { return -1; }
};
struct Mul {
    HD real f(real a, real b) const { return a * b; }
    HD real da(real, real b) const { return b; }
    HD real db(real a, real) const { return a; }
};
struct Div {
    HD real f(real a, real b) const { return a / b; }
    HD real da(real, real b) const { return 1 / b; }
    HD real db(real a, real b) const { return -a / (b * b); }
};
// d a^b / da = b a^(b-1), 0 for b = 0 also at a = 0; d a^b / db = a^b log a, taken as 0 at a = 0.
struct Pow {
    HD real f(real a, real b) const { return std::pow(a, b); }
    HD real da(real a, real b) const { return b == 0 ? real(0) : b * std::pow(a, b - 1); }
    HD real db(real a, real b) const { return a == 0 ? real(0) : std::pow(a, b) * std::log(a); }
};
// A NaN on either side comes through: `a != a` is true for NaN alone.
struct Maximum {
    HD real f(real a, real b) const { return a > b || a != a ? a : b; }
    HD real da(real a, real b) const { return a > b ? real(1) : a == b ? real(0.5) : real(0); }
    HD real db(real a, real b) const { return da(b, a); }
};
struct Minimum {
    HD real f(real a, real b) const { return a < b || a != a ? a : b; }
    HD real da(real a, real b) const { return a < b ? real(1) : a == b ? real(0.5) : real(0); }
    HD real db(real a, real b) const { return da(b, a); }
};

}  // namespace

Var add(const Var& a, const Var& b) { return zip<Add>("add", a, b); }
Var sub(const Var& a, const Var& b) { return zip<Sub>("sub", a, b); }
Var mul(const Var& a, const Var& b) { return zip<Mul>("mul", a, b); }
Var div(const Var& a, const Var& b) { return zip<Div>("div", a, b); }
Var pow(const Var& a, const Var& b) { return zip<Pow>("pow", a, b); }
Var maximum(const Var& a, const Var& b) { return zip<Maximum>("maximum", a, b); }
Var minimum(const Var& a, const Var& b) { return zip<Minimum>("minimum", a, b); }

// where(c, a, b): the value of a comes through where c is not 0, that of b elsewhere. The branch not taken is not
// multiplied by 0, so its NaN or infinity does not come through.
namespace {
struct TakeWhere {
    HD real operator()(real c, real v) const { return c != 0 ? v : real(0); }
};
struct TakeElsewhere {
    HD real operator()(real c, real v) const { return c != 0 ? real(0) : v; }
};
}  // namespace

Var where(const Tensor& condition, const Var& a, const Var& b) {
    const Profiled scope("where");
    const Var c(condition);
    require_same_device("where", {&c, &a, &b});
    const Shape shape = broadcast("where", condition.shape, broadcast("where", a.shape(), b.shape()));
    const Tensor y = Tensor::empty(shape, a.device()), rest = Tensor::empty(shape, a.device());
    zip_into(y, condition, a.value, TakeWhere{});
    zip_into(rest, condition, b.value, TakeElsewhere{});
    zip_into(y, y, rest, Plus{});
    return record("where", y, {&a, &b},
                  [condition, a_shape = a.shape(), b_shape = b.shape()](const Tensor& dy, Grads& dx) {
                      const Tensor part = Tensor::empty(dy.shape, dy.device());
                      if (dx.wants(0)) {
                          zip_into(part, condition, dy, TakeWhere{});
                          add_unbroadcast(dx, 0, part, a_shape);
                      }
                      if (dx.wants(1)) {
                          zip_into(part, condition, dy, TakeElsewhere{});
                          add_unbroadcast(dx, 1, part, b_shape);
                      }
                  });
}

// ---- one operand -------------------------------------------------------------------------------------------------------

namespace {

struct Neg {
    HD real f(real x) const { return -x; }
    HD real df(real, real) const { return -1; }
};
struct Sqrt {
    HD real f(real x) const { return math::sqrt(x); }
    HD real df(real, real y) const { return real(0.5) / y; }
};
struct Exp {
    HD real f(real x) const { return math::exp(x); }
    HD real df(real, real y) const { return y; }
};
struct Log {
    HD real f(real x) const { return math::log(x); }
    HD real df(real x, real) const { return 1 / x; }
};
struct Abs {
    HD real f(real x) const { return x < 0 ? -x : x; }
    HD real df(real x, real) const { return x > 0 ? real(1) : x < 0 ? real(-1) : real(0); }
};
struct Clamp {
    real low, high;
    HD real f(real x) const { return x < low ? low : x > high ? high : x; }
    HD real df(real x, real) const { return x >= low && x <= high ? real(1) : real(0); }
};
struct LeakyRelu {
    real slope;
    HD real f(real x) const { return x > 0 ? x : slope * x; }
    HD real df(real x, real) const { return x > 0 ? real(1) : slope; }
};
struct Softplus {
    HD real f(real x) const { return math::softplus(x); }
    HD real df(real x, real) const { return math::sigmoid(x); }
};

}  // namespace

Var neg(Var x) { return map<Neg>("neg", std::move(x)); }
Var sqrt(Var x) { return map<Sqrt>("sqrt", std::move(x)); }
Var exp(Var x) { return map<Exp>("exp", std::move(x)); }
Var log(Var x) { return map<Log>("log", std::move(x)); }
Var abs(Var x) { return map<Abs>("abs", std::move(x)); }
Var clamp(Var x, real low, real high) {
    if (!(low <= high))
        throw ValueError("clamp: low " + std::to_string(low) + " is above high " + std::to_string(high));
    return map<Clamp>("clamp", std::move(x), {low, high});
}
Var relu(Var x) { return map<scalar::Relu>("relu", std::move(x)); }
Var leaky_relu(Var x, real slope) { return map<LeakyRelu>("leaky_relu", std::move(x), {slope}); }
Var gelu(Var x) { return map<scalar::Gelu>("gelu", std::move(x)); }
Var gelu_tanh(Var x) { return map<scalar::GeluTanh>("gelu_tanh", std::move(x)); }
Var silu(Var x) { return map<scalar::Silu>("silu", std::move(x)); }
Var tanh(Var x) { return map<scalar::Tanh>("tanh", std::move(x)); }
Var sigmoid(Var x) { return map<scalar::Sigmoid>("sigmoid", std::move(x)); }
Var softplus(Var x) { return map<Softplus>("softplus", std::move(x)); }

}  // namespace koine
