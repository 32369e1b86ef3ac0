// Ops that move elements without computing: views, joining, padding, picking rows. Their gradients move them back.
#include "autograd/kernels.h"
#include "autograd/ops.h"

namespace koine {

Var reshape(const Var& x, const Shape& to) {
    return record("reshape", x.value.reshape(to), {&x},
                  [shape = x.shape()](const Tensor& dy, Grads& dx) { dx.adopt(0, dy.reshape(shape)); });
}

Var flatten(const Var& x, int first) { return reshape(x, x.value.flatten(first).shape); }

Var transpose(const Var& x, int a, int b) {
    return record("transpose", x.value.transpose(a, b), {&x},
                  [a, b](const Tensor& dy, Grads& dx) { dx.add(0, dy.transpose(a, b)); });
}

Var permute(const Var& x, const std::vector<int>& axes) {
    return record("permute", x.value.permute(axes), {&x}, [axes, shape = x.shape()](const Tensor& dy, Grads& dx) {
        std::vector<int> back(axes.size());
        for (size_t i = 0; i < axes.size(); i++) back[size_t(shape.axis(axes[i]))] = int(i);
        dx.add(0, dy.permute(back));
    });
}

Var slice(const Var& x, int axis, int64_t begin, int64_t end) {
    return record("slice", x.value.slice(axis, begin, end), {&x}, [axis, begin, end](const Tensor& dy, Grads& dx) {
        // The gradient is zero outside the slice: a fresh slot is cleared once, then only the part is added to.
        const bool is_fresh = dx.slot(0).beta == 0;
        const Tensor whole = dx.tensor(0), part = whole.slice(axis, begin, end);
        if (is_fresh) whole.fill(0);
        zip_into(part, part, dy, Plus{});
    });
}

Var expand(const Var& x, const Shape& to) {
    return record("expand", x.value.expand(to), {&x},
                  [shape = x.shape()](const Tensor& dy, Grads& dx) { add_unbroadcast(dx, 0, dy, shape); });
}

Var concat(const std::vector<Var>& xs, int axis) {
    const Profiled scope("concat");
    if (xs.empty()) throw ShapeError("concat: nothing to join");
    Shape shape = xs[0].shape();
    const int a = shape.axis(axis);
    shape.d[a] = 0;
    for (const Var& x : xs) {
        require_same_device("concat", {&xs[0], &x});
        Shape expected = xs[0].shape();
        if (x.shape().rank == shape.rank) expected.d[a] = x.shape().d[a];
        if (!(x.shape() == expected)) {
            throw ShapeError("concat: " + xs[0].shape().str() + " and " + x.shape().str() + " differ outside axis " +
                             std::to_string(axis));
        }
        shape.d[a] += x.shape().d[a];
    }
    const Tensor y = Tensor::empty(shape, xs[0].device());
    std::vector<int64_t> begins;
    int64_t at = 0;
    for (const Var& x : xs) {
        begins.push_back(at);
        y.slice(a, at, at + x.shape().d[a]).copy_from(x.value);
        at += x.shape().d[a];
    }
    begins.push_back(at);
    return record("concat", y, xs, [a, begins](const Tensor& dy, Grads& dx) {
        for (size_t i = 0; i + 1 < begins.size(); i++) {
            if (dx.wants(int(i))) dx.add(int(i), dy.slice(a, begins[i], begins[i + 1]));
        }
    });
}

Var stack(const std::vector<Var>& xs, int axis) {
    if (xs.empty()) throw ShapeError("stack: nothing to join");
    const Shape& part = xs[0].shape();
    const int a = axis < 0 ? axis + part.rank + 1 : axis;
    if (a < 0 || a > part.rank)
        throw ShapeError("stack: axis " + std::to_string(axis) + " for parts of shape " + part.str());
    Shape with_axis;
    for (int i = 0; i <= part.rank; i++) with_axis.append(i == a ? 1 : part.d[i < a ? i : i - 1]);
    std::vector<Var> parts;
    for (const Var& x : xs) {
        if (!(x.shape() == part)) throw ShapeError("stack: " + part.str() + " and " + x.shape().str() + " differ");
        parts.push_back(reshape(x, with_axis));
    }
    return concat(parts, a);
}

Var pad(const Var& x, int axis, int64_t before, int64_t after, real value) {
    const Profiled scope("pad");
    const int a = x.shape().axis(axis);
    if (before < 0 || after < 0) {
        throw ShapeError("pad: " + std::to_string(before) + " before and " + std::to_string(after) + " after axis " +
                         std::to_string(axis) + " of " + x.shape().str() + "; want 0 or more");
    }
    Shape shape = x.shape();
    const int64_t end = before + shape.d[a];
    shape.d[a] = end + after;
    const Tensor y = Tensor::full(shape, value, x.device());
    y.slice(a, before, end).copy_from(x.value);
    return record("pad", y, {&x},
                  [a, before, end](const Tensor& dy, Grads& dx) { dx.add(0, dy.slice(a, before, end)); });
}

// ---- index_select ------------------------------------------------------------------------------------------------------

namespace {

struct PickRow {
    real* y;
    const real* x;
    const int32_t* index;
    int64_t cols;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        real* out = y + row * cols;
        const real* in = x + index[row] * cols;
        t.each(cols, [=](int64_t i) { out[i] = in[i]; });
    }
};

// Row r of x gathers dy of every place it was picked for, in the order of `uses`: one owner, no atomics.
struct PickRowGrad {
    GradSlot dx;
    const real* dy;
    const int32_t* first;  // [rows of x + 1] into uses
    const int32_t* uses;   // positions in index, grouped by the row they pick
    int64_t cols;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const int32_t begin = first[row], end = first[row + 1];
        const GradSlot out = dx.at(row * cols);
        const real* in = dy;
        const int32_t* use = uses;
        const int64_t n = cols;
        t.each(cols, [=](int64_t i) {
            real s = 0;
            for (int32_t u = begin; u < end; u++) s += in[use[u] * n + i];
            out.put(i, s);
        });
    }
};

}  // namespace

Var index_select(const Var& x, const Indices& index) {
    const Profiled scope("index_select");
    if (x.shape().rank < 1 || index.shape.rank != 1) {
        throw ShapeError("index_select: x " + x.shape().str() + ", index " + index.shape.str() + "; want [N, *], [M]");
    }
    if (index.device() != x.device()) throw DeviceError("index_select: x and index live on different devices");
    const int64_t n_rows = x.shape()[0], cols = x.shape().product(1, x.shape().rank);
    index.require_below("index_select", n_rows);
    Shape shape = x.shape();
    shape.d[0] = index.numel();
    const Tensor in = x.value.contiguous(), y = Tensor::empty(shape, x.device());
    for_rows(x.device(), index.numel(), cols, PickRow{y.data(), in.data(), index.data(), cols});
    profile_bytes(2 * y.numel() * int64_t(sizeof(real)));  // of x only the rows that are picked
    return record("index_select", y, {&x}, [index, n_rows, cols](const Tensor& dy, Grads& dx) {
        // A counting sort of the positions by the row they pick.
        const std::vector<int32_t> picked = index.to_vector();
        std::vector<int32_t> first(static_cast<size_t>(n_rows) + 1), uses(picked.size());
        for (int32_t row : picked) first[size_t(row) + 1]++;
        for (size_t row = 0; row < size_t(n_rows); row++) first[row + 1] += first[row];
        std::vector<int32_t> next = first;
        for (size_t i = 0; i < picked.size(); i++) uses[size_t(next[size_t(picked[i])]++)] = int32_t(i);
        const Device device = dy.device();
        const Indices first_there(first, Shape{n_rows + 1}, device),
            uses_there(uses, Shape{int64_t(uses.size())}, device);
        for_rows(device, n_rows, cols, PickRowGrad{dx.slot(0), dy.data(), first_there.data(), uses_there.data(), cols});
    });
}

}  // namespace koine
