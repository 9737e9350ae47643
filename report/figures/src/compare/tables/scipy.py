"""Values that the comparison is tested against, worked out a second time, by SciPy.

    pip install numpy==2.4.6 scipy==1.17.1
    python3 report/figures/src/compare/tables/scipy.py > report/figures/src/compare/tables/scipy.json

The rules are written down here once more, from their description in docs/reports.md and not from
the Rust code: tests, intervals, Holm's correction, the rules for two, three and more hosts, how many
more repetitions are needed, and ranks.
"""

import json
import sys

# This file has the name of the library it uses.
sys.path = [entry for entry in sys.path if not entry.endswith("tables")]

import numpy as np
import scipy
from scipy import optimize, stats

MARGIN, ALPHA = float(np.log(1.02)), 0.05


def rounded(value):
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.12g}")
    return value


def one_sample(values):
    test = stats.ttest_1samp(values, 0.0)
    return {
        "values": list(values),
        "mean": np.mean(values),
        "sd": np.std(values, ddof=1),
        "p": test.pvalue,
        "ci95": list(test.confidence_interval(0.95)),
        "ci90": list(test.confidence_interval(0.90)),
    }


def two_samples(before, after):
    test = stats.ttest_ind(after, before, equal_var=False)
    return {
        "before": list(before),
        "after": list(after),
        "p": test.pvalue,
        "freedom": test.df,
        "ci95": list(test.confidence_interval(0.95)),
        "ci90": list(test.confidence_interval(0.90)),
    }


def noncentrality(n, alpha, power):
    """The mean, in standard errors, that a two-sided t test of n values finds so often."""
    critical = stats.t.ppf(1 - alpha / 2, n - 1)
    found = lambda mean: stats.nct.sf(critical, n - 1, mean) - power
    mean = optimize.brentq(found, 0.01, 2 * critical + 10)
    return {"n": n, "alpha": alpha, "power": power, "mean": mean}


# -- a fleet: rows are hosts, columns are repetitions; larger is faster


def holm(ps):
    order = np.argsort(ps)
    steps = [ps[i] * (len(ps) - rank) for rank, i in enumerate(order)]
    adjusted = np.empty(len(ps))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


class Estimate:
    def __init__(self, differences, n=None):
        self.differences = np.asarray(differences)
        self.n = n or len(differences)
        self.mean = self.differences.mean()
        self.error = self.differences.std(ddof=1) / np.sqrt(self.n)

    def p(self):
        return 2 * stats.t.sf(abs(self.mean) / self.error, self.n - 1)

    def interval(self, level):
        return stats.t.interval(level, self.n - 1, self.mean, self.error)

    def inside(self):
        low, high = self.interval(0.90)
        return -MARGIN < low and high < MARGIN

    def longer(self, k):
        return Estimate(self.differences, self.n + k)


def joint_p(estimates):
    signs = {np.sign(e.mean) for e in estimates}
    return max(e.p() for e in estimates) if len(signs) == 1 else 1.0


def verdict(different, same, p, family):
    def settle(different, same, p):
        if p < ALPHA and all(e.mean >= MARGIN for e in different):
            return "faster"
        if p < ALPHA and all(e.mean <= -MARGIN for e in different):
            return "slower"
        if same and all(e.inside() for e in same):
            return "equivalent"
        return None

    settled = settle(different, same, p)
    if settled:
        return settled
    for k in range(1, 201):
        more, alike = [e.longer(k) for e in different], [e.longer(k) for e in same]
        if settle(more, alike, joint_p(more) * family):
            return f"inconclusive, {k} more"
    return "inconclusive, never"


def compare(fleet):
    hosts = range(len(fleet))
    against = lambda a, pool: Estimate(fleet[a] - fleet[list(pool)].mean(axis=0))
    others = lambda a: [b for b in hosts if b != a]
    aside = []
    if len(fleet) == 2:
        effects = [against(a, others(a)) for a in hosts]
        verdicts = [verdict([e], [e], e.p(), 1) for e in effects]
        return effects, verdicts, aside
    if len(fleet) == 3:
        pairs = [[against(a, [b]) for b in others(a)] for a in hosts]
        ps = holm(np.array([joint_p(both) for both in pairs]))
        aside = [
            a for a in hosts if verdict(pairs[a], [], ps[a], 3) in ("faster", "slower")
        ]
        effects, verdicts = [], []
        for a in hosts:
            calm = [b for b in others(a) if b not in aside]
            effects.append(against(a, calm or others(a)))
            verdicts.append(verdict(pairs[a], [against(a, [b]) for b in calm], ps[a], 3))
        return effects, verdicts, aside
    means = fleet.mean(axis=1)
    first = []
    for a in hosts:
        ordered = sorted(others(a), key=lambda b: means[b])
        n = len(ordered)
        first.append(against(a, ordered[(n - 1) // 2 : n // 2 + 1]))
    ps = holm(np.array([e.p() for e in first]))
    aside = [a for a in hosts if verdict([first[a]], [], ps[a], 1) in ("faster", "slower")]
    calm = [a for a in hosts if a not in aside]
    if len(calm) < len(fleet) // 2 + 1:
        return None, ["two groups"] * len(fleet), []
    effects = [against(a, [b for b in calm if b != a]) for a in hosts]
    ps = holm(np.array([e.p() for e in effects]))
    verdicts = [verdict([e], [e], p, len(fleet)) for e, p in zip(effects, ps)]
    return effects, verdicts, aside


def ranks(fleet):
    hosts = range(len(fleet))
    pairs = [(a, b, Estimate(fleet[a] - fleet[b])) for a in hosts for b in hosts if a < b]
    settled = [
        (a, b, e.mean)
        for (a, b, e), p in zip(pairs, holm(np.array([e.p() for _, _, e in pairs])))
        if p < ALPHA and abs(e.mean) >= MARGIN
    ]
    wins = lambda a: sum(1 for x, y, m in settled if a == (x if m > 0 else y))
    losses = lambda a: sum(1 for x, y, m in settled if a == (y if m > 0 else x))
    return [[1 + losses(a), len(fleet) - wins(a)] for a in hosts]


def fleet_row(fleet):
    effects, verdicts, aside = compare(fleet)
    return {
        "logs": fleet.tolist(),
        "set_aside": aside,
        "verdicts": verdicts,
        "effects": None
        if effects is None
        else [{"mean": e.mean, "ci95": list(e.interval(0.95))} for e in effects],
        "ranks": ranks(fleet),
    }


def fleets(rng):
    for hosts in (2, 3, 4, 5, 6, 9):
        for repetitions, scatter, levels in (
            (5, 0.005, [0.0]),
            (5, 0.010, [-0.04]),
            (4, 0.020, [-0.03]),
            (10, 0.010, [-0.03, 0.03]),
            (3, 0.004, [-0.20]),
            (5, 0.004, [-0.10, -0.10]),
            (8, 0.015, [0.018]),
        ):
            level = np.zeros(hosts)
            level[: min(len(levels), hosts)] = levels[:hosts]
            shared = rng.normal(0, 0.02, repetitions)
            noise = rng.normal(0, scatter, (hosts, repetitions))
            yield np.round(3.0 + level[:, None] + shared + noise, 6)


def main():
    rng = np.random.default_rng(20261124)
    samples = [np.round(rng.normal(m, s, n), 6) for m, s, n in
               ((-0.06, 0.003, 5), (0.0, 0.01, 3), (0.02, 0.01, 10), (0.001, 0.02, 20), (-0.2, 0.1, 4))]
    twos = [(np.round(rng.normal(3, a, n), 6), np.round(rng.normal(3 + d, b, m), 6)) for d, a, b, n, m in
            ((0.0, 0.01, 0.01, 5, 5), (-0.05, 0.004, 0.02, 5, 3), (0.03, 0.02, 0.001, 10, 4), (-0.2, 0.01, 0.1, 3, 20))]
    table = {
        "scipy": scipy.__version__,
        "t_quantiles": [
            {"p": p, "freedom": f, "quantile": stats.t.ppf(p, f)}
            for p in (0.95, 0.975, 0.99, 0.9975, 0.999875)
            for f in (1, 2, 3, 4.25, 9, 19, 60.5, 400)
        ],
        "one_sample": [one_sample(v) for v in samples],
        "two_samples": [two_samples(a, b) for a, b in twos],
        "noncentrality": [
            noncentrality(n, 0.05 / family, power)
            for n in (3, 5, 10, 20)
            for family in (1, 3, 6, 20)
            for power in (0.8, 0.9)
        ],
        "fleets": [fleet_row(fleet) for fleet in fleets(rng)],
    }
    lines = []
    for name, rows in rounded(table).items():
        if isinstance(rows, list):
            body = ",\n".join("  " + json.dumps(row) for row in rows)
            lines.append(f"{json.dumps(name)}: [\n{body}\n]")
        else:
            lines.append(f"{json.dumps(name)}: {json.dumps(rows)}")
    print("{\n" + ",\n".join(lines) + "\n}")


if __name__ == "__main__":
    main()
