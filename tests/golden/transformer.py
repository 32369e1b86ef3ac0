"""BERT and RoBERTa of transformers, with the weights and texts of transformer.h: the same formulas, in the same order.
Needs torch, numpy and transformers. Used by make_transformer_golden.py and tests/bench/peer.py."""

import numpy as np
import torch
from torch import nn
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from relative_ae import formula

TEXT_STREAM = 3000


def formula_texts(lengths, low, high):
    ids = (low + np.floor(formula(TEXT_STREAM, sum(lengths)) * (high - low))).astype(np.int64)
    return np.split(ids, np.cumsum(lengths)[:-1])


def message_lengths(n):
    u = formula(TEXT_STREAM + 1, n)
    return [int(v) for v in 6 + np.floor(69 * u * u * np.sqrt(u))]


def parameters_of(model):
    """(name, parts) of Koine's parameters in Koine's order; a parameter is its parts below one another."""
    rows = [("words", "embeddings.word_embeddings"), ("positions", "embeddings.position_embeddings")]
    rows += [("types", "embeddings.token_type_embeddings")]
    found = [(f"{name}.weight", [model.get_parameter(f"{path}.weight")]) for name, path in rows]
    rows = [("norm", ["embeddings.LayerNorm"])]
    for i in range(model.config.num_hidden_layers):
        layer = f"encoder.layer.{i}"
        rows += [
            (f"layers.{i}.attention.qkv", [f"{layer}.attention.self.{part}" for part in ("query", "key", "value")]),
            (f"layers.{i}.attention.out", [f"{layer}.attention.output.dense"]),
            (f"layers.{i}.norm1", [f"{layer}.attention.output.LayerNorm"]),
            (f"layers.{i}.linear1", [f"{layer}.intermediate.dense"]),
            (f"layers.{i}.linear2", [f"{layer}.output.dense"]),
            (f"layers.{i}.norm2", [f"{layer}.output.LayerNorm"]),
        ]
    if model.pooler is not None:
        rows += [("pooler", ["pooler.dense"])]
    for name, paths in rows:
        for kind in ("weight", "bias"):
            found.append((f"{name}.{kind}", [model.get_parameter(f"{path}.{kind}") for path in paths]))
    return found


class TextClassifier(nn.Module):
    def __init__(self, encoder, n_classes):
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(encoder.config.hidden_size, n_classes)
        with torch.no_grad():
            for stream, (name, parts) in enumerate(self.named_parts()):
                shape = (sum(part.shape[0] for part in parts),) + parts[0].shape[1:]
                values = 2 * formula(stream, int(np.prod(shape))) - 1
                if len(shape) > 1:
                    values /= np.sqrt(np.prod(shape[1:]))
                else:
                    values = name.endswith("weight") + values / 4
                values = torch.from_numpy(values.reshape(shape))
                for part, value in zip(parts, values.split([part.shape[0] for part in parts])):
                    part.copy_(value)

    def named_parts(self):
        parts = [(f"encoder.{name}", parts) for name, parts in parameters_of(self.encoder)]
        return parts + [("head.weight", [self.head.weight]), ("head.bias", [self.head.bias])]

    def forward(self, ids, mask):
        out = self.encoder(ids, attention_mask=mask)
        if self.encoder.pooler is not None:
            return self.head(out.pooler_output)
        return self.head((out.last_hidden_state * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))


def roberta(**sizes):
    return RobertaModel(RobertaConfig(type_vocab_size=1, layer_norm_eps=1e-5, **sizes), add_pooling_layer=False)


def base_encoder(implementation):
    return roberta(vocab_size=50265, max_position_embeddings=514, attn_implementation=implementation)


def small_encoder(implementation, p_dropout):
    return roberta(
        vocab_size=5000, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024,
        max_position_embeddings=130, hidden_dropout_prob=p_dropout, attention_probs_dropout_prob=p_dropout,
        attn_implementation=implementation)  # fmt: skip


def tiny_encoder(model_type):
    is_bert = model_type == "bert"
    config = (BertConfig if is_bert else RobertaConfig)(
        vocab_size=97, hidden_size=36, num_hidden_layers=3, num_attention_heads=3, intermediate_size=50,
        hidden_act="gelu" if is_bert else "gelu_new", max_position_embeddings=20 if is_bert else 22,
        type_vocab_size=2 if is_bert else 1, pad_token_id=0 if is_bert else 1,
        layer_norm_eps=1e-12 if is_bert else 1e-5, hidden_dropout_prob=0, attention_probs_dropout_prob=0,
        attn_implementation="eager")  # fmt: skip
    return (BertModel if is_bert else RobertaModel)(config, add_pooling_layer=is_bert)
