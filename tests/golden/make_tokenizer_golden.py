"""Writes tokenizer/ and tokenizer.json beside itself: what tests/test_tokenizer.cpp and tests/test_unicode.cpp expect.
Needs: tokenizers (Hugging Face). A tiny vocabulary of each kind is trained on the sentences below; then texts are
encoded and decoded in every way that a folder of files may ask for. Run it again only when those change.

    python3 tests/golden/make_tokenizer_golden.py
"""

import json
import pathlib
import random
import tempfile
import unicodedata

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent
OUT = HERE / "tokenizer"

SENTENCES = """
Two networks that learnt the same thing from different seeds arrange it alike, up to a map of one space onto the other.
The decoder reads a network it has never met. I don't know why they've said it's so; we'll see, I'm sure you'd agree.
Words are cut into pieces, and pieces are what the model sees: playing, played, player, replay, unplayable, displayed.
In 2022 there were 1234567 words, 3.14 of them numbers, and 100% of them were counted. Prices: $5, 10 euros, 7 pounds.
Il decodificatore legge una rete che non ha mai incontrato. Perché no? Così è, se vi pare: c'è più gioia nell'imparare.
Die Übersetzung größerer Sätze fällt schwer; être ou ne pas être, voilà la question. El niño comió piñas en España.
Здравствуйте, мир! Γειά σου, κόσμε. 你好,世界。こんにちは世界。안녕하세요 세계. שלום עולם. مرحبا بالعالم. नमस्ते दुनिया।
Emoji are fun 😀😀 and 👍🏽 is two characters, 👨‍👩‍👧 is five. Naïve café owners résumé their façades; coöperate!
""".strip().split("\n")

TEXTS = SENTENCES + """
Hello world
hello   world  and spaces 
 leading and trailing  
tab	and	tabs 
don't DON'T can't we'LL 'tis o'clock ''s 's 're '
numbers 1 22 333 4444 55555 1,000.50 ½ ² ٣ Ⅷ
What?!... (yes) [no] {maybe} <tag> a_b a-b a/b \\ # @user #hashtag http://example.org/?q=1&r=2
İstanbul ΣΑΣ ǅ ﬁne Ａｂｃ ẞ ß Ñ
e\u0301 versus é, o\u0323\u0302 versus ộ, a\u0302\u0323
क्षत्रिय ক্ষ த்ரி ไทย 한국어 \u1112\u1161\u11ab
中文字符混合English和123
the<mask>end <mask> <mask>  two <s>x</s> <unk> <pad>
[CLS] [MASK] [SEP] [mask] [ MASK ] the[MASK]end
foo Big Apple, the bigapple or big apple; fooing xfoo foo_ foo! été-foo Ete
<usr>  hi <usr>there <end>   . X<end>
zero\u200bwidth soft\u00adhyphen bom\ufeff joiner\u200d nbsp\u00a0x ideographic\u3000space line\u2028sep
\u0001\u0002control\u007f\u0085next replacement\ufffd
𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛 😀 🏳️‍🌈 🇮🇹 ☃ ♥️ 10⁶ € ¥ § ¿¡
""".strip("\n").split("\n") + [
    "", " ", "  ", "\n", " \n ", "\t\t", "a", "é", "\U0010ffff", "\ufffe", "a\x00b", "\r\n\r\n", "x\n\ny", "\u3000 \u3000",
    "a" * 70, "playing" * 20, "z" * 99 + " " + "z" * 100 + " " + "z" * 101, "é" * 60, "-" * 60, "1" * 60, "😀" * 20,
]

ROBERTA = ["<s>", "<pad>", "</s>", "<unk>"]
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ADDED = [
    AddedToken("foo", single_word=True, normalized=False),
    AddedToken("big apple", normalized=True),
    AddedToken("<usr>", rstrip=True, normalized=False, special=True),
    AddedToken("<end>", lstrip=True, rstrip=True, normalized=False, special=True),
    AddedToken("ete", normalized=True),
]


def train():
    OUT.mkdir(exist_ok=True)
    byte_level = Tokenizer(models.BPE())
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    byte_level.train_from_iterator(SENTENCES, trainers.BpeTrainer(
        vocab_size=620, special_tokens=ROBERTA, initial_alphabet=alphabet, show_progress=False))
    byte_level.add_special_tokens(["<mask>"])
    (OUT / "byte_level").mkdir(exist_ok=True)
    byte_level.model.save(str(OUT / "byte_level"))
    vocab = byte_level.get_vocab()
    (OUT / "byte_level/vocab.json").write_text(json.dumps(dict(sorted(vocab.items(), key=lambda x: x[1]))))

    wordpiece = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    wordpiece.normalizer = normalizers.BertNormalizer(lowercase=False)
    wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    lower = [s.lower() for s in SENTENCES]
    wordpiece.train_from_iterator(SENTENCES + lower, trainers.WordPieceTrainer(
        vocab_size=700, special_tokens=BERT, show_progress=False))
    (OUT / "wordpiece").mkdir(exist_ok=True)
    wordpiece.model.save(str(OUT / "wordpiece"))


def byte_level(prefix_space=False, names=("<s>", "</s>"), added=()):
    folder = OUT / "byte_level"
    t = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    t.decoder = decoders.ByteLevel()
    if names:
        t.add_special_tokens([AddedToken(x, normalized=False) for x in ROBERTA])
        t.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
        begin, end = [(x, t.token_to_id(x)) for x in names]
        t.post_processor = processors.RobertaProcessing(end, begin, trim_offsets=False, add_prefix_space=prefix_space)
    else:
        t.post_processor = processors.ByteLevel(trim_offsets=False)
    add(t, added)
    return t


def wordpiece(lower=True, strip_accents=None, chinese=True, added=()):
    t = Tokenizer(models.WordPiece.from_file(str(OUT / "wordpiece/vocab.txt"), unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(True, chinese, strip_accents, lower)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.add_special_tokens([AddedToken(x, normalized=False) for x in BERT])
    t.post_processor = processors.BertProcessing(("[SEP]", t.token_to_id("[SEP]")), ("[CLS]", t.token_to_id("[CLS]")))
    add(t, added)
    return t


def add(t, tokens):
    for token in tokens:
        (t.add_special_tokens if token.special else t.add_tokens)([token])


def decoder_entries(t, tokens):
    """What tokenizer_config.json says about added tokens."""
    fields = ("content", "lstrip", "rstrip", "single_word", "normalized", "special")
    return {str(t.token_to_id(x.content)): {f: getattr(x, f) for f in fields} for x in tokens}


def byte_offsets(text, offsets):
    """Offsets in bytes, from offsets in characters."""
    at = [0]
    for c in text:
        at.append(at[-1] + len(c.encode()))
    return [x for begin, end in offsets for x in (at[begin], at[end])]


def case(name, folder, config, t):
    encodings = [t.encode(text) for text in TEXTS]
    return {
        "name": name, "folder": folder, "config": config,
        "ids": [e.ids for e in encodings],
        "offsets": [byte_offsets(text, e.offsets) for text, e in zip(TEXTS, encodings)],
        "decoded": [t.decode(e.ids) for e in encodings],
    }


def cases():
    yield case("RoBERTa without a config", "byte_level", None, byte_level())
    yield case("RoBERTa with a space before every text", "byte_level", {"add_prefix_space": True}, byte_level(True))
    yield case("GPT-2", "byte_level", {"tokenizer_class": "GPT2Tokenizer"}, byte_level(names=None))
    t = byte_level(added=ADDED)
    yield case("RoBERTa with more tokens", "byte_level", {"added_tokens_decoder": decoder_entries(t, ADDED)}, t)
    yield case("BERT without a config", "wordpiece", None, wordpiece())
    yield case("BERT, cased", "wordpiece", {"do_lower_case": False, "tokenizer_class": "BertTokenizer"}, wordpiece(False))
    config = {"do_lower_case": True, "strip_accents": False, "tokenize_chinese_chars": False}
    yield case("BERT with accents", "wordpiece", config, wordpiece(True, False, False))
    t = wordpiece(added=ADDED)
    yield case("BERT with more tokens", "wordpiece", {"added_tokens_decoder": decoder_entries(t, ADDED)}, t)


def forms():
    """Random texts of characters that normal forms change, and what they become."""
    assigned = [chr(c) for c in range(0x30000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    lively = [c for c in assigned if unicodedata.combining(c) or unicodedata.decomposition(c)]
    r = random.Random(0)
    texts = ["".join(r.choice(lively if r.random() < 0.8 else assigned) for _ in range(r.randrange(1, 9))) for _ in range(150)]
    texts += ["\u1112\u1161\u11ab\u11a8", "\u09c7\u09be", "\uff76\uff9e", "\u0344\u0345", "\u212b\u0301", "a\u0315\u0300\u05ae\u0300\u0062"]
    return [[text] + [unicodedata.normalize(f, text) for f in ("NFC", "NFD", "NFKC", "NFKD")] for text in texts]


if __name__ == "__main__":
    train()
    text = json.dumps({"texts": TEXTS, "cases": list(cases()), "forms": forms()}, separators=(",", ":"))
    (HERE / "tokenizer.json").write_text(text.replace('},{"name"', '},\n{"name"') + "\n")
