// How well a model does: running it over a whole data set, comparing images, and counting right answers.
//
// The model runs on its own device; scores are computed on the host, to which what lies on a GPU is copied.
#pragma once
#include <functional>
#include <vector>

#include "autograd/ops.h"

namespace koine {

/// f applied to the rows of x[N, ...], `batch` at a time, under NoGrad, the results joined along axis 0. The caller
/// sets eval mode. Throws ShapeError for no rows, ValueError unless batch >= 1.
Tensor apply_in_batches(const Tensor& x, const std::function<Var(const Var&)>& f, int64_t batch = 500);
/// The same with f on another device: each batch is moved there, its result back to where x is.
Tensor apply_in_batches(const Tensor& x, const std::function<Var(const Var&)>& f, Device device, int64_t batch = 500);

struct ImageScores {
    double mse = 0;  ///< mean squared error over all pixels
    double psnr =
        0;  ///< peak signal-to-noise ratio in dB for a peak of 1: mean over images of -10 log10(mse), at most 100
    double ssim = 0;  ///< structural similarity, at most 1: Wang et al. 2004, mean over images, channels and windows
};
/// Scores of y[N, H, W, C] against target, both in [0, 1]. SSIM has the paper's Gaussian window of 11 x 11, sigma 1.5,
/// at every place where it fits, with K1 = 0.01, K2 = 0.03 and biased variances. Throws ShapeError unless the shapes
/// agree, N >= 1 and the images are at least 11 x 11.
ImageScores compare_images(const Tensor& y, const Tensor& target);

struct ClassScores {
    double loss = 0;  ///< mean cross-entropy in nats: -log of the probability given to the right class
    double top1 = 0;  ///< share of samples whose right class has the largest logit
    double top5 = 0;  ///< share of samples whose right class is among the five largest
};
/// Scores of logits[N, K] against labels[N]. Of equal logits the smaller class comes first; a NaN comes before all
/// numbers, and a class with logit NaN is never right. Throws ShapeError unless there is a label for each of N >= 1
/// rows, ValueError for a label outside [0, K).
ClassScores score_classes(const Tensor& logits, const Indices& labels);

/// How often each class was taken for each: what accuracy, F1 and the mean absolute error are made of.
struct Confusion {
    int64_t n_classes = 0;
    std::vector<int64_t> counts;  ///< [K, K]: the right class is the row, the predicted one the column

    int64_t at(int64_t right, int64_t predicted) const { return counts.at(size_t(right * n_classes + predicted)); }
    /// Samples of a class.
    int64_t n_of(int64_t right) const;
    double accuracy() const;
    /// Mean over the classes, weighted by their samples, of 2 TP / (2 TP + FP + FN); 0 for a class that is neither
    /// there nor predicted. = sklearn.metrics.f1_score(average="weighted", zero_division=0).
    double weighted_f1() const;
    /// Mean of |right - predicted|, for classes that are steps of a scale; the paper's code reports it, too.
    double mean_absolute_error() const;
};
/// The predicted class is the largest logit of logits[N, K]; of equal ones the smallest class. Throws NonFiniteError
/// for a NaN, else as score_classes.
Confusion count_confusion(const Tensor& logits, const Indices& labels);

}  // namespace koine
