"""Koine's times, beside those of the best programs there are for the same work. `make bench` calls this; needs nothing
but the standard library. Only ratios of one run mean something: times depend on the machine and on what else it does.

    python3 tests/bench/run.py [--readme]      a table, build/bench.json; the section of README.md
    python3 tests/bench/run.py --scaling       build/scaling.tsv and build/scaling.png: cost against size, by threads
    python3 tests/bench/run.py --self-test     checks report.py

The environment says what is measured:

    BENCH       the program koine_bench (build/float-native/koine_bench)
    PYTHON      an interpreter that may have torch, transformers, numpy, gensim and tokenizers (python3)
    PAIRS       how many rounds there are, in each of which ours and the peers' take turns (9)
    DEVICE      cpu or cuda (cpu)
    WORKLOADS   out of: ops gemm mlp ae convnet cnn encoder encoder-step projection retrieval vectors tokenize (all)
    KOINE_DATA  a folder with the tweets and vocabularies for tokenize

koine_bench and the peers are servers: each lives through the whole run, sets a workload up and warms it up when it is
first asked for a turn, and sleeps while another has its turn. Before anything is timed, all must compute the same.
"""

import csv
import dataclasses
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True  # nothing but sources in this folder

import report  # noqa: E402
import scaling  # noqa: E402
from servers import (BUILD, FILES, HERE, ROOT, Refused, Server, Watch, commit, environment, machine, make_vectors, note,
                     program, progress, rounds)  # fmt: skip  # noqa: E402

TOO_SLOW = 1.5  # times the best peer in two rounds: no candidate for the best, no more turns
N_TEXTS = 20_000


@dataclasses.dataclass
class Workload:
    name: str  # as koine_bench has it; its peers' are NAME/CONTENDER
    group: str  # as WORKLOADS has it
    what: str  # as the table has it
    n_steps: int  # of a turn, the same for all
    goal: float = None  # the largest ratio that was aimed at
    max_rounds: int = 1000
    beside: tuple = ()  # a workload of our own that has turns, too, and a line: its name, what, goal


GEMMS = [Workload(f"gemm-{n}", "gemm", f"product {n} x {n} x {n}", n_steps) for n, n_steps in
         ((256, 200), (512, 60), (1024, 15), (2048, 3))]  # fmt: skip
WORKLOADS = GEMMS + [
    Workload("mlp", "mlp", "fully connected auto-encoder, training step", 40, 0.6),
    Workload("ae", "ae", "relative convolutional auto-encoder, training step", 5, 0.6),
    Workload("convnet", "convnet", "CNN of 32 to 128 channels, training step", 3),
    Workload("cnn", "cnn", "CNN of 64 to 256 channels, training step", 1, 0.4),
    Workload("encoder", "encoder", "roberta-base, 128 texts", 1, 0.6),
    Workload("encoder-step", "encoder-step", "small encoder, training step of 64 texts", 3),
    Workload("projection", "projection", "relative codes, 20 000 x 300 by 1000 anchors", 5),
    Workload("retrieval", "retrieval", "retrieval scores, 20 000 x 20 000 x 300", 1, None, 5,
             ("retrieval-bare", "retrieval scores beside bare products", 1.6)),
    Workload("vectors-bin", "vectors", "word2vec binary, 200 000 words", 1, None, 3),
    Workload("vectors-bin-some", "vectors", "word2vec binary, one word in 50 kept", 1, 1 / 3, 3),
    Workload("vectors-bin-first", "vectors", "word2vec binary, the first 20 000 words", 1, None, 3),
    Workload("vectors-vec", "vectors", ".vec text, 50 000 words", 1, 0.1, 3),
    Workload("vectors-vec-some", "vectors", ".vec text, one word in 50 kept", 1, None, 3),
    Workload("vectors-vec-first", "vectors", ".vec text, the first 20 000 words", 1, None, 3),
    Workload("tokenize-roberta", "tokenize", "roberta-base's tokens of 20 000 tweets", 1, 1.0),
    Workload("tokenize-bert", "tokenize", "bert-base-uncased's tokens of 20 000 tweets", 1, 1.0),
    Workload("tokenize-e5", "tokenize", "multilingual E5's tokens of 20 000 tweets", 1, 1.0),
]  # fmt: skip
GROUPS = ["ops"] + list(dict.fromkeys(w.group for w in WORKLOADS))

# How contenders are called in tables, where their own name is not plain enough.
PLAIN = {
    "pytorch": "PyTorch", "pytorch-fused": "PyTorch, fused Adam", "pytorch-channels_last": "PyTorch channels_last",
    "pytorch-channels_last-fused": "PyTorch channels_last, fused Adam", "compile-fused": "torch.compile, fused Adam",
    "compile-channels_last-fused": "torch.compile channels_last, fused Adam",
    "padded-eager": "transformers eager, padded", "padded-sdpa": "transformers sdpa, padded",
    "sorted-eager": "transformers eager, sorted by length", "sorted-sdpa": "transformers sdpa, sorted by length",
    "sorted-compile": "transformers with torch.compile, sorted by length",
    "eager": "transformers eager", "sdpa": "transformers sdpa", "eager-fused": "transformers eager, fused Adam",
    "sdpa-fused": "transformers sdpa, fused Adam", "retrieval-bare": "Koine's products alone",
    "encode_batch": "tokenizers", "encode_batch_fast": "tokenizers, encode_batch_fast",
}  # fmt: skip


def plain(contender):
    return PLAIN.get(contender, contender)


# ---- what is measured ------------------------------------------------------------------------------------------------


def make_texts():
    """texts.txt: the tweets of KOINE_DATA again and again, one a line. Gives why there are none, or None."""
    root = os.environ.get("KOINE_DATA")
    if not root:
        return "KOINE_DATA is not set"
    texts = []
    for path in sorted(pathlib.Path(root, "sentiment").glob("*/*.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            texts += [" ".join(row["text"].splitlines()) for row in csv.DictReader(file)]
    if not texts:
        return f"there is no sentiment/*/*.csv in {root}"
    many = (texts * (N_TEXTS // len(texts) + 1))[:N_TEXTS]
    (FILES / "texts.txt").write_text("".join(text + "\n" for text in many), encoding="utf-8")
    return None


def start_peers(python, environment_, device):
    """Those that this interpreter can import, by name; what the others lack is said."""
    wanted = {"PyTorch": ["peer.py", "eager"], "torch.compile": ["peer.py", "compile"]}
    if device == "cpu":
        wanted["numpy"], wanted["gensim"] = ["numpy_peer.py"], ["word_vectors_peer.py"]
        wanted["tokenizers"] = ["tokenizers_peer.py"]
    peers, versions = {}, {}
    for name, (script, *words) in wanted.items():
        patience_s = 300 if name == "torch.compile" else 900
        try:
            server = Server([python, str(HERE / script), *words], environment_, patience_s)
            versions.update(line.split(" ", 2)[1:] for line in server.ask("about"))
            peers[name] = server
        except Refused as refused:
            note(f"No {name}: {refused}")
    if "PyTorch" not in peers:
        note(f"No PyTorch in {python}: its lines are ours alone. PYTHON=... names another interpreter.")
    return peers, versions


class Run:
    """Servers and what they have found."""

    def __init__(self, koine, peers, n_rounds):
        self.koine, self.peers, self.n_rounds, self.watch = koine, peers, n_rounds, Watch()
        self.failed = {}  # by workload: why a contender has no times
        self.n_agreed = 0
        ours = set(koine.ask("names"))
        self.workloads = [w for w in WORKLOADS if w.name in ours]
        self.contenders = {w.name: {} for w in WORKLOADS}  # by workload: servers' names by contender
        for peer, server in peers.items():
            for name in server.ask("names"):
                workload, contender = name.split("/", 1)
                self.contenders[workload][contender] = peer

    def choose(self, groups):
        self.workloads = [w for w in self.workloads if w.group in groups or w.name in groups]

    def fails(self, workload, contender, refused):
        """torch.compile may fail, which is said; anybody else's failure ends the run."""
        peer = self.contenders[workload.name].pop(contender)
        if peer != "torch.compile":
            sys.exit(f"{workload.name}/{contender}: {refused}")
        self.failed.setdefault(workload.name, {})[contender] = str(refused)
        note(f"{workload.name}/{contender}: {refused}")
        old = self.peers[peer]
        if not old.is_alive():
            self.peers[peer] = Server(old.command, old.environment, old.patience_s)

    def check(self):
        """All contenders compute the same, or the run ends here."""
        for workload in self.workloads:
            contenders = dict(self.contenders[workload.name])
            if not contenders:
                continue
            progress(f"comparing: {workload.name}")
            ours = self.koine.values(f"check {workload.name}")
            for contender, peer in contenders.items():
                try:
                    theirs = self.peers[peer].values(f"check {workload.name}/{contender}")
                except Refused as refused:
                    self.fails(workload, contender, refused)
                    continue
                wrong = [f"{q} {ours[q]:.10g} and {theirs[q]:.10g}" if q in ours else f"{q}: not ours" for q in theirs
                         if q not in ours or report.differs(q, ours[q], theirs[q])]  # fmt: skip
                if wrong or not theirs:
                    sys.exit(f"{workload.name}/{contender} computes something else: {'; '.join(wrong) or 'nothing'}")
                self.n_agreed += len(theirs)
        progress("")
        if self.n_agreed:
            note(f"{self.n_agreed} results of the peers agree with ours.")

    def turn(self, server, name, n_steps):
        return self.watch.turn(server, [self.koine, *self.peers.values()], f"turn {name} {n_steps}")

    def time(self, workload):
        """(ms of ours in each round, facts, ms of the contenders in each round)"""
        n_rounds = min(self.n_rounds, workload.max_rounds)
        ours, beside, facts = [], [], {}
        times = {contender: [] for contender in self.contenders[workload.name]}
        for i in range(n_rounds):
            progress(f"{workload.name}: round {i + 1} of {n_rounds}")
            facts = self.turn(self.koine, workload.name, workload.n_steps)
            ours.append(facts.pop("ours"))
            if workload.beside:
                beside.append(self.turn(self.koine, workload.beside[0], workload.n_steps)["ours"])
            for contender in list(times):
                peer = self.contenders[workload.name].get(contender)
                if peer is None:
                    times[contender].append(None)
                    continue
                try:
                    values = self.turn(self.peers[peer], f"{workload.name}/{contender}", workload.n_steps)
                    times[contender].append(values["ms"])
                except Refused as refused:
                    self.fails(workload, contender, refused)
                    del times[contender]
            if i == 1 and times:  # one turn alone may have been disturbed
                fastest = min(min(values) for values in times.values())
                for contender, values in times.items():
                    if min(values) > TOO_SLOW * fastest:
                        self.forget(f"{workload.name}/{contender}", self.contenders[workload.name].pop(contender))
        self.koine.ask(f"forget {workload.name}")
        if workload.beside:
            self.koine.ask(f"forget {workload.beside[0]}")
        for contender, peer in self.contenders[workload.name].items():
            self.forget(f"{workload.name}/{contender}", peer)
        progress("")
        return ours, facts, times, beside

    def gemm_gflops(self):
        """The speed of our own product of 1024: the yardstick of all others."""
        turns = [self.turn(self.koine, "gemm-1024", 15) for _ in range(min(self.n_rounds, 5) + 1)][1:]
        self.koine.ask("forget gemm-1024")
        return 1e3 * turns[0]["gflop"] / report.quantile([t["ours"] for t in turns], 0.5)

    def forget(self, name, peer):
        self.peers[peer].ask(f"forget {name}")

    def rows(self):
        """Of the table, and the yardstick in GF/s."""
        found, gemm = [], self.gemm_gflops()
        for workload in self.workloads:
            ours, facts, times, beside = self.time(workload)
            failed = self.failed.get(workload.name, {})
            row = report.row_of(workload.what, ours, times, failed, facts, workload.goal, gemm)
            row["workload"] = workload.name
            found.append(row)
            if workload.beside:
                name, what, goal = workload.beside
                row = report.row_of(what, ours, {name: beside}, {}, facts, goal, gemm)
                found.append({**row, "workload": f"{workload.name} beside {name}"})
        return found, gemm


# ---- commands --------------------------------------------------------------------------------------------------------


def bench(writes_readme):
    python = os.environ.get("PYTHON") or "python3"
    device = os.environ.get("DEVICE") or "cpu"
    n_rounds = rounds(9)
    groups = (os.environ.get("WORKLOADS") or " ".join(GROUPS)).split()
    unknown = [g for g in groups if g not in GROUPS and g not in [w.name for w in WORKLOADS]]
    if unknown:
        sys.exit(f"WORKLOADS={' '.join(groups)}; want WORKLOADS out of {' '.join(GROUPS)}")
    if writes_readme and os.environ.get("WORKLOADS"):
        sys.exit("The section of README.md has all workloads: README=1 and WORKLOADS do not go together.")
    FILES.mkdir(parents=True, exist_ok=True)
    threads = int(os.environ.get("OMP_NUM_THREADS") or machine()["cores"])
    variables = environment(threads, device)

    if device == "cpu":
        for group, why in (("tokenize", make_texts), ("vectors", lambda: make_vectors(python))):
            reason = why() if any(g.split("-")[0] == group for g in groups) else None
            if reason:
                note(f"No {group}: {reason}")
    ops = []
    if "ops" in groups:
        done = subprocess.run([program(), "ops"], env=variables, stdout=subprocess.PIPE, text=True)
        print(done.stdout, flush=True)
        if done.returncode:
            sys.exit(f"{program()} ops failed")
        ops = report.op_rows(done.stdout)
    if groups == ["ops"]:
        return

    koine = Server([program(), "serve"], variables)
    versions = dict(line.split(" ", 2)[1:] for line in koine.ask("about"))
    peers, peer_versions = start_peers(python, variables, device)
    versions.update(peer_versions)
    run = Run(koine, peers, n_rounds)
    run.choose(groups)
    run.check()
    rows, gemm = run.rows()
    for server in [koine, *run.peers.values()]:
        server.end()

    shares = {key: round(value, 4) for key, value in run.watch.shares().items()}
    result = {
        "date": datetime.date.today().isoformat(), "commit": commit(), "machine": machine(), "threads": threads,
        "device": device, "versions": versions, "rounds": n_rounds, "n_results_agreed": run.n_agreed,
        "cpu_beside_turns": shares, "gemm_gflops": gemm, "rows": rows, "ops": ops,
    }  # fmt: skip
    (BUILD / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
    print(report.details(rows, plain))
    where = f"{result['machine']['short']}, {threads} threads, {versions['blas']}"
    print(f"# {result['date']}, {where}, medians of {n_rounds} rounds")
    print("# ratio: ours to the best peer's in the same round, with quartiles; goal: the largest that was aimed at")
    print(report.table(rows, plain))
    is_disturbed = shares["other_programs"] > 0.05 or shares["waiting_peers"] > 0.02
    if is_disturbed:
        note("These times are not to be trusted: other programs had {other_programs:.0%} of the CPU during turns, "
             "waiting peers {waiting_peers:.0%}.".format(**shares))  # fmt: skip
    print(f"All of it: {BUILD / 'bench.json'}")
    if writes_readme and is_disturbed:
        sys.exit("README.md is as it was: what it says of times should be right.")
    if writes_readme:
        write_readme(result)


def write_readme(result):
    v, peers = result["versions"], ("torch", "transformers", "numpy", "gensim", "tokenizers")
    words = [f"{'PyTorch' if p == 'torch' else p} {v[p].split('+')[0]}" for p in peers if p in v]
    about = {"machine": result["machine"]["short"], "date": result["date"], "pairs": result["rounds"],
             "software": ", ".join([v["blas"], *words])}  # fmt: skip
    readme = ROOT / "README.md"
    text = report.with_section(readme.read_text(encoding="utf-8"), report.section(result["rows"], plain, about))
    part = readme.with_name("README.md.part")
    part.write_text(text, encoding="utf-8")
    part.replace(readme)
    print(f"Written: the section of {readme}")


def main(words):
    if words == ["--self-test"]:
        report.self_test()
        assert plain("pytorch") == "PyTorch" and plain("numpy") == "numpy"
        assert re.fullmatch(r"\d+ cores of an? .+", machine()["short"])
        print("self-test passed")
    elif words == ["--scaling"]:
        scaling.run()
    elif words in ([], ["--readme"]):
        bench(bool(words))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Refused as refused:
        sys.exit(f"A server failed: {refused}")
    except OSError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
