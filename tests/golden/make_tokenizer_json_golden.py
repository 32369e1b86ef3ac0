"""Writes tokenizer_json.json beside itself: small tokenizers of every family that data/tokenizer_json.h reads, as the
files that the tokenizers library saves, and what that library makes of a list of texts: ids, offsets, and the texts that
come back. Needs: tokenizers, sentencepiece (for a small table of its normaliser). Run it again only when a step is
added: ties in training fall differently every time, so other tokenizers come out.

    python3 tests/golden/make_tokenizer_json_golden.py
"""

import base64
import io
import json
import pathlib
import tempfile

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent

# To learn from: a few plain sentences in five languages. The tokenizers are small and rather bad, as they should be:
# every way of failing to know a word occurs.
CORPUS = """
The quick brown fox jumps over the lazy dog, and the dog doesn't mind; it has seen quicker foxes.
Two networks that were trained apart see the same pictures, but their latent spaces differ by a rotation.
We'll write down 12345 numbers, 3.14159 of them twice: they're there, aren't they? I'm sure you've seen 2024.
L'été dernier, nous avons mangé des crêpes à Besançon; c'était délicieux, n'est-ce pas?
Nel mezzo del cammin di nostra vita mi ritrovai per una selva oscura, ché la diritta via era smarrita.
Perché non c'è più caffè? Così è la vita, città e università sono già chiuse.
Der Fluß fließt langsam über die Größe der Brücke, während die Mädchen fröhlich lächeln. Straße, Äpfel, Öl, Übung.
El niño comió piñas mañana por la mañana; ¿cuándo llegará el otoño? ¡Qué sueño tan pequeño!
the the the of of and and to to in in is is that that relative representations relative representation anchors anchor
""".strip().splitlines()

TEXTS = [
    "",
    " ",
    "   ",
    "\t\n\r\n ",
    "a",
    "Hello world",
    " Hello  world ",
    "The quick brown fox jumps over the lazy dog.",
    "the representations of relative anchors",
    "don't we'll they're I've I'm it's he'd DON'T WE'LL",
    "3.14159 and 1,000,000 or 2024-11-24, 0x7f",
    "Perché non c'è più caffè? Città!",
    "L'été, à Besançon: 20 °C",
    "Straße, Größe, ÄÖÜ, ẞ İstanbul ΟΔΟΣ",
    "cafe\u0301 n\u0303o A\u030a q\u0323\u0307 q\u0307\u0323",
    "ﬁnd ﬂuﬀ ½ ² ℌ ﷺ Ａｂｃ１２３ ｶﾞ",
    "日本語のテキスト、漢字。中文字符",
    "한국어 \u1112\u1161\u11ab 텍스트",
    "Привет, мир! Ёлка й",
    "שָׁלוֹם עולם",
    "مرحبا بالعالم ١٢٣",
    "नमस्ते दुनिया क्षि",
    "สวัสดีชาวโลก",
    "👍🏽 👩‍👩‍👧‍👦 🇮🇹🇫🇷 ❤️ 1️⃣",
    "\U0001f600\U0001f600 \U00010348 \U0001d54f",
    "a\u00a0b\u2003c\u3000d\u202fe\u200bf\u2028g\u0085h\u180ei",
    "\u2581under \u2581\u2581 bar\u2581",
    "Ġ Ċ ġ Ġthe",
    "\x00\x01\x07\x1b\x7f\u0080\u008f\u009f\ufeff\ufffd\ufffe",
    "soft\u00adhyphen zero\u200cwidth\u200djoiner \u200e\u202a",
    "...---''\"\"``''!!??",
    "``quoted'' text (parentheses) [brackets] {braces} <tags> #hash @name $5 50% a_b a-b a--b",
    "https://example.org/path?query=1&other=%20#top",
    "e-mail: someone@example.com; tel. +39 06 1234",
    "<html><body>text &amp; more</body></html>",
    "<s>Hello</s>",
    "a <mask> b<mask>c  <mask>  d",
    "[CLS] the [MASK] [SEP] [UNK][PAD]",
    "<unk> <pad> <s></s><s>",
    "<0x41> <0xE2><0x96><0x81>",
    "a new_word and new_words, anew_word NEW_WORD",
    "x" * 60,
    "the" * 40,
    "ab " * 25,
    "word  two   three    four     five",
    "line one\nline two\n\nline four\r\n\tindented",
    " leading and trailing ",
    "\n",
    "éééé ÉÉ eé",
    "1234567890 12 3 ４５ Ⅷ ⅓ ①",
    "H₂O x² ∑∞ √2 ≠ ±5 €10 £3 ™ ©",
    "“smart” ‘quotes’ — dash – en… ellipsis",
    "ͅ ̈ ́a",
    "क\u094d ZA\u0335\u0336LGO\u0315\u031b",
    "the\u0301 The\u0308",
    "Ünïcödé Ñandú Çedilla Øre Łódź Žluťoučký",
    "mixedケースtext混合",
    "ab!cd?ef.gh,ij;kl:mn",
    "n't 'm do not 's 've 're . , ! ?",
    "Relative representations enable zero-shot latent space communication.",
]

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MASK = AddedToken("<mask>", lstrip=True, normalized=False, special=True)
# Found in the normalised text, between characters that are no part of a word.
NEW_WORD = AddedToken("new_word", single_word=True, rstrip=True, normalized=True)


def roberta_template():
    """<s> A </s>, of two texts <s> A </s> </s> B </s>"""
    return processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )


def byte_level(prefix_space):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=SPECIALS,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.add_special_tokens([MASK])
    return tokenizer


def roberta():
    tokenizer = byte_level(False)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return tokenizer


def gpt2_split():
    """The words of GPT-2, by a pattern that is written out; a normaliser; the template instead of RobertaProcessing."""
    tokenizer = byte_level(False)
    tokenizer.normalizer = normalizers.NFC()
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False, add_prefix_space=True), roberta_template()]
    )
    tokenizer.add_tokens([NEW_WORD])
    return tokenizer


def bert():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=50))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(
        CORPUS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=BERT_SPECIALS, show_progress=False)
    )
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_tokens([NEW_WORD])
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    tokenizer.enable_truncation(12)
    return tokenizer


def charsmap():
    """A table with a few rules of NFKC and of our own, short and long."""
    rules = {
        "ﬁ": "fi", "½": "1⁄2", "²": "2", "e\u0301": "\u00e9", "n\u0303": "\u00f1", "Ａ": "A", "ｂ": "b", "\u00a0": " ",
        "\u3000": " ", "\t": " ", "\n": " ", "ﷺ": "صلى الله عليه وسلم", "ｶﾞ": "ガ", "ｶ": "カ", "…": "...",
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        table = pathlib.Path(folder) / "rules.tsv"
        codes = lambda text: " ".join(f"{ord(c):X}" for c in text)
        table.write_text("".join(f"{codes(a)}\t{codes(b)}\n" for a, b in sorted(rules.items())))
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS), model_writer=model, vocab_size=120, normalization_rule_tsv=str(table),
            minloglevel=2,
        )  # fmt: skip
    return field(field(model.getvalue(), 3), 2)  # ModelProto.normalizer_spec, its precompiled_charsmap


def field(message, number):
    """The bytes of a field of a protobuf message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        if key % 8 == 0:
            varint()
        elif key % 8 == 5:
            at += 4
        else:
            size = varint()
            if key >> 3 == number:
                return message[at : at + size]
            at += size


def unigram():
    """XLM-RoBERTa's form."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(charsmap()), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(
        CORPUS, trainers.UnigramTrainer(vocab_size=250, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False)
    )
    tokenizer.post_processor = roberta_template()
    tokenizer.add_special_tokens([MASK])
    return tokenizer


BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def sentencepiece_bpe(**options):
    """BPE of characters and "▁", with the bytes as tokens behind the special ones, as in files converted from
    SentencePiece."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=250, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    )
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    tokens[3:3] = BYTES
    vocab = {token: i for i, token in enumerate(tokens)}
    merges = [tuple(merge) for merge in model["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, **options))
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    return tokenizer


def llama():
    tokenizer = sentencepiece_bpe(byte_fallback=True)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def llama_metaspace():
    tokenizer = sentencepiece_bpe(byte_fallback=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first", split=False)]
    )
    return tokenizer


def steps():
    """Most of the steps that no family above has; words end in "</w>"."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Nmt(),
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            normalizers.Replace("``", '"'),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Whitespace(),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split("th", "merged_with_next"),
            pre_tokenizers.Split("an", "merged_with_previous"),
        ]
    )
    tokenizer.decoder = decoders.BPEDecoder()
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=250, special_tokens=SPECIALS, end_of_word_suffix="</w>", show_progress=False
        ),
    )
    tokenizer.post_processor = processors.Sequence([roberta_template(), processors.ByteLevel(trim_offsets=False)])
    tokenizer.add_tokens([NEW_WORD])
    return tokenizer


def more_steps():
    """The rest."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.NFKC(), normalizers.Strip(left=False), normalizers.Replace(Regex("[0-9]"), "0")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s+"), "removed", invert=False),
            pre_tokenizers.Punctuation("contiguous"),
            pre_tokenizers.Digits(),
            pre_tokenizers.Split("e", "contiguous"),
            pre_tokenizers.Metaspace(replacement="_", prepend_scheme="never"),
        ]
    )
    tokenizer.decoder = decoders.Sequence([decoders.Replace("0", "#"), decoders.WordPiece(prefix="##", cleanup=False)])
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=250, special_tokens=SPECIALS, continuing_subword_prefix="##", show_progress=False
        ),
    )
    return tokenizer


def without_type(file):
    """As files of 2020 are: no type of the model, merges with a space."""
    del file["model"]["type"]
    file["model"]["merges"] = [" ".join(merge) for merge in file["model"]["merges"]]
    return file


def old_metaspace(file):
    """add_prefix_space instead of prepend_scheme and split"""
    for section in (file["pre_tokenizer"]["pretokenizers"][1], file["decoder"]):
        del section["prepend_scheme"], section["split"]
        section["add_prefix_space"] = True
    return file


def expected(file):
    """What the library makes of the texts, with every limit off. Its offsets count characters; ours count bytes."""
    tokenizer = Tokenizer.from_str(json.dumps(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    out = {"ids": [], "offsets": [], "decoded": []}
    for text in TEXTS:
        encoding = tokenizer.encode(text)
        place = [len(text[:i].encode()) for i in range(len(text) + 1)]
        out["ids"].append(encoding.ids)
        out["offsets"].append([place[i] for span in encoding.offsets for i in span])
        out["decoded"].append(tokenizer.decode(encoding.ids))
    return out


def main():
    makers = [roberta, gpt2_split, bert, unigram, llama, llama_metaspace, steps, more_steps]
    files = {make.__name__: json.loads(make().to_str()) for make in makers}
    files["roberta"] = without_type(files["roberta"])
    files["unigram"] = old_metaspace(files["unigram"])
    golden = {
        "texts": TEXTS,
        "tokenizers": {name: {"file": file, **expected(file)} for name, file in files.items()},
    }
    text = json.dumps(golden, separators=(",", ":"))
    (HERE / "tokenizer_json.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
