"""What run.py and scaling.py share: servers and what they say, the files that they read, the machine. Needs nothing but
the standard library."""

import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build"
FILES = BUILD / "bench"  # what is made once and read by all: word vectors, texts, codes

PAUSE_S = 0.1  # after a turn threads still spin for some ms


def note(text):
    print(text, file=sys.stderr, flush=True)


def progress(text):
    if sys.stderr.isatty():
        print(f"\r{text:60}\r{text}", end="", file=sys.stderr, flush=True)


def program():
    return os.environ.get("BENCH") or str(BUILD / "float-native/koine_bench")


def rounds(otherwise):
    text = os.environ.get("PAIRS") or str(otherwise)
    if not text.isdecimal() or int(text) < 1:
        sys.exit(f"PAIRS={text}; want a number of 1 or more")
    return int(text)


class Refused(Exception):
    """A server answered that something went wrong, too late, or not at all."""


class Server:
    """A process that answers commands: koine_bench or a peer."""

    def __init__(self, command, environment, patience_s=900):
        self.command, self.environment, self.patience_s = command, environment, patience_s
        self.words = tempfile.TemporaryFile("w+")  # what it says on stderr
        pipe = subprocess.PIPE
        try:
            self.process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=self.words)
        except OSError as error:
            raise Refused(f"cannot start {command[0]}: {error.strerror}")
        self.rest = b""

    def ask(self, command):
        """The lines of the answer. Refused when there is none."""
        try:
            self.process.stdin.write(command.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Refused(self.last_words())
        lines, end = [], time.monotonic() + self.patience_s
        while True:
            while b"\n" in self.rest:
                line, self.rest = self.rest.split(b"\n", 1)
                if line == b".":
                    refusals = [line for line in lines if line.startswith("! ")]
                    if refusals:
                        raise Refused(refusals[0][2:])
                    return lines
                lines.append(line.decode())
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            if not ready:
                self.stop()
                raise Refused(f"no answer in {self.patience_s} s")
            chunk = os.read(self.process.stdout.fileno(), 65536)
            if not chunk:
                raise Refused(self.last_words())
            self.rest += chunk

    def values(self, command):
        """Numbers by quantity, from lines "name quantity value"."""
        return {quantity: float(value) for _, quantity, value in (line.split() for line in self.ask(command))}

    def last_words(self):
        self.process.wait()
        self.words.seek(0)
        lines = self.words.read().strip().splitlines() or [f"ended with {self.process.returncode}"]
        return lines[-1]

    def is_alive(self):
        return self.process.poll() is None

    def end(self):
        """The end of its input is the end of a server."""
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.stop()

    def stop(self):
        self.process.kill()
        self.process.wait()

    def cpu_s(self):
        """Seconds of CPU that it and processes that it has waited for have used; 0 where there is no /proc."""
        try:
            fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return 0
        return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def busy_s():
    """Seconds of CPU that the whole machine has used, and those it had; zeros where there is no /proc."""
    try:
        fields = [int(x) for x in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except OSError:
        return 0, 0
    tick = os.sysconf("SC_CLK_TCK")
    return (sum(fields) - fields[3] - fields[4]) / tick, sum(fields) / tick


class Watch:
    """What else ran while somebody had a turn: peers that did not sleep, and other programs."""

    def __init__(self):
        self.had_s = self.others_s = self.peers_s = 0

    def turn(self, server, servers, command):
        waiting = [s for s in servers if s is not server and s.is_alive()]
        own, peers, (busy, had) = server.cpu_s(), sum(s.cpu_s() for s in waiting), busy_s()
        values = server.values(command)
        now_busy, now_had = busy_s()
        peers = sum(s.cpu_s() for s in waiting) - peers
        self.peers_s += peers
        self.others_s += max(0, now_busy - busy - (server.cpu_s() - own) - peers)
        self.had_s += now_had - had
        time.sleep(PAUSE_S)
        return values

    def shares(self):
        had = max(self.had_s, 1e-9)
        return {"waiting_peers": self.peers_s / had, "other_programs": self.others_s / had}


def environment(threads, device):
    found = {**os.environ, "DEVICE": device, "KOINE_BENCH": str(FILES), "PYTHONDONTWRITEBYTECODE": "1",
             "TOKENIZERS_PARALLELISM": "true", "RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads),
             "OPENBLAS_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads),
             "TORCHINDUCTOR_CACHE_DIR": str(FILES / "inductor"), "TORCHINDUCTOR_COMPILE_THREADS": "1",
             "HF_HUB_OFFLINE": "1"}  # fmt: skip
    found.pop("OMP_WAIT_POLICY", None)  # all of them may spin in their own turn
    return found


def make_vectors(python):
    """big.bin and big.vec. Gives why there are none, or None."""
    if all((FILES / name).exists() for name in ("big.bin", "big.vec")):
        return None
    note("Making two files of word vectors, 0.4 GB, once.")
    if shutil.which(python) is None:
        return f"there is no {python}"
    made = subprocess.run([python, HERE / "word_vectors_peer.py", "make", FILES], stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})  # fmt: skip
    return made.stderr.strip().splitlines()[-1] if made.returncode else None


# ---- the machine -----------------------------------------------------------------------------------------------------


def machine():
    """What is known of this machine: {"cpu", "cores", "short"}; short is for people."""
    info = {}
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            info.setdefault(key.strip(), value.strip())
    except OSError:
        info["model name"] = os.uname().machine
    cpu, flags = info.get("model name", os.uname().machine), info.get("flags", "").split()
    simd = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else ""
    zen = {"23": "Zen or Zen 2", "25": "Zen 4" if "avx512f" in flags else "Zen 3", "26": "Zen 5"}
    family = zen.get(info.get("cpu family"), "") if info.get("vendor_id") == "AuthenticAMD" else ""
    kind = ", ".join(word for word in (family, simd) if word)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    article = "an" if cpu[:1] in "AEIOU" else "a"
    short = f"{cores} core{'s' * (cores > 1)} of {article} {cpu}" + (f" ({kind})" if kind else "")
    return {"cpu": cpu, "kind": kind, "cores": cores, "short": short}


def commit():
    """Of this repository; "" where git or the repository is missing."""
    found = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else ""
