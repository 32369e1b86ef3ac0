// Reductions: the reduced axes are brought to the back, and one row kernel does the rest.
#include <cmath>

#include "autograd/kernels.h"
#include "autograd/ops.h"
#include "autograd/sums.h"

namespace koine {

// ---- sums of tables (sums.h) -------------------------------------------------------------------------------------------

namespace {

constexpr int64_t kPiece = 16384;  // longer rows are summed in pieces, so that one long row uses all threads

struct SumPiece {
    GradSlot out;
    const real* x;
    int64_t cols, n_pieces;
    template <class Team>
    HD void operator()(Team t, int64_t piece) const {
        const int64_t begin = piece % n_pieces * kPiece;
        const real* in = x + piece / n_pieces * cols + begin;
        const int64_t n = cols - begin < kPiece ? cols - begin : kPiece;
        const real s = t.sum(n, [=](int64_t i) { return in[i]; });
        const GradSlot slot = out;
        t.once([=] { slot.put(piece, s); });
    }
};

struct ColumnTerm {
    const real* x;
    int64_t cols;
    HD void operator()(int64_t r, int64_t c, real* acc) const { acc[0] += x[r * cols + c]; }
};
struct PutSlot {
    GradSlot slot;
    HD void operator()(int64_t i, real v) const { slot.put(i, v); }
};

}  // namespace

void row_sums(Device device, const real* x, int64_t rows, int64_t cols, GradSlot out) {
    const int64_t n_pieces = std::max<int64_t>((cols + kPiece - 1) / kPiece, 1);
    if (n_pieces == 1) {
        for_rows(device, rows, cols, SumPiece{out, x, cols, 1});
        return;
    }
    const Tensor parts = Tensor::empty({rows, n_pieces}, device);
    for_rows(device, rows * n_pieces, kPiece, SumPiece{{parts.data(), 0}, x, cols, n_pieces});
    row_sums(device, parts.data(), rows, n_pieces, out);
}

void column_sums(Device device, const real* x, int64_t rows, int64_t cols, GradSlot out) {
    column_sums<1>(device, rows, cols, ColumnTerm{x, cols}, PutSlot{out});
}

// ---- which axes go ---------------------------------------------------------------------------------------------------

namespace {

// How x is seen as a table [rows, cols] with the reduced axes as columns, and what shape the result has.
struct Reduction {
    std::vector<int> order;  // kept axes, then reduced ones
    Shape kept_with_ones;    // x's shape with 1 for reduced axes: what the result broadcasts back from
    Shape out;
    int64_t rows = 1, cols = 1;
    bool is_trailing = true;  // order is the identity: x already is that table
    bool is_leading = true;   // reduced axes come first: x is the transposed table
};

Reduction plan(const char* op, const Shape& shape, const Axes& axes, bool keepdim) {
    bool is_reduced[Shape::kMaxRank] = {};
    for (int axis : axes) {
        const int a = shape.axis(axis);
        if (is_reduced[a])
            throw ShapeError(std::string(op) + ": axis " + std::to_string(axis) + " of " + shape.str() +
                             " given twice");
        is_reduced[a] = true;
    }
    if (axes.empty()) std::fill_n(is_reduced, Shape::kMaxRank, true);

    Reduction r;
    r.kept_with_ones = shape;
    for (const bool reduced : {false, true}) {
        for (int a = 0; a < shape.rank; a++) {
            if (is_reduced[a] != reduced) continue;
            r.order.push_back(a);
            (reduced ? r.cols : r.rows) *= shape.d[a];
            if (reduced) r.kept_with_ones.d[a] = 1;
        }
    }
    for (int a = 0; a < shape.rank; a++) {
        if (!is_reduced[a]) r.out.append(shape.d[a]);
        if (a > 0 && is_reduced[a - 1] && !is_reduced[a]) r.is_trailing = false;
        if (a > 0 && !is_reduced[a - 1] && is_reduced[a]) r.is_leading = false;
    }
    if (keepdim) r.out = r.kept_with_ones;
    return r;
}

void require_elements(const char* op, const Shape& shape, const Reduction& r) {
    if (r.cols == 0) throw ShapeError(std::string(op) + ": " + shape.str() + " has no elements to reduce over");
}

std::vector<int> inverse(const std::vector<int>& order) {
    std::vector<int> back(order.size());
    for (size_t i = 0; i < order.size(); i++) back[size_t(order[i])] = int(i);
    return back;
}

// y[row] = Forward over x[row, :], with the gradient of Backward; both are row kernels of one constructor each.
template <class Forward, class Backward>
Var reduce(const char* op, const Var& x, const Reduction& r, real n) {
    const Profiled scope(op);
    const Tensor table = x.value.permute(r.order).contiguous();
    const Tensor y = Tensor::empty(r.out, x.device());
    for_rows(x.device(), r.rows, r.cols * 8, Forward{y.data(), table.data(), r.cols, n});
    return record(op, y, {&x}, [table, y, r, n](const Tensor& dy, Grads& dx) {
        if (r.is_trailing) {
            for_rows(dy.device(), r.rows, r.cols * 8,
                     Backward{dx.slot(0), dy.data(), table.data(), y.data(), r.cols, n});
            return;
        }
        const Tensor grad = Tensor::empty(table.shape, table.device());
        for_rows(dy.device(), r.rows, r.cols * 8,
                 Backward{{grad.data(), 0}, dy.data(), table.data(), y.data(), r.cols, n});
        dx.add(0, grad.permute(inverse(r.order)));
    });
}

}  // namespace

// ---- sum, mean ---------------------------------------------------------------------------------------------------------

Var sum(const Var& x, const Axes& axes, bool keepdim) {
    const Profiled scope("sum");
    const Reduction r = plan("sum", x.shape(), axes, keepdim);
    const Tensor y = Tensor::empty(r.out, x.device());
    if (r.is_leading && !r.is_trailing && x.value.is_contiguous()) {
        column_sums(x.device(), x.value.data(), r.cols, r.rows, {y.data(), 0});
    } else {
        const Tensor table = x.value.permute(r.order).contiguous();
        row_sums(x.device(), table.data(), r.rows, r.cols, {y.data(), 0});
    }
    return record("sum", y, {&x}, [shape = x.shape(), kept = r.kept_with_ones](const Tensor& dy, Grads& dx) {
        dx.add(0, dy.reshape(kept).expand(shape));
    });
}

Var mean(const Var& x, const Axes& axes, bool keepdim) {
    const Reduction r = plan("mean", x.shape(), axes, keepdim);
    require_elements("mean", x.shape(), r);
    return sum(x, axes, keepdim) * (real(1) / real(r.cols));
}

void add_unbroadcast(Grads& dx, int i, const Tensor& t, const Shape& shape) {
    if (t.shape == shape) return dx.add(i, t);
    Axes axes;
    for (int a = 0; a < t.shape.rank; a++) {
        const int back = a - t.shape.rank;
        if (-back > shape.rank || (shape[back] == 1 && t.shape.d[a] != 1)) axes.push_back(a);
    }
    // Extents of 1 may differ in number only: then nothing is summed, and an empty list would mean all axes.
    const Tensor summed = axes.empty() ? t : sum(Var(t), axes, true).value;
    dx.add(i, summed.reshape(shape));
}

void require_same_device(const char* op, std::initializer_list<const Var*> inputs) {
    const Var& first = **inputs.begin();
    for (const Var* x : inputs) {
        if (!x->value.is_defined())
            throw ValueError(std::string(op) + ": an input is undefined (a Var without a value)");
        if (x->device() != first.device()) {
            throw DeviceError(std::string(op) + ": inputs on " + name_of(first.device()) + " and " +
                              name_of(x->device()) + "; move one with .to(device)");
        }
    }
}

// ---- max, min ----------------------------------------------------------------------------------------------------------

namespace {

struct MaxRow {
    real* y;
    const real* x;
    int64_t cols;
    real n;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real* in = x + row * cols;
        const real m = t.max(cols, [=](int64_t i) { return in[i]; });
        // Team::max may lose a NaN: they are counted.
        const real n_nan = t.sum(cols, [=](int64_t i) { return in[i] != in[i] ? real(1) : real(0); });
        real* out = y + row;
        t.once([=] { *out = n_nan > 0 ? std::numeric_limits<real>::quiet_NaN() : m; });
    }
};
struct MaxRowGrad {
    GradSlot dx;
    const real* dy;
    const real* x;
    const real* y;
    int64_t cols;
    real n;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real* in = x + row * cols;
        const real m = y[row], d = dy[row];
        const real n_ties = t.sum(cols, [=](int64_t i) { return in[i] == m ? real(1) : real(0); });
        const GradSlot out = dx.at(row * cols);
        t.each(cols, [=](int64_t i) { out.put(i, in[i] == m ? d / n_ties : real(0)); });
    }
};

}  // namespace

Var max(const Var& x, const Axes& axes, bool keepdim) {
    const Reduction r = plan("max", x.shape(), axes, keepdim);
    require_elements("max", x.shape(), r);
    return reduce<MaxRow, MaxRowGrad>("max", x, r, 0);
}

Var min(const Var& x, const Axes& axes, bool keepdim) {
    require_elements("min", x.shape(), plan("min", x.shape(), axes, keepdim));
    return neg(max(neg(x), axes, keepdim));
}

// ---- logsumexp ---------------------------------------------------------------------------------------------------------

namespace {

struct LogSumExpRow {
    real* y;
    const real* x;
    int64_t cols;
    real n;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real* in = x + row * cols;
        const real m = t.max(cols, [=](int64_t i) { return in[i]; });
        const real infinity = std::numeric_limits<real>::infinity();
        // An infinite maximum is the answer; subtracting it would give infinity - infinity.
        const bool is_finite = m > -infinity && m < infinity;
        const real s = t.sum(cols, [=](int64_t i) { return math::exp(in[i] - (is_finite ? m : real(0))); });
        real* out = y + row;
        t.once([=] { *out = is_finite ? m + math::log(s) : s != s ? s : m; });
    }
};
struct LogSumExpRowGrad {
    GradSlot dx;
    const real* dy;
    const real* x;
    const real* y;
    int64_t cols;
    real n;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real* in = x + row * cols;
        const real lse = y[row], d = dy[row];
        const bool is_empty = lse == -std::numeric_limits<real>::infinity();
        const GradSlot out = dx.at(row * cols);
        t.each(cols, [=](int64_t i) { out.put(i, is_empty ? real(0) : d * math::exp(in[i] - lse)); });
    }
};

}  // namespace

Var logsumexp(const Var& x, const Axes& axes, bool keepdim) {
    return reduce<LogSumExpRow, LogSumExpRowGrad>("logsumexp", x, plan("logsumexp", x.shape(), axes, keepdim), 0);
}

// ---- variance ----------------------------------------------------------------------------------------------------------

namespace {

// n is the divisor: cols, or cols - 1 for the unbiased estimate.
struct VarianceRow {
    real* y;
    const real* x;
    int64_t cols;
    real n;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real* in = x + row * cols;
        const real mean = t.sum(cols, [=](int64_t i) { return in[i]; }) / real(cols);
        const real s = t.sum(cols, [=](int64_t i) { return (in[i] - mean) * (in[i] - mean); });
        real* out = y + row;
        const real divisor = n;
        t.once([=] { *out = s / divisor; });
    }
};
// d var / d x[i] = 2 (x[i] - mean) / n: the mean's own dependence on x drops out, since deviations sum to 0.
struct VarianceRowGrad {
    GradSlot dx;
    const real* dy;
    const real* x;
    const real* y;
    int64_t cols;
    real n;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real* in = x + row * cols;
        const real mean = t.sum(cols, [=](int64_t i) { return in[i]; }) / real(cols);
        const real scale = 2 * dy[row] / n;
        const GradSlot out = dx.at(row * cols);
        t.each(cols, [=](int64_t i) { out.put(i, scale * (in[i] - mean)); });
    }
};

}  // namespace

Var variance(const Var& x, const Axes& axes, bool keepdim, bool unbiased) {
    const Reduction r = plan("variance", x.shape(), axes, keepdim);
    if (r.cols < (unbiased ? 2 : 1)) {
        throw ShapeError("variance: " + x.shape().str() + " has " + std::to_string(r.cols) +
                         " elements to reduce over; want at least " + (unbiased ? "2" : "1"));
    }
    return reduce<VarianceRow, VarianceRowGrad>("variance", x, r, real(r.cols - (unbiased ? 1 : 0)));
}

// ---- argmax ------------------------------------------------------------------------------------------------------------

namespace {

struct ArgmaxOf {
    int32_t* y;
    const real* x;
    int64_t cols;
    HD void operator()(int64_t row) const {
        const real* in = x + row * cols;
        int64_t best = 0;
        for (int64_t i = 1; i < cols; i++) {
            if (in[i] > in[best] || (in[i] != in[i] && in[best] == in[best])) best = i;
        }
        y[row] = int32_t(best);
    }
};

}  // namespace

Indices argmax(const Tensor& x, int axis) {
    const Profiled scope("argmax");
    const Reduction r = plan("argmax", x.shape, {axis}, false);
    require_elements("argmax", x.shape, r);
    const Tensor table = x.permute(r.order).contiguous();
    const Indices y = Indices::empty(r.out, x.device());
    for_each(x.device(), r.rows, ArgmaxOf{y.data(), table.data(), r.cols}, r.cols);
    return y;
}

}  // namespace koine
