#include "experiments/common/stitching.h"

namespace koine {
namespace {

constexpr int64_t kSamples = 10;

// Mean and deviation of the MSE over the pairs for which is_wanted(i, j).
template <class F>
MeanAndDeviation mse_over(const Stitching& s, F is_wanted) {
    std::vector<double> values;
    for (size_t i = 0; i < s.scores.size(); i++) {
        for (size_t j = 0; j < s.scores.size(); j++) {
            if (is_wanted(i, j)) values.push_back(s.scores[i][j].mse);
        }
    }
    return mean_and_deviation(values);
}

Checkpoint load_weights(const std::filesystem::path& file) {
    Checkpoint c = load_checkpoint(file);
    std::erase_if(c.tensors, [](const NamedTensor& t) { return !t.name.starts_with("model."); });
    c.require_finite();
    return c;
}

Tensor reconstruct(AutoEncoder& model, const Tensor& images, Device device) {
    return apply_in_batches(
        images, [&](const Var& x) { return model.reconstruct(x); }, device);
}

// The KL divergence of a VAE's z from the prior, a mean over images.
double kl_of(AutoEncoder& model, const Tensor& images, Device device) {
    double sum = 0;
    const auto add = [&](const Var& x) {
        Gaussian::Parameters q;
        const Var y = model.reconstruct(x, &q);
        sum += double(kl_normal(q.mu, q.log_var).item()) * double(x.shape()[0]);
        return y;
    };
    apply_in_batches(images, add, device);
    return sum / double(images.shape[0]);
}

ImageScores& operator+=(ImageScores& a, const ImageScores& b) {
    a.mse += b.mse;
    a.psnr += b.psnr;
    a.ssim += b.ssim;
    return a;
}

// Everything about encoder i with decoder j.
void evaluate_pair(Stitching& s, AutoEncoder& model, size_t i, size_t j, const Tensor& images, uint64_t seed,
                   Device device) {
    const bool is_variational = s.form.is_variational(), is_own = i == j, is_shown = i < 2 && j < 2;
    const int n_draws = is_variational ? kDraws : 1;
    for (int draw = 0; draw < n_draws; draw++) {
        const NoiseScope noise(model, evaluation_noise(seed, draw));
        const Tensor y = reconstruct(model, images, device);
        s.scores[i][j] += compare_images(y, images);
        if (is_shown && draw == 0) s.images[i][j] = y;
    }
    ImageScores& mean = s.scores[i][j];
    mean = {mean.mse / n_draws, mean.psnr / n_draws, mean.ssim / n_draws};

    const NoiseScope noise(model, evaluation_noise(seed));
    const auto encode = [&](const Var& x) { return model.encode(x); };
    if (is_own && is_shown) s.codes[i] = apply_in_batches(images, encode, device);
    if (!is_variational) return;
    if (is_own && is_shown) {
        const NoGrad no_grad;
        s.samples[i] = model.sample(kSamples, evaluation_noise(seed, kDraws)).value.to(Device::cpu);
    }
    model.is_at_mean = true;
    s.mse_at_mean[i][j] = compare_images(reconstruct(model, images, device), images).mse;
    if (is_own) s.kl.push_back(kl_of(model, images, device));
}

}  // namespace

Random evaluation_noise(uint64_t seed, int draw) { return {seed, (uint64_t{1} << 62) + (uint64_t(draw) << 32)}; }

Matrix Stitching::matrix(double ImageScores::*score) const {
    Matrix values;
    for (const auto& row : scores) {
        values.emplace_back();
        for (const ImageScores& cell : row) values.back().push_back(cell.*score);
    }
    return values;
}

MeanAndDeviation Stitching::own() const {
    return mse_over(*this, [](size_t i, size_t j) { return i == j; });
}
MeanAndDeviation Stitching::stitched() const {
    return mse_over(*this, [](size_t i, size_t j) { return i != j; });
}

Stitching stitch_models(const std::string& kind, const std::vector<std::filesystem::path>& files,
                        const std::vector<std::string>& names, const Tensor& anchors, const ImageSplit& test,
                        uint64_t seed, Device device) {
    std::vector<Checkpoint> checkpoints;
    for (const auto& file : files) checkpoints.push_back(load_weights(file));
    const size_t n = files.size();
    Stitching s;
    s.kind = kind;
    s.form = AutoEncoderForm::of(checkpoints.at(0));
    s.names = names;
    while (s.names.size() < n) s.names.push_back(std::to_string(s.names.size()));
    s.scores.assign(n, std::vector<ImageScores>(n));
    if (s.form.is_variational()) s.mse_at_mean.assign(n, std::vector<double>(n));
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            AutoEncoder model = load_stitched(checkpoints[i], checkpoints[j], anchors);
            model.to(device);
            const uint32_t before = checksum(model.state());
            evaluate_pair(s, model, i, j, test.images, seed, device);
            if (checksum(model.state()) != before) {
                throw Error("encoder " + s.names[i] + " with decoder " + s.names[j] +
                            " changed while it was evaluated");
            }
        }
    }
    return s;
}

}  // namespace koine
