"""Writes convnet.json beside itself: what tests/test_golden.cpp expects of three Adam steps of the classifier. Needs torch
and numpy, on the CPU. Run it again only when the model or the formula changes.

    python3 tests/golden/make_convnet_golden.py
"""

import json
import pathlib

import torch
from torch.nn import functional as F

from convnet import ConvNet, colour_plaids, labels_in_turn
from relative_ae import IMAGE_STREAM

N_IMAGES, N_STEPS = 24, 3


def three_steps():
    torch.set_default_dtype(torch.float64)  # before the weights are made: they have more than 24 bits
    model, x, labels = ConvNet(), colour_plaids(N_IMAGES, IMAGE_STREAM), labels_in_turn(N_IMAGES)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses, grad_norms = [], {}
    for step in range(N_STEPS):
        adam.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        if step == 0:
            grad_norms = {name: w.grad.norm().item() for name, w in model.named_parameters()}
        adam.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        return losses, grad_norms, model.penultimate(x).norm(dim=1).tolist()


losses, grad_norms, lengths = three_steps()
values = {
    "from": f"make_convnet_golden.py, PyTorch {torch.__version__.split('+')[0]}",
    "losses": losses,
    "grad_norms_at_step_1": grad_norms,
    "lengths_of_embeddings": lengths,
}
(pathlib.Path(__file__).parent / "convnet.json").write_text(json.dumps(values, indent=1) + "\n")
