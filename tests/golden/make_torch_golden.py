"""Writes torch/*.bin beside itself, files as torch.save makes them, and torch/values.json, what is in them:
tests/test_torch_pickle.cpp reads them. Needs torch. Run it again only when a case is added.

    python3 tests/golden/make_torch_golden.py
"""

import collections
import json
import pathlib

import torch
from torch import nn

FOLDER = pathlib.Path(__file__).parent / "torch"
DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def ramp(*shape):
    """Numbers that every type of floats holds exactly."""
    n = torch.Size(shape).numel()
    return (torch.arange(n, dtype=torch.float32) - n // 3).reshape(shape) / 4


def module():
    """What a model saves: weights, running statistics, an integer counter, _metadata."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 3), nn.BatchNorm1d(3), nn.LayerNorm(3))
    net.register_buffer("position_ids", torch.arange(6).expand((1, -1)))
    return net.state_dict()


def views():
    """Tensors that share a storage, and tensors whose values do not follow one another."""
    base = ramp(4, 6)
    return {
        "base": base,
        "tied": base,
        "transposed": base.t(),
        "row": base[2],
        "column": base[:, 1],
        "corner": base[1:3, 2:5],
        "every_second": base[:, ::2],
        "permuted": ramp(2, 3, 4).permute(2, 0, 1),
        "expanded": ramp(3).expand(2, 3),
        "scalar": torch.tensor(2.5),
        "none": torch.zeros(0, 5),
    }


def types():
    whole = torch.tensor([[0, 1, 2], [3, 100, 127]])
    state = {name: (ramp(2, 3) if t.is_floating_point else whole).to(t) for t, name in DTYPES.items()}
    state["BOOL"] = torch.tensor([True, False, True])
    state["signed"] = torch.tensor([-128, -1], dtype=torch.int8)
    return state


def specials():
    infinite, small = float("inf"), 2.0**-24
    return {"f16": torch.tensor([infinite, -infinite, small, -0.0, 65504], dtype=torch.float16)}


def wrapped():
    optimiser = {"state": {0: {"step": 3, "exp_avg": ramp(2)}}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}
    return {"epoch": 3, "state_dict": collections.OrderedDict(w=ramp(2, 2)), "optimizer": optimiser}


def write(name, object_, state=None, **options):
    torch.save(object_, FOLDER / f"{name}.bin", **options)
    tensors = [(k, v) for k, v in (state or object_).items()]
    tensors = [(k, v) for k, v in tensors if isinstance(k, str) and isinstance(v, torch.Tensor)]
    return {
        "tensors": [
            {
                "name": k,
                "dtype": DTYPES[v.dtype],
                "shape": list(v.shape),
                "values": [str(x) for x in v.detach().double().flatten().tolist()],
            }
            for k, v in tensors
        ]
    }


def main():
    FOLDER.mkdir(exist_ok=True)
    legacy = {"_use_new_zipfile_serialization": False}
    files = {
        "module": write("module", module()),
        "module_legacy": write("module_legacy", module(), **legacy),
        "parameters": write("parameters", {"w": nn.Parameter(ramp(2, 3)), "b": nn.Parameter(ramp(2), False)}),
        "views": write("views", views()),
        "views_legacy": write("views_legacy", views(), **legacy),
        "types": write("types", types()),
        "types_legacy": write("types_legacy", types(), **legacy),
        "specials": write("specials", specials()),
        "mixed": write("mixed", {"w": ramp(2), "step": 5, "lr": 0.5, "name": "x", "betas": (0.9, 0.99), 7: ramp(1)}),
        "wrapped": write("wrapped", wrapped(), wrapped()["state_dict"]),
    }
    torch.save({"w": ramp(2).to_sparse()}, FOLDER / "sparse.bin")
    torch.save({"w": torch.quantize_per_tensor(ramp(2), 0.1, 0, torch.qint8)}, FOLDER / "quantised.bin")
    torch.save({"w": ramp(2).to(torch.complex64)}, FOLDER / "complex.bin")
    torch.save({"w": ramp(2).to(torch.float8_e4m3fn)}, FOLDER / "float8.bin")
    torch.save(nn.Linear(2, 1), FOLDER / "whole_module.bin")
    (FOLDER / "values.json").write_text(json.dumps(files, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
