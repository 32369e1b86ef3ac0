"""Writes vae.json beside itself: what tests/test_golden_vae.cpp expects of the variational auto-encoders of
nn/autoencoder.h. Needs torch and numpy, on the CPU. Run it again only when the models or the formula change.

    python3 tests/golden/make_vae_golden.py
"""

import json
import pathlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from relative_ae import (ANCHOR_STREAM, IMAGE_STREAM, cosines, decode, fill_by_formula, image_decoder, image_encoder,
                         plaids)

HERE = pathlib.Path(__file__).parent
N_IMAGES = 32
PIXELS = [(0, 13, 14), (7, 27, 27), (31, 5, 20)]  # image, row, column
SEED, STREAM = 1, 7  # of the noise; draw k is stream 7 + k
# As AutoEncoder::project: in the report's form the anchors' z are draws, too, made after those of the images. False
# would put them at their means. The test sees which one Koine does by the number of draws.
ANCHORS_ARE_DRAWN = True
FORMS = {
    "relative": {"n_anchors": 10, "n_latent": 128, "is_paper": False},
    "relative_paper": {"n_anchors": 10, "n_latent": 10, "is_paper": True},
    "absolute": {"n_anchors": 0, "n_latent": 128, "is_paper": False},
}


# ---- the noise of tensor/random.h, in float64 ------------------------------------------------------------------------

LOW = 0xFFFFFFFF


def philox(counter, key):
    """Philox 4x32-10 (Salmon et al. 2011) of four words, or arrays of words, and a key of 64 bits."""
    c, u64 = [np.asarray(word, np.uint64) for word in counter], np.uint64
    k0, k1 = key & LOW, key >> 32
    for _ in range(10):
        p0, p1 = u64(0xD2511F53) * c[0], u64(0xCD9E8D57) * c[2]
        c = [(p1 >> u64(32)) ^ c[1] ^ u64(k0), p1 & u64(LOW), (p0 >> u64(32)) ^ c[3] ^ u64(k1), p0 & u64(LOW)]
        k0, k1 = (k0 + 0x9E3779B9) & LOW, (k1 + 0xBB67AE85) & LOW
    return c


def normal(shape, seed, stream):
    """Tensor::normal(shape, {seed, stream})"""
    i = np.arange(np.prod(shape))
    words = philox([i & LOW, i >> 32, stream & LOW, stream >> 32], seed)
    u, turn = (words[0] + 1.0) * 2.0**-32, (words[1] >> np.uint64(8)) * 2.0**-24 * 2 * np.pi
    return (np.sqrt(-2 * np.log(u)) * np.cos(turn)).reshape(shape)


# The known answers of the Random123 library, as in tests/test_math.cpp.
for words, key, answer in (
    ([0] * 4, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ([0xFFFFFFFF] * 4, 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], 0x299F31D0A4093822, "d16cfe09 94fdcceb 5001e420 24126ea1"),
):
    assert " ".join(f"{int(word):08x}" for word in philox(words, key)) == answer


# ---- the models ------------------------------------------------------------------------------------------------------


class Gaussian(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.mu, self.log_var = nn.Linear(n_in, n_out), nn.Linear(n_in, n_out)
        self.n_draws = 0

    def forward(self, e):
        return self.mu(e), self.log_var(e)

    def draw(self, mu, log_var):
        eps = torch.from_numpy(normal(mu.shape, SEED, STREAM + self.n_draws)).to(mu.dtype)
        self.n_draws += 1
        return mu + torch.exp(log_var / 2) * eps


class Vae(nn.Module):
    """AutoEncoder of nn/autoencoder.h, its parameters in the order of its visit(); for koine_name(), which makes the
    first "_" of a name a ".", they are called encoder_gaussian and not gaussian."""

    def __init__(self, n_anchors, n_latent, is_paper):
        super().__init__()
        self.encoder = image_encoder()
        self.decoder = image_decoder(n_anchors if n_anchors and not is_paper else n_latent)
        if is_paper:
            self.decoder_gaussian = Gaussian(n_anchors, n_latent)
            self.decoder_norm = nn.LayerNorm(n_anchors)
        else:
            self.encoder_gaussian = Gaussian(1024, n_latent)
        self.is_paper, self.is_relative = is_paper, n_anchors > 0
        self.register_buffer("anchors", plaids(n_anchors, ANCHOR_STREAM))
        fill_by_formula(self)

    def forward(self, x):
        """y, and the mu and log_var that its z was drawn from"""
        return self.paper_form(x) if self.is_paper else self.report_form(x)

    def report_form(self, x):
        q = self.encoder_gaussian(self.encoder(x))
        z = self.encoder_gaussian.draw(*q)
        if self.is_relative:
            with torch.no_grad():
                of_anchors = self.encoder_gaussian(self.encoder(self.anchors))
                a = self.encoder_gaussian.draw(*of_anchors) if ANCHORS_ARE_DRAWN else of_anchors[0]
            z = cosines(z, a)
        return decode(self.decoder, z), *q

    def paper_form(self, x):
        e = self.encoder(x)
        with torch.no_grad():
            a = self.encoder(self.anchors)
        q = self.decoder_gaussian(self.decoder_norm(cosines(e, a)))
        return decode(self.decoder, self.decoder_gaussian.draw(*q)), *q


def koine_name(name):
    return name.replace("_", ".", 1) if name.startswith(("encoder_", "decoder_")) else name


# ---- one step --------------------------------------------------------------------------------------------------------


def step(form, dtype):
    torch.set_default_dtype(dtype)  # before the weights are made: they have more than 24 bits
    model, x = Vae(**form), plaids(N_IMAGES, IMAGE_STREAM)
    y, mu, log_var = model(x)
    mse = F.mse_loss(y, x)
    n_pixels = x[0].numel()
    # Summed over the pixels of an image, and averaged over the batch; the paper's is that of its code, lucmos/relreps.
    reconstruction = n_pixels / 2 * (1 + torch.log(mse)) if model.is_paper else n_pixels * mse
    kl = -(1 + log_var - mu**2 - log_var.exp()).sum(dim=1).mean() / 2
    total = reconstruction + kl
    total.backward()
    losses = {"reconstruction": reconstruction, "kl": kl, "mse": mse, "total": total}
    return model, y, {name: value.item() for name, value in losses.items()}


def one_form(form):
    model, y, losses = step(form, torch.float64)
    return {
        "form": form,
        "n_draws": (model.decoder_gaussian if model.is_paper else model.encoder_gaussian).n_draws,
        "losses_float64": losses,
        "losses_float32": step(form, torch.float32)[2],
        "grad_norms": {koine_name(name): w.grad.norm().item() for name, w in model.named_parameters()},
        "pixels": [[*place, y[place[0], 0, place[1], place[2]].item()] for place in PIXELS],
    }


values = {"from": f"make_vae_golden.py, PyTorch {torch.__version__.split('+')[0]}", "seed": SEED, "stream": STREAM}
values |= {name: one_form(form) for name, form in FORMS.items()}
(HERE / "vae.json").write_text(json.dumps(values, indent=1) + "\n")
