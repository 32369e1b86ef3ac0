"""The relative auto-encoder in PyTorch, with the weights and images of relative_ae.h: the same formulas, in the same
order. Needs torch and numpy. Used by make_ae_golden.py, make_vae_golden.py and tests/bench/peer.py."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

IMAGE_STREAM, ANCHOR_STREAM = 1000, 2000


def formula(stream, n):
    """Numbers 0 to n - 1 of a stream, float64."""
    h = np.uint32(stream * 0x9E3779B9 & 0xFFFFFFFF) + np.arange(n, dtype=np.uint32)
    h = (h ^ (h >> 16)) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> 13)) * np.uint32(0xC2B2AE35)
    return ((h ^ (h >> 16)) >> 8) * 2.0**-24


def plaids(n, stream):
    """[n, 1, 28, 28], of the default type"""
    rows = formula(stream, n * 28).reshape(n, 1, 28, 1)
    columns = formula(stream + 1, n * 28).reshape(n, 1, 1, 28)
    return torch.from_numpy(rows * columns).to(torch.get_default_dtype())


def fill_by_formula(model):
    """The numbers are laid out as Koine's: channels last. For PyTorch they are permuted."""
    for stream, (name, w) in enumerate(model.named_parameters()):
        values = 2 * formula(stream, w.numel()) - 1
        if w.dim() > 1:
            values /= np.sqrt(w.numel() // w.shape[0])
        else:
            values = name.endswith("weight") + values / 4
        if w.dim() == 4:  # [O, kh, kw, I] to [O, I, kh, kw], and [I, kh, kw, O] to [I, O, kh, kw]
            first, second, kh, kw = w.shape
            values = values.reshape(first, kh, kw, second).transpose(0, 3, 1, 2)
        elif name.startswith("decoder.0."):  # outputs in the order H, W, C to C, H, W
            values = values.reshape(2, 2, 256, -1).transpose(2, 0, 1, 3)
        elif name == "hidden.weight":  # inputs in the order H, W, C to C, H, W: convnet.py
            values = values.reshape(-1, 4, 4, 128).transpose(0, 3, 1, 2)
        elif name.startswith("encoder_gaussian.") and w.dim() == 2:  # inputs in the order H, W, C to C, H, W
            values = values.reshape(-1, 2, 2, 256).transpose(0, 3, 1, 2)
        with torch.no_grad():
            w.copy_(torch.from_numpy(np.ascontiguousarray(values).reshape(w.shape)))


def image_encoder():
    layers, n_in = [], 1
    for n_out in (32, 64, 128, 256):
        layers += [nn.Conv2d(n_in, n_out, 3, 2, 1), nn.BatchNorm2d(n_out), nn.GELU()]
        n_in = n_out
    return nn.Sequential(*layers[:-1], nn.Flatten())


def image_decoder(n_code):
    """Names of parameters as in Koine, where decoder.0 and decoder.14 apply their activations themselves: decode()."""
    layers, n_in = [nn.Linear(n_code, 1024), nn.Unflatten(1, (256, 2, 2))], 256
    for n_out, kernel in ((128, 4), (64, 3), (32, 4), (32, 4)):
        layers += [nn.ConvTranspose2d(n_in, n_out, kernel, 2, 1), nn.BatchNorm2d(n_out), nn.GELU()]
        n_in = n_out
    return nn.Sequential(*layers, nn.Conv2d(32, 1, 3, padding=1))


def decode(decoder, code):
    return torch.sigmoid(decoder[1:](F.gelu(decoder[0](code))))


def cosines(x, anchors):
    return F.normalize(x, dim=1) @ F.normalize(anchors, dim=1).T


class RelativeAutoEncoder(nn.Module):
    def __init__(self, n_anchors):
        super().__init__()
        self.encoder, self.decoder = image_encoder(), image_decoder(n_anchors)
        self.register_buffer("anchors", plaids(n_anchors, ANCHOR_STREAM))
        fill_by_formula(self)

    def forward(self, x):
        z = self.encoder(x)
        with torch.no_grad():
            anchor_latents = self.encoder(self.anchors)
        return decode(self.decoder, cosines(z, anchor_latents))
