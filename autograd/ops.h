// Every op of the library, one line of documentation each: the table of contents.
//
// Shapes: N batch, C channels, H W image, T tokens, D features, I/O in/out features, A anchors; "*" any leading axes.
// Elementwise ops of two Vars broadcast by NumPy's rule. All ops throw ShapeError for shapes that do not fit, in the
// form `op: what came; want what`, and DeviceError when their inputs live on different devices. Each op is defined
// beside its gradient in ops_*.cpp, and each has rows in tests/op_table.h, without which `make test` fails.
#pragma once
#include "autograd/var.h"

namespace koine {

/// Axes of a reduction; negative ones count from the back, {} means all.
using Axes = std::vector<int>;

/// The activations that linear and conv2d can apply in the same pass as the bias, and batch_norm in its own.
enum class Activation { none, relu, gelu, gelu_tanh, silu, tanh, sigmoid };

// ---- elementwise: ops_elementwise.cpp --------------------------------------------------------------------------------
Var add(const Var& a, const Var& b);      ///< a + b
Var sub(const Var& a, const Var& b);      ///< a - b
Var mul(const Var& a, const Var& b);      ///< a b
Var div(const Var& a, const Var& b);      ///< a / b
Var pow(const Var& a, const Var& b);      ///< a^b; the gradient of b needs a > 0
Var maximum(const Var& a, const Var& b);  ///< the larger; a tie gives each half of the gradient (as PyTorch)
Var minimum(const Var& a, const Var& b);  ///< the smaller; a tie gives each half of the gradient
/// a where condition is not 0, else b; all three broadcast. No gradient for the condition.
Var where(const Tensor& condition, const Var& a, const Var& b);
Var neg(Var x);                         ///< -x
Var sqrt(Var x);                        ///< the square root; slope infinite at 0
Var exp(Var x);                         ///< e^x
Var log(Var x);                         ///< the natural logarithm
Var abs(Var x);                         ///< |x|; slope 0 at 0
Var clamp(Var x, real low, real high);  ///< x limited to [low, high]; slope 1 on the closed interval, 0 outside
Var relu(Var x);                        ///< max(x, 0); slope 0 at 0
Var leaky_relu(Var x, real slope = real(0.01));  ///< x for x > 0, else slope x
Var gelu(Var x);  ///< x Phi(x), exact. Hendrycks & Gimpel 2016, arXiv 1606.08415; = nn.GELU()
/// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2: gelu within 5e-4. Same source; = nn.GELU("tanh")
Var gelu_tanh(Var x);
Var silu(Var x);      ///< x sigmoid(x). Elfwing et al. 2018, arXiv 1702.03118
Var tanh(Var x);      ///< the hyperbolic tangent
Var sigmoid(Var x);   ///< 1 / (1 + e^-x)
Var softplus(Var x);  ///< log(1 + e^x), without overflow

inline Var operator+(const Var& a, const Var& b) { return add(a, b); }
inline Var operator-(const Var& a, const Var& b) { return sub(a, b); }
inline Var operator*(const Var& a, const Var& b) { return mul(a, b); }
inline Var operator/(const Var& a, const Var& b) { return div(a, b); }
inline Var operator-(Var x) { return neg(std::move(x)); }
/// A number as a constant on x's device: x * constant(2, x).
inline Var constant(real value, const Var& like) { return Var(Tensor::scalar(value, like.device())); }
inline Var operator*(const Var& x, real s) { return mul(x, constant(s, x)); }
inline Var operator*(real s, const Var& x) { return x * s; }
inline Var operator+(const Var& x, real s) { return add(x, constant(s, x)); }
inline Var operator-(const Var& x, real s) { return sub(x, constant(s, x)); }
inline Var operator/(const Var& x, real s) { return div(x, constant(s, x)); }

// ---- reductions: ops_reduce.cpp ----------------------------------------------------------------------------------------
// Over the axes given; keepdim leaves them in the shape with extent 1.
Var sum(const Var& x, const Axes& axes = {}, bool keepdim = false);   ///< 0 over nothing
Var mean(const Var& x, const Axes& axes = {}, bool keepdim = false);  ///< throws ShapeError over nothing
Var max(const Var& x, const Axes& axes = {}, bool keepdim = false);   ///< ties share the gradient equally
Var min(const Var& x, const Axes& axes = {}, bool keepdim = false);   ///< ties share the gradient equally
/// log sum exp x, shifted by the maximum: no overflow. All -infinity gives -infinity.
Var logsumexp(const Var& x, const Axes& axes = {}, bool keepdim = false);
/// Mean squared distance to the mean; unbiased divides by n - 1. Two passes, so large means do not cancel.
Var variance(const Var& x, const Axes& axes = {}, bool keepdim = false, bool unbiased = false);
/// Position of the largest element along an axis, the first among equals; NaN counts as the largest. No gradient.
Indices argmax(const Tensor& x, int axis = -1);

// ---- shape: ops_shape.cpp ----------------------------------------------------------------------------------------------
Var reshape(const Var& x, const Shape& to);                     ///< the same elements, row-major
Var flatten(const Var& x, int first = 1);                       ///< axes [first, rank) merged into one
Var transpose(const Var& x, int a, int b);                      ///< two axes swapped; a view
Var permute(const Var& x, const std::vector<int>& axes);        ///< axis i of y is axis axes[i] of x; a view
Var slice(const Var& x, int axis, int64_t begin, int64_t end);  ///< elements [begin, end) of an axis; a view
Var expand(const Var& x, const Shape& to);                      ///< broadcast to a shape; a view
Var concat(const std::vector<Var>& xs, int axis);               ///< joined along an axis
Var stack(const std::vector<Var>& xs, int axis);                ///< joined along a new axis
/// `before` and `after` elements of `value` added at the ends of an axis.
Var pad(const Var& x, int axis, int64_t before, int64_t after, real value = 0);
/// y[i, ...] = x[index[i], ...]: rows (axis 0) picked by index, repeats allowed. ValueError for an index outside x.
Var index_select(const Var& x, const Indices& index);

// ---- products: ops_matmul.cpp ------------------------------------------------------------------------------------------
/// [*, M, K] x [*, K, N] -> [*, M, N]; leading axes broadcast. Transposed views are used without a copy.
Var matmul(const Var& a, const Var& b);
/// y[*, O] = act(x[*, I] w[O, I]^T + b[O]); b may be Var() for none. = nn.Linear, with its weight layout.
Var linear(const Var& x, const Var& w, const Var& b, Activation act = Activation::none);

// ---- convolution and pooling: ops_conv.cpp, ops_pool.cpp -------------------------------------------------------------
struct ConvOptions {
    int stride = 1;
    int padding = 0;
    int dilation = 1;
    int output_padding = 0;  ///< conv_transpose2d only: rows and columns added at the far edge, < stride
};
/// x[N, H, W, C], w[O, kh, kw, C], b[O] or Var() -> y[N, H', W', O]; H' = (H + 2 padding - dilation (kh - 1) - 1) /
/// stride + 1.
Var conv2d(const Var& x, const Var& w, const Var& b, const ConvOptions& options = {},
           Activation act = Activation::none);
/// The transpose of conv2d: x[N, H, W, I], w[I, kh, kw, O], b[O] or Var() -> y[N, H', W', O];
/// H' = (H - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1. = nn.ConvTranspose2d.
Var conv_transpose2d(const Var& x, const Var& w, const Var& b, const ConvOptions& options = {});
/// Largest value of each window of size x size; padding counts as -infinity. The first of equals takes the gradient.
Var max_pool2d(const Var& x, int size, int stride, int padding = 0);
/// Mean of each window of size x size; no padding.
Var avg_pool2d(const Var& x, int size, int stride);
/// Mean over out_h x out_w near-equal windows: window i spans [floor(i H / out), ceil((i + 1) H / out)), as PyTorch.
Var adaptive_avg_pool2d(const Var& x, int out_h, int out_w);

// ---- rows: ops_norm.cpp, ops_softmax.cpp -------------------------------------------------------------------------------
/// y = (x - mean) / sqrt(var + eps) gamma + beta per channel (last axis) of x[*, C]. training: statistics of the batch,
/// and running = (1 - momentum) running + momentum batch (variance unbiased), in place; else the running ones.
/// Then act(y), in the same pass. Ioffe & Szegedy 2015, arXiv 1502.03167. Throws ShapeError for one row in training.
Var batch_norm(const Var& x, const Var& gamma, const Var& beta, const Tensor& running_mean, const Tensor& running_var,
               bool training, real momentum = real(0.1), real eps = real(1e-5), Activation act = Activation::none);
/// y = (x - mean) / sqrt(var + eps) gamma + beta over the last axis of x[*, D]. Ba et al. 2016, arXiv 1607.06450.
Var layer_norm(const Var& x, const Var& gamma, const Var& beta, real eps = real(1e-5));
/// layer_norm(x + residual, gamma, beta, eps) in one pass over the rows; x and residual of one shape.
Var add_layer_norm(const Var& x, const Var& residual, const Var& gamma, const Var& beta, real eps = real(1e-5));
Var softmax(const Var& x);      ///< over the last axis; a row that is all -infinity gives zeros
Var log_softmax(const Var& x);  ///< over the last axis
/// y[*, D] = x / max(|x|, eps) row by row; zero rows stay zero.
Var l2_normalize(const Var& x, real eps = real(1e-12));
/// y[N, A] = cosine of x[N, D] rows with a[A, D] rows, in [-1, 1]; zero rows give 0. Moschella et al. 2023
/// (arXiv 2209.15430), sec. 3: the relative projection. Cost 2 N A D flops.
Var cosine_rows(const Var& x, const Var& a);
/// Zeroes each element with probability p and scales the rest by 1 / (1 - p); element i is decided by rng.uniform(i).
/// Srivastava et al. 2014. The identity unless training. ValueError unless 0 <= p < 1.
Var dropout(const Var& x, real p, bool training, Random rng);

// ---- texts: ops_attention.cpp ------------------------------------------------------------------------------------------
// Tables of tokens: text n is rows [starts[n], starts[n + 1]), none of them for an empty text. ValueError unless starts
// rises from 0 to the number of rows.

/// y[T, D] = softmax(q k^T / sqrt(D / n_heads)) v, for each text and each of n_heads groups of columns by itself. Row t
/// of qkv[T, 3D] is q, k and v of token t. training: dropout of the softmax's elements, with probability p_dropout;
/// that of query i and key j in head h of text n is number (h L + i) L + j of rng, L the text's length, behind those of
/// the texts before. Vaswani et al. 2017, arXiv 1706.03762, section 3.2. Cost 4 L^2 D flops a text; at most some 64 k
/// scores are in memory for each thread, on a GPU 4 M in all. ValueError unless 0 <= p_dropout < 1.
Var attention(const Var& qkv, const std::vector<int64_t>& starts, int64_t n_heads, real p_dropout = 0,
              bool training = false, Random rng = {});
/// y[N, D] = the mean of the rows of each text of x[T, D]; zeros for an empty text.
Var segment_mean(const Var& x, const std::vector<int64_t>& starts);

// ---- losses: ops_loss.cpp: one number, a mean over all elements unless said otherwise ------------------------------------
Var mse_loss(const Var& y, const Var& target);  ///< mean (y - target)^2
Var l1_loss(const Var& y, const Var& target);   ///< mean |y - target|
/// mean of e^2 / 2 for |e| <= delta, else delta (|e| - delta / 2). Huber 1964; = nn.HuberLoss.
Var huber_loss(const Var& y, const Var& target, real delta = 1);
/// Mean over N of -log softmax(logits[N, C])[target]; smoothing s spreads s / C over all classes (Szegedy et al. 2016).
/// ValueError for a label outside [0, C).
Var cross_entropy(const Var& logits, const Indices& target, real label_smoothing = 0);
/// mean of softplus(x) - x t: binary cross entropy of sigmoid(x) with targets in [0, 1], stable for any x.
Var bce_with_logits(const Var& x, const Var& target);
/// KL(N(mu, e^log_var) || N(0, 1)) of x[N, D]: -1/2 (1 + log_var - mu^2 - e^log_var), summed over D, averaged over N.
/// Kingma & Welling 2014, arXiv 1312.6114, appendix B.
Var kl_normal(const Var& mu, const Var& log_var);
/// -log of the likelihood of one sample of n numbers whose errors are Gaussian, all with the variance that fits the
/// batch best, which is its mean squared error: n / 2 (1 + log mse), without the constant n / 2 log 2 pi. So a loss
/// needs no weight between this and kl_normal. Rybkin, Daniilidis & Levine 2021, arXiv 2006.13202, section 4; the loss
/// of the paper's code. ShapeError unless mse is one number, ValueError unless n >= 1.
Var calibrated_nll(const Var& mse, int64_t n);

}  // namespace koine
