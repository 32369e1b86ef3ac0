"""The products and training steps of koine_bench in PyTorch (eager, float32, CPU), one argument each; images in both
memory formats. Prints "workload quantity value", times in ms. Run by run.sh.

    python3 tests/bench/peer.py [gemm] [mlp] [ae] [convnet] [cnn] [losses]
"""

import os
import pathlib
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "golden"))
from convnet import ConvNet, colour_plaids, convolution_blocks, labels_in_turn  # noqa: E402
from relative_ae import IMAGE_STREAM, RelativeAutoEncoder, fill_by_formula, plaids  # noqa: E402

N_BATCH, N_WARM_UP = 128, 3
FORMATS = {"pytorch": torch.contiguous_format, "channels_last": torch.channels_last}


def median_ms(n, f):
    times = []
    for _ in range(n):
        begin = time.perf_counter()
        f()
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times)


def training_step(model, loss_of, x):
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step():
        adam.zero_grad()
        loss = loss_of(model(x))
        loss.backward()
        adam.step()
        return loss.item()

    return step


def mlp_step(_):
    sizes, layers = (784, 512, 256, 64, 256, 512, 784), []
    for n_in, n_out in zip(sizes, sizes[1:]):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    model = nn.Sequential(*layers[:-1], nn.Sigmoid())
    fill_by_formula(model)
    x = plaids(N_BATCH, IMAGE_STREAM).flatten(1)
    return training_step(model, lambda y: F.mse_loss(y, x), x)


def ae_step(memory_format):
    model = RelativeAutoEncoder(10).to(memory_format=memory_format)
    x = plaids(N_BATCH, IMAGE_STREAM).to(memory_format=memory_format)
    return training_step(model, lambda y: F.mse_loss(y, x), x)


def classifier_step(model, memory_format):
    model = model.to(memory_format=memory_format)
    labels = labels_in_turn(N_BATCH)
    x = colour_plaids(N_BATCH, IMAGE_STREAM).to(memory_format=memory_format)
    return training_step(model, lambda y: F.cross_entropy(y, labels), x)


def convnet_step(memory_format):
    return classifier_step(ConvNet(), memory_format)


def cnn_step(memory_format):
    head = [nn.Flatten(), nn.Linear(4096, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 100)]
    return classifier_step(nn.Sequential(*convolution_blocks((64, 128, 256), has_bias=True), *head), memory_format)


def time_step(name, make_step, n_steps, formats):
    for quantity in formats:
        step = make_step(FORMATS[quantity])
        for _ in range(N_WARM_UP):
            step()
        print(name, quantity, "%.4f" % median_ms(n_steps, step), flush=True)


def time_gemm():
    for n in (256, 512, 1024, 2048):
        a, b, c = torch.rand(n, n), torch.rand(n, n), torch.empty(n, n)
        torch.mm(a, b, out=c)
        print(f"gemm-{n} pytorch %.4f" % median_ms(15, lambda: torch.mm(a, b, out=c)), flush=True)


def print_losses():
    for name, make_step, n_steps in (("mlp", mlp_step, 5), ("ae", ae_step, 5), ("convnet", convnet_step, 1)):
        step = make_step(torch.contiguous_format)
        for i in range(1, n_steps + 1):
            print(f"{name} loss-{i} {step():.8f}")


PARTS = {
    "gemm": time_gemm,
    "mlp": lambda: time_step("mlp", mlp_step, 50, ["pytorch"]),
    "ae": lambda: time_step("ae", ae_step, 15, FORMATS),
    "convnet": lambda: time_step("convnet", convnet_step, 9, FORMATS),
    "cnn": lambda: time_step("cnn", cnn_step, 5, FORMATS),
    "losses": print_losses,
}

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count()))
for part in sys.argv[1:]:
    PARTS[part]()
