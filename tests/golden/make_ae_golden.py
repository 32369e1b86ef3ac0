"""Writes ae_adam.json and image_scores.json beside itself: what tests/test_golden.cpp and tests/test_evaluate.cpp
expect. Needs torch, numpy and scikit-image, on the CPU. Run it again only when the model or the formula changes.

    python3 tests/golden/make_ae_golden.py
"""

import json
import pathlib

import numpy as np
import skimage
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.nn import functional as F

from relative_ae import IMAGE_STREAM, RelativeAutoEncoder, formula, plaids

HERE = pathlib.Path(__file__).parent
N_IMAGES, N_ANCHORS, N_STEPS = 32, 10, 10
PIXELS = [(0, 0, 0), (0, 13, 14), (7, 27, 27), (31, 5, 20)]  # image, row, column


def ten_steps(dtype):
    torch.set_default_dtype(dtype)  # before the weights are made: they have more than 24 bits
    model, x = RelativeAutoEncoder(N_ANCHORS), plaids(N_IMAGES, IMAGE_STREAM)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses, grad_norms = [], {}
    for step in range(N_STEPS):
        adam.zero_grad()
        loss = F.mse_loss(model(x), x)
        loss.backward()
        if step == 0:
            grad_norms = {name: w.grad.norm().item() for name, w in model.named_parameters()}
        adam.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        y = model(x)
    return model, losses, grad_norms, [y[n, 0, row, column].item() for n, row, column in PIXELS]


def ae_adam():
    model, losses, grad_norms, pixels = ten_steps(torch.float64)
    norm = model.encoder[1]
    return {
        "from": f"make_ae_golden.py, PyTorch {torch.__version__.split('+')[0]}",
        "losses_float64": losses,
        "losses_float32": ten_steps(torch.float32)[1],
        "grad_norms_at_step_1": grad_norms,
        "encoder.1.running_mean": norm.running_mean.tolist(),
        "encoder.1.running_var": norm.running_var.tolist(),
        "pixels_in_eval_mode": [[*place, value] for place, value in zip(PIXELS, pixels)],
    }


def image_scores():
    shape = (2, 16, 20, 3)  # [N, H, W, C]
    target, noise = (formula(stream, int(np.prod(shape))).reshape(shape) for stream in (1, 2))
    y = (target + noise) / 2
    ssim = [
        structural_similarity(a, b, data_range=1, channel_axis=-1, gaussian_weights=True, sigma=1.5,
                              use_sample_covariance=False)
        for a, b in zip(y, target)
    ]
    psnr = [peak_signal_noise_ratio(b, a, data_range=1) for a, b in zip(y, target)]
    return {
        "from": f"make_ae_golden.py, scikit-image {skimage.__version__}",
        "mse": float(np.mean((y - target) ** 2)),
        "psnr": float(np.mean(psnr)),
        "ssim": float(np.mean(ssim)),
    }


for name, values in (("ae_adam.json", ae_adam()), ("image_scores.json", image_scores())):
    (HERE / name).write_text(json.dumps(values, indent=1) + "\n")
