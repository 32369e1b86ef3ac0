// Two templates that lift a struct of scalar functions to an op with gradient, on both devices:
//   map   y = f(x)                         F::f(x), F::df(x, y)
//   zip   y = f(a, b) with broadcasting    F::f(a, b), F::da(a, b), F::db(a, b)
// Their sibling for row kernels over any axes, reduce, is local to ops_reduce.cpp.
// A functor may carry numbers (a slope, an exponent): its functions are const members.
//
// Reading order: var.h, this file, then ops_elementwise.cpp, which is what it is for.
#pragma once
#include "autograd/var.h"
#include "tensor/math.h"
#include "tensor/strided.h"

namespace koine {

/// Throws ValueError for a Var without a value, DeviceError unless all live on one device; both name op.
void require_same_device(const char* op, std::initializer_list<const Var*> inputs);
/// Throws ValueError, naming op and the first offender, unless starts rises from 0 to n_rows: see the texts of ops.h.
void require_starts(const char* op, const std::vector<int64_t>& starts, int64_t n_rows);

// ---- map -----------------------------------------------------------------------------------------------------------

template <class F>
struct MapForward {
    real* y;
    const real* x;
    F f;
    HD void operator()(int64_t i) const { y[i] = f.f(x[i]); }
};
template <class F>
struct MapBackward {
    GradSlot dx;
    const real* dy;
    const real* x;
    const real* y;
    F f;
    HD void operator()(int64_t i) const { dx.put(i, dy[i] * f.df(x[i], y[i])); }
};

/// y[i] = f.f(x[i]); dx[i] = dy[i] f.df(x[i], y[i]). Under NoGrad, x's buffer becomes y's when nobody else can see it.
template <class F>
Var map(const char* op, Var x, F f = {}) {
    const Profiled scope(op);
    require_same_device(op, {&x});
    const Tensor in = x.value.contiguous();
    const bool donates = NoGrad::is_active() && in.storage.use_count() == 2 && !x.node;  // x.value and `in`
    const Tensor y = donates ? in : Tensor::empty(in.shape, in.device());
    for_each(in.device(), in.numel(), MapForward<F>{y.data(), in.data(), f}, 8);
    return record(op, y, {&x}, [in, y, f](const Tensor& dy, Grads& dx) {
        const GradSlot slot = dx.slot(0);
        for_each(in.device(), in.numel(), MapBackward<F>{slot, dy.data(), in.data(), y.data(), f}, 8);
    });
}

// ---- zip -----------------------------------------------------------------------------------------------------------

// y = f(a, b) along one row of a Walk; the common strides get loops of their own, so that they vectorise.
template <class F>
struct ZipRow {
    real* y;
    const real* a;
    const real* b;
    Walk<3> walk;  // y, a, b
    F f;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        int64_t at[3];
        const int64_t n = walk.locate(row, at);
        real* out = y + at[0];
        const real* l = a + at[1];
        const real* r = b + at[2];
        const F fn = f;
        const int64_t l_step = walk.step[1], r_step = walk.step[2];
        if (l_step == 1 && r_step == 1) {
            t.each(n, [=](int64_t i) { out[i] = fn(l[i], r[i]); });
        } else if (l_step == 1 && r_step == 0) {
            t.each(n, [=](int64_t i) { out[i] = fn(l[i], r[0]); });
        } else {
            t.each(n, [=](int64_t i) { out[i] = fn(l[i * l_step], r[i * r_step]); });
        }
    }
};

template <class F>
void zip_into(const Tensor& y, const Tensor& a, const Tensor& b, F f) {
    const Walk<3> w = walk<3>(y.shape, {y.strides, a.expand(y.shape).strides, b.expand(y.shape).strides});
    for_rows(y.device(), y.numel() ? w.n_rows : 0, w.inner * 4, ZipRow<F>{y.data(), a.data(), b.data(), w, f});
}

/// Adds t, summed over the axes along which `shape` was broadcast to t's shape, to input i: the other half of
/// broadcasting.
void add_unbroadcast(Grads& dx, int i, const Tensor& t, const Shape& shape);

template <class F>
struct ZipValue {
    F f;
    HD real operator()(real a, real b) const { return f.f(a, b); }
};
template <class F>
struct ZipSlopeA {
    F f;
    HD real operator()(real a, real b) const { return f.da(a, b); }
};
template <class F>
struct ZipSlopeB {
    F f;
    HD real operator()(real a, real b) const { return f.db(a, b); }
};
struct Times {
    HD real operator()(real a, real b) const { return a * b; }
};
struct Plus {
    HD real operator()(real a, real b) const { return a + b; }
};

/// y = f.f(a, b), shapes broadcast; da = dy f.da(a, b), db = dy f.db(a, b), each summed back to its shape.
template <class F>
Var zip(const char* op, const Var& a, const Var& b, F f = {}) {
    const Profiled scope(op);
    require_same_device(op, {&a, &b});
    const Tensor y = Tensor::empty(broadcast(op, a.shape(), b.shape()), a.device());
    zip_into(y, a.value, b.value, ZipValue<F>{f});
    return record(op, y, {&a, &b}, [l = a.value, r = b.value, f](const Tensor& dy, Grads& dx) {
        const Tensor slope = Tensor::empty(dy.shape, dy.device());
        if (dx.wants(0)) {
            zip_into(slope, l, r, ZipSlopeA<F>{f});
            zip_into(slope, slope, dy, Times{});
            add_unbroadcast(dx, 0, slope, l.shape);
        }
        if (dx.wants(1)) {
            zip_into(slope, l, r, ZipSlopeB<F>{f});
            zip_into(slope, slope, dy, Times{});
            add_unbroadcast(dx, 1, slope, r.shape);
        }
    });
}

}  // namespace koine
