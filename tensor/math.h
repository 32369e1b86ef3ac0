// exp, log, tanh and the normal distribution (erf) in one source that vectorises under g++ and inlines under nvcc.
//
// The library's own functions are calls: 13 ns an element for GELU through std::erf where a polynomial takes 1 to 2.
// These are branch-free polynomials on a reduced range, accurate to about 2 units in the last place of a float
// (tests/test_math.cpp states the errors). Coefficients: minimax fits by tests/golden/fit_math.py. In a double build
// the standard functions are called, since gradient checks need every digit and no speed.
#pragma once
#include <bit>
#include <cmath>

#include "tensor/device.h"

namespace koine::math {

/// e^x. Overflows to infinity, underflows to 0; NaN stays NaN.
HD inline float exp(float x) {
    // x = n ln 2 + r with |r| <= ln(2) / 2; adding 1.5 * 2^23 rounds to an integer that sits in the low mantissa bits.
    const float clamped = x > 89.f ? 89.f : x < -104.f ? -104.f : x;
    const float shifted = clamped * 1.44269504f + 12582912.f;
    const float n = shifted - 12582912.f;
    const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts: Cody & Waite 1980
    float p = 1.3814602e-3f;
    p = p * r + 8.3687152e-3f;
    p = p * r + 4.1668388e-2f;
    p = p * r + 1.6666521e-1f;
    p = p * r + 4.9999993e-1f;
    const float er = p * r * r + r + 1.f;
    // 2^n in two factors, so that denormal results and the largest finite ones come out right.
    const int32_t whole = int32_t(std::bit_cast<uint32_t>(shifted) - 0x4B400000u);
    const int32_t half = whole >> 1;
    const float s1 = std::bit_cast<float>(uint32_t(half + 127) << 23);
    const float s2 = std::bit_cast<float>(uint32_t(whole - half + 127) << 23);
    return er * s1 * s2;
}

/// The natural logarithm. log(0) = -infinity, negative x and NaN give NaN.
HD inline float log(float x) {
    // x = m 2^e with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh(s), s = (m - 1) / (m + 1).
    const bool is_denormal = x < 1.17549435e-38f;
    const float scaled = is_denormal ? x * 0x1p24f : x;
    const uint32_t bits = std::bit_cast<uint32_t>(scaled) - 0x3F3504F3u;  // sqrt(1/2)
    const float e = float(int32_t(bits) >> 23) - (is_denormal ? 24.f : 0.f);
    const float m = std::bit_cast<float>((bits & 0x7FFFFFu) + 0x3F3504F3u);
    const float f = m - 1.f;
    const float s = f / (2.f + f), s2 = s * s;
    float p = 2.3582597e-1f;
    p = p * s2 + 2.8537286e-1f;
    p = p * s2 + 4.0000336e-1f;
    p = p * s2 + 6.6666666e-1f;
    const float half_f2 = 0.5f * f * f;  // 2 s = f - s f, and s f = f^2/2 - s f^2/2: keeps the leading f exact
    const float log_m = f - (half_f2 - s * (half_f2 + s2 * p));
    const float finite = e * 0.693359375f + (log_m - e * 2.12194440e-4f);
    const float infinity = std::numeric_limits<float>::infinity();
    return x > 0.f ? (x < infinity ? finite : infinity)
                   : (x == 0.f ? -infinity : std::numeric_limits<float>::quiet_NaN());
}

/// The hyperbolic tangent.
HD inline float tanh(float x) {
    const float a = x < 0.f ? -x : x, a2 = a * a;
    float p = 2.1262271e-3f;
    p = p * a2 - 8.1595551e-3f;
    p = p * a2 + 2.1693681e-2f;
    p = p * a2 - 5.3945520e-2f;
    p = p * a2 + 1.3333197e-1f;
    p = p * a2 - 3.3333331e-1f;
    const float small = p * a2 * a + a;
    const float big = 1.f - 2.f / (exp(2.f * a) + 1.f);
    const float y = a < 0.625f ? small : big;
    return x < 0.f ? -y : y;
}

/// phi(x) = exp(-x^2 / 2) / sqrt(2 pi), the density of the standard normal distribution.
HD inline float normal_pdf(float x) { return exp(-0.5f * x * x) * 0.39894228f; }

/// Phi(x) = (1 + erf(x / sqrt 2)) / 2, the standard normal distribution function, with a relative error of about 1e-6
/// in both tails (1 + erf would lose all digits in the left one).
HD inline float normal_cdf(float x) {
    // The form of Abramowitz & Stegun 7.1.26, Phi(-a) = exp(-a^2 / 2) Q(1 / (1 + p a)), with a longer Q fitted by us.
    const float a = x < 0.f ? -x : x;
    const float t = 1.f / (1.f + 0.26f * a);
    float q = 3.0504694e-2f;
    q = q * t - 1.5282784e-1f;
    q = q * t + 2.5148914e-1f;
    q = q * t - 1.5094639e-1f;
    q = q * t + 1.6094599e-1f;
    q = q * t + 5.1028511e-2f;
    q = q * t + 1.0303003e-1f;
    q = q * t + 1.0301678e-1f;
    q = q * t + 1.0375906e-1f;
    const float tail = q * t * exp(-0.5f * x * x);
    return x < 0.f ? tail : 1.f - tail;
}

HD inline double exp(double x) { return std::exp(x); }
HD inline double log(double x) { return std::log(x); }
HD inline double tanh(double x) { return std::tanh(x); }
HD inline double normal_pdf(double x) { return std::exp(-0.5 * x * x) * 0.39894228040143267794; }
HD inline double normal_cdf(double x) { return 0.5 * std::erfc(-x * 0.70710678118654752440); }

/// 1 / (1 + e^-x), without overflow for any x.
HD inline real sigmoid(real x) { return real(1) / (real(1) + exp(-x)); }

/// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), without overflow for any x.
HD inline real softplus(real x) { return (x > 0 ? x : real(0)) + log(real(1) + exp(x > 0 ? -x : x)); }

HD inline float sqrt(float x) { return sqrtf(x); }
HD inline double sqrt(double x) { return ::sqrt(x); }

}  // namespace koine::math
