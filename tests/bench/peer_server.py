"""The loop of every peer: commands come in on stdin, answers go out on stdout, as those of `koine_bench serve`, which
main.cpp explains. Needs nothing but the standard library."""

import dataclasses
import gc
import os
import statistics
import sys
import time
import typing


@dataclasses.dataclass
class Workload:
    """A contender: `make` sets it up and gives a step, a function without arguments that returns what it made."""

    make: typing.Callable
    check: typing.Optional[typing.Callable] = None  # a dict of what Koine must have found, too
    n_warm_up: int = 3
    forget: typing.Callable = lambda: None  # beside letting go of the step


def turn(step, n_steps):
    """The median of n_steps in ms. What a step returns is freed between steps; garbage waits for the end."""
    times = []
    gc.disable()
    for _ in range(n_steps):
        begin = time.perf_counter()
        result = step()
        times.append(1e3 * (time.perf_counter() - begin))
        del result
    gc.enable()
    return statistics.median(times)


def losses(step, n_steps):
    return {f"loss-{i}": step() for i in range(1, n_steps + 1)}


def serve(about, workloads):
    """`about`: words by name. `workloads`: Workloads by "workload/contender"."""
    # Libraries print, too: their words go to stderr, answers to where stdout was.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    steps = {}

    def answer(command, name=None, n_steps=None):
        if command == "about":
            return [f"about {key} {value}" for key, value in about.items()]
        if command == "names":
            return list(workloads)
        workload = workloads[name]
        if command == "check":
            return [f"{name} {key} {value:.10g}" for key, value in (workload.check() if workload.check else {}).items()]
        if command == "turn":
            if name not in steps:
                steps[name] = workload.make()
                for _ in range(workload.n_warm_up):
                    steps[name]()
                gc.collect()
            return [f"{name} ms {turn(steps[name], int(n_steps)):.6g}"]
        if command == "forget":
            steps.pop(name, None)
            workload.forget()
            gc.collect()
            return []
        raise ValueError(f"{command}: want about, names, check, turn or forget")

    for line in sys.stdin:
        try:
            lines = answer(*line.split())
        except Exception as error:  # whatever it is, it is the answer
            lines = [f"! {type(error).__name__}: {' '.join(str(error).split())[:300]}"]
        out.write("".join(line + "\n" for line in lines + ["."]))
