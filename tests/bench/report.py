"""From times to what is shown: statistics, the table of the terminal, the section of README.md. Pure functions, which
`run.py --self-test` checks. Needs nothing but the standard library."""

import math

README_BEGIN = "<!-- bench: begin (make bench README=1 writes this) -->"
README_END = "<!-- bench: end -->"


def quantile(values, q):
    """Between the two nearest values in proportion, as numpy has it."""
    values = sorted(values)
    at = q * (len(values) - 1)
    low = math.floor(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (at - low) * (values[high] - values[low])


def spread(values):
    """Median and quartiles."""
    q1, median, q3 = (quantile(values, q) for q in (0.25, 0.5, 0.75))
    return {"median": median, "q1": q1, "q3": q3, "n": len(values)}


def ratios(ours, peer):
    """Ours to the peer's, round by round: turns that stood beside each other in time. A round that one of them missed
    does not count."""
    return [a / b for a, b in zip(ours, peer) if a is not None and b is not None]


def best_of(times):
    """The name with the smallest median; None when there is none. `times`: lists by name, None for a round missed."""
    medians = {name: quantile([t for t in values if t is not None], 0.5) for name, values in times.items() if values}
    return min(medians, key=medians.get) if medians else None


def differs(quantity, ours, peer):
    """Whether a number that must agree does not. Sums and counts agree exactly, losses and entries of a product to
    rounding, scores and differences absolutely."""
    if not (math.isfinite(ours) and math.isfinite(peer)):
        return True
    if quantity.startswith(("loss-", "entry-")):
        return abs(ours - peer) > 1e-4 * abs(ours)
    if quantity in ("jaccard", "mrr", "cosine", "top1", "top_k", "max_difference"):
        return abs(ours - peer) > 1e-6
    return ours != peer


def row_of(label, ours, peers, failed, facts, goal, gemm_gflops):
    """A line of the table and of bench.json. `ours`: ms of each round; `peers`: the same by name; `failed`: why a
    contender has no times; `goal`: the largest ratio that was aimed at, or None."""
    row = {"what": label, "ours_ms": spread(ours), "rounds_ms": ours, "facts": facts, "goal": goal}
    row["contenders"] = {name: {**spread([t for t in v if t is not None]), "rounds_ms": v} for name, v in peers.items()}
    row["contenders"].update({name: {"failed": why} for name, why in failed.items()})
    best = best_of(peers)
    if best:
        row["best"] = best
        row["ratio"] = spread(ratios(ours, peers[best]))
        if goal is not None:
            row["reached"] = row["ratio"]["median"] <= goal
    if "gflop" in facts:
        row["gflops"] = 1e3 * facts["gflop"] / row["ours_ms"]["median"]
        if gemm_gflops:
            row["share_of_gemm"] = row["gflops"] / gemm_gflops
    return row


def ms(value):
    """Three digits, and a unit that suits them."""
    if value >= 999.5:
        return f"{value / 1e3:.{2 if value < 9995 else 1}f} s"
    return f"{value:.{0 if value >= 99.5 else 1 if value >= 9.95 else 2}f} ms"


def ratio(row, dash="-"):
    if "ratio" not in row:
        return dash
    digits = 2 if row["ratio"]["median"] >= 0.095 else 3
    return "{0:.{3}f} [{1:.{3}f}, {2:.{3}f}]".format(*(row["ratio"][key] for key in ("median", "q1", "q3")), digits)


def columns(lines):
    """Lines of cells as text: the first column to the left, the others to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths))).rstrip()
        for line in lines) + "\n"  # fmt: skip


def table(rows, plain):
    """For the terminal. `plain` turns the name of a contender into words."""
    lines = [("", "ours", "best peer", "", "ratio", "goal", "GF/s", "of gemm")]
    for row in rows:
        best = row.get("best")
        goal = "" if row["goal"] is None else f"{row['goal']:.2f}" + ("" if row.get("reached", True) else " missed")
        peer = (ms(row["contenders"][best]["median"]), plain(best)) if best else ("-", "")
        speed = f"{row['gflops']:.0f}" if "gflops" in row else ""
        share = f"{row['share_of_gemm']:.2f}" if "share_of_gemm" in row else ""
        lines.append((row["what"], ms(row["ours_ms"]["median"]), *peer, ratio(row), goal, speed, share))
    return columns(lines)


def details(rows, plain):
    """Every contender's time, and who has none."""
    lines = []
    for row in rows:
        for name, c in row["contenders"].items():
            text = "failed: " + c["failed"] if "failed" in c else f"{ms(c['median'])}, {c['n']} rounds"
            lines.append(f"  {row['what']}: {plain(name)}: {text}\n")
    return "".join(lines)


def section(rows, plain, about):
    """What stands between the markers of README.md. `about`: date, machine, software, pairs."""
    lines = [
        "## How fast it is",
        "",
        f"`make bench` on {about['machine']}, {about['date']}:",
        f"{about['software']}.",
        "Float32, the same weights, batches and threads for all; before anything was timed, all computed the same.",
        f"Times are medians of up to {about['pairs']} rounds in which ours and the peers' took turns; a ratio is ours",
        "to the best peer's, with quartiles.",
        "",
        "| what | Koine | best peer | ratio |",
        "|---|---|---|---|",
    ]
    for row in rows:
        if "best" in row:
            peer = f"{ms(row['contenders'][row['best']]['median'])}, {plain(row['best'])}"
            lines.append(f"| {row['what']} | {ms(row['ours_ms']['median'])} | {peer} | {ratio(row)} |")
    return "\n".join(lines) + "\n"


def with_section(readme, text):
    """README.md with another text between its markers. ValueError unless each is there once, in this order."""
    if readme.count(README_BEGIN) != 1 or readme.count(README_END) != 1:
        raise ValueError(f"README.md: want one line {README_BEGIN} and one {README_END}")
    before, rest = readme.split(README_BEGIN)
    if README_END not in rest:
        raise ValueError(f"README.md: {README_END} stands before {README_BEGIN}")
    return before + README_BEGIN + "\n" + text + README_END + rest.split(README_END)[1]


def op_rows(text):
    """What `koine_bench ops` prints: names of 45 characters, then one or two times in us."""
    rows = []
    for line in text.splitlines():
        words = line[45:].split()
        if not line.startswith(("#", "op, in us")) and words:
            rows.append({"op": line[:45].strip(), "forward_us": float(words[0])})
            if len(words) > 1:
                rows[-1]["forward_and_backward_us"] = float(words[1])
    return rows


def self_test():
    """Raises AssertionError where one of the functions above is wrong."""

    def same(found, wanted):
        assert found == wanted, f"found {found!r}, want {wanted!r}"

    same(quantile([3, 1, 2], 0.5), 2)
    same(quantile([4, 1, 2, 3], 0.5), 2.5)
    same(quantile([1, 2, 3, 4, 5], 0.25), 2)
    same(quantile([7], 0.75), 7)
    same(spread([5, 1, 3]), {"median": 3, "q1": 2, "q3": 4, "n": 3})
    # Of a machine that becomes slower, ratios of neighbours say nothing; ratios of medians would.
    same(ratios([1, 2, 4], [2, 4, 8]), [0.5, 0.5, 0.5])
    same(ratios([1, 2, 3], [2, None, 3]), [0.5, 1])
    same(best_of({"a": [3, 1, 2], "b": [1.5, None, None], "c": [1, 9, 9]}), "b")
    same(best_of({}), None)

    same(differs("loss-1", 2.0, 2.0001), False)
    same(differs("loss-1", 2.0, 2.001), True)
    same(differs("loss-1", 2.0, math.nan), True)
    same(differs("crc32", 7, 7), False)
    same(differs("crc32", 4294967295, 4294967294), True)
    same(differs("words", 100000, 100001), True)
    same(differs("mrr", 0.7, 0.7000005), False)
    same(differs("mrr", 0.7, 0.70001), True)
    same(differs("max_difference", 0, 1e-5), True)

    row = row_of("step", [50, 60, 55], {"x": [100, 100, 100], "y": [200, None, None]}, {"z": "no compiler"},
                 {"gflop": 5.5}, 0.5, 200)  # fmt: skip
    same(row["best"], "x")
    same(row["ratio"], {"median": 0.55, "q1": 0.525, "q3": 0.575, "n": 3})
    same(row["reached"], False)
    same(row["gflops"], 100)
    same(row["share_of_gemm"], 0.5)
    same(row["contenders"]["y"]["n"], 1)
    alone = row_of("step", [50], {}, {}, {}, 0.5, 200)
    same("ratio" in alone or "reached" in alone or "gflops" in alone, False)

    same([ms(x) for x in (0.1234, 9.96, 45.67, 99.6, 123.4, 1234, 45678)],
         ["0.12 ms", "10.0 ms", "45.7 ms", "100 ms", "123 ms", "1.23 s", "45.7 s"])  # fmt: skip
    lines = table([row, alone], str.upper).splitlines()
    same(len(lines), 3)
    same(lines[1].split(), "step 55.0 ms 100 ms X 0.55 [0.53, 0.57] 0.50 missed 100 0.50".split())
    same(lines[2].split(), "step 50.0 ms - - 0.50".split())
    same(ratio({"ratio": spread([0.024, 0.025, 0.026])}), "0.025 [0.025, 0.026]")
    same("Z: failed: no compiler" in details([row], str.upper), True)

    readme = f"# A\n\n{README_BEGIN}\nold | numbers\n{README_END}\n\n## B\n"
    about = {"machine": "2 cores", "date": "2026-01-02", "software": "torch 2", "pairs": 9}
    text = section([row, alone], str.upper, about)
    same("| step | 55.0 ms | 100 ms, X | 0.55 [0.53, 0.57] |" in text, True)
    same(text.count("| step |"), 1)
    new = with_section(readme, text)
    same(new.startswith(f"# A\n\n{README_BEGIN}\n## How fast") and new.endswith(f"{README_END}\n\n## B\n"), True)
    same("old" in new, False)
    same(with_section(new, text), new)
    for wrong in ("# A\n", f"{README_END}\n{README_BEGIN}\n", readme + readme):
        try:
            with_section(wrong, text)
        except ValueError:
            continue
        raise AssertionError("a README without its markers was taken")

    same(op_rows(f"# header\n{'op, in us':45} forward and backward\n{'add broadcast':45} {1.5:12.2f} {3.25:12.2f}\n"
                 f"{'one_hot':45} {0.5:12.2f}\n"),
         [{"op": "add broadcast", "forward_us": 1.5, "forward_and_backward_us": 3.25},
          {"op": "one_hot", "forward_us": 0.5}])  # fmt: skip
