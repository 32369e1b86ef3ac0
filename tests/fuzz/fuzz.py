"""Runs the fuzz targets for the Makefile; see README.md.

    fuzz.py seeds NAME...            everything that runs begin with, into build/fuzz/seeds/NAME
    fuzz.py fuzz NAME SECONDS        one target; its corpus grows in build/fuzz/corpus/NAME
    fuzz.py replay NAME              every seed once
    fuzz.py corpus NAME              the fewest inputs that reach what all known ones do, as corpus/NAME.tar.xz
    fuzz.py samples TESTS            the files that the tests write, damaged or not, into build/fuzz/samples
    fuzz.py table NAME...            what the last runs did; fails if one of them found something
"""

import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

import make_seeds

HERE = pathlib.Path(__file__).parent
BUILD = pathlib.Path("build/fuzz")
MAX_INPUT = 65536
MAX_MB = 512  # of the process; a single block may have half of it
LIMITS = [f"-max_len={MAX_INPUT}", "-timeout=5", f"-rss_limit_mb={MAX_MB}", f"-malloc_limit_mb={MAX_MB // 2}"]
SANITIZERS = "detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=0"

# Which samples of the tests a target gets, by their ids in the catalogue of bad inputs or their tag, and the bytes that
# stand before each: what chooses how it is read.
SAMPLES = {
    "fuzz_gzip": ("G", [b"\0\x40", b"\1\x40"]),
    "fuzz_idx": ("G", [b"\0", b"\4"]),
    "fuzz_cifar": ("C", [b"\0", b"\2", b"\3", b"\4", b"\5"]),
    "fuzz_word_vectors": ("WV", [b"\0", b"\1", b"\2", b"\4"]),
    "fuzz_fasttext": ("F", [b""]),
    "fuzz_safetensors": ("S", [b"\0\0"]),
    "fuzz_weights": ("SP", [b"\0"]),
    "fuzz_checkpoint": ("SX", [b"\0", b"\1"]),
    "fuzz_torch": ("P", [b"\0", b"\1"]),
    "fuzz_zip": ("P", [b"\0", b"\1"]),
    "fuzz_json": ("J", [b""]),
    "fuzz_config": ("J", [b""]),
    "fuzz_tokenizer_json": ("J", [b""]),
    "fuzz_tokenizer_files": ("JT", [b"\0", b"\1", b"\2", b"\3", b"\4"]),
    "fuzz_sentencepiece": ("T", [b"\0", b"\1", b"\2"]),
    "fuzz_protobuf": ("T", [b""]),
    "fuzz_csv": ("D", [b"\4", b"\1\4", b"\x0c"]),
    "fuzz_sentiment": ("D", [b"\0"]),
    "fuzz_parallel_texts": ("D", [b"\0"]),
}


def folder_of(kind, name):
    folder = BUILD / kind / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def packed(name):
    return HERE / "corpus" / f"{name}.tar.xz"


def save(folder, contents):
    (folder / hashlib.sha1(contents).hexdigest()).write_bytes(contents)


def seeds(names):
    shutil.rmtree(BUILD / "seeds", ignore_errors=True)
    make_seeds.main(BUILD / "seeds")
    for name in names:
        folder = folder_of("seeds", name)
        if packed(name).exists():
            with tarfile.open(packed(name)) as archive:
                for member in archive:
                    save(folder, archive.extractfile(member).read())


def call(name, arguments, log):
    """Runs a target, and returns its exit code."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ASAN_OPTIONS": SANITIZERS}
    findings = folder_of("findings", name).resolve()  # absolute: a target may be in another folder when it fails
    command = [BUILD / name, *LIMITS, f"-artifact_prefix={findings}/", *dictionary(name), *arguments]
    in_memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with open(log, "w") as out, tempfile.TemporaryDirectory(prefix="koine-fuzz-", dir=in_memory) as scratch:
        environment["KOINE_FUZZ_FOLDER"] = scratch
        return subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, env=environment).returncode


def dictionary(name):
    """libFuzzer takes one: those of the target and of what it shares are put together."""
    words = [(HERE / "dict" / f"{part}.dict").read_text() for part in DICTIONARIES.get(name, [])]
    if not words:
        return []
    path = BUILD / f"{name}.dict"
    path.write_text("".join(words))
    return [f"-dict={path}"]


DICTIONARIES = {
    "fuzz_safetensors": ["safetensors"],
    "fuzz_checkpoint": ["safetensors", "checkpoint"],
    "fuzz_weights": ["safetensors", "parts", "pickle", "zip"],
    "fuzz_torch": ["pickle", "zip"],
    "fuzz_zip": ["zip"],
    "fuzz_json": ["json"],
    "fuzz_config": ["json", "config"],
    "fuzz_encoder": ["json", "config", "safetensors", "parts"],
    "fuzz_tokenizer_json": ["json", "tokenizer"],
    "fuzz_tokenizer_files": ["json", "tokenizer", "parts"],
    "fuzz_run_folder": ["json", "run", "checkpoint", "parts"],
    "fuzz_word_vectors": ["numbers"],
    "fuzz_csv": ["csv"],
    "fuzz_sentiment": ["csv", "parts"],
    "fuzz_parallel_texts": ["csv", "parts"],
    "fuzz_images": ["csv", "parts"],
    "fuzz_idx": ["parts"],
    "fuzz_cifar": ["tar"],
    "fuzz_encode": ["text"],
    "fuzz_encode_trained": ["text"],
}


def run(name, arguments):
    start = time.time()
    log = BUILD / f"{name}.log"
    code = call(name, ["-print_final_stats=1", "-close_fd_mask=3", *arguments], log)
    result = {"code": code, "seconds": time.time() - start}
    (BUILD / f"{name}.json").write_text(json.dumps(result))
    if code != 0:
        print("\n".join(log.read_text(errors="replace").splitlines()[-60:]))


def table(names):
    heads = [("target", -22), ("executions", 11), ("a second", 9), ("seconds", 8), ("edges", 7), ("new inputs", 10)]
    heads.append(("MB", 5))
    print(" ".join(f"{head:{'>' if width > 0 else '<'}{abs(width)}}" for head, width in heads) + "  finding")
    failed = []
    for name in names:
        result = json.loads((BUILD / f"{name}.json").read_text())
        log = (BUILD / f"{name}.log").read_text(errors="replace")

        def stat(what):
            found = re.search(rf"stat::{what}:\s+(\d+)", log)
            return int(found[1]) if found else 0

        edges = re.findall(r" cov: (\d+) ", log)
        n, seconds = stat("number_of_executed_units"), result["seconds"]
        print(
            f"{name:22} {n:11} {n / seconds:9.0f} {seconds:8.1f} {edges[-1] if edges else '?':>7} "
            f"{stat('new_units_added'):10} {stat('peak_rss_mb'):5}  {'YES' if result['code'] else 'none'}"
        )
        if result["code"]:
            failed.append(name)
    for name in failed:
        inputs = sorted(str(path) for path in folder_of("findings", name).iterdir())
        print(f"{name}: build/fuzz/{name}.log; {' '.join(inputs) or 'no input was kept'}")
    return 1 if failed else 0


def corpus(name):
    letters, starts = SAMPLES.get(name, ("", []))
    samples = folder_of("prepared", name)
    for letter in letters:
        for path in folder_of("samples", letter).iterdir():
            for start in starts:
                save(samples, start + path.read_bytes())
    smallest = BUILD / "merged" / name
    shutil.rmtree(smallest, ignore_errors=True)
    smallest.mkdir(parents=True)
    log = BUILD / f"{name}.merge.log"
    known = [folder_of(kind, name) for kind in ("seeds", "corpus", "prepared", "findings")]
    if call(name, ["-merge=1", "-max_len=16384", smallest, *known], log) != 0:
        sys.exit(f"{name}: see {log}")
    packed(name).parent.mkdir(exist_ok=True)
    inputs = sorted(smallest.iterdir())
    with tarfile.open(packed(name), "w:xz", preset=9) as archive:
        for i, path in enumerate(inputs):
            contents = path.read_bytes()
            member = tarfile.TarInfo(f"{i:04}")  # no times, no owners: the same bytes for the same inputs
            member.size = len(contents)
            archive.addfile(member, io.BytesIO(contents))
    print(f"  {name}: {len(inputs)} inputs, {packed(name).stat().st_size / 1024:.0f} KB")


def samples(program):
    """Tests are chosen by the ids of the catalogue in their tags: a letter stands for a format. Without real data."""
    tags = subprocess.run([program, "--list-tags"], capture_output=True, text=True).stdout
    ids = re.findall(r"\[([A-Z])(\d+)\]", tags)
    for letter in sorted({letter for letters, _ in SAMPLES.values() for letter in letters}):
        folder = folder_of("samples", letter).resolve()
        wanted = ",".join(f"[{letter}{number}]" for found, number in ids if found == letter)
        environment = {**os.environ, "KOINE_SAMPLES": str(folder)}
        environment.pop("KOINE_DATA", None)
        subprocess.run([program, wanted, "--use-colour", "no"], env=environment, stdout=subprocess.DEVNULL)
        print(f"  samples  {letter}: {len(list(folder.iterdir()))} files")


def main(command, arguments):
    if command == "seeds":
        seeds(arguments)
    elif command == "fuzz":
        name, seconds = arguments
        run(name, [f"-max_total_time={seconds}", folder_of("corpus", name), folder_of("seeds", name)])
    elif command == "replay":
        run(arguments[0], ["-runs=0", folder_of("seeds", arguments[0])])
    elif command == "table":
        sys.exit(table(arguments))
    elif command == "corpus":
        corpus(arguments[0])
    elif command == "samples":
        samples(arguments[0])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
