// Normalisations: batch_norm over the rows of each channel, layer_norm over the features of each row, l2_normalize and
// cosine_rows over directions. A variance is the mean square of distances from the mean, never E[x^2] - mean^2, whose
// two terms cancel when the mean is large.
#include "autograd/activations.h"
#include "autograd/kernels.h"
#include "autograd/ops.h"
#include "autograd/sums.h"
#include "tensor/gemm.h"

namespace koine {

// ---- batch_norm ----------------------------------------------------------------------------------------------------------

namespace {

// The statistics are those of distances from the first row: they are about as small as the spread of the batch, so that
// their sums lose no digits to a large mean.
struct DistanceTerm {
    const real* x;
    int64_t cols;
    HD void operator()(int64_t r, int64_t c, real* acc) const { acc[0] += x[r * cols + c] - x[c]; }
};
struct SquareTerm {
    const real* x;
    const real* mean;  // of the distances
    int64_t cols;
    HD void operator()(int64_t r, int64_t c, real* acc) const {
        const real d = x[r * cols + c] - x[c] - mean[c];
        acc[0] += d * d;
    }
};
// For each column of one chunk of rows: moments[chunk][0][c] = mean, moments[chunk][1][c] = sum of (distance - mean)^2.
// The rows are read twice, but the second time from the cache.
struct ChunkMoments {
    real* moments;
    const real* x;
    int64_t rows, cols;
    template <class Team>
    HD void operator()(Team t, int64_t chunk) const {
        const int64_t begin = chunk * kColumnChunk, n = rows_of_chunk(chunk, rows);
        real *mean = moments + chunk * 2 * cols, *squares = mean + cols;
        sum_rows<1>(t, begin, begin + n, cols, DistanceTerm{x, cols}, mean);
        t.each(cols, [=](int64_t c) { mean[c] /= real(n); });
        sum_rows<1>(t, begin, begin + n, cols, SquareTerm{x, mean, cols}, squares);
    }
};
// Joins the chunks: squares of the batch = sum over its chunks of [their squares + n (their mean - mean)^2]; Chan,
// Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances". Then inv[c] = 1
// / sqrt(var + eps), and the running statistics are moved towards the batch's.
struct BatchStatistics {
    real *mean, *inv, *running_mean, *running_var;
    const real *moments, *x;
    int64_t rows, cols;
    real momentum, eps;
    HD void operator()(int64_t c) const {
        const int64_t n_chunks = chunks_of(rows);
        const real n = real(rows);
        // Means of chunks as distances from the first chunk's, again to keep the sum small.
        real sum = 0, squares = 0;
        for (int64_t chunk = 1; chunk < n_chunks; chunk++)
            sum += real(rows_of_chunk(chunk, rows)) * (moments[chunk * 2 * cols + c] - moments[c]);
        const real m = moments[c] + sum / n;
        for (int64_t chunk = 0; chunk < n_chunks; chunk++) {
            const real d = moments[chunk * 2 * cols + c] - m;
            squares += moments[(chunk * 2 + 1) * cols + c] + real(rows_of_chunk(chunk, rows)) * d * d;
        }
        mean[c] = x[c] + m;
        inv[c] = 1 / math::sqrt(squares / n + eps);
        running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c];
        running_var[c] = (1 - momentum) * running_var[c] + momentum * (squares / (n - 1));
    }
};
struct InverseDeviation {
    real* inv;
    const real* var;
    real eps;
    HD void operator()(int64_t c) const { inv[c] = 1 / math::sqrt(var[c] + eps); }
};

// z = (x - mean) inv gamma + beta in channel c.
struct Normalise {
    const real *mean, *inv, *gamma, *beta;
    HD real operator()(real x, int64_t c) const { return (x - mean[c]) * inv[c] * gamma[c] + beta[c]; }
};
// y = act(z), one row of channels at a time.
template <class Act>
struct BatchNormRow {
    real* y;
    const real* x;
    Normalise normalise;
    int64_t cols;
    Act act;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        real* out = y + row * cols;
        const real* in = x + row * cols;
        const Normalise z = normalise;
        const Act a = act;
        t.each(cols, [=](int64_t c) { out[c] = a.f(z(in[c], c)); });
    }
};

// dz = dy act'(z) and xhat of each number. z is computed again, here and in both passes of the gradient: that is
// cheaper than to keep it, or to write dz and read it back.
template <class Act>
struct BatchNormGrad {
    const real *dy, *x, *y;
    Normalise normalise;
    int64_t cols;
    Act act;
    HD real dz(int64_t r, int64_t c) const {
        const int64_t i = r * cols + c;
        return dy[i] * act.df(normalise(x[i], c), y[i]);
    }
    HD real xhat(int64_t r, int64_t c) const { return (x[r * cols + c] - normalise.mean[c]) * normalise.inv[c]; }
};
// The two column sums of the gradient: sum dz (= dbeta), sum dz xhat (= dgamma).
template <class Act>
struct BatchNormTerms {
    BatchNormGrad<Act> grad;
    HD void operator()(int64_t r, int64_t c, real* acc) const {
        const real dz = grad.dz(r, c);
        acc[0] += dz;
        acc[1] += dz * grad.xhat(r, c);
    }
};
struct PutBoth {
    real* sums;
    HD void operator()(int64_t i, real sum) const { sums[i] = sum; }
};
// dx = gamma inv (dz - mean(dz) - xhat mean(dz xhat)); in eval mode the statistics are constants and the means drop
// out.
template <class Act>
struct BatchNormRowGrad {
    GradSlot dx;
    BatchNormGrad<Act> grad;
    const real* sums;  // [2, C]
    real scale;        // 1 / rows in training, 0 in eval
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const BatchNormGrad<Act> g = grad;
        const int64_t cols = g.cols;
        const real *sum_dz = sums, *sum_dzx = sums + cols;
        const GradSlot out = dx.at(row * cols);
        const real k = scale;
        t.each(cols, [=](int64_t c) {
            const real mean_part = k * (sum_dz[c] + g.xhat(row, c) * sum_dzx[c]);
            out.put(c, g.normalise.gamma[c] * g.normalise.inv[c] * (g.dz(row, c) - mean_part));
        });
    }
};
struct PutInto {
    GradSlot slot;
    const real* from;
    HD void operator()(int64_t i) const { slot.put(i, from[i]); }
};

void require_affine(const char* op, const Var& x, const Var& gamma, const Var& beta) {
    const Shape want{x.shape().rank ? x.shape()[-1] : 0};
    if (x.shape().rank < 1 || !(gamma.shape() == want) || !(beta.shape() == want)) {
        throw ShapeError(std::string(op) + ": x " + x.shape().str() + ", gamma " + gamma.shape().str() + ", beta " +
                         beta.shape().str() + "; want [*, D], [D], [D]");
    }
    require_same_device(op, {&x, &gamma, &beta});
}

}  // namespace

Var batch_norm(const Var& x, const Var& gamma, const Var& beta, const Tensor& running_mean, const Tensor& running_var,
               bool training, real momentum, real eps, Activation act) {
    const Profiled scope("batch_norm");
    require_affine("batch_norm", x, gamma, beta);
    const Var means(running_mean), variances(running_var);
    require_same_device("batch_norm", {&x, &means, &variances});
    if (!(running_mean.shape == gamma.shape()) || !(running_var.shape == gamma.shape())) {
        throw ShapeError("batch_norm: running mean " + running_mean.shape.str() + " and variance " +
                         running_var.shape.str() + "; want " + gamma.shape().str());
    }
    const Device device = x.device();
    const int64_t cols = x.shape()[-1], rows = cols ? x.value.numel() / cols : 0;
    if (training && rows < 2)
        throw ShapeError("batch_norm: x " + x.shape().str() + " has fewer than 2 values per channel to train on");
    const Tensor in = x.value.contiguous(), g = gamma.value.contiguous(), b = beta.value.contiguous();
    const Tensor y = Tensor::empty(x.shape(), device);
    const Tensor mean = training ? Tensor::empty({cols}, device) : running_mean.clone(),
                 inv = Tensor::empty({cols}, device);
    if (training) {
        const Tensor moments = Tensor::empty({chunks_of(rows), 2, cols}, device);
        for_rows(device, chunks_of(rows), kColumnChunk * cols * 4, ChunkMoments{moments.data(), in.data(), rows, cols});
        for_each(device, cols,
                 BatchStatistics{mean.data(), inv.data(), running_mean.data(), running_var.data(), moments.data(),
                                 in.data(), rows, cols, momentum, eps},
                 chunks_of(rows) * 4);
    } else {
        for_each(device, cols, InverseDeviation{inv.data(), running_var.data(), eps});
    }
    const auto normalise = [=] { return Normalise{mean.data(), inv.data(), g.data(), b.data()}; };
    with_activation(act, [&](auto a) {
        for_rows(device, rows, cols * (act == Activation::none ? 3 : 10),
                 BatchNormRow<decltype(a)>{y.data(), in.data(), normalise(), cols, a});
    });
    return record("batch_norm", y, {&x, &gamma, &beta}, [=](const Tensor& dy, Grads& dx) {
        const Tensor sums = Tensor::empty({2, cols}, device);
        with_activation(act, [&](auto a) {
            using Act = decltype(a);
            const int64_t cost = act == Activation::none ? 4 : 12;
            const BatchNormGrad<Act> grad{dy.data(), in.data(), y.data(), normalise(), cols, a};
            column_sums<2>(device, rows, cols, BatchNormTerms<Act>{grad}, PutBoth{sums.data()}, cost);
            if (dx.wants(0)) {
                for_rows(device, rows, cols * cost,
                         BatchNormRowGrad<Act>{dx.slot(0), grad, sums.data(), training ? 1 / real(rows) : real(0)});
            }
        });
        if (dx.wants(1)) for_each(device, cols, PutInto{dx.slot(1), sums.data() + cols});
        if (dx.wants(2)) for_each(device, cols, PutInto{dx.slot(2), sums.data()});
    });
}

// ---- layer_norm, add_layer_norm ------------------------------------------------------------------------------------------

namespace {

struct LayerNormRow {
    real* y;
    real* stats;  // mean and 1 / sqrt(var + eps) of each row, for the gradient
    const real *x, *gamma, *beta;
    const real* residual;  // null for layer_norm
    real* sum;             // x + residual, for the gradient; may be y
    int64_t cols;
    real eps;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real* in = x + row * cols;
        real* out = y + row * cols;
        if (residual) {
            const real *one = in, *other = residual + row * cols;
            real* total = sum + row * cols;
            t.each(cols, [=](int64_t i) { total[i] = one[i] + other[i]; });
            in = total;
        }
        const real mean = t.sum(cols, [=](int64_t i) { return in[i]; }) / real(cols);
        const real var = t.sum(cols, [=](int64_t i) { return (in[i] - mean) * (in[i] - mean); }) / real(cols);
        const real inv = 1 / math::sqrt(var + eps);
        const real *g = gamma, *b = beta;
        t.each(cols, [=](int64_t i) { out[i] = (in[i] - mean) * inv * g[i] + b[i]; });
        real* keep = stats + 2 * row;
        t.once([=] { keep[0] = mean, keep[1] = inv; });
    }
};

// dx = inv (d - mean(d) - xhat mean(d xhat)) with d = dy gamma.
struct LayerNormRowGrad {
    GradSlot dx;
    const real *dy, *x, *gamma, *stats;
    int64_t cols;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real *in = x + row * cols, *d = dy + row * cols, *g = gamma;
        const real mean = stats[2 * row], inv = stats[2 * row + 1];
        const real m1 = t.sum(cols, [=](int64_t i) { return d[i] * g[i]; }) / real(cols);
        const real m2 = t.sum(cols, [=](int64_t i) { return d[i] * g[i] * (in[i] - mean) * inv; }) / real(cols);
        const GradSlot out = dx.at(row * cols);
        t.each(cols, [=](int64_t i) { out.put(i, inv * (d[i] * g[i] - m1 - (in[i] - mean) * inv * m2)); });
    }
};
struct LayerNormTerms {
    const real *dy, *x, *stats;
    int64_t cols;
    HD void operator()(int64_t r, int64_t c, real* acc) const {
        const real d = dy[r * cols + c];
        acc[0] += d;
        acc[1] += d * ((x[r * cols + c] - stats[2 * r]) * stats[2 * r + 1]);
    }
};

// The gradients of layer_norm that column sums give: dx.slot(gamma) and dx.slot(gamma + 1).
void put_affine_grads(const Tensor& dy, const Tensor& x, const Tensor& stats, Grads& dx, int gamma) {
    if (!dx.wants(gamma) && !dx.wants(gamma + 1)) return;
    const int64_t rows = stats.shape[0], cols = x.shape[-1];
    const Tensor sums = Tensor::empty({2, cols}, x.device());
    column_sums<2>(x.device(), rows, cols, LayerNormTerms{dy.data(), x.data(), stats.data(), cols},
                   PutBoth{sums.data()}, 4);
    if (dx.wants(gamma)) for_each(x.device(), cols, PutInto{dx.slot(gamma), sums.data() + cols});
    if (dx.wants(gamma + 1)) for_each(x.device(), cols, PutInto{dx.slot(gamma + 1), sums.data()});
}

}  // namespace

Var layer_norm(const Var& x, const Var& gamma, const Var& beta, real eps) {
    const Profiled scope("layer_norm");
    require_affine("layer_norm", x, gamma, beta);
    const Device device = x.device();
    const int64_t cols = x.shape()[-1], rows = cols ? x.value.numel() / cols : 0;
    const Tensor in = x.value.contiguous(), g = gamma.value.contiguous(), b = beta.value.contiguous();
    const Tensor y = Tensor::empty(x.shape(), device), stats = Tensor::empty({rows, 2}, device);
    for_rows(device, rows, cols * 4,
             LayerNormRow{y.data(), stats.data(), in.data(), g.data(), b.data(), nullptr, nullptr, cols, eps});
    return record("layer_norm", y, {&x, &gamma, &beta}, [=](const Tensor& dy, Grads& dx) {
        if (dx.wants(0))
            for_rows(device, rows, cols * 6,
                     LayerNormRowGrad{dx.slot(0), dy.data(), in.data(), g.data(), stats.data(), cols});
        put_affine_grads(dy, in, stats, dx, 1);
    });
}

Var add_layer_norm(const Var& x, const Var& residual, const Var& gamma, const Var& beta, real eps) {
    const Profiled scope("add_layer_norm");
    if (!(x.shape() == residual.shape())) {
        throw ShapeError("add_layer_norm: x " + x.shape().str() + ", residual " + residual.shape().str() +
                         "; want equal shapes");
    }
    require_affine("add_layer_norm", x, gamma, beta);
    require_same_device("add_layer_norm", {&x, &residual});
    const Device device = x.device();
    const int64_t cols = x.shape()[-1], rows = cols ? x.value.numel() / cols : 0;
    const Tensor in = x.value.contiguous(), r = residual.value.contiguous(), g = gamma.value.contiguous(),
                 b = beta.value.contiguous();
    const Tensor y = Tensor::empty(x.shape(), device), stats = Tensor::empty({rows, 2}, device);
    // Without a gradient the sum need not outlive its row: it lies where y will.
    const Tensor sum = should_record({&x, &residual, &gamma, &beta}) ? Tensor::empty(x.shape(), device) : y;
    for_rows(device, rows, cols * 5,
             LayerNormRow{y.data(), stats.data(), in.data(), g.data(), b.data(), r.data(), sum.data(), cols, eps});
    return record("add_layer_norm", y, {&x, &residual, &gamma, &beta}, [=](const Tensor& dy, Grads& dx) {
        if (dx.wants(0) || dx.wants(1)) {
            // One gradient for two inputs: the first copies it, the second may keep it.
            const Tensor dsum = Tensor::empty(dy.shape, device);
            for_rows(device, rows, cols * 6,
                     LayerNormRowGrad{{dsum.data(), 0}, dy.data(), sum.data(), g.data(), stats.data(), cols});
            if (dx.wants(0)) dx.add(0, dsum);
            if (dx.wants(1)) dx.adopt(1, dsum);
        }
        put_affine_grads(dy, sum, stats, dx, 2);
    });
}

// ---- l2_normalize --------------------------------------------------------------------------------------------------------

namespace {

struct NormalizeRow {
    real* y;
    real* inv;  // 1 / max(|x|, eps)
    const real* x;
    int64_t cols;
    real eps;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real* in = x + row * cols;
        real* out = y + row * cols;
        // Scaled by the largest element first: |x| neither overflows nor underflows before x itself does.
        const real largest = t.max(cols, [=](int64_t i) { return in[i] < 0 ? -in[i] : in[i]; });
        const real unit = largest > 0 && largest < std::numeric_limits<real>::infinity() ? largest : real(1);
        const real norm = unit * math::sqrt(t.sum(cols, [=](int64_t i) { return (in[i] / unit) * (in[i] / unit); }));
        const real scale = 1 / (norm < eps ? eps : norm);
        t.each(cols, [=](int64_t i) { out[i] = in[i] * scale; });
        real* keep = inv + row;
        t.once([=] { *keep = scale; });
    }
};
// d (x / |x|) = (dy - y (y . dy)) / |x|. Below eps the divisor is a constant: dx = dy / eps.
struct NormalizeRowGrad {
    GradSlot dx;
    const real *dy, *y, *inv;
    int64_t cols;
    real eps;
    template <class Team>
    HD void operator()(Team t, int64_t row) const {
        const real *d = dy + row * cols, *out = y + row * cols;
        const real scale = inv[row];
        const real along = t.sum(cols, [=](int64_t i) { return d[i] * out[i]; });
        const real k = scale * eps >= 1 ? real(0) : along;
        const GradSlot slot = dx.at(row * cols);
        t.each(cols, [=](int64_t i) { slot.put(i, scale * (d[i] - out[i] * k)); });
    }
};

}  // namespace

Var l2_normalize(const Var& x, real eps) {
    const Profiled scope("l2_normalize");
    if (x.shape().rank < 1) throw ShapeError("l2_normalize: x " + x.shape().str() + "; want [*, D]");
    if (!(eps > 0)) throw ValueError("l2_normalize: eps " + std::to_string(eps) + "; want more than 0");
    const Device device = x.device();
    const int64_t cols = x.shape()[-1], rows = cols ? x.value.numel() / cols : 0;
    const Tensor in = x.value.contiguous(), y = Tensor::empty(x.shape(), device), inv = Tensor::empty({rows}, device);
    for_rows(device, rows, cols * 4, NormalizeRow{y.data(), inv.data(), in.data(), cols, eps});
    return record("l2_normalize", y, {&x}, [=](const Tensor& dy, Grads& dx) {
        for_rows(device, rows, cols * 4, NormalizeRowGrad{dx.slot(0), dy.data(), y.data(), inv.data(), cols, eps});
    });
}

// ---- cosine_rows ---------------------------------------------------------------------------------------------------------

Var cosine_rows(const Var& x, const Var& a) {
    if (x.shape().rank != 2 || a.shape().rank != 2 || x.shape()[1] != a.shape()[1]) {
        throw ShapeError("cosine_rows: x " + x.shape().str() + ", a " + a.shape().str() + "; want [N, D], [A, D]");
    }
    require_same_device("cosine_rows", {&x, &a});
    // Two unit vectors' product: linear with the anchors as weights. Rounding may pass 1 by an ulp: clamped, since
    // callers take acos and sqrt(1 - c^2) of it; at exactly 1 the slope stays 1.
    return clamp(linear(l2_normalize(x), l2_normalize(a), Var()), -1, 1);
}

}  // namespace koine
