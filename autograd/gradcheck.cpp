#include "autograd/gradcheck.h"

#include <cmath>
#include <cstdio>

namespace koine {
namespace {

// Copies of the inputs in float64 with one of them moved: x + step * direction.
std::vector<Tensor> moved(const std::vector<Tensor>& inputs, const std::vector<Tensor>& directions, double step) {
    std::vector<Tensor> out;
    for (size_t i = 0; i < inputs.size(); i++) {
        std::vector<real> x = inputs[i].to_vector();
        const std::vector<real> u = directions[i].to_vector();
        for (size_t k = 0; k < x.size(); k++) x[k] += real(step) * u[k];
        out.push_back(Tensor::from(x, inputs[i].shape));
    }
    return out;
}

double dot(const Tensor& a, const Tensor& b) {
    const std::vector<real> x = a.to_vector(), y = b.to_vector();
    double s = 0;
    for (size_t i = 0; i < x.size(); i++) s += double(x[i]) * double(y[i]);
    return s;
}

// v . fn(x), no graph.
double evaluate(const GradcheckFn& fn, const std::vector<Tensor>& x, const Tensor& v) {
    const NoGrad no_grad;
    const std::vector<Var> in(x.begin(), x.end());
    return dot(fn(in).value, v);
}

double relative(double numeric, double analytic) {
    return std::fabs(numeric - analytic) / std::max({1.0, std::fabs(numeric), std::fabs(analytic)});
}

// One coordinate at a time: slow, and only for the report of a check that failed.
void find_worst(const GradcheckFn& fn, const std::vector<Tensor>& inputs, const std::vector<Tensor>& grads,
                const Tensor& v, double step, GradcheckReport& report) {
    double worst = -1;
    for (size_t i = 0; i < inputs.size(); i++) {
        for (int64_t k = 0; k < inputs[i].numel(); k++) {
            std::vector<Tensor> unit;
            for (const Tensor& x : inputs) unit.push_back(Tensor::zeros(x.shape));
            unit[i].data()[k] = 1;
            const double numeric =
                (evaluate(fn, moved(inputs, unit, step), v) - evaluate(fn, moved(inputs, unit, -step), v)) / (2 * step);
            const double analytic = double(grads[i].data()[k]), error = relative(numeric, analytic);
            if (!(error <= worst)) {  // NaN is worse than anything
                worst = error;
                report.argument = int(i);
                report.index = k;
                report.analytic = analytic;
                report.numeric = numeric;
            }
        }
    }
}

}  // namespace

GradcheckReport gradcheck(const GradcheckFn& fn, const std::vector<Tensor>& inputs, const GradcheckOptions& options) {
    if (sizeof(real) < sizeof(double)) {
        throw Error(
            "gradcheck: this is a float build; central differences need float64: build with `make REAL=double` (or run "
            "`make gradcheck`)");
    }
    GradcheckReport report;
    report.step = options.step;
    report.passed = true;
    for (int direction = 0; direction < options.n_directions; direction++) {
        uint64_t stream = uint64_t(direction) * 1000;
        const auto random_like = [&](const Shape& shape) { return Tensor::normal(shape, {options.seed, stream++}); };

        std::vector<Var> in;
        for (const Tensor& x : inputs) in.push_back(Var::parameter(x.clone()));
        const Var y = fn(in);
        const Tensor v = random_like(y.shape());
        backward(y, v);
        std::vector<Tensor> u, grads;
        double analytic = 0;
        for (const Var& x : in) {
            u.push_back(random_like(x.shape()));
            grads.push_back(x.grad());
            analytic += dot(grads.back(), u.back());
        }
        const double h = options.step;
        const double numeric = (evaluate(fn, moved(inputs, u, h), v) - evaluate(fn, moved(inputs, u, -h), v)) / (2 * h);
        const double error = relative(numeric, analytic);
        report.worst = std::isnan(error) ? error : std::max(report.worst, error);
        if (!(error <= options.tolerance)) {
            report.passed = false;
            find_worst(fn, inputs, grads, v, h, report);
            break;
        }
    }
    return report;
}

std::string GradcheckReport::str() const {
    char text[512];
    if (passed) {
        std::snprintf(text, sizeof text, "ok      worst relative error %.1e", worst);
    } else {
        std::snprintf(text, sizeof text,
                      "FAILED  relative error %.1e\n"
                      "  argument  %d\n  index     %lld\n  analytic  %.12g   by backward()\n  numeric   %.12g   by a "
                      "central difference, step %.0e",
                      worst, argument, static_cast<long long>(index), analytic, numeric, step);
    }
    return text;
}

}  // namespace koine
