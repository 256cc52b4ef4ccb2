"""False alarms and power of the trend test: ``python -m benchmarks.trend [--runs 1000]``.

Autoregressive noise of unit variance around 100, and the same with a rise of 3 standard deviations over the
whole series; tested at 5 %, beside plain Mann-Kendall and least squares.
"""

import argparse
from math import sqrt

import numpy as np

from perfcore.metrics.trends import trend


def noise(rng, length, rho, runs):
    """Return ``runs`` rows of AR(1) noise."""
    rows = rng.standard_normal((runs, length + 200))
    for i in range(1, rows.shape[1]):
        rows[:, i] += rho * rows[:, i - 1]
    return rows[:, 200:] * sqrt(1 - rho * rho)


def mann_kendall(row):
    n = len(row)
    first, second = np.triu_indices(n, 1)
    score = np.sign(row[second] - row[first]).sum()
    return abs(score - np.sign(score)) / sqrt(n * (n - 1) * (2 * n + 5) / 18) > 1.96


def least_squares(row):
    x = np.arange(len(row)) - (len(row) - 1) / 2
    slope = x @ row / (x @ x)
    rest = row - row.mean() - slope * x
    return abs(slope) / sqrt(rest @ rest / (len(row) - 2) / (x @ x)) > 1.98


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    rng = np.random.default_rng(0)
    tests = {
        "perfcore": lambda row: trend(row).p <= 0.05,
        "Mann-Kendall": mann_kendall,
        "least squares": least_squares,
    }
    print(f"{'points':>6} {'rho':>5}   " + "".join(f"{name + ': alarms, power':>32}" for name in tests))
    for length in (60, 120, 1800):
        for rho in (0.0, 0.5, 0.8, 0.95):
            flat = 100 + noise(rng, length, rho, runs)
            rising = flat + 3 * np.arange(length) / length
            cells = ""
            for name, test in tests.items():
                if length > 200 and name == "Mann-Kendall":
                    cells += f"{'-':>32}"
                else:
                    cells += (
                        f"{np.mean(list(map(test, flat))):>24.3f}{np.mean(list(map(test, rising))):>8.3f}"
                    )
            print(f"{length:>6} {rho:>5}   {cells}")


if __name__ == "__main__":
    main()
