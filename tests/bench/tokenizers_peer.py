"""The tokenizers of koine_bench in Hugging Face's library, on RAYON_NUM_THREADS threads. run.py talks to it."""

import array
import functools
import os
import pathlib
import zlib

import tokenizers
from peer_server import Workload, serve
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

ROOT, TEXTS = pathlib.Path(os.environ.get("KOINE_DATA", "")), pathlib.Path(os.environ["KOINE_BENCH"]) / "texts.txt"


def special(tokenizer, names, mask, mask_takes_spaces):
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in names])
    tokenizer.add_special_tokens([AddedToken(mask, lstrip=mask_takes_spaces, normalized=False)])


def roberta(folder):
    t = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special(t, ["<s>", "<pad>", "</s>", "<unk>"], "<mask>", True)
    begin, end = (("<s>", t.token_to_id("<s>")), ("</s>", t.token_to_id("</s>")))
    t.post_processor = processors.RobertaProcessing(end, begin, trim_offsets=False, add_prefix_space=False)
    return t


def bert(folder):
    t = Tokenizer(models.WordPiece.from_file(str(folder / "vocab.txt"), unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special(t, ["[PAD]", "[UNK]", "[CLS]", "[SEP]"], "[MASK]", False)
    begin, end = (("[CLS]", t.token_to_id("[CLS]")), ("[SEP]", t.token_to_id("[SEP]")))
    t.post_processor = processors.BertProcessing(end, begin)
    return t


def whole(folder):
    t = Tokenizer.from_file(str(folder / "tokenizer.json"))
    t.no_truncation()
    t.no_padding()
    return t


def encoding_of(make, folder, method):
    texts = TEXTS.read_text(encoding="utf-8").split("\n")[:-1]
    return functools.partial(getattr(make(folder), method), texts)


def summary(encodings):
    n, crc = 0, 0
    for encoding in encodings:
        crc = zlib.crc32(array.array("i", [len(encoding.ids)] + encoding.ids).tobytes(), crc)
        n += len(encoding.ids)
    return {"ids": n, "crc32": crc}


def workloads():
    found = {}
    for name, make, where in (
        ("roberta", roberta, "tokenizers/roberta-base"),
        ("bert", bert, "tokenizers/bert-base-uncased"),
        ("e5", whole, "encoders/e5-multilingual"),
    ):
        if not (ROOT / where).is_dir():
            continue
        for method in ("encode_batch", "encode_batch_fast"):  # the second one without offsets
            if hasattr(Tokenizer, method):
                make_step = functools.partial(encoding_of, make, ROOT / where, method)
                found[f"tokenize-{name}/{method}"] = Workload(
                    make_step, lambda make_step=make_step: summary(make_step()()), n_warm_up=1)  # fmt: skip
    return found


if __name__ == "__main__":
    serve({"tokenizers": tokenizers.__version__}, workloads())
