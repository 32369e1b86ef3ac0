"""What ours costs against batch, image size, tokens and words, with 1, 2, 4 ... threads: a table and a figure. run.py
--scaling calls this."""

import math
import os
import shutil
import subprocess

import report
from servers import BUILD, FILES, Server, Watch, environment, machine, make_vectors, note, program, progress, rounds

# Name of the workloads, sizes in their names; title and axis of the figure; steps of a turn; what a size is of.
PANELS = [
    ("batch", "training step of the auto-encoder", "images", 3),
    ("image", "3 x 3 convolution and its gradients, 16 images", "pixels along a side", 3),
    ("tokens", "pass of a small encoder", "tokens", 3),
    ("words", "reading .vec text", "words", 1),
]


def run():
    n_rounds = rounds(3)
    FILES.mkdir(parents=True, exist_ok=True)
    reason = make_vectors(os.environ.get("PYTHON") or "python3")
    if reason:
        note(f"No words: {reason}")
    cores, counts = machine()["cores"], []
    while not counts or 2 * counts[-1] <= cores:
        counts.append(2 * counts[-1] if counts else 1)
    if counts[-1] < cores:
        counts.append(cores)
    servers = {n: Server([program(), "serve"], environment(n, "cpu")) for n in counts}
    names = [name for name in servers[1].ask("names") if name.startswith("scaling-")]
    watch, lines = Watch(), []
    for panel, _, _, n_steps in PANELS:
        for name in (name for name in names if name.split("-")[1] == panel):
            times, facts = {n: [] for n in counts}, {}
            for i in range(n_rounds):
                progress(f"{name}: round {i + 1} of {n_rounds}")
                for n, server in servers.items():
                    facts = watch.turn(server, servers.values(), f"turn {name} {n_steps}")
                    times[n].append(facts["ours"])
            size = facts["tokens"] if panel == "tokens" else float(name.split("-")[2])
            for n, server in servers.items():
                s = report.spread(times[n])
                lines.append((panel, size, n, s["median"], s["q1"], s["q3"]))
                server.ask(f"forget {name}")
    progress("")
    for server in servers.values():
        server.end()
    tsv = BUILD / "scaling.tsv"
    table = [f"{panel}\t{size:.0f}\t{n}\t{mid:.4f}\t{q1:.4f}\t{q3:.4f}\n" for panel, size, n, mid, q1, q3 in lines]
    tsv.write_text("panel\tsize\tthreads\tms\tq1\tq3\n" + "".join(table))
    print(tsv.read_text())
    others = watch.shares()["other_programs"]
    if others > 0.05:
        note(f"These times are not to be trusted: other programs had {others:.0%} of the CPU during turns.")
    print(f"Written: {tsv}")
    draw(lines, counts, BUILD / "scaling.png")


# The first colours of experiments/common/chart.cpp: they stay apart for the colour-blind.
COLOURS = ("#332288", "#cc6677", "#117733", "#ddcc77", "#88ccee", "#882255")


def ticks(low, high):
    """1, 2 and 5 of every decade: gnuplot's own choice may show a single number on a short logarithmic axis."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high < 300 * low else (1,)
    return "(" + ", ".join(f"'{step * 10.0**n:g}' {step * 10.0**n:g}" for n in decades for step in steps) + ")"


def draw(lines, counts, path):
    """Four panels, both axes logarithmic, a line for each number of threads."""
    if not shutil.which("gnuplot"):
        note("note: gnuplot is not installed, so there will be no figure")
        return
    script = [f"set terminal pngcairo size 1200,900 font 'sans,12'\nset output '{path}'\nset multiplot layout 2,2",
              "set logscale xy\nset grid lc rgb '#dddddd'\nset key left top Left reverse\nset border 3",
              "set tics nomirror\nset ylabel 'ms'\nset lmargin 9\nset format y '%g'"]  # fmt: skip
    for panel, title, axis, _ in PANELS:
        sizes = sorted({size for p, size, *_ in lines if p == panel})
        if not sizes:
            continue
        middle = [mid for p, _, _, mid, _, _ in lines if p == panel]
        script.append(f"set title '{title}'\nset xlabel '{axis}'\nset xrange [{sizes[0] / 1.3}:{sizes[-1] * 1.3}]")
        script.append(f"set yrange [{min(middle) / 1.5}:{max(middle) * 1.5}]")
        script.append("set xtics (" + ", ".join(f"'{size:.0f}' {size}" for size in sizes) + ")")
        script.append(f"set ytics {ticks(min(middle), max(middle))}")
        bars, plots = [], []
        for i, n in enumerate(counts):
            rows = [f"{size} {mid} {q1} {q3}" for p, size, m, mid, q1, q3 in lines if p == panel and m == n]
            script.append(f"$t{n} << EOD\n" + "\n".join(rows) + "\nEOD")
            style = f"lc rgb '{COLOURS[i % len(COLOURS)]}'"
            name = f"{n} thread{'s' * (n > 1)}"
            plots.append(f"$t{n} using 1:2 with linespoints pt 7 ps 0.9 lw 2 {style} title '{name}'")
            bars.append(f"$t{n} using 1:2:3:4 with yerrorbars pt 7 ps 0 {style} notitle")
        script.append("plot " + ", ".join(bars + plots))
    text = "\n".join([*script, "unset multiplot"])
    drawn = subprocess.run(["gnuplot", "-d"], input=text, capture_output=True, text=True)
    if drawn.returncode:
        note(f"note: gnuplot could not draw the figure: {drawn.stderr.strip()}")
    else:
        print(f"Written: {path}")
