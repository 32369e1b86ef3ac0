// Products: matmul and linear, straight on gemm; their gradients are gemms too, accumulated by beta.
#include "autograd/activations.h"
#include "autograd/epilogue.h"
#include "autograd/kernels.h"
#include "tensor/gemm.h"

namespace koine {

// ---- matmul ------------------------------------------------------------------------------------------------------------

namespace {

// The last two axes of t as gemm wants them: as they are, as a transposed view, or, for any other strides, as a copy.
struct Matrices {
    Tensor t;
    Op op;
    int64_t stride;
    MatrixView at(int64_t offset) const { return {t.data() + offset, stride, op}; }
    MatrixView transposed_at(int64_t offset) const {
        return {t.data() + offset, stride, op == Op::plain ? Op::transposed : Op::plain};
    }
};

Matrices matrices(const Tensor& t) {
    const int64_t rows = t.shape[-2], cols = t.shape[-1], row_step = t.strides[-2], col_step = t.strides[-1];
    if ((col_step == 1 || cols == 1) && row_step >= cols) return {t, Op::plain, row_step};
    if ((row_step == 1 || rows == 1) && col_step >= rows) return {t, Op::transposed, col_step};
    return {t.contiguous(), Op::plain, cols};
}

Shape leading(const Shape& shape) {
    Shape out;
    for (int i = 0; i + 2 < shape.rank; i++) out.append(shape.d[i]);
    return out;
}

Shape with_matrix(Shape leading_axes, int64_t rows, int64_t cols) {
    leading_axes.append(rows);
    leading_axes.append(cols);
    return leading_axes;
}

// c[b] = beta c[b] + x[b] y[b] for every b of the leading axes, x and y already expanded to them.
void batched(const Tensor& x, bool x_transposed, const Tensor& y, bool y_transposed, const Tensor& c, real beta) {
    const Matrices mx = matrices(x), my = matrices(y);
    const int64_t m = c.shape[-2], n = c.shape[-1], k = x_transposed ? x.shape[-2] : x.shape[-1];
    const Walk<3> w = walk<3>(leading(c.shape), {leading(c.strides), leading(mx.t.strides), leading(my.t.strides)});
    // One call for each run of products at equal distances; on the CPU, runs are tasks like the products in them.
    const auto run = [&](int64_t i) {
        int64_t at[3];
        w.locate(i * w.n_pieces, at);  // where this row of the walk starts
        gemm_batched(c.device(), w.inner, m, n, k, 1, x_transposed ? mx.transposed_at(at[1]) : mx.at(at[1]), w.step[1],
                     y_transposed ? my.transposed_at(at[2]) : my.at(at[2]), w.step[2], beta, c.data() + at[0],
                     c.strides[-2], w.step[0]);
    };
    const int64_t n_runs = c.numel() == 0 ? 0 : w.n_rows / w.n_pieces;
    if (n_runs == 1) return run(0);
    for_tasks(c.device(), n_runs, run);
}

}  // namespace

Var matmul(const Var& a, const Var& b) {
    const Profiled scope("matmul");
    const Shape &sa = a.shape(), &sb = b.shape();
    if (sa.rank < 2 || sb.rank < 2 || sa[-1] != sb[-2]) {
        throw ShapeError("matmul: a " + sa.str() + ", b " + sb.str() + "; want [*, M, K], [*, K, N]");
    }
    require_same_device("matmul", {&a, &b});
    const Shape lead = broadcast("matmul", leading(sa), leading(sb));
    const Tensor ea = a.value.expand(with_matrix(lead, sa[-2], sa[-1])),
                 eb = b.value.expand(with_matrix(lead, sb[-2], sb[-1]));
    const Tensor y = Tensor::empty(with_matrix(lead, sa[-2], sb[-1]), a.device());
    batched(ea, false, eb, false, y, 0);
    profile_flop(2 * y.numel() * sa[-1]);
    return record("matmul", y, {&a, &b}, [ea, eb, a_shape = sa, b_shape = sb](const Tensor& dy, Grads& dx) {
        profile_flop(2 * dy.numel() * a_shape[-1] * (dx.wants(0) + dx.wants(1)));
        // da = dy b^T, db = a^T dy. Without broadcasting they go straight into the gradients.
        const auto product = [&](int i, const Tensor& l, bool l_t, const Tensor& r, bool r_t, const Shape& full,
                                 const Shape& shape) {
            if (!dx.wants(i)) return;
            if (full == shape) {
                const real beta = dx.slot(i).beta;
                return batched(l, l_t, r, r_t, dx.tensor(i), beta);
            }
            const Tensor g = Tensor::empty(full, dy.device());
            batched(l, l_t, r, r_t, g, 0);
            add_unbroadcast(dx, i, g, shape);
        };
        product(0, dy, false, eb, true, ea.shape, a_shape);
        product(1, ea, true, dy, false, eb.shape, b_shape);
    });
}

// ---- linear ------------------------------------------------------------------------------------------------------------

Var linear(const Var& x, const Var& w, const Var& b, Activation act) {
    const Profiled scope("linear");
    const bool has_bias = b.value.is_defined();
    const Shape &sx = x.shape(), &sw = w.shape();
    if (sx.rank < 1 || sw.rank != 2 || sx[-1] != sw[1] || (has_bias && !(b.shape() == Shape{sw[0]}))) {
        throw ShapeError("linear: x " + sx.str() + ", w " + sw.str() + (has_bias ? ", b " + b.shape().str() : "") +
                         "; want [*, I], [O, I], [O]");
    }
    require_same_device("linear", {&x, &w, has_bias ? &b : &w});
    const Device device = x.device();
    const int64_t n_out = sw[0], n_in = sw[1], rows = sx.product(0, sx.rank - 1);
    const Tensor in = x.value.contiguous(), weight = w.value.contiguous();
    Shape shape = sx;
    shape[-1] = n_out;
    const Tensor z = Tensor::empty(shape, device);
    gemm(device, rows, n_out, n_in, 1, {in.data(), n_in}, {weight.data(), n_in, Op::transposed}, 0, z.data(), n_out);
    const BiasActivation finish(z, b.value, act, should_record({&x, &w, &b}));
    finish.rows(0, rows);
    const Tensor y = finish.y;
    profile_flop(2 * rows * n_in * n_out);
    return record("linear", y, {&x, &w, &b}, [=](const Tensor& dy, Grads& dx) {
        profile_flop(2 * rows * n_in * n_out * (dx.wants(0) + dx.wants(1)));
        // dz = dy act'(z); db = column sums of dz, dx = dz w, dw = dz^T x.
        const Tensor dz = activation_grad(dy, z, y, act);
        if (has_bias && dx.wants(2)) column_sums(device, dz.data(), rows, n_out, dx.slot(2));
        if (dx.wants(0)) {
            const GradSlot slot = dx.slot(0);
            gemm(device, rows, n_in, n_out, 1, {dz.data(), n_out}, {weight.data(), n_in}, slot.beta, slot.p, n_in);
        }
        if (dx.wants(1)) {
            const GradSlot slot = dx.slot(1);
            gemm(device, n_out, n_in, rows, 1, {dz.data(), n_out, Op::transposed}, {in.data(), n_in}, slot.beta, slot.p,
                 n_in);
        }
    });
}

}  // namespace koine
