"""What koine_bench does in PyTorch and transformers, float32, from the same weights and images. run.py talks to it.

    python3 tests/bench/peer.py eager       as it comes, images in both memory formats, Adam as it comes and fused
    python3 tests/bench/peer.py compile     through torch.compile

DEVICE=cuda in the environment runs it on the GPU. The encoders are those of transformers, in batches padded to their
longest text, in the order of the texts or sorted by length.
"""

import functools
import os
import pathlib
import sys

import torch
import transformers
from peer_server import Workload, losses, serve
from spaces import ANCHORS, N_NEAREST, SPACE, ROWS_OF_BLOCK, difference_of_codes, space, spaces
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "golden"))
from convnet import ConvNet, colour_plaids, convolution_blocks, labels_in_turn  # noqa: E402
from relative_ae import IMAGE_STREAM, RelativeAutoEncoder, cosines, fill_by_formula, formula, plaids  # noqa: E402

from transformer import TextClassifier, base_encoder, formula_texts, message_lengths, small_encoder  # noqa: E402

DEVICE = os.environ.get("DEVICE") or "cpu"
N_BATCH = 128
N_TEXTS, N_TEXTS_OF_STEP, N_TEXTS_OF_PASS = 128, 64, 32
PLAIN, CHANNELS_LAST = torch.contiguous_format, torch.channels_last


def training_step(loss_of, parameters, is_fused, compiles):
    adam = torch.optim.Adam(parameters, lr=1e-3, fused=True) if is_fused else torch.optim.Adam(parameters, lr=1e-3)
    if compiles:
        loss_of = torch.compile(loss_of)

    def step():
        adam.zero_grad()
        loss = loss_of()
        loss.backward()
        adam.step()
        return loss.item()

    return step


# ---- networks of images: functions of a memory format and a probability of dropout, which give loss and parameters


def mlp(_, __):
    sizes, layers = (784, 512, 256, 64, 256, 512, 784), []
    for n_in, n_out in zip(sizes, sizes[1:]):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    model = nn.Sequential(*layers[:-1], nn.Sigmoid())
    fill_by_formula(model)
    model = model.to(DEVICE)
    x = plaids(N_BATCH, IMAGE_STREAM).flatten(1).to(DEVICE)
    return lambda: F.mse_loss(model(x), x), model.parameters()


def ae(memory_format, _):
    model = RelativeAutoEncoder(10).to(DEVICE, memory_format=memory_format)
    x = plaids(N_BATCH, IMAGE_STREAM).to(DEVICE, memory_format=memory_format)
    return lambda: F.mse_loss(model(x), x), model.parameters()


def classifier(model, memory_format):
    model = model.to(DEVICE, memory_format=memory_format)
    labels = labels_in_turn(N_BATCH).to(DEVICE)
    x = colour_plaids(N_BATCH, IMAGE_STREAM).to(DEVICE, memory_format=memory_format)
    return lambda: F.cross_entropy(model(x), labels), model.parameters()


def convnet(memory_format, _):
    return classifier(ConvNet(), memory_format)


def cnn(memory_format, p_dropout):
    hidden = nn.Linear(4096, 512)
    model = nn.Sequential(*convolution_blocks((64, 128, 256), has_bias=True),
                          nn.Flatten(), hidden, nn.ReLU(), nn.Dropout(p_dropout), nn.Linear(512, 100))  # fmt: skip
    fill_by_formula(model)
    with torch.no_grad():  # inputs in the order H, W, C to C, H, W
        hidden.weight.copy_(hidden.weight.reshape(-1, 4, 4, 256).permute(0, 3, 1, 2).reshape(-1, 4096).clone())
    return classifier(model, memory_format)


# ---- encoders


def padded(texts):
    """ids [N, T] and mask [N, T]"""
    ids = torch.ones(len(texts), max(len(text) for text in texts), dtype=torch.int64)
    for row, text in zip(ids, texts):
        row[: len(text)] = torch.from_numpy(text)
    mask = torch.zeros_like(ids)
    for row, text in zip(mask, texts):
        row[: len(text)] = 1
    return ids.to(DEVICE), mask.to(DEVICE)


@functools.lru_cache(maxsize=2)
def base_model(implementation):
    return TextClassifier(base_encoder(implementation), 2).encoder.eval().to(DEVICE)


def encoder_pass(implementation, is_sorted, compiles):
    encoder = base_model(implementation)
    if compiles:
        encoder = torch.compile(encoder, dynamic=True)
    texts = formula_texts(message_lengths(N_TEXTS), 5, 50265)
    if is_sorted:
        texts = sorted(texts, key=len)

    def run():
        vectors = []
        with torch.no_grad():
            for i in range(0, N_TEXTS, N_TEXTS_OF_PASS):
                ids, mask = padded(texts[i : i + N_TEXTS_OF_PASS])
                states = encoder(ids, attention_mask=mask).last_hidden_state
                vectors.append((states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))
        return torch.cat(vectors).square().mean().item()

    return run


def encoder_step(implementation, p_dropout, is_fused, compiles):
    model = TextClassifier(small_encoder(implementation, p_dropout), 2).train().to(DEVICE)
    ids, mask = padded(formula_texts(message_lengths(N_TEXTS_OF_STEP), 5, 5000))
    labels = torch.arange(N_TEXTS_OF_STEP, device=DEVICE) % 2
    return training_step(lambda: F.cross_entropy(model(ids, mask), labels), model.parameters(), is_fused, compiles)


# ---- products and spaces


def square(n, stream):
    return torch.from_numpy(formula(stream, n * n).reshape(n, n)).float().to(DEVICE)


def product(n):
    a, b = square(n, 6000), square(n, 6001)
    c = torch.zeros_like(a)

    def run():
        torch.mm(a, b, out=c)
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        return c

    return run


def entries_of_product(n):
    c = product(n)()
    return {f"entry-{i}": c[i, n - 1 - i].item() for i in range(0, n, n // 8)}


def projection():
    x, anchors = torch.from_numpy(space(*SPACE)), torch.from_numpy(space(*ANCHORS))

    def run():
        with torch.no_grad():
            return cosines(x, anchors)

    return run


def retrieval(dtype):
    a, b = (torch.from_numpy(x).to(dtype) for x in spaces())

    def run():
        x, y = F.normalize(a, dim=1), F.normalize(b, dim=1)
        ranks, shared = [], []
        for i in range(0, len(x), ROWS_OF_BLOCK):
            rows = slice(i, i + ROWS_OF_BLOCK)
            found = x[rows] @ y.T
            own = found.diagonal(i)[: len(found), None]
            ranks.append(1 + (found > own).sum(1))
            near_a, near_b = found.topk(N_NEAREST).indices, (y[rows] @ y.T).topk(N_NEAREST).indices
            shared.append((near_a[:, :, None] == near_b[:, None, :]).sum((1, 2)))
        ranks, shared = torch.cat(ranks).double(), torch.cat(shared).double()
        return {
            "jaccard": (shared / (2 * N_NEAREST - shared)).mean().item(),
            "mrr": (1 / ranks).mean().item(),
            "cosine": (x * y).sum(1).double().mean().item(),
            "top1": (ranks == 1).double().mean().item(),
            "top_k": (ranks <= N_NEAREST).double().mean().item(),
        }

    return run


# ---- what run.py can ask for


def workloads(compiles):
    found = {}

    def add(name, make, check, **options):
        found[name] = Workload(make, check, **options)

    # The classifiers' losses are steep: rounding is seen in the fifth digit from the second step on.
    for network, name, n_losses in ((mlp, "mlp", 5), (ae, "ae", 5), (convnet, "convnet", 1), (cnn, "cnn", 1)):
        formats = {"": PLAIN} if network is mlp else {"": PLAIN, "-channels_last": CHANNELS_LAST}
        for suffix, memory_format in formats.items():
            for is_fused in (True,) if compiles else (False, True):
                def make(p_dropout=0.5, network=network, memory_format=memory_format, is_fused=is_fused):
                    return training_step(*network(memory_format, p_dropout), is_fused, compiles)
                contender = ("compile" if compiles else "pytorch") + suffix + ("-fused" if is_fused else "")
                add(f"{name}/{contender}", make, lambda make=make, n=n_losses: losses(make(p_dropout=0), n))

    for implementation in ("sdpa",) if compiles else ("eager", "sdpa"):
        for is_sorted in (True,) if compiles else (False, True):
            def make(implementation=implementation, is_sorted=is_sorted):
                return encoder_pass(implementation, is_sorted, compiles)
            contender = ("sorted-" if is_sorted else "padded-") + ("compile" if compiles else implementation)
            add(f"encoder/{contender}", make, lambda make=make: losses(make(), 1), n_warm_up=1,
                forget=base_model.cache_clear)  # fmt: skip
        for is_fused in (True,) if compiles else (False, True):
            def make(p_dropout=0.1, implementation=implementation, is_fused=is_fused):
                return encoder_step(implementation, p_dropout, is_fused, compiles)
            contender = ("compile" if compiles else implementation) + ("-fused" if is_fused else "")
            add(f"encoder-step/{contender}", make, lambda make=make: losses(make(p_dropout=0), 5))

    if not compiles:
        for n in (256, 512, 1024, 2048):
            make, check = functools.partial(product, n), functools.partial(entries_of_product, n)
            add(f"gemm-{n}/pytorch", make, check, n_warm_up=1)
        if DEVICE == "cpu":
            add("projection/pytorch", projection, lambda: difference_of_codes(projection()().numpy()))
            add("retrieval/pytorch", lambda: retrieval(torch.float32), lambda: retrieval(torch.float64)(), n_warm_up=1)
    return found


if __name__ == "__main__":
    if sys.argv[1:] not in (["eager"], ["compile"]):
        sys.exit(__doc__)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count()))
    # The same promise as Koine's: float32 is float32.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    serve({"torch": torch.__version__, "transformers": transformers.__version__}, workloads(sys.argv[1] == "compile"))
