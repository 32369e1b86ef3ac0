"""The products and training steps of koine_bench in PyTorch (eager, float32), one argument each; images in both
memory formats. DEVICE=cuda in the environment runs them on the GPU. Prints "workload quantity value", times in ms. Run by run.sh.

    python3 tests/bench/peer.py [gemm] [mlp] [ae] [convnet] [cnn] [encoder] [encoder-step] [losses]

The encoders are those of transformers, in batches padded to their longest text; the better of eager and sdpa counts.
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

from transformer import TextClassifier, base_encoder, formula_texts, message_lengths, small_encoder  # noqa: E402

DEVICE = os.environ.get("DEVICE") or "cpu"
N_BATCH, N_WARM_UP = 128, 3
N_TEXTS, N_TEXTS_OF_STEP, N_TEXTS_OF_PASS = 128, 64, 32
FORMATS = {"pytorch": torch.contiguous_format, "channels_last": torch.channels_last}


def median_ms(n, f):
    times = []
    for _ in range(n):
        begin = time.perf_counter()
        f()
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times)


def training_step(model, loss_of, x, parameters=None):
    adam = torch.optim.Adam(parameters or model.parameters(), lr=1e-3)

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
    model = model.to(DEVICE)
    x = plaids(N_BATCH, IMAGE_STREAM).flatten(1).to(DEVICE)
    return training_step(model, lambda y: F.mse_loss(y, x), x)


def ae_step(memory_format):
    model = RelativeAutoEncoder(10).to(DEVICE, memory_format=memory_format)
    x = plaids(N_BATCH, IMAGE_STREAM).to(DEVICE, memory_format=memory_format)
    return training_step(model, lambda y: F.mse_loss(y, x), x)


def classifier_step(model, memory_format):
    model = model.to(DEVICE, memory_format=memory_format)
    labels = labels_in_turn(N_BATCH).to(DEVICE)
    x = colour_plaids(N_BATCH, IMAGE_STREAM).to(DEVICE, memory_format=memory_format)
    return training_step(model, lambda y: F.cross_entropy(y, labels), x)


def convnet_step(memory_format):
    return classifier_step(ConvNet(), memory_format)


def cnn_step(memory_format):
    head = [nn.Flatten(), nn.Linear(4096, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 100)]
    return classifier_step(nn.Sequential(*convolution_blocks((64, 128, 256), has_bias=True), *head), memory_format)


def padded(texts):
    """ids [N, T] and mask [N, T]"""
    ids = torch.ones(len(texts), max(len(text) for text in texts), dtype=torch.int64)
    for row, text in zip(ids, texts):
        row[: len(text)] = torch.from_numpy(text)
    mask = torch.zeros_like(ids)
    for row, text in zip(mask, texts):
        row[: len(text)] = 1
    return ids.to(DEVICE), mask.to(DEVICE)


def encoder_pass(implementation):
    encoder = TextClassifier(base_encoder(implementation), 2).encoder.eval().to(DEVICE)
    # Sorted by length, so that there is little padding.
    texts = sorted(formula_texts(message_lengths(N_TEXTS), 5, 50265), key=len)

    def run():
        vectors = []
        with torch.no_grad():
            for i in range(0, N_TEXTS, N_TEXTS_OF_PASS):
                ids, mask = padded(texts[i : i + N_TEXTS_OF_PASS])
                states = encoder(ids, attention_mask=mask).last_hidden_state
                vectors.append((states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))
        return torch.cat(vectors).square().mean().item()

    return run


def encoder_step(implementation, p_dropout=0.1):
    model = TextClassifier(small_encoder(implementation, p_dropout), 2).train().to(DEVICE)
    x = padded(formula_texts(message_lengths(N_TEXTS_OF_STEP), 5, 5000))
    labels = torch.arange(N_TEXTS_OF_STEP, device=DEVICE) % 2
    return training_step(lambda x: model(*x), lambda y: F.cross_entropy(y, labels), x, model.parameters())


def time_encoder(name, make_step, n_steps):
    """One number, of the better implementation."""
    times = []
    for implementation in ("eager", "sdpa"):
        step = make_step(implementation)
        step()
        times.append(median_ms(n_steps, step))
    print(name, "pytorch", "%.4f" % min(times), flush=True)


def time_step(name, make_step, n_steps, formats):
    for quantity in formats:
        step = make_step(FORMATS[quantity])
        for _ in range(N_WARM_UP):
            step()
        print(name, quantity, "%.4f" % median_ms(n_steps, step), flush=True)


def time_gemm():
    for n in (256, 512, 1024, 2048):
        a, b, c = (torch.rand(n, n, device=DEVICE) for _ in range(3))

        def product():
            torch.mm(a, b, out=c)
            if DEVICE == "cuda":
                torch.cuda.synchronize()

        product()
        print(f"gemm-{n} pytorch %.4f" % median_ms(15, product), flush=True)


def print_losses():
    plain = torch.contiguous_format
    for name, make_step, n_steps in (
        ("mlp", lambda: mlp_step(plain), 5),
        ("ae", lambda: ae_step(plain), 5),
        ("encoder", lambda: encoder_pass("eager"), 1),
        ("encoder-step", lambda: encoder_step("eager", p_dropout=0), 5),
        ("convnet", lambda: convnet_step(plain), 1),
    ):
        step = make_step()
        for i in range(1, n_steps + 1):
            print(f"{name} loss-{i} {step():.8f}")


PARTS = {
    "gemm": time_gemm,
    "mlp": lambda: time_step("mlp", mlp_step, 50, ["pytorch"]),
    "ae": lambda: time_step("ae", ae_step, 15, FORMATS),
    "convnet": lambda: time_step("convnet", convnet_step, 9, FORMATS),
    "cnn": lambda: time_step("cnn", cnn_step, 5, FORMATS),
    "encoder": lambda: time_encoder("encoder", encoder_pass, 3),
    "encoder-step": lambda: time_encoder("encoder-step", encoder_step, 9),
    "losses": print_losses,
}

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count()))
for part in sys.argv[1:]:
    PARTS[part]()
