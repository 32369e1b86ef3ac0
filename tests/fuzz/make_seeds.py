"""Small files of every format that the loaders read, for the fuzz targets to begin with; those of texts, tables and
whole folders are made by folder_seeds.py.

    python3 tests/fuzz/make_seeds.py FOLDER     writes FOLDER/TARGET/* for each target
"""

import gzip
import io
import json
import pathlib
import struct
import sys
import tarfile
import zipfile

import folder_seeds

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
WORDS = ["the", "</s>", "café", "of"]
DIM = 3
BUCKETS = 7
KEPT = [(5, 1), (0, 0)]  # if pruned: (bucket, row behind the words)
CENTROIDS = 256


def vector(row, dim=DIM):
    return [((row * dim + i) * 37 % 101) / 16 - 3 for i in range(dim)]


def floats(numbers):
    return b"".join(struct.pack("<f", x) for x in numbers)


def word2vec(end):
    """The binary format; `end` stands behind each record."""
    records = [word.encode() + b" " + floats(vector(i)) + end for i, word in enumerate(WORDS)]
    return b"%d %d\n" % (len(WORDS), DIM) + b"".join(records)


def glove():
    return "".join(f"{word} {' '.join(map(str, vector(i)))}\n" for i, word in enumerate(WORDS)).encode()


def vec():
    """Text with a header, as fastText writes it."""
    return b"%d %d\n" % (len(WORDS), DIM) + glove()


def dense(rows, dim):
    return struct.pack("<qq", rows, dim) + b"".join(floats(vector(i, dim)) for i in range(rows))


def quantised(rows, dim, has_norms):
    part = 2 if dim > 1 else 1
    n_parts = (dim + part - 1) // part
    codes = bytes(i * 29 % 256 for i in range(n_parts * rows))
    out = struct.pack("<Bqqi", has_norms, rows, dim, len(codes)) + codes
    out += struct.pack("<4i", dim, n_parts, part, dim - (n_parts - 1) * part)
    out += floats(i % 211 / 32 - 3 for i in range(CENTROIDS * dim))
    if has_norms:
        out += bytes(i % 256 for i in range(rows)) + struct.pack("<4i", 1, 1, 1, 1)
        out += floats(i / 64 + 0.5 for i in range(CENTROIDS))
    return out


def head(version, n_buckets, dim, kept):
    """Everything before the matrices; data/fasttext.cpp begins with the layout. Version 0 is without magic."""
    out = struct.pack("<2i", 793712314, version) if version else b""
    out += struct.pack("<12id", dim, 5, 1, 1, 5, 1, 2, 2, n_buckets, 1, 3, 100, 1e-4)
    out += struct.pack("<3iq", len(WORDS), len(WORDS), 0, 404)
    if version:
        out += struct.pack("<q", len(kept) if kept else -1)
    for word in WORDS:
        out += word.encode() + struct.pack("<Bqb", 0, 12, 0)
    return out + b"".join(struct.pack("<2i", *k) for k in kept)


def fasttext(version):
    flag = b"\0" if version else b""
    n = len(WORDS)
    return head(version, BUCKETS, DIM, []) + flag + dense(n + BUCKETS, DIM) + flag + dense(n, DIM)


def fasttext_quantised():
    """Of everything: parts of two numbers and of one, norms, a quantised output matrix."""
    n = len(WORDS)
    return head(12, BUCKETS, DIM, []) + b"\1" + quantised(n + BUCKETS, DIM, True) + b"\1" + quantised(n, DIM, True)


def fasttext_pruned():
    """As small as it can be: most bytes of a quantised model are centroids, where a change does nothing."""
    n = len(WORDS)
    return head(12, BUCKETS, 1, KEPT) + b"\1" + quantised(n + len(KEPT), 1, False) + b"\0" + dense(n, 1)


def records(labels, has_superclass):
    """CIFAR: label bytes and 3072 pixels each."""
    return b"".join((bytes([label % 20]) if has_superclass else b"") + bytes([label]) + bytes(3072) for label in labels)


def tar(form):
    """A folder, files, a link, and a name that is too long for the header."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        long_name = "set/" + "n" * 90 + "/" + "m" * 40
        for name, contents in [("set/test.bin", records([7], True)), ("names.txt", b"a\nb\n"), (long_name, b"long")]:
            info = tarfile.TarInfo(name)
            info.size = len(contents)
            archive.addfile(info, io.BytesIO(contents))
        for name, kind in [("set", tarfile.DIRTYPE), ("link", tarfile.SYMTYPE)]:
            info = tarfile.TarInfo(name)
            info.type = kind
            archive.addfile(info)
    return out.getvalue()


def cifar():
    """The first byte says what the rest is."""
    archives = {
        "ustar": tar(tarfile.USTAR_FORMAT),
        "gnu": tar(tarfile.GNU_FORMAT),
        "pax": tar(tarfile.PAX_FORMAT),
    }
    archives["ustar.gz"] = gzip.compress(archives["ustar"], mtime=0)
    seeds = {}
    for name, archive in archives.items():
        seeds[name] = b"\0" + archive
        seeds[f"{name}-repaired"] = b"\1" + archive
        seeds[f"{name}-file"] = b"\2" + archive
    seeds["ten"] = b"\3" + records([3, 9], False)
    seeds["hundred"] = b"\4" + records([19, 99], True)
    seeds["names"] = b"\5apple\naquarium fish\r\ncaf\xc3\xa9\n\n"
    return seeds


def torch_files():
    """Real files of both layouts, and their pickles alone. The first byte says what the rest is."""
    seeds = {}
    for path in sorted((GOLDEN / "torch").glob("*.bin")):
        contents = path.read_bytes()
        seeds[path.stem] = b"\0" + contents
        if contents.startswith(b"PK"):
            pickle = zipfile.ZipFile(path).read(f"{path.stem}/data.pkl")
            seeds[f"{path.stem}-repaired"] = b"\1" + contents
            seeds[f"{path.stem}-pickle"] = b"\3" + pickle
        else:
            seeds[f"{path.stem}-headless"] = b"\2" + contents[15:]  # behind the magic number
    deflated = io.BytesIO()
    with zipfile.ZipFile(GOLDEN / "torch" / "views.bin") as source:
        with zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in source.namelist():
                archive.writestr(name, source.read(name))
    seeds["deflated"] = b"\0" + deflated.getvalue()
    return seeds


def safetensors():
    """The first byte: a file, or a header alone; the second: its values, in units of 4 bytes."""
    header = (
        b'{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},'
        b'"b":{"dtype":"BOOL","shape":[4],"data_offsets":[8,12]},"c":{"dtype":"F16","shape":[0,3],"data_offsets":[12,12]}}'
    )
    values = floats([1.5, -2]) + bytes([0, 1, 1, 0])
    return {
        "file": b"\0\0" + struct.pack("<Q", len(header)) + header + values,
        "header": b"\1\3" + header,
        "none": b"\1\0{}",
    }


def tokenizer_json():
    """The tokenizers of the golden tests, and small ones: most bytes of a real one are its vocabulary."""
    golden = json.loads((GOLDEN / "tokenizer_json.json").read_text())["tokenizers"]
    files = {name: case["file"] for name, case in golden.items()}
    for name, file in list(files.items()):
        model = {**file["model"]}
        if isinstance(model["vocab"], dict):
            special = {token["content"] for token in file["added_tokens"]}
            model["vocab"] = {t: i for t, i in model["vocab"].items() if t in special or len(t) == 1}
            model["merges"] = []
        else:
            model["vocab"] = model["vocab"][:40]
        files[f"{name}-small"] = {**file, "model": model}
    return {name: json.dumps(file, separators=(",", ":")).encode() for name, file in files.items()}


def main(folder):
    models = {
        "v12": fasttext(12),
        "v11": fasttext(11),
        "no_magic": fasttext(0),
        "quantised": fasttext_quantised(),
        "pruned": fasttext_pruned(),
    }
    models["v12.gz"] = gzip.compress(models["v12"], mtime=0)
    vectors = {
        "word2vec": word2vec(b""),
        "word2vec_lines": word2vec(b"\n"),
        "word2vec.gz": gzip.compress(word2vec(b"\n"), mtime=0),
        "vec": vec(),
        "glove": glove(),
        "glove_crlf": b"\xef\xbb\xbf" + glove().replace(b"\n", b"\r\n"),
        **models,
    }
    seeds = {f"fuzz_fasttext/{name}": seed for name, seed in models.items()}
    seeds.update({f"fuzz_cifar/{name}": seed for name, seed in cifar().items()})
    seeds.update({f"fuzz_torch/{name}": seed for name, seed in torch_files().items()})
    seeds.update({f"fuzz_safetensors/{name}": seed for name, seed in safetensors().items()})
    seeds.update({f"fuzz_tokenizer_json/{name}": seed for name, seed in tokenizer_json().items()})
    # The first byte chooses the layout of the ids.
    for path in sorted((GOLDEN / "sentencepiece").glob("*.model")):
        for layout in range(3):
            seeds[f"fuzz_sentencepiece/{path.stem}-{layout}"] = bytes([layout]) + path.read_bytes()
    # The first byte chooses the tokenizer.
    for i, text in enumerate(json.loads((GOLDEN / "tokenizer.json").read_text())["texts"]):
        seeds[f"fuzz_encode/{i}"] = bytes([i % 4 + 64]) + text.encode()
    # The first byte chooses the options of load_word_vectors: none, and strict.
    for name, seed in vectors.items():
        seeds[f"fuzz_word_vectors/{name}"] = b"\0" + seed
        seeds[f"fuzz_word_vectors/{name}-strict"] = b"\1" + seed
    for target, files in folder_seeds.all_seeds().items():
        seeds.update({f"{target}/{name}": seed for name, seed in files.items()})
    for name, seed in seeds.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(seed)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
