#include "nn/evaluate.h"

#include <algorithm>
#include <cmath>

namespace koine {

Tensor apply_in_batches(const Tensor& x, const std::function<Var(const Var&)>& f, int64_t batch) {
    return apply_in_batches(x, f, x.device(), batch);
}

Tensor apply_in_batches(const Tensor& x, const std::function<Var(const Var&)>& f, Device device, int64_t batch) {
    if (x.shape.rank < 1 || x.shape[0] < 1)
        throw ShapeError("apply_in_batches: x " + x.shape.str() + "; want [N, *] with N >= 1");
    if (batch < 1) throw ValueError("apply_in_batches: a batch of " + std::to_string(batch) + "; want 1 or more");
    const NoGrad no_grad;
    std::vector<Var> parts;
    for (int64_t begin = 0; begin < x.shape[0]; begin += batch) {
        const Tensor rows = x.slice(0, begin, std::min(begin + batch, x.shape[0]));
        parts.push_back(f(Var(rows.to(device))).value.to(x.device()));
    }
    return concat(parts, 0).value;
}

namespace {

constexpr int64_t kWindow = 11;

// The weights of SSIM's window along one axis; the window is their outer product.
std::vector<double> gaussian_window() {
    std::vector<double> weights(kWindow);
    double sum = 0;
    constexpr int64_t kMiddle = kWindow / 2;
    for (int64_t i = 0; i < kWindow; i++) {
        const double distance = double(i - kMiddle);
        sum += weights[size_t(i)] = std::exp(-distance * distance / (2 * 1.5 * 1.5));
    }
    for (double& w : weights) w /= sum;
    return weights;
}

// The weighted mean of f(row, column) over every window that fits into h x w: [h - 10, w - 10]. Columns, then rows.
template <class F>
std::vector<double> windowed_means(int64_t h, int64_t w, const std::vector<double>& weights, F f) {
    const int64_t out_h = h - kWindow + 1, out_w = w - kWindow + 1;
    std::vector<double> lines(static_cast<size_t>(h * out_w)), means(static_cast<size_t>(out_h * out_w));
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < out_w; j++)
            for (int64_t k = 0; k < kWindow; k++) lines[size_t(i * out_w + j)] += weights[size_t(k)] * f(i, j + k);
    for (int64_t i = 0; i < out_h; i++)
        for (int64_t j = 0; j < out_w; j++)
            for (int64_t k = 0; k < kWindow; k++)
                means[size_t(i * out_w + j)] += weights[size_t(k)] * lines[size_t((i + k) * out_w + j)];
    return means;
}

// SSIM of one channel of one image: a and b point to its first pixel, `step` numbers from one pixel to the next.
double ssim(const real* a, const real* b, int64_t h, int64_t w, int64_t step, const std::vector<double>& weights) {
    const auto at = [=](const real* image, int64_t i, int64_t j) { return double(image[(i * w + j) * step]); };
    const auto mean = [&](auto f) { return windowed_means(h, w, weights, f); };
    const std::vector<double> ma = mean([&](int64_t i, int64_t j) { return at(a, i, j); });
    const std::vector<double> mb = mean([&](int64_t i, int64_t j) { return at(b, i, j); });
    const std::vector<double> maa = mean([&](int64_t i, int64_t j) { return at(a, i, j) * at(a, i, j); });
    const std::vector<double> mbb = mean([&](int64_t i, int64_t j) { return at(b, i, j) * at(b, i, j); });
    const std::vector<double> mab = mean([&](int64_t i, int64_t j) { return at(a, i, j) * at(b, i, j); });
    const double c1 = 0.01 * 0.01, c2 = 0.03 * 0.03;
    double sum = 0;
    for (size_t i = 0; i < ma.size(); i++) {
        const double var_a = maa[i] - ma[i] * ma[i], var_b = mbb[i] - mb[i] * mb[i],
                     covariance = mab[i] - ma[i] * mb[i];
        sum += (2 * ma[i] * mb[i] + c1) * (2 * covariance + c2) /
               ((ma[i] * ma[i] + mb[i] * mb[i] + c1) * (var_a + var_b + c2));
    }
    return sum / double(ma.size());
}

}  // namespace

ImageScores compare_images(const Tensor& y, const Tensor& target) {
    const Shape& s = y.shape;
    if (s.rank != 4 || !(target.shape == s) || s[0] < 1 || s[1] < kWindow || s[2] < kWindow || s[3] < 1) {
        throw ShapeError("compare_images: " + s.str() + " and " + target.shape.str() +
                         "; want the same [N, H, W, C], H and W of 11 or more");
    }
    const Tensor a = y.to(Device::cpu).contiguous(), b = target.to(Device::cpu).contiguous();
    const std::vector<double> weights = gaussian_window();
    const int64_t n_pixels = s[1] * s[2] * s[3];
    std::vector<ImageScores> scores(static_cast<size_t>(s[0]));
    for_tasks(Device::cpu, s[0], [&](int64_t n) {
        const real *image = a.data() + n * n_pixels, *other = b.data() + n * n_pixels;
        ImageScores& score = scores[size_t(n)];
        for (int64_t i = 0; i < n_pixels; i++)
            score.mse += double(image[i] - other[i]) * double(image[i] - other[i]) / double(n_pixels);
        score.psnr = -10 * std::log10(std::max(score.mse, 1e-10));
        for (int64_t c = 0; c < s[3]; c++)
            score.ssim += ssim(image + c, other + c, s[1], s[2], s[3], weights) / double(s[3]);
    });
    ImageScores mean;
    for (const ImageScores& score : scores) {
        mean.mse += score.mse / double(s[0]);
        mean.psnr += score.psnr / double(s[0]);
        mean.ssim += score.ssim / double(s[0]);
    }
    return mean;
}

namespace {

void require_logits(const char* function, const Tensor& logits, const Indices& labels) {
    const Shape& s = logits.shape;
    if (s.rank != 2 || s[0] < 1 || labels.numel() != s[0]) {
        throw ShapeError(std::string(function) + ": logits " + s.str() + ", labels " + labels.shape.str() +
                         "; want [N, K], [N] with N >= 1");
    }
    labels.require_below(function, s[1]);
}

}  // namespace

ClassScores score_classes(const Tensor& logits, const Indices& labels) {
    require_logits("score_classes", logits, labels);
    const Shape& s = logits.shape;
    const std::vector<real> all = logits.to_vector();
    const std::vector<int32_t> right = labels.to_vector();
    const int64_t n_classes = s[1];
    ClassScores mean;
    for (int64_t n = 0; n < s[0]; n++) {
        const real* row = all.data() + n * n_classes;
        const int32_t label = right[size_t(n)];
        const double largest = double(*std::max_element(row, row + n_classes));
        double sum = 0;
        int64_t n_before = 0;
        for (int64_t k = 0; k < n_classes; k++) {
            sum += std::exp(double(row[k]) - largest);
            // Not `row[k] > row[label]`: NaN on either side must not count as right.
            const bool is_before = k < label ? !(row[k] < row[label]) : !(row[k] <= row[label]);
            if (k != label && is_before) n_before++;
        }
        const bool is_nan = std::isnan(row[label]);
        mean.loss += (largest + std::log(sum) - double(row[label])) / double(s[0]);
        mean.top1 += double(n_before < 1 && !is_nan) / double(s[0]);
        mean.top5 += double(n_before < 5 && !is_nan) / double(s[0]);
    }
    return mean;
}

Confusion count_confusion(const Tensor& logits, const Indices& labels) {
    require_logits("count_confusion", logits, labels);
    const int64_t n_classes = logits.shape[1];
    const std::vector<real> all = logits.to_vector();
    const std::vector<int32_t> right = labels.to_vector();
    Confusion c{n_classes, std::vector<int64_t>(size_t(n_classes * n_classes))};
    for (size_t n = 0; n < right.size(); n++) {
        const auto row = all.begin() + int64_t(n) * n_classes;
        if (std::any_of(row, row + n_classes, [](real x) { return std::isnan(x); }))
            throw NonFiniteError("count_confusion: a logit of sample " + std::to_string(n) + " is nan");
        c.counts[size_t(right[n] * n_classes + (std::max_element(row, row + n_classes) - row))]++;
    }
    return c;
}

int64_t Confusion::n_of(int64_t right) const {
    int64_t n = 0;
    for (int64_t k = 0; k < n_classes; k++) n += at(right, k);
    return n;
}

double Confusion::accuracy() const {
    double n_right = 0, n = 0;
    for (int64_t k = 0; k < n_classes; k++) n_right += double(at(k, k)), n += double(n_of(k));
    return n_right / n;
}

double Confusion::weighted_f1() const {
    double sum = 0, n = 0;
    for (int64_t k = 0; k < n_classes; k++) {
        double n_predicted = 0;
        for (int64_t j = 0; j < n_classes; j++) n_predicted += double(at(j, k));
        const double n_right = double(n_of(k)), n_either = n_right + n_predicted;  // 2 TP + FN + FP
        if (n_either > 0) sum += n_right * 2 * double(at(k, k)) / n_either;
        n += n_right;
    }
    return sum / n;
}

double Confusion::mean_absolute_error() const {
    double sum = 0, n = 0;
    for (int64_t i = 0; i < n_classes; i++) {
        for (int64_t j = 0; j < n_classes; j++) sum += double(std::abs(i - j) * at(i, j)), n += double(at(i, j));
    }
    return sum / n;
}

}  // namespace koine
