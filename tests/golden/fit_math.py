"""The minimax polynomials of tensor/math.h: prints their coefficients, highest power first as they stand there, and the
largest error of each fit in exact arithmetic. Needs numpy.

    python3 tests/golden/fit_math.py
"""

import math

import numpy as np


def lawson(f, columns, weight, n_rounds=400):
    """Coefficients c that minimise max |weight (columns c - f)|, and that maximum. Least squares, again and again, with
    more weight where the error was large: Lawson 1961, which converges to the minimax fit."""
    w = np.ones(len(f))
    for _ in range(n_rounds):
        scale = np.sqrt(w) * weight
        c = np.linalg.lstsq(columns * scale[:, None], f * scale, rcond=None)[0]
        error = np.abs((columns @ c - f) * weight)
        w *= (error + 1e-300) / error.max()
        w /= w.sum()
    return c, error.max()


def powers(x, first, last):
    return np.stack([x**k for k in range(first, last + 1)], axis=1)


def chebyshev(low, high, n=2001):
    """Points of [low, high], denser at the ends."""
    return (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(n) + 0.5) / n)


def series(x, coefficients):
    """A power series, for the middle of an interval, where the direct formula loses its digits."""
    return sum(c * x**k for k, c in enumerate(coefficients))


def fit_exp():
    """e^r = 1 + r + r^2 P(r) for |r| <= ln(2) / 2; relative error of e^r."""
    r = chebyshev(-0.3466, 0.3466)
    taylor = series(r, [1 / math.factorial(k + 2) for k in range(6)])
    f = np.where(np.abs(r) > 1e-3, (np.expm1(r) - r) / r**2, taylor)
    return lawson(f, powers(r, 0, 4), r**2 / np.exp(r))


def fit_log():
    """log m = 2 s + s^3 Q(s^2), s = (m - 1) / (m + 1), for m in [sqrt(1/2), sqrt(2)]; relative error of log m."""
    s = chebyshev(1e-4, 0.1716)
    return lawson(series(s**2, [2 / (2 * k + 3) for k in range(8)]), powers(s**2, 0, 3), s**2 / 2)


def fit_tanh():
    """tanh x = x + x^3 P(x^2) for |x| <= 0.625; relative error of tanh x."""
    x = chebyshev(1e-3, 0.63)
    taylor = series(x**2, [-1 / 3, 2 / 15, -17 / 315, 62 / 2835])
    f = np.where(x > 0.05, (np.tanh(x) - x) / x**3, taylor)
    return lawson(f, powers(x**2, 0, 5), x**3 / np.tanh(x))


def scaled_tail(x):
    """Phi(-x) e^(x^2 / 2), Phi the normal distribution function, for x >= 0."""
    if x < 5:
        return math.erfc(x / math.sqrt(2)) / 2 * math.exp(x * x / 2)
    fraction = 0.0  # Laplace's continued fraction
    for k in range(200, 0, -1):
        fraction = k / (x + fraction)
    return 1 / (x + fraction) / math.sqrt(2 * math.pi)


def fit_normal_tail():
    """Phi(-x) = e^(-x^2 / 2) t Q(t), t = 1 / (1 + 0.26 x), for 0 <= x <= 14; relative error of Phi(-x)."""
    x = np.concatenate([np.linspace(0, 6, 3000), np.linspace(6, 14, 1500)])
    f = np.array([scaled_tail(v) for v in x])
    return lawson(f, powers(1 / (1 + 0.26 * x), 1, 9), 1 / f, n_rounds=200)


def in_math_h(c):
    """A number as math.h writes it: 1.3814602e-3f."""
    mantissa, exponent = f"{c:.7e}".split("e")
    return f"{mantissa}e{int(exponent)}f"


for fit in (fit_exp, fit_log, fit_tanh, fit_normal_tail):
    coefficients, error = fit()
    print(f"{fit.__name__[4:]}: {fit.__doc__}")
    print("    largest error %.1e" % error)
    for c in coefficients[::-1]:
        print("    " + in_math_h(c))
