"""What people write in PyTorch runs here, and gives the same numbers: scripts as its tutorials have them.

Each function below is a script whose ``torch`` is minidl once and PyTorch once. Where random numbers would differ, they
come from NumPy.
"""

from __future__ import annotations

import copy
import importlib.util
import io
import math
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import minidl

SCRIPTS: list[Callable[..., Any]] = []


def script(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add a function to those that run under both names."""
    SCRIPTS.append(function)
    return function


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(np.float32)


def labels(below: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(below).integers(0, below, shape)


def filled(model: Any, seed: int = 0) -> Any:
    """Give each parameter numbers that depend on its name alone."""
    for name, p in sorted(model.named_parameters()):
        draws = np.random.default_rng((seed, *name.encode())).standard_normal(tuple(p.shape))
        p.data.copy_(p.new_tensor((draws / math.sqrt(p.shape[-1])).astype(np.float32)))
    return model


# ---------------------------------------------------------------------- tensors


@script
def tensors(torch: Any) -> Any:
    data = torch.tensor([[1, 2], [3, 4]])
    print(f"Ones Tensor: \n {torch.ones_like(data)} \n")
    device = torch.device("cuda:0" if torch.cuda.is_available() and torch.cuda.device_count() > 1000 else "cpu")
    tensor = torch.ones(4, 4).to(device)
    tensor[:, 1] = 0
    print(tensor, tensor.device, f"{tensor.sum()} {tensor.mean():.2f}")
    print(torch.cat([tensor, tensor], dim=1))
    agg = tensor.sum()
    print(agg.item(), type(agg.item()).__name__, len(tensor), tensor.dim(), tensor.numel())
    product = torch.rand_like(tensor)
    torch.matmul(tensor, tensor.T, out=product)
    torch.mul(product, tensor, out=product)
    tensor.add_(5)
    array = np.ones(5)
    shared = torch.from_numpy(array)
    np.add(array, 1, out=array)
    batch = torch.tensor(floats(6, 3, 2))
    n, *rest = batch.size()
    return (
        product, tensor @ tensor.T, shared, n, list(rest),
        batch.view(batch.size(0), -1), batch.permute(2, 0, 1).contiguous().view(2, -1), batch[..., None].squeeze(-1),
        torch.stack([batch[0], batch[1]]), batch.split(4), batch.chunk(2, dim=1), torch.unbind(batch, 2),
        torch.zeros(batch.shape[0], 5).shape[1], torch.Tensor([1, 2]), torch.LongTensor([1, 2]), torch.FloatTensor([3]),
        torch.arange(0, 10, 3).float(), torch.linspace(0, 1, 5), torch.full((2,), 3.5),
        torch.eye(2, dtype=torch.float64),
        torch.where(batch > 0, batch, torch.zeros(())), torch.einsum("bij,bkj->bik", batch, batch),
        batch.flip(0), batch.roll(1, 0), batch[0].repeat(2, 1), batch[:, :1].expand(-1, 3, -1),
        torch.triu(torch.ones(3, 3) * float("-inf"), diagonal=1), torch.tensor(3.0).item(),
        torch.tensor([True, False]).sum(),
    )  # fmt: skip


@script
def arithmetic(torch: Any) -> Any:
    i, f = torch.tensor([7, -7, 3]), torch.tensor([1.0, 2.5, -3.0])
    b, u = torch.tensor([True, False, True]), torch.tensor([1, 2, 3], dtype=torch.uint8)
    return (
        i + 1.5, i / 2, i // 2, i % 3, i**2, 2**u, f + i, f * b, 1 - f, 2 / f, f**2, -f, abs(f), f.double() + f, u * 2,
        f.half() + 1, 10 - i, -7 // i, i << 1, i >> 1, i & 3, ~b, b ^ True, b & (f > 0), f > 1, (f >= 1) | (i == 3),
        torch.tensor(2) * 1.5, torch.tensor(2.5) * i, 3.0 in f, i.float().mean(), f.round(), f.clamp(min=0), f.long(),
        f.sum(), f.max(0), f.min(), f.std(), f.norm(), f.argmax(), f.cumsum(0), f.sort(descending=True), f.topk(2),
        f.var(unbiased=False), f.prod(), torch.max(f, torch.zeros(3)), f.logsumexp(0), (f > 0).any(), (f > 0).all(),
        sum([f, f]), max(f), min(i), sum(f), sorted(f.tolist()), math.sqrt(f[1]), int(i[0]), float(f[0]), bool(b[0]),
        f.sigmoid(), f.exp().log1p(), f.abs().sqrt(), f.tanh(), torch.relu(f), torch.pow(2, f), f.dot(f),
        torch.outer(f, f),
        "yes" if f[0] > 0 else "no", f"{f[0]:.3f} {i[0]:3d} {f[0]}", f"{f[1]:.2f}", [x.item() for x in f],
        [1, 2, 3][torch.tensor(1)], torch.isnan(f / 0 * f), torch.allclose(f, f + 1e-9), torch.equal(i, i),
    )  # fmt: skip


@script
def indexing(torch: Any) -> Any:
    x = torch.arange(24.0).reshape(2, 3, 4)
    y = x.clone()
    y[y > 5] = 0
    y[:, 1] += 1
    y[..., 2] *= 2
    y[0, 0, 0] = torch.tensor(5.0)
    y[[0, 1], [0, 2]] = -1.0
    mask = torch.zeros(2, 3, dtype=torch.bool)
    mask[0, 1] = True
    y[mask] = 100
    for row in y[0]:
        row += 1
    scores, target = torch.tensor(floats(4, 5), requires_grad=True), torch.tensor([1, 0, 4, 2])
    picked = -scores.log_softmax(1)[range(4), target].mean() + (scores[scores > 0] ** 2).sum() + scores[1:, ::2].sum()
    picked.backward()
    onehot = torch.zeros(4, 5).scatter_(1, target.unsqueeze(1), 1.0)
    rows, columns = torch.where(onehot > 0)
    (a, b), c = torch.arange(4).view(2, 2), 0
    return (
        y, scores.grad, onehot, rows, columns, a, b, c, x[0], x[:, [0, 2]], x[x > 20], x[torch.tensor([1, 0])],
        x[:, None, 1:, ::2],
        x[-1, ..., -1], scores.gather(1, target.view(-1, 1)), x.index_select(1, torch.tensor([2, 0])),
        x.masked_fill(x > 3, -1.0),
        torch.nonzero(onehot), x.argmax(dim=1, keepdim=True), torch.tril(onehot), (target == 4).nonzero(as_tuple=True),
    )  # fmt: skip


@script
def tensors_and_arrays(torch: Any) -> Any:
    inputs = np.random.default_rng(0).standard_normal((20, 2))
    wanted = (inputs[:, 0] > 0).astype(int)
    x, y = torch.tensor(inputs, dtype=torch.float32), torch.from_numpy(wanted)
    model = filled(torch.nn.Linear(2, 2))
    with torch.no_grad():
        probabilities = torch.softmax(model(x), dim=1)[:, 1].numpy()
    output = model(x)
    accuracy = (output.argmax(1) == y).float().mean()
    array = np.zeros(3, np.float32)
    array[:] = torch.tensor([1.0, 2.0, 3.0])
    return (
        probabilities, np.concatenate([x, x]), np.asarray(x).mean(0), np.array(x).shape,
        output.detach().numpy().argmax(1) == wanted,
        accuracy, array, np.float32(2) * x, x * np.float64(0.5), x.sum(axis=0), x.mean(axis=1), np.exp(x),
        np.allclose(x, inputs),
        np.arange(5)[torch.tensor([1, 2])], torch.arange(5)[np.array([0, 1])], torch.as_tensor(wanted), x.tolist()[0],
        len(x),
        model.weight.data.numpy(), np.mean([torch.tensor(1.0), torch.tensor(3.0)]),
        [i for i, _ in enumerate(zip(x, y, strict=True))][-1],
    )  # fmt: skip


# ---------------------------------------------------------------------- autograd


@script
def autograd(torch: Any) -> Any:
    a = torch.tensor([2.0, 3.0], requires_grad=True)
    b = torch.tensor([6.0, 4.0], requires_grad=True)
    q = 3 * a**3 - b**2
    q.backward(gradient=torch.tensor([1.0, 1.0]))
    print(9 * a**2 == a.grad, -2 * b == b.grad)
    identity = torch.eye(4, 5, requires_grad=True)
    out = (identity + 1).pow(2).t()
    out.backward(torch.ones_like(out), retain_graph=True)
    out.backward(torch.ones_like(out))
    print(identity.grad, a.is_leaf, q.is_leaf, q.requires_grad, a.detach().requires_grad)
    with torch.no_grad():
        print((a * 2).requires_grad)

    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    f = (x**3).sum() + x[0] * x[1]
    (g,) = torch.autograd.grad(f, x, create_graph=True)
    (product,) = torch.autograd.grad(g, x, grad_outputs=torch.tensor([1.0, 0.0, -1.0]), retain_graph=True)
    hessian = torch.autograd.functional.hessian(lambda t: (t**3).sum() * t[0], torch.tensor([1.0, 2.0]))
    jacobian = torch.autograd.functional.jacobian(
        lambda t: torch.stack([t[0] * t[1], t[0] ** 2]), torch.tensor([1.0, 2.0])
    )
    z = x * 3
    z.retain_grad()
    handle = x.register_hook(lambda grad: grad * 2)
    torch.autograd.backward([(z**2).sum(), (x * 3).sum()])
    handle.remove()

    from_zero = torch.zeros(2, requires_grad=True)
    (from_zero.norm() + from_zero.abs().sum() + from_zero.max() + torch.relu(from_zero).sum()).backward()
    return q, a.grad, b.grad, g, product, hessian, jacobian, z.grad, x.grad, from_zero.grad


@script
def gradient_penalty(torch: Any) -> Any:
    critic = filled(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1, bias=False)))
    real, fake = torch.tensor(floats(6, 4)), torch.tensor(floats(6, 4, seed=1))
    alpha = torch.tensor(np.random.default_rng(0).random((6, 1)).astype(np.float32))
    mixed = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    scores = critic(mixed)
    gradients = torch.autograd.grad(
        outputs=scores, inputs=mixed, grad_outputs=torch.ones(scores.size()), create_graph=True, retain_graph=True,
        only_inputs=True,
    )[0].view(mixed.size(0), -1)  # fmt: skip
    penalty = ((gradients.norm(2, dim=1) - 1) ** 2).mean()
    (penalty * 10 + critic(fake).mean() - critic(real).mean()).backward()
    return penalty, [p.grad for p in critic.parameters()]


@script
def polynomial_with_its_own_function(torch: Any) -> Any:
    class LegendrePolynomial3(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, input: Any) -> Any:  # noqa: A002
            ctx.save_for_backward(input)
            return 0.5 * (5 * input**3 - 3 * input)

        @staticmethod
        def backward(ctx: Any, grad_output: Any) -> Any:
            (input,) = ctx.saved_tensors  # noqa: A001
            return grad_output * 1.5 * (5 * input**2 - 1)

    x = torch.linspace(-math.pi, math.pi, 2000, device=torch.device("cpu"), dtype=torch.float)
    y = torch.sin(x)
    a, b, c, d = (torch.full((), v, requires_grad=True) for v in (0.1, -1.0, 0.2, 0.3))
    losses = []
    for _ in range(60):
        loss = (a + b * LegendrePolynomial3.apply(c + d * x) - y).pow(2).sum()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            for p in (a, b, c, d):
                p -= 5e-6 * p.grad
                p.grad = None
    return losses, a, b, c, d


# ---------------------------------------------------------------------- training


@script
def polynomial_with_optim(torch: Any) -> Any:
    class Polynomial3(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = torch.nn.Parameter(torch.randn(()))
            self.b = torch.nn.Parameter(torch.randn(3))

        def forward(self, x: Any) -> Any:
            return self.a + x.unsqueeze(-1).pow(torch.tensor([1, 2, 3])) @ self.b

    x = torch.linspace(-math.pi, math.pi, 500)
    results = []
    for make in (
        lambda p: torch.optim.SGD(p, lr=1e-6, momentum=0.9),
        lambda p: torch.optim.RMSprop(p, lr=1e-3),
        lambda p: torch.optim.Adam(p, lr=1e-2),
    ):
        model = Polynomial3()
        with torch.no_grad():
            model.a.fill_(0.5)
            model.b.copy_(torch.tensor([0.1, -0.2, 0.3]))
        criterion, optimizer = torch.nn.MSELoss(reduction="sum"), make(model.parameters())
        for _ in range(30):
            loss = criterion(model(x), torch.sin(x))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        results.append((loss.item(), model.a, model.b))
    return results


@script
def image_classifier(torch: Any) -> Any:
    nn, F = torch.nn, torch.nn.functional

    class Net(nn.Module):
        def __init__(self) -> None:
            super(Net, self).__init__()  # noqa: UP008
            self.conv1 = nn.Conv2d(3, 6, 5)
            self.pool = nn.MaxPool2d(2, 2)
            self.conv2 = nn.Conv2d(6, 8, 3, padding=1)
            self.dropout = nn.Dropout(0.25)
            self.fc1 = nn.Linear(8 * 3 * 3, 10)

        def forward(self, x: Any) -> Any:
            x = self.pool(F.relu(self.conv1(x)))
            x = F.max_pool2d(F.relu(self.conv2(x)), (2, 2))
            x = torch.flatten(self.dropout(x), 1)
            return F.log_softmax(self.fc1(x), dim=1)

    classes = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    data = torch.utils.data.TensorDataset(torch.tensor(floats(24, 3, 16, 16)), torch.tensor(labels(10, 24)))
    train_loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=False, num_workers=0)
    test_loader = torch.utils.data.DataLoader(data, batch_size=16, pin_memory=False)
    device = torch.device("cpu")
    model = filled(Net()).to(device)
    print(model, [tuple(p.size()) for p in model.parameters()])
    model.dropout.p = 0.0
    optimizer = torch.optim.Adadelta(model.parameters(), lr=0.5)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    losses = []
    for epoch in range(1, 3):
        model.train()
        for batch_idx, (inputs, target) in enumerate(train_loader):
            inputs, target = inputs.to(device), target.to(device)
            optimizer.zero_grad()
            loss = F.nll_loss(model(inputs), target)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            done = batch_idx * len(inputs), len(train_loader.dataset), 100.0 * batch_idx / len(train_loader)
            print("Train Epoch: {} [{}/{} ({:.0f}%)]".format(epoch, *done))
        scheduler.step()
    model.eval()
    test_loss = correct = 0
    hits = dict.fromkeys(classes, 0)
    with torch.no_grad():
        for images, target in test_loader:
            output = model(images)
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            _, predicted = torch.max(output.data, 1)
            pred = output.argmax(dim=1, keepdim=True)
            assert pred.eq(target.view_as(pred)).sum().item() == (predicted == target).sum().item()
            correct += (predicted == target).sum().item()
            for label, prediction in zip(target, predicted, strict=True):
                if label == prediction:
                    hits[classes[label]] += 1
    print(f"Accuracy: {100 * correct // len(data)} %", hits)
    return losses, test_loss, scheduler.get_last_lr(), output


@script
def names_by_their_characters(torch: Any) -> Any:
    nn = torch.nn
    letters = "abcdefgh"

    def line_to_tensor(line: str) -> Any:
        tensor = torch.zeros(len(line), 1, len(letters))
        for li, letter in enumerate(line):
            tensor[li][0][letters.find(letter)] = 1
        return tensor

    class RNN(nn.Module):
        def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
            super().__init__()
            self.hidden_size = hidden_size
            self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
            self.h2o = nn.Linear(hidden_size, output_size)
            self.softmax = nn.LogSoftmax(dim=1)

        def forward(self, input: Any, hidden: Any) -> Any:  # noqa: A002
            hidden = torch.tanh(self.i2h(torch.cat((input, hidden), 1)))
            return self.softmax(self.h2o(hidden)), hidden

    rnn, criterion = filled(RNN(len(letters), 16, 3)), nn.NLLLoss()
    losses = []
    for i in range(6):
        line, category = line_to_tensor("badcafe"[i % 3 :]), torch.tensor([i % 3], dtype=torch.long)
        hidden = torch.zeros(1, rnn.hidden_size)
        rnn.zero_grad()
        for j in range(line.size()[0]):
            output, hidden = rnn(line[j], hidden)
        loss = criterion(output, category)
        loss.backward()
        for p in rnn.parameters():
            p.data.add_(p.grad.data, alpha=-0.05)
        losses.append(loss.item())
    _, top_i = output.topk(1)
    return losses, output, "xyz"[top_i[0].item()]


@script
def tags_with_an_lstm(torch: Any) -> Any:
    nn, F = torch.nn, torch.nn.functional

    class LSTMTagger(nn.Module):
        def __init__(self, embedding_dim: int, hidden_dim: int, vocab_size: int, tagset_size: int) -> None:
            super().__init__()
            self.word_embeddings = nn.Embedding(vocab_size, embedding_dim)
            self.lstm = nn.LSTM(embedding_dim, hidden_dim)
            self.hidden2tag = nn.Linear(hidden_dim, tagset_size)

        def forward(self, sentence: Any) -> Any:
            embeds = self.word_embeddings(sentence)
            lstm_out, _ = self.lstm(embeds.view(len(sentence), 1, -1))
            return F.log_softmax(self.hidden2tag(lstm_out.view(len(sentence), -1)), dim=1)

    sentences = [([0, 1, 2, 3, 4], [0, 1, 2, 0, 1]), ([5, 6, 7, 8], [1, 2, 0, 1])]
    model = filled(LSTMTagger(6, 6, 9, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(8):
        for words, tags in sentences:
            model.zero_grad()
            scores = model(torch.tensor(words, dtype=torch.long))
            loss = nn.NLLLoss()(scores, torch.tensor(tags, dtype=torch.long))
            loss.backward()
            optimizer.step()

    stacked = filled(nn.LSTM(3, 4, num_layers=2, batch_first=True, bidirectional=True))
    out, (h, c) = stacked(torch.tensor(floats(2, 5, 3)))
    cell, state = filled(nn.LSTMCell(3, 4)), None
    for step in torch.tensor(floats(5, 2, 3)):
        state = cell(step, state)
    gru, _ = filled(nn.GRU(3, 4))(torch.tensor(floats(5, 2, 3)))
    return loss, scores, model.state_dict(), out, h, c, state, gru


@script
def words_from_their_neighbours(torch: Any) -> Any:
    nn, F = torch.nn, torch.nn.functional
    text = "when forty winters shall besiege thy brow and dig deep trenches in thy beauty's field"
    sentence = text.split()
    index = {word: i for i, word in enumerate(sorted(set(sentence)))}

    class CBOW(nn.Module):
        def __init__(self, words: int, dim: int) -> None:
            super().__init__()
            self.embeddings = nn.Embedding(words, dim, padding_idx=0)
            self.linear = nn.Linear(dim, words, bias=False)

        def forward(self, inputs: Any) -> Any:
            return self.linear(self.embeddings(inputs).mean(dim=1))

    model = filled(CBOW(len(index), 5))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    contexts = torch.LongTensor([[index[w] for w in sentence[i : i + 2]] for i in range(len(sentence) - 2)])
    targets = torch.LongTensor([index[w] for w in sentence[2:]])
    for _ in range(5):
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(contexts), targets)
        loss.backward()
        optimizer.step()
    weight = model.embeddings.weight
    similar = F.cosine_similarity(weight[index["thy"]].unsqueeze(0), weight, dim=1)
    return (
        loss,
        weight,
        similar,
        similar.argsort(descending=True)[:3],
        F.one_hot(targets, num_classes=len(index)).float(),
    )


@script
def transformer_from_scratch(torch: Any) -> Any:
    nn = torch.nn

    class PositionalEncoding(nn.Module):
        def __init__(self, d_model: int, dropout: float = 0.1, max_len: int = 50) -> None:
            super().__init__()
            self.dropout = nn.Dropout(p=dropout)
            position = torch.arange(max_len).unsqueeze(1)
            div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
            pe = torch.zeros(1, max_len, d_model)
            pe[0, :, 0::2] = torch.sin(position * div_term)
            pe[0, :, 1::2] = torch.cos(position * div_term)
            self.register_buffer("pe", pe)

        def forward(self, x: Any) -> Any:
            return self.dropout(x + self.pe[:, : x.size(1)])

    class MultiHeadAttention(nn.Module):
        def __init__(self, d_model: int, num_heads: int) -> None:
            super().__init__()
            self.num_heads, self.d_k = num_heads, d_model // num_heads
            self.qkv, self.out = nn.Linear(d_model, 3 * d_model), nn.Linear(d_model, d_model)

        def forward(self, x: Any, mask: Any = None) -> Any:
            n, t, d = x.size()
            q, k, v = (y.view(n, t, self.num_heads, self.d_k).transpose(1, 2) for y in self.qkv(x).split(d, dim=2))
            scores = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(self.d_k)
            if mask is not None:
                scores = scores.masked_fill(mask == 0, -1e9)
            y = torch.matmul(torch.softmax(scores, dim=-1), v)
            return self.out(y.transpose(1, 2).contiguous().view(n, t, d))

    class Layer(nn.Module):
        def __init__(self, d: int, heads: int) -> None:
            super().__init__()
            self.attention = MultiHeadAttention(d, heads)
            self.ff = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
            self.norms = nn.ModuleList([nn.LayerNorm(d) for _ in range(2)])

        def forward(self, x: Any, mask: Any) -> Any:
            x = self.norms[0](x + self.attention(x, mask))
            return self.norms[1](x + self.ff(x))

    tokens = torch.tensor(labels(11, 2, 6))
    padding = (tokens != 0).unsqueeze(1).unsqueeze(2)
    causal = (1 - torch.triu(torch.ones(1, 6, 6), diagonal=1)).bool()
    model = nn.ModuleDict({"embed": nn.Embedding(11, 8), "encode": PositionalEncoding(8), "layer": Layer(8, 2)})
    filled(model).eval()
    y = model["layer"](model["encode"](model["embed"](tokens) * math.sqrt(8)), padding & causal)
    (y**2).mean().backward()
    whole = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), num_layers=2)
    return (
        padding & causal, y, {name: p.grad for name, p in sorted(model.named_parameters())},
        sorted(model.state_dict()), filled(whole)(y.detach()),
    )  # fmt: skip


@script
def small_gpt(torch: Any) -> Any:
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self, d: int, heads: int, length: int) -> None:
            super().__init__()
            self.heads = heads
            self.ln, self.c_attn, self.c_proj = nn.LayerNorm(d), nn.Linear(d, 3 * d), nn.Linear(d, d)
            self.register_buffer("bias", torch.tril(torch.ones(length, length)).view(1, 1, length, length))

        def forward(self, x: Any) -> Any:
            B, T, C = x.size()
            q, k, v = (
                y.view(B, T, self.heads, C // self.heads).transpose(1, 2)
                for y in self.c_attn(self.ln(x)).chunk(3, dim=-1)
            )
            att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            att = F.softmax(att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf")), dim=-1)
            assert torch.allclose(att @ v, F.scaled_dot_product_attention(q, k, v, is_causal=True), atol=1e-5)
            return x + self.c_proj((att @ v).transpose(1, 2).contiguous().view(B, T, C))

    class GPT(nn.Module):
        def __init__(self, words: int, d: int, length: int) -> None:
            super().__init__()
            self.wte, self.wpe = nn.Embedding(words, d), nn.Embedding(length, d)
            self.h = nn.ModuleList([Block(d, 2, length) for _ in range(2)])
            self.head = nn.Linear(d, words, bias=False)
            self.head.weight = self.wte.weight
            self.apply(self._init_weights)

        def _init_weights(self, module: Any) -> None:
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, mean=0.0, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

        def forward(self, idx: Any, targets: Any = None) -> Any:
            pos = torch.arange(0, idx.size(1), dtype=torch.long, device=idx.device).unsqueeze(0)
            x = self.wte(idx) + self.wpe(pos)
            for block in self.h:
                x = block(x)
            logits = self.head(x)
            if targets is None:
                return logits, None
            return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)

        @torch.no_grad()
        def generate(self, idx: Any, new: int, top_k: int) -> Any:
            for _ in range(new):
                logits, _ = self(idx[:, -8:])
                logits = logits[:, -1, :] / 0.8
                v, _ = torch.topk(logits, top_k)
                logits[logits < v[:, [-1]]] = -float("Inf")
                probs = F.softmax(logits, dim=-1)
                drawn = torch.multinomial(probs, num_samples=1)
                assert (probs.gather(1, drawn) > 0).all()
                idx = torch.cat((idx, torch.topk(probs, k=1, dim=-1)[1]), dim=1)
            return idx

    model = GPT(13, 8, 8)
    assert model.h[0].c_attn.bias.abs().max() == 0
    filled(model)
    print(f"number of parameters: {sum(p.numel() for p in model.parameters()) / 1e3:.3f}K")
    groups = [
        {"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-4)
    idx = torch.tensor(labels(13, 2, 8))
    target = idx.roll(-1, 1)
    target[:, -1] = -1
    for _ in range(3):
        logits, loss = model(idx, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
    return logits, loss, norm, dict(sorted(model.named_parameters())), model.generate(idx, 6, 4)


@script
def gan(torch: Any) -> Any:
    nn = torch.nn

    def block(i: int, o: int, normalize: bool = True) -> list[Any]:
        return [nn.Linear(i, o), *([nn.BatchNorm1d(o, 0.8)] if normalize else []), nn.LeakyReLU(0.2, inplace=True)]

    generator = filled(nn.Sequential(*block(5, 8, normalize=False), *block(8, 12), nn.Linear(12, 16), nn.Tanh()))
    discriminator = filled(nn.Sequential(*block(16, 8, normalize=False), nn.Linear(8, 1), nn.Sigmoid()), seed=1)
    adversarial_loss = nn.BCELoss()
    optimizer_g = torch.optim.SGD(generator.parameters(), lr=0.05, momentum=0.5)
    optimizer_d = torch.optim.SGD(discriminator.parameters(), lr=0.05, momentum=0.5)
    losses = []
    for i in range(6):
        real = torch.from_numpy(floats(6, 1, 4, 4, seed=i))
        valid, fake = torch.FloatTensor(real.size(0), 1).fill_(1.0), torch.zeros(real.size(0), 1, requires_grad=False)
        optimizer_g.zero_grad()
        images = generator(torch.tensor(floats(6, 5, seed=i)))
        images = images.view(images.size(0), *(1, 4, 4))
        g_loss = adversarial_loss(discriminator(images.view(images.size(0), -1)), valid)
        g_loss.backward()
        optimizer_g.step()
        optimizer_d.zero_grad()
        real_loss = adversarial_loss(discriminator(real.type(torch.FloatTensor).view(6, -1)), valid)
        fake_loss = adversarial_loss(discriminator(images.detach().view(6, -1)), fake)
        d_loss = (real_loss + fake_loss) / 2
        d_loss.backward()
        optimizer_d.step()
        losses.append((d_loss.item(), g_loss.item()))
    return losses, generator[-2].weight, discriminator[0].weight


@script
def variational_autoencoder(torch: Any) -> Any:
    nn, F = torch.nn, torch.nn.functional

    class VAE(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc21, self.fc22 = nn.Linear(16, 10), nn.Linear(10, 3), nn.Linear(10, 3)
            self.fc3, self.fc4 = nn.Linear(3, 10), nn.Linear(10, 16)

        def reparameterize(self, mu: Any, logvar: Any, eps: Any) -> Any:
            return mu + eps * torch.exp(0.5 * logvar)

        def forward(self, x: Any, eps: Any) -> Any:
            h1 = F.relu(self.fc1(x.view(-1, 16)))
            mu, logvar = self.fc21(h1), self.fc22(h1)
            h3 = F.relu(self.fc3(self.reparameterize(mu, logvar, eps)))
            return torch.sigmoid(self.fc4(h3)), mu, logvar

    model = filled(VAE())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    train_loss = 0
    for i in range(5):
        x = torch.tensor(floats(5, 1, 4, 4, seed=i)).sigmoid()
        optimizer.zero_grad()
        recon, mu, logvar = model(x, torch.tensor(floats(5, 3, seed=i)))
        BCE = F.binary_cross_entropy(recon, x.view(-1, 16), reduction="sum")
        KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        loss = BCE + KLD
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
    return train_loss, recon, model.fc21.weight


# ---------------------------------------------------------------------- around training


@script
def transfer_and_schedules(torch: Any) -> Any:
    nn, schedules = torch.nn, torch.optim.lr_scheduler
    model = filled(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6)))
    for param in model.parameters():
        param.requires_grad = False
    model[2] = filled(nn.Linear(6, 3), 2)
    trainable = filter(lambda p: p.requires_grad, model.parameters())
    optimizer = torch.optim.SGD(trainable, lr=0.1, momentum=0.9, weight_decay=1e-3, nesterov=True)
    scheduler = schedules.CosineAnnealingLR(optimizer, T_max=10)
    x, y = torch.tensor(floats(7, 4)), torch.tensor(labels(3, 7))
    best, best_wts, rates = float("inf"), None, []
    for _ in range(6):
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.5)
        optimizer.step()
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
        if loss < best:
            best, best_wts = loss.item(), copy.deepcopy(model.state_dict())
    print(model.load_state_dict(best_wts))
    print(sum(p.numel() for p in model.parameters() if p.requires_grad), model[0].weight.grad)

    plateau = schedules.ReduceLROnPlateau(optimizer, "min", factor=0.5, patience=1)
    for value in [1.0, 0.9, 0.95, 0.96, 0.97]:
        plateau.step(value)
    cycle = schedules.OneCycleLR(torch.optim.Adam(model[2].parameters()), max_lr=0.1, total_steps=12)
    other = torch.optim.SGD(model[2].parameters(), lr=1.0)
    warm = schedules.LinearLR(other, 0.1, total_iters=3)
    sequence = schedules.SequentialLR(other, [warm, schedules.ExponentialLR(other, 0.9)], milestones=[3])
    for s in (cycle, sequence):
        for _ in range(8):
            s.optimizer.step()
            s.step()
            rates.append(s.get_last_lr()[0])
    return rates, best, best_wts, optimizer.param_groups[0]["lr"]


@script
def stop_and_resume(torch: Any) -> Any:
    nn, F = torch.nn, torch.nn.functional

    def make() -> Any:
        return nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))

    x, y = torch.tensor(floats(8, 3)), torch.tensor(floats(8, 1))

    def step(model: Any, optimizer: Any) -> float:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    model = filled(make())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    before = [step(model, optimizer) for _ in range(3)]
    state = {"model": copy.deepcopy(model.state_dict()), "opt": copy.deepcopy(optimizer.state_dict()), "epoch": 3}
    went_on = [step(model, optimizer) for _ in range(3)]
    again = make()
    resumed = torch.optim.Adam(again.parameters(), lr=0.5)
    again.load_state_dict(state["model"])
    resumed.load_state_dict(state["opt"])
    assert [step(again, resumed) for _ in range(3)] == went_on
    partial = {name: v for name, v in state["model"].items() if not name.startswith("3")}
    result = again.load_state_dict(partial, strict=False)
    try:
        again.load_state_dict({"0.weight": torch.zeros(2)})
    except RuntimeError:
        print("refused", result.missing_keys, result.unexpected_keys, list(state["model"]))
    average = copy.deepcopy(model)
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), again.parameters(), strict=True):
            slow.mul_(0.9).add_(fast, alpha=0.1)
    return before, went_on, state["model"], sorted(state["opt"]["state"][0]), average.state_dict(), again.eval()(x)


@script
def datasets_and_loaders(torch: Any) -> Any:
    data = torch.utils.data

    class Faces(data.Dataset):
        def __init__(self, n: int, transform: Any = None) -> None:
            self.x, self.transform = np.arange(n * 3, dtype=np.float32).reshape(n, 3), transform

        def __len__(self) -> int:
            return len(self.x)

        def __getitem__(self, idx: Any) -> Any:
            sample = {"image": self.x[idx], "label": idx % 3, "name": f"n{idx}"}
            return self.transform(sample) if self.transform else sample

    faces = Faces(10, lambda s: {**s, "image": torch.from_numpy(s["image"])})
    batches = list(data.DataLoader(faces, batch_size=4))
    train, test = data.random_split(faces, [8, 2], generator=torch.Generator().manual_seed(42))
    parts = data.random_split(faces, [0.7, 0.3])

    def collate(batch: Any) -> Any:
        return torch.stack([b["image"] for b in batch]), torch.tensor([b["label"] for b in batch])

    sampler = data.WeightedRandomSampler([0.0, 0, 0, 1, 0], 6, replacement=True)
    numbers = data.TensorDataset(torch.arange(9))
    shuffled = data.DataLoader(numbers, batch_size=2, shuffle=True, drop_last=True, generator=torch.Generator())
    images, targets = next(iter(data.DataLoader(numbers + numbers, batch_size=18)))[0], None
    return (
        batches, len(train), len(test), [len(p) for p in parts], sorted(i % 3 for i in train.indices + test.indices),
        targets,
        list(data.DataLoader(data.Subset(faces, range(5)), batch_size=2, collate_fn=collate)), images,
        [i for (i,) in data.DataLoader(data.TensorDataset(torch.arange(5)), batch_size=3, sampler=sampler)],
        len(shuffled), len(set(torch.cat([b for (b,) in shuffled]).tolist())), len(data.ConcatDataset([faces, faces])),
    )  # fmt: skip


@script
def hooks_and_checkpoints(torch: Any) -> Any:
    nn = torch.nn
    activation: dict[str, Any] = {}

    def get_activation(name: str) -> Callable[..., None]:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            activation[name] = output.detach()

        return hook

    model = filled(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)))
    x = torch.tensor(floats(5, 3), requires_grad=True)
    handle = model[1].register_forward_hook(get_activation("relu"))
    gradients = []
    model[2].register_full_backward_hook(lambda module, gin, gout: gradients.append((gin[0], gout[0])))
    model(x).pow(2).sum().backward()
    handle.remove()
    pre = model.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    doubled = model(x)
    pre.remove()
    for name, layer in model.named_modules():
        print(name, type(layer).__name__)
    x.grad = None
    y = torch.utils.checkpoint.checkpoint(model, x, use_reentrant=False)
    y.pow(2).sum().backward()
    return activation["relu"], gradients, doubled, y, x.grad, [p.grad for p in model.parameters()]


@script
def modules(torch: Any) -> Any:
    nn, F = torch.nn, torch.nn.functional

    class Scale(nn.Module):
        def __init__(self, features: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.Tensor(features, 2))
            self.register_buffer("steps", torch.tensor(0))
            self.register_parameter("bias", None)
            self.reset_parameters()

        def reset_parameters(self) -> None:
            stdv = 1.0 / math.sqrt(self.weight.size(1))
            self.weight.data.uniform_(-stdv, stdv)

        def forward(self, x: Any, *, k: float = 1) -> Any:
            self.steps += 1
            return F.linear(x, self.weight, self.bias) * k

        def extra_repr(self) -> str:
            return "features={}".format(*self.weight.shape)

    model = nn.Sequential(Scale(3), nn.BatchNorm1d(3), nn.ReLU(inplace=True), nn.Dropout(p=0.5), nn.Linear(3, 2))
    print(model, len(model), type(model[-1]).__name__, model[:2])
    filled(model).eval()
    out = model(torch.tensor(floats(4, 2)))

    def init_weights(m: Any) -> None:
        if isinstance(m, nn.Linear):
            nn.init.xavier_uniform_(m.weight)
            m.bias.data.fill_(0.01)

    model.apply(init_weights)
    bound = math.sqrt(6 / 5)
    print(model[4].weight.abs().max().item() <= bound, model.training, model.train() is model, model[3].training)
    images = torch.tensor(floats(2, 4, 9, 9))
    layers = [
        nn.Conv2d(4, 6, kernel_size=3, stride=2, padding=1), nn.Conv2d(4, 6, (3, 5), padding="same", bias=False),
        nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(4, 4, 3, dilation=2), nn.MaxPool2d(3, stride=2, padding=1),
        nn.AvgPool2d(2),
        nn.AdaptiveAvgPool2d((1, 1)), nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.LayerNorm([4, 9, 9]), nn.Flatten(),
        nn.ConvTranspose2d(4, 3, 3, stride=2, output_padding=1), nn.Unflatten(1, (2, 2)), nn.Identity(),
        nn.Softmax(dim=1),
        nn.LeakyReLU(0.1), nn.ELU(), nn.SELU(), nn.GELU(), nn.GELU(approximate="tanh"), nn.SiLU(), nn.Softplus(),
        nn.Hardtanh(),
        nn.ReLU6(), nn.Mish(), nn.LogSoftmax(dim=-1), nn.Softsign(), nn.Tanh(), nn.Sigmoid(), nn.PReLU(),
    ]  # fmt: skip
    for layer in layers:
        print(layer)
    return (
        out, model[4].bias, model[0].steps, [filled(layer)(images.clone()) for layer in layers],
        sorted(name for name, _ in model.named_parameters()), sorted(model.state_dict()), len(list(model.modules())),
        nn.utils.parameters_to_vector(filled(nn.Linear(2, 1)).parameters()), model[4].in_features,
    )  # fmt: skip


@script
def losses(torch: Any) -> Any:
    nn, F = torch.nn, torch.nn.functional
    p, t, k = torch.tensor(floats(4, 3)), torch.tensor(floats(4, 3, seed=1)), torch.tensor([0, 2, 1, 1])
    b, w, log_p, q = (t > 0).float(), torch.tensor([1.0, 2.0, 3.0]), p.log_softmax(1), t.softmax(1)
    return (
        F.mse_loss(p, t), F.l1_loss(p, t, reduction="sum"), F.smooth_l1_loss(p, t, beta=0.5),
        F.huber_loss(p, t, delta=0.5),
        F.cross_entropy(p, k), F.cross_entropy(p, k, weight=w), F.cross_entropy(p, q),
        F.cross_entropy(p, k, reduction="none"),
        nn.CrossEntropyLoss(ignore_index=1, label_smoothing=0.1)(p, k), F.nll_loss(log_p, k),
        F.binary_cross_entropy(p.sigmoid(), b),
        F.binary_cross_entropy_with_logits(p, b, pos_weight=w), nn.BCEWithLogitsLoss(reduction="none")(1e4 * p, b),
        F.kl_div(log_p, q, reduction="batchmean"),
        nn.KLDivLoss(reduction="sum", log_target=True)(log_p, t.log_softmax(1)),
        nn.TripletMarginLoss(margin=1.0)(p, t, p + 0.1), F.cosine_embedding_loss(p, t, torch.tensor([1, -1, 1, -1])),
        F.margin_ranking_loss(p[:, 0], t[:, 0], torch.tensor([1.0, -1, 1, 1])), nn.L1Loss()(p, t),
        nn.GaussianNLLLoss()(p, t, w + p * 0),
        F.cross_entropy(torch.tensor(floats(2, 3, 4, 4)), torch.tensor(labels(3, 2, 4, 4))), F.normalize(p, dim=1),
        nn.NLLLoss()(log_p, k),
    )  # fmt: skip


# ---------------------------------------------------------------------- running them


def plain(value: Any) -> Any:
    """Return results as nested lists of arrays, numbers and texts."""
    if isinstance(value, dict):
        return [[str(key), plain(x)] for key, x in value.items()]
    if isinstance(value, (list, tuple)):
        return [plain(x) for x in value]
    if hasattr(value, "detach"):
        return np.array(value.detach().numpy())
    return np.asarray(value) if isinstance(value, np.generic) else value


def compare(found: Any, expected: Any, where: str = "result") -> None:
    if isinstance(expected, list):
        assert isinstance(found, list), where
        assert len(found) == len(expected), where
        for i, pair in enumerate(zip(found, expected, strict=True)):
            compare(*pair, f"{where}[{i}]")
    elif isinstance(expected, np.ndarray):
        assert isinstance(found, np.ndarray), where
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape), where
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5, err_msg=where)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6, nan_ok=True), where
    else:
        assert (type(found), found) == (type(expected), expected), where


#: Scripts that are written for the CPU: what from_numpy or device="cpu" makes meets their network.
FOR_THE_CPU = {"gan", "image_classifier", "polynomial_with_its_own_function", "tensors", "tensors_and_arrays"}


def run(function: Callable[..., Any], torch: ModuleType) -> tuple[Any, str]:
    """Return what a script returns, and what it prints."""
    printed = io.StringIO()
    place = "cpu" if function.__name__ in FOR_THE_CPU else minidl.get_default_device()
    with redirect_stdout(printed), minidl.device(place):
        result = plain(function(torch))
    return result, printed.getvalue()


@pytest.mark.parametrize("function", SCRIPTS, ids=lambda function: function.__name__)
def test_a_script_runs(function: Callable[..., Any]) -> None:
    run(function, minidl)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch, the yardstick, is not installed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", SCRIPTS, ids=lambda function: function.__name__)
def test_a_script_gives_what_pytorch_gives(function: Callable[..., Any]) -> None:
    torch = pytest.importorskip("torch")
    importlib.import_module("torch.utils.checkpoint")
    found, found_text = run(function, minidl)
    expected, expected_text = run(function, torch)
    assert found_text == re.sub(r"dtype=torch\.", "dtype=", expected_text)
    compare(found, expected)


IMPORTS = """
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
import torch.utils.data as data
from torch import Tensor, nn, optim, manual_seed, no_grad
from torch.autograd import Function, grad
from torch.nn import Linear, Module, Parameter, functional as F, init
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import SGD, Adam, lr_scheduler
from torch.optim.lr_scheduler import CosineAnnealingLR, StepLR
from torch.utils.checkpoint import checkpoint
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset, random_split
"""


def test_import_lines_need_one_word_changed() -> None:
    names: dict[str, Any] = {}
    exec(re.sub(r"^(import|from) torch\b", r"\1 minidl", IMPORTS, flags=re.MULTILINE), names)
    assert names["minidl"] is minidl
    assert names["DataLoader"] is minidl.data.DataLoader
    assert names["checkpoint"] is minidl.checkpoint
