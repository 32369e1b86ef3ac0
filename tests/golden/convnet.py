"""The classifier of experiments/latent_similarity.cpp in PyTorch, with the weights, images and labels of convnet.h. Needs
torch and numpy. Used by make_convnet_golden.py and tests/bench/peer.py."""

import torch
from torch import nn
from torch.nn import functional as F

from relative_ae import fill_by_formula, formula


def colour_plaids(n, stream):
    """[n, 3, 32, 32], of the default type"""
    rows = formula(stream, n * 32).reshape(n, 1, 32, 1)
    columns = formula(stream + 1, n * 96).reshape(n, 1, 32, 3).transpose(0, 3, 1, 2)
    return torch.from_numpy(rows * columns).to(torch.get_default_dtype())


def labels_in_turn(n):
    return torch.arange(n) % 100


def convolution_blocks(widths, has_bias):
    layers, n_in = [], 3
    for n_out in widths:
        for _ in range(2):
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1, bias=has_bias), nn.BatchNorm2d(n_out), nn.ReLU()]
            n_in = n_out
        layers.append(nn.MaxPool2d(2))
    return layers


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(*convolution_blocks((32, 64, 128), has_bias=False))
        self.hidden, self.output = nn.Linear(2048, 256), nn.Linear(256, 100)
        fill_by_formula(self)

    def penultimate(self, x):
        return F.relu(self.hidden(self.blocks(x).flatten(1)))

    def forward(self, x):
        return self.output(self.penultimate(x))
