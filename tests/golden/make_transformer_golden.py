"""Writes transformer.json beside itself: what tests/test_golden_transformer.cpp expects of a tiny BERT and a tiny RoBERTa.
Needs: torch, numpy, transformers; on the CPU. Run it again only when the models or the formula change.

    python3 tests/golden/make_transformer_golden.py
"""

import json
import pathlib

import torch
import transformers
from torch.nn import functional as F

from transformer import TextClassifier, formula_texts, tiny_encoder

LENGTHS, LABELS = [7, 1, 11, 5], [0, 2, 1, 2]


def one_step(model_type):
    model = TextClassifier(tiny_encoder(model_type), n_classes=3).eval()
    for table in ("word_embeddings", "position_embeddings"):  # PyTorch withholds the gradient of the row of padding
        getattr(model.encoder.embeddings, table).padding_idx = None
    texts = [torch.from_numpy(text)[None] for text in formula_texts(LENGTHS, 0, 97)]
    if model_type == "roberta":
        texts[2][0, 4] = 1  # padding that is written out in a text
    # Each text by itself: there is no padding, and so no mask to get wrong.
    logits = torch.cat([model(ids, torch.ones_like(ids)) for ids in texts])
    loss = F.cross_entropy(logits, torch.tensor(LABELS))
    loss.backward()
    outputs = [model.encoder(ids, torch.ones_like(ids), output_hidden_states=True) for ids in texts]
    grads = {name: torch.cat([part.grad for part in parts]).flatten() for name, parts in model.named_parts()}
    values = {
        "hidden_states": [torch.cat(states, dim=1).flatten().tolist() for states in zip(*[o.hidden_states for o in outputs])],
        "loss": loss.item(),
        "grad_norms": {name: grad.norm().item() for name, grad in grads.items()},
        "grad_entries": {name: grad[:: max(1, len(grad) // 5)].tolist() for name, grad in grads.items()},
    }
    if model_type == "bert":
        values["pooled"] = torch.cat([o.pooler_output for o in outputs]).flatten().tolist()
    return values


def lines(value):
    """JSON with one line for each list of numbers."""
    if isinstance(value, dict):
        return "{\n" + ",\n".join(f"{json.dumps(key)}: {lines(v)}" for key, v in value.items()) + "\n}"
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "[\n" + ",\n".join(lines(v) for v in value) + "\n]"
    return json.dumps(value)


torch.set_default_dtype(torch.float64)  # before the weights are made: they have more than 24 bits
versions = f"PyTorch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"
values = {"from": f"make_transformer_golden.py, {versions}", "bert": one_step("bert"), "roberta": one_step("roberta")}
(pathlib.Path(__file__).parent / "transformer.json").write_text(lines(values) + "\n")
