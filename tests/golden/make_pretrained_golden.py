"""Writes pretrained/ beside itself: tiny encoders with random weights, in the layouts that published ones have, and their
hidden states, for tests/test_pretrained.cpp. needs: torch, transformers. The numbers depend on the seed and on the version
of PyTorch, so run it again only when a layout is to be added.

    python3 tests/golden/make_pretrained_golden.py
"""

import json
import pathlib
import shutil

import torch
import transformers as hf

FOLDER = pathlib.Path(__file__).parent / "pretrained"
# No two sizes are equal, so that a transposed or exchanged weight shows as a wrong shape.
SIZES = dict(hidden_size=12, num_attention_heads=3, num_hidden_layers=2, intermediate_size=20)
# None holds a pad_token_id: transformers would give such a token no position of its own.
TEXTS = [[0, 7, 31, 8, 2], [5], [0, 40, 3, 3, 17, 29, 22, 11, 6, 39, 2]]


def randomise(model, seed):
    """Every parameter, biases and LayerNorm too, from the numbers that half precision has: all layouts then hold the same
    weights."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, w in model.named_parameters():
            centre = 1.0 if "LayerNorm.weight" in name else 0.0
            w.copy_((centre + 0.4 * torch.randn(w.shape, generator=generator)).half())
    return model.eval()


def hidden_states(model):
    """[text][layer][token][feature], in double precision, each text alone."""
    base = getattr(model, model.base_model_prefix, model).double()
    with torch.no_grad():
        outputs = [base(torch.tensor([ids]), output_hidden_states=True) for ids in TEXTS]
    model.float()
    pooled = [o.pooler_output[0].tolist() if o.pooler_output is not None else None for o in outputs]
    return [[h[0].tolist() for h in o.hidden_states] for o in outputs], pooled


def shorten(x):
    return [shorten(v) for v in x] if isinstance(x, list) else None if x is None else float(f"{x:.10g}")


def write(name, model, save):
    folder = FOLDER / name
    folder.mkdir()
    config = {k: v for k, v in model.config.to_dict().items() if not k.startswith("_") and k != "transformers_version"}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save(folder)


def save_safetensors(model, **options):
    def save(folder):
        config = (folder / "config.json").read_text()
        model.save_pretrained(folder, **options)
        (folder / "config.json").write_text(config)
        (folder / "generation_config.json").unlink(missing_ok=True)
    return save


def save_torch(state, is_zip):
    return lambda folder: torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=is_zip)


shutil.rmtree(FOLDER, ignore_errors=True)
FOLDER.mkdir()
expected = {"from": f"make_pretrained_golden.py, transformers {hf.__version__}", "texts": TEXTS}


def add(name, model):
    states, pooled = hidden_states(model)
    expected[name] = {"hidden_states": shorten(states), "pooled": shorten(pooled)}


# RoBERTa in every layout.
roberta = randomise(hf.RobertaModel(hf.RobertaConfig(
    vocab_size=41, max_position_embeddings=17, type_vocab_size=1, **SIZES), add_pooling_layer=False), 1)
add("roberta", roberta)
write("roberta", roberta, save_safetensors(roberta))
write("roberta-sharded", roberta, save_safetensors(roberta, max_shard_size="6KB"))
write("roberta-zip", roberta, save_torch({"roberta." + k: v for k, v in roberta.state_dict().items()}, True))
write("roberta-legacy", roberta, save_torch({"module." + k: v for k, v in roberta.state_dict().items()}, False))
write("roberta-half", roberta, save_safetensors(roberta.half()))
roberta.float()

# BERT as it was in 2019: names of its own for LayerNorm, a pooler, two heads, the word embeddings a second time.
bert = randomise(hf.BertForPreTraining(hf.BertConfig(
    vocab_size=43, max_position_embeddings=15, type_vocab_size=2, hidden_act="gelu_new", **SIZES)), 2)
add("bert", bert)
old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
state = {}
for key, w in bert.state_dict().items():
    for new_name, old_name in old.items():
        key = key.replace(new_name, old_name)
    state[key] = w
write("bert", bert, save_torch(state, False))
# A tokenizer, too, so that it is a whole model: letters, and a few words.
tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", "the", "cat", "dog"]
tokens += ["##s", "##t", "##e", "##o", "##g", ",", "!", ".", "?"]
assert len(tokens) == bert.config.vocab_size
(FOLDER / "bert" / "vocab.txt").write_text("\n".join(tokens) + "\n")

camembert = randomise(hf.CamembertForMaskedLM(hf.CamembertConfig(
    vocab_size=44, max_position_embeddings=18, type_vocab_size=1, hidden_act="silu", layer_norm_eps=1e-5, **SIZES)), 3)
add("camembert", camembert)
write("camembert", camembert, save_torch(camembert.state_dict(), True))

xlm = randomise(hf.XLMRobertaModel(hf.XLMRobertaConfig(
    vocab_size=47, max_position_embeddings=21, type_vocab_size=3, pad_token_id=4, hidden_act="relu", **SIZES)), 4)
add("xlm-roberta", xlm)
write("xlm-roberta", xlm, save_safetensors(xlm, max_shard_size="9KB"))

(FOLDER / "expected.json").write_text(json.dumps(expected) + "\n")
