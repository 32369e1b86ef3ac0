"""Seeds for the fuzz targets that read texts, tables and whole folders; make_seeds.py writes them.

An input that stands for several files has them one behind the other, with MARK between them (fuzz_file.h).
"""

import gzip
import io
import json
import pathlib
import struct
import tarfile
import zipfile
import zlib

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
MARK = b"<<>>"


def joined(*parts):
    return MARK.join(parts)


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def floats(n, start=0):
    return b"".join(struct.pack("<f", (i * 37 % 101) / 64 - 0.75) for i in range(start, start + n))


# ---- images --------------------------------------------------------------------------------------------------------


def idx(extents, values):
    return bytes([0, 0, 8, len(extents)]) + b"".join(struct.pack(">I", n) for n in extents) + bytes(values)


def idx_files():
    """The first byte: in memory, a file, inside gzip, images and labels; 4 more: an empty one will do."""
    images = idx([2, 3, 2], range(12))
    return {
        "images": b"\0" + images,
        "labels": b"\1" + idx([4], [3, 1, 9, 0]),
        "table-in-gzip": b"\2" + idx([2, 2], [1, 2, 3, 4]),
        "gzip": b"\0" + gzip.compress(images, mtime=0),
        "empty": b"\4" + idx([0, 28, 28], []),
        "pair": b"\3" + joined(images, idx([2], [7, 9])),
    }


def image_sets():
    """The first byte: MNIST, its subset, CIFAR-100 (8 more: its superclasses), an archive of CIFAR-10; 4: a limit."""
    pixels = [i % 256 for i in range(784)]
    rows = "".join(",".join(map(str, pixels[:784] + [label])) + "\n" for label in range(10))
    ten = bytes([3]) + bytes(3072)
    hundred = bytes([4, 30]) + bytes(3072)
    archive = io.BytesIO()
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in names:
            info = tarfile.TarInfo("cifar-10-batches-bin/" + name)
            info.size = len(ten)
            tar.addfile(info, io.BytesIO(ten))
    mnist = joined(
        idx([2, 2, 2], range(8)), idx([2], [5, 0]), idx([1, 2, 2], range(4)), gzip.compress(idx([1], [7]), mtime=0)
    )
    return {
        "mnist": b"\0" + mnist,
        "mnist-limited": b"\4" + mnist,
        "subset": b"\1" + gzip.compress(rows.encode(), 9, mtime=0),
        "cifar-100": b"\2" + joined(hundred, hundred, b"\n".join(b"class %d" % i for i in range(100))),
        "cifar-100-coarse": b"\x0e" + joined(hundred, hundred),
        "cifar-10": b"\3" + gzip.compress(archive.getvalue(), 9, mtime=0),
    }


# ---- bytes ---------------------------------------------------------------------------------------------------------


def gzip_files():
    """The first byte: a file in memory, a file, DEFLATE data, contents; the second: how much is read at once."""
    text = b"the quick brown fox, " * 20
    member = gzip.compress(text, mtime=0)
    named = b"\x1f\x8b\x08\x18\0\0\0\0\0\3name\0comment\0" + member[10:]
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    deflated = raw.compress(text) + raw.flush()
    return {
        "member": b"\0\7" + member,
        "two": b"\1\x40" + member + member,
        "named": b"\0\1" + named,
        "plain": b"\1\3" + text,
        "stored": b"\0\3" + gzip.compress(b"abc", 0, mtime=0),
        "deflate": b"\2\x20" + deflated,
        "contents": b"\3\5" + text,
    }


def zip_files():
    """The first byte: as it is, or with checksums made right."""
    seeds = {}
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        for is_stream in (False, True):
            out = io.BytesIO()
            if is_stream:
                out.seekable = lambda: False  # descriptors behind the contents
            with zipfile.ZipFile(out, "w", method) as archive:
                archive.writestr(zipfile.ZipInfo("model/data.pkl", (2020, 1, 1, 0, 0, 0)), b"abcabcabcabc", method)
                archive.writestr(zipfile.ZipInfo("model/data/0", (2020, 1, 1, 0, 0, 0)), bytes(40), method)
            for first in (b"\0", b"\1"):
                seeds[f"{method}-{is_stream}-{first[0]}"] = first + out.getvalue()
    return seeds


def protobuf_messages():
    def field(number, wire, contents):
        return bytes([number << 3 | wire]) + contents

    inner = field(1, 2, b"\3abc") + field(2, 5, struct.pack("<f", -1.5)) + field(3, 0, b"\2")
    return {
        "flat": inner + field(4, 1, bytes(8)) + field(5, 0, b"\xff" * 9 + b"\1"),
        "nested": field(1, 2, bytes([len(inner)]) + inner) * 3,
    }


# ---- texts ---------------------------------------------------------------------------------------------------------


def csv_tables():
    """The first byte: the delimiter, 4 a header, 8 Latin-1, 16 small limits."""
    quoted = b'text,label\n"a ""quoted"", one",positive\r\n"two\nlines",2\n,\n'
    return {
        "quoted": b"\4" + quoted,
        "bom": b"\4\xef\xbb\xbf" + quoted,
        "gzip": b"\4" + gzip.compress(quoted, mtime=0),
        "semicolons": b"\1a;b\r1;2\r3;4",
        "tabs": b"\x06a\tb\n1\t-5\n",
        "latin1": b"\x0cname,n\ncaf\xe9,12\n",
        "small": b"\x14a,b,c\n1,2,3\n",
    }


def sentiment_tables():
    """The first byte: 1 a text that is repaired; else three tables, 2 raw, 4 with a limit."""
    train = b'text,label\n"\\u0041 &amp; ""b""",negative\nok,neutral\nso good,positive\n'
    small = b"text,label\nfine,neutral\n"
    return {
        "tables": b"\0" + joined(train, small, small),
        "raw": b"\2" + joined(train, small, small),
        "limited": b"\4" + joined(train.replace(b"\n", b"\r\n"), small, gzip.compress(small, mtime=0)),
        "text": b"\1 \\ud83d\\ude00 &lt;b&gt; &#39;x&#39; \\\"\"\"a\"\" \\ud800 \t\n\xc2\xa0 caf\xc3\xa9 \\n",
    }


def parallel_texts():
    """The first byte: 1 the first gzipped, 2 the second."""
    en, it = b"One.\nTwo, three.\nFour\n", "Uno.\r\nDue, tre.\r\nPerch\u00e9\r\n".encode()
    return {
        "plain": b"\0" + joined(en, it),
        "gzipped": b"\3" + joined(en, it),
        "bom": b"\1" + joined(b"\xef\xbb\xbf" + en, it.rstrip()),
    }


def json_texts():
    texts = {
        "all": b'\xef\xbb\xbf {"a": [1, -2, 2.5e3, true, false, null], '
        b'"b": {"c": "\\u00e9\\ud83d\\ude00\\n", "d": {}}, "": ""}',
        "numbers": b"[0, -0, 1e308, 1E-7, 18446744073709551615, -9223372036854775808, 123456789012345678901]",
        "deep": b"[" * 60 + b"]" * 60,
        "string": '"caf\u00e9 \u65e5"'.encode(),
        "two_marks": b"\xef\xbb\xbf" * 2 + b"{}",
    }
    for model in ("bert", "roberta"):
        texts[model] = (GOLDEN / "pretrained" / model / "config.json").read_bytes()
    return texts


# ---- models --------------------------------------------------------------------------------------------------------


def tiny_config(**changes):
    config = {
        "model_type": "roberta",
        "vocab_size": 4,
        "hidden_size": 2,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 3,
        "max_position_embeddings": 4,
        "type_vocab_size": 1,
        "pad_token_id": 1,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-5,
    }
    return {**config, **changes}


def safetensors(tensors, metadata=None):
    """tensors: name -> (shape, bytes), all of F32."""
    header, values = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (shape, contents) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(values), len(values) + len(contents)]}
        values += contents
    text = compact(header)
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + values


def tiny_encoder():
    """The tensors of tiny_config(), under transformers' names."""
    shapes = {
        "embeddings.word_embeddings.weight": [4, 2],
        "embeddings.position_embeddings.weight": [4, 2],
        "embeddings.token_type_embeddings.weight": [1, 2],
    }

    def layer(name, weight):
        shapes[name + ".weight"], shapes[name + ".bias"] = weight, weight[:1]

    layer("embeddings.LayerNorm", [2])
    start = "encoder.layer.0."
    for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
        layer(start + part, [2, 2])
    layer(start + "attention.output.LayerNorm", [2])
    layer(start + "intermediate.dense", [3, 2])
    layer(start + "output.dense", [2, 3])
    layer(start + "output.LayerNorm", [2])
    tensors = {}
    for name, shape in shapes.items():
        n = shape[0] * (shape[1] if len(shape) > 1 else 1)
        tensors[name] = (shape, floats(n, len(tensors)))
    return tensors


def shards(tensors, ending):
    """An index and two files."""
    names = list(tensors)
    files = [f"model-0000{i}-of-00002.{ending}" for i in (1, 2)]
    halves = [names[::2], names[1::2]]
    index = {"metadata": {"total_size": 1}, "weight_map": {n: files[i] for i in (0, 1) for n in halves[i]}}
    return joined(compact(index), *(safetensors({n: tensors[n] for n in half}) for half in halves))


def configs():
    seeds = {f"{p.parent.name}": p.read_bytes() for p in sorted((GOLDEN / "pretrained").glob("*/config.json"))}
    seeds["tiny"] = compact(tiny_config())
    for kind in ("bert", "camembert", "xlm-roberta"):
        seeds[f"tiny-{kind}"] = compact(tiny_config(model_type=kind, hidden_act="gelu_new", is_decoder=False))
    return seeds


def encoders():
    """The first byte: shards, one safetensors file, one of torch.save, the cache of a hub."""
    config, tensors = compact(tiny_config()), tiny_encoder()
    tied = {**tensors, "lm_head.decoder.weight": tensors["embeddings.word_embeddings.weight"]}
    prefixed = {"roberta." + name: value for name, value in tied.items() if not name.startswith("lm_head")}
    legacy = GOLDEN / "pretrained" / "roberta-legacy"
    return {
        "shards": b"\0" + config + MARK + shards(tensors, "safetensors"),
        "one": b"\1" + joined(config, safetensors(tensors)),
        "tied": b"\1" + joined(config, safetensors(tied)),
        "prefixed": b"\1" + joined(config, safetensors(prefixed)),
        "legacy": b"\2" + joined((legacy / "config.json").read_bytes(), (legacy / "pytorch_model.bin").read_bytes()),
        "reference": b"\x030123abcd\n",
    }


def weights():
    """The first byte: one file, the weights of a folder, shards of safetensors or of torch.save."""
    tensors = {"a": ([2, 1], floats(2)), "b": ([0, 3], b""), "c": ([3], floats(3))}
    one = safetensors(tensors, {"format": "pt"})
    seeds = {"safetensors": b"\0" + one, "folder": b"\1" + one, "shards": b"\2" + shards(tensors, "safetensors")}
    for name in ("views", "views_legacy", "types"):
        contents = (GOLDEN / "torch" / f"{name}.bin").read_bytes()
        seeds[name] = b"\0" + contents
        seeds[f"{name}-folder"] = b"\x09" + contents
    golden = json.loads((GOLDEN / "torch" / "values.json").read_text())
    shard_of = {"views_legacy": "pytorch_model-00001-of-00002.bin", "types_legacy": "pytorch_model-00002-of-00002.bin"}
    index = {tensor["name"]: shard for name, shard in shard_of.items() for tensor in golden[name]["tensors"]}
    files = [(GOLDEN / "torch" / f"{name}.bin").read_bytes() for name in shard_of]
    seeds["torch-shards"] = b"\3" + joined(compact({"weight_map": index}), *files)
    return seeds


def checkpoint(tensors, metadata):
    """As save_checkpoint writes it, but for the checksum, which the target makes right."""
    return safetensors(tensors, {**metadata, "koine.version": "1", "koine.crc32": "00000000"})


def run_checkpoint():
    model = {"model.weight": ([3, 2], floats(6)), "model.bias": ([3], floats(3))}
    n = 32  # 9 parameters, each tensor of them on a boundary of its own
    state = {"optimizer.m": ([n], floats(n)), "optimizer.v": ([n], bytes(4 * n))}
    metadata = {"epoch": "3", "counter.optimizer.n_steps": "500", "anchors": "0123456789abcdef"}
    return checkpoint({**model, **state}, metadata)


def checkpoints():
    """The first byte: as it is, or with the checksum made right."""
    form = {"form.n_anchors": "0", "form.n_latent": "4", "form.is_paper": "1"}
    foreign = safetensors({"model.weight": ([3, 2], floats(6)), "model.bias": ([3], floats(3))})
    return {
        "run": b"\1" + run_checkpoint(),
        "form": b"\1" + checkpoint({"model.encoder.0.weight": ([1], floats(1))}, form),
        "foreign": b"\0" + foreign,
    }


def run_folders():
    """The first byte: config.json, env.json and train.csv; train.csv; anchors.json; that and a checkpoint."""
    config = {
        "experiment": "fuzz",
        "version": "0.1.0",
        "data": "",
        "data-set": "synthetic",
        "train-limit": 0,
        "test-limit": 0,
        "epochs": 1,
        "batch-size": 128,
        "lr": 0.001,
        "seed": 0,
        "seeds": 1,
        "protocol": "report",
        "full": False,
        "device": "cpu",
    }
    log = b"model,epoch,loss\nabsolute-0,1,0.5\nabsolute-0,2,0.25\nrelative-0,1,1e-3\n"
    anchors = {"data_set": "mnist", "hash": "0123", "split": "train", "strategy": "uniform", "seed": 0, "ids": [3, 1, 4]}
    form = {"form.n_anchors": "3", "form.n_latent": "0", "form.is_paper": "0", "anchors": "17b1ec70ec15fb4e"}
    saved = safetensors({"model.bias": ([3], floats(3))}, form)
    return {
        "config": b"\0" + joined(compact(config), compact({"version": "0.1.0", "threads": 2}), log),
        "config-full": b"\0" + joined(compact({**config, "full": True, "lr": 1}), b"{}", log[:20]),
        "log": b"\1" + log,
        "log-cut": b"\1" + log[:-7],
        "anchors": b"\2" + compact(anchors),
        "saved": b"\3" + joined(compact(anchors), saved),
    }


def tokenizer_folders():
    """The first byte: the family; then its files, tokenizer_config.json, special_tokens_map.json, added_tokens.json and
    config.json."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "a", "b", "ab", "\u0120", "\u0120a", "<mask>"]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    merges = "#version: 0.2\na b\n\u0120 a\n".encode()
    words = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##e\nt\nh\n.\n,\n"
    tokens = {"cls_token": "<s>", "sep_token": {"content": "</s>", "lstrip": False}, "mask_token": "<mask>"}
    tokens["pad_token"] = "<pad>"
    config = {
        "tokenizer_class": "RobertaTokenizer",
        "model_max_length": 512,
        "add_prefix_space": True,
        "added_tokens_decoder": {"10": {"content": "<new>", "special": True, "rstrip": True, "normalized": False}},
    }
    bert = {"tokenizer_class": "BertTokenizerFast", "do_lower_case": False, "tokenize_chinese_chars": True}
    model = (GOLDEN / "sentencepiece" / "unigram_spaces.model").read_bytes()
    bpe = (GOLDEN / "sentencepiece" / "bpe_unused.model").read_bytes()
    byte_level = GOLDEN / "tokenizer" / "byte_level"
    golden = json.loads((GOLDEN / "tokenizer_json.json").read_text())["tokenizers"]
    seeds = {
        "bpe": b"\0" + joined(compact(vocab), merges, compact(config), compact(tokens), compact({"<more>": 11}), b"{}"),
        "bpe-bare": b"\0" + joined(compact(vocab), merges),
        "bpe-trained": b"\0"
        + joined((byte_level / "vocab.json").read_bytes(), (byte_level / "merges.txt").read_bytes()),
        "wordpiece": b"\1" + joined(words, compact(bert), compact({"unk_token": "[UNK]"})),
        "wordpiece-trained": b"\1" + (GOLDEN / "tokenizer" / "wordpiece" / "vocab.txt").read_bytes(),
        "xlm": b"\2" + joined(model, compact({"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": 1e30})),
        "camembert": b"\2" + joined(model, b"", b"", b"", compact({"model_type": "camembert"})),
        "llama": b"\3" + joined(bpe, compact({"tokenizer_class": "LlamaTokenizer", "add_eos_token": True})),
        "t5": b"\3" + joined(model, compact({"tokenizer_class": "T5Tokenizer"})),
    }
    for name, case in golden.items():
        contents = compact(case["file"])
        if len(contents) < 12000:
            seeds[f"json-{name}"] = b"\4" + joined(contents, compact({"model_max_length": 128, "pad_token": "<pad>"}))
    return seeds


def texts_for_trained():
    """The first byte chooses the tokenizer; there are 13."""
    texts = json.loads((GOLDEN / "tokenizer.json").read_text())["texts"]
    return {f"{i}": bytes([i % 13]) + text.encode()[:4000] for i, text in enumerate(texts)}


def all_seeds():
    return {
        "fuzz_idx": idx_files(),
        "fuzz_images": image_sets(),
        "fuzz_gzip": gzip_files(),
        "fuzz_zip": zip_files(),
        "fuzz_protobuf": protobuf_messages(),
        "fuzz_csv": csv_tables(),
        "fuzz_sentiment": sentiment_tables(),
        "fuzz_parallel_texts": parallel_texts(),
        "fuzz_json": json_texts(),
        "fuzz_config": configs(),
        "fuzz_encoder": encoders(),
        "fuzz_weights": weights(),
        "fuzz_checkpoint": checkpoints(),
        "fuzz_run_folder": run_folders(),
        "fuzz_tokenizer_files": tokenizer_folders(),
        "fuzz_encode_trained": texts_for_trained(),
    }
