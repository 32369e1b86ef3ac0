// First values of parameters; see init.h.
#include "nn/init.h"

#include <cmath>
#include <string>

namespace koine {
namespace {

thread_local bool skips = false;

double positive(const char* what, int64_t fan) {
    if (fan < 1) throw ValueError(std::string("init: ") + what + " is " + std::to_string(fan) + "; want at least 1");
    return double(fan);
}

Tensor symmetric(const Shape& shape, double bound, Random rng) {
    if (skips) return Tensor::empty(shape);
    return Tensor::uniform(shape, real(-bound), real(bound), rng);
}

struct Scale {
    real* y;
    real factor;
    HD void operator()(int64_t i) const { y[i] *= factor; }
};

}  // namespace

SkipInit::SkipInit() : was_active(skips) { skips = true; }
SkipInit::~SkipInit() { skips = was_active; }

Tensor normal_values(const Shape& shape, double deviation, Random rng) {
    if (skips) return Tensor::empty(shape);
    const Tensor y = Tensor::normal(shape, rng);
    if (deviation != 1) for_each(y.device(), y.numel(), Scale{y.data(), real(deviation)});
    return y;
}

Tensor default_uniform(const Shape& shape, int64_t fan_in, Random rng) {
    return symmetric(shape, 1 / std::sqrt(positive("fan_in", fan_in)), rng);
}

Tensor kaiming_uniform(const Shape& shape, int64_t fan_in, Random rng) {
    return symmetric(shape, std::sqrt(6 / positive("fan_in", fan_in)), rng);
}

Tensor kaiming_normal(const Shape& shape, int64_t fan_in, Random rng) {
    return normal_values(shape, std::sqrt(2 / positive("fan_in", fan_in)), rng);
}

Tensor xavier_uniform(const Shape& shape, int64_t fan_in, int64_t fan_out, Random rng) {
    return symmetric(shape, std::sqrt(6 / (positive("fan_in", fan_in) + positive("fan_out", fan_out))), rng);
}

Tensor xavier_normal(const Shape& shape, int64_t fan_in, int64_t fan_out, Random rng) {
    return normal_values(shape, std::sqrt(2 / (positive("fan_in", fan_in) + positive("fan_out", fan_out))), rng);
}

}  // namespace koine
