"""Small SentencePiece models and what the library makes of difficult texts.

    python3 tests/golden/make_sentencepiece_golden.py      writes tests/golden/sentencepiece/*.model, sentencepiece.json

needs: sentencepiece (0.2.3)

The library's own normalisers take 240 kB in every model. These models have the same kind of table with fewer rules: the
NFKC forms of a few blocks, with and without case folding ("cf").
"""

import io
import json
import pathlib
import random
import tempfile
import unicodedata

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as proto

FOLDER = pathlib.Path(__file__).parent

SENTENCES = """
The quick brown fox jumps over the lazy dog, and the dog does not even look up.
Relative representations let networks that never met read each other's latent spaces.
A house is made of walls and beams; a home is made of love and dreams.
It was the best of times, it was the worst of times... wasn't it?
In the year 2023 there were 1000000 tweets, 4200 of them about cats and 37 about 3.14159.
Nel mezzo del cammin di nostra vita mi ritrovai per una selva oscura.
La volpe veloce salta sopra il cane pigro, perché no? Così è la vita!
L'amor che move il sole e l'altre stelle; città, virtù, lunedì.
Le renard brun saute par-dessus le chien paresseux; ça va très bien.
Der schnelle braune Fuchs springt über den faulen Hund; größer und schöner.
El zorro marrón salta sobre el perro perezoso; ¿mañana será otro día? ¡jajajaja!
@user @user check this out!!! http://example.org #nofilter #relative :) :( <3
Καλημέρα κόσμε, η κοινή γλώσσα. Привет, мир! Быстрая лиса прыгает.
日本語の文章です。 東京は大きい。 你好，世界。 안녕하세요 세계
aaaaaaaa aaaa aa a 00000000 0000 00 0 ........ .... !!!! !! ha haha hahaha hahahaha
""".strip().split("\n")

SYMBOLS = ["<sep>", "fo", "foo", "ab c", "\u2581x", "é", "\ufb01", "日本"]

TEXTS = [
    "", " ", "   ", "\t", "\n", "\u3000", "\u2581", "\u2581\u2581 ", " \u2581", "\0", "a\0b", "Hello", " Hello  world ",
    "Hello\u2581world\u2581", "the quick brown fox", "The  QUICK\tbrown\r\nfox\u00a0jumps", "<s>", "</s> <unk><pad>",
    "<sep>", "a<sep>b", "foofoofo", "ab c", "ab  c", "x x \u2581x", "ééé", "e\u0301e\u0301", "\ufb01nd the \ufb02ow",
    "日本語日本", "\uff28\uff45\uff4c\uff4c\uff4f", "\ufdfa", "\u00bd \u2460 \u2163", "\U0001f600 \U0001f1ee\U0001f1f9",
    "\u200b\u200d\ufeff", "caf\u00e9 cafe\u0301 CAF\u00c9", "stra\u00dfe GR\u00d6SSE", "\u1112\u1161\u11ab\u1100\u116e\u11a8",
    "\uac01\uac01", "0000000000", "00000000000000000000", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "hahahahahahahahaha", ".....",
    "!!!!!!!", "é!!!", "!\ufb01!!!", "Così è la vita, perché no?", "¿mañana? ¡jajajajaja!", "Привет, мир", "κοινή γλώσσα",
    "東京は大きい", "\ud55c\uad6d\uc5b4", "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22", "@user http://example.org #relative",
    "<0x41><0x0A>", "\ufffd", "\U0010ffff\ue000", "a" * 300 + "b", "\u2047 \u2047", "  leading and trailing  ",
    "don't wasn't it's", "3.14159 1,000,000", "\u0378\u0379",
]


def rules(folds_case):
    """Lines "source<TAB>replacement" of hexadecimal code points."""
    blocks = [range(0xA0, 0x180), range(0xFB00, 0xFB07), range(0xFF01, 0xFF5F), [0xFDFA, 0xBD, 0x2460, 0x2163, 0x3000]]
    table = {}
    for c in (chr(c) for block in blocks for c in block):
        table[c] = unicodedata.normalize("NFKC", c)
        decomposed = unicodedata.normalize("NFD", c)
        if decomposed != c:
            table[decomposed] = unicodedata.normalize("NFKC", c)
    for c in "\t\n\r\u00a0\u200b\ufeff":
        table[c] = " "
    table["\u00ad"] = ""
    if folds_case:
        table.update({chr(c): chr(c).lower() for c in range(0x41, 0x5B)})
        table = {source: target.casefold() for source, target in table.items()}
    table = {s: t for s, t in table.items() if s != t}
    code = lambda text: " ".join(f"{ord(c):X}" for c in text)
    return "".join(f"{code(s)}\t{code(t)}\n" for s, t in sorted(table.items()))


def train(table=None, **options):
    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        if table is None:
            options["normalization_rule_name"] = "identity"
        else:
            options["normalization_rule_tsv"] = f"{folder}/rules.tsv"
            pathlib.Path(options["normalization_rule_tsv"]).write_text(table, encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(SENTENCES * 3), model_writer=out, hard_vocab_limit=False, num_threads=1,
            character_coverage=0.98, minloglevel=2, **options)
    model = proto.ModelProto()
    model.ParseFromString(out.getvalue())
    # What the model was trained from says nothing about what it does, and has paths in it.
    model.normalizer_spec.normalization_rule_tsv = ""
    return model


def models():
    nfkc, nfkc_cf = rules(False), rules(True)
    yield "unigram_nfkc", train(nfkc, model_type="unigram", vocab_size=360, user_defined_symbols=SYMBOLS)
    yield "unigram_bytes", train(model_type="unigram", vocab_size=560, byte_fallback=True, pad_id=3, unk_surface="??",
                                 treat_whitespace_as_suffix=True)
    yield "unigram_spaces", train(nfkc_cf, model_type="unigram", vocab_size=300, remove_extra_whitespaces=False,
                                  add_dummy_prefix=False, split_by_whitespace=False, allow_whitespace_only_pieces=True)
    yield "bpe_bytes", train(nfkc, model_type="bpe", vocab_size=560, byte_fallback=True, user_defined_symbols=SYMBOLS)
    unused = train(nfkc_cf, model_type="bpe", vocab_size=360, control_symbols=["<ctl>"], split_by_whitespace=False,
                   treat_whitespace_as_suffix=True, add_dummy_prefix=False)
    for i, piece in enumerate(unused.pieces):
        if piece.type == piece.NORMAL and i % 6 == 0:
            piece.type = piece.UNUSED
    yield "bpe_unused", unused


def main():
    draw = random.Random(0)
    golden = {"texts": TEXTS, "models": {}}
    for name, model in models():
        contents = model.SerializeToString()
        (FOLDER / "sentencepiece" / f"{name}.model").write_bytes(contents)
        library = sentencepiece.SentencePieceProcessor(model_proto=contents)
        ids = library.encode(TEXTS)
        n = library.get_piece_size()
        lists = ids + [[draw.randrange(n) for _ in range(draw.randrange(1, 9))] for _ in range(40)]
        golden["models"][name] = {"ids": ids, "lists": lists[len(ids):], "decoded": library.decode(lists)}
        print(f"{name}: {len(contents)} bytes, {n} pieces")
    text = json.dumps(golden, separators=(",", ":")).replace('"models"', '\n"models"').replace('"ids"', '\n"ids"')
    (FOLDER / "sentencepiece.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
