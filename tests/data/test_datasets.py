"""Data sets: what is bundled, what is read and downloaded, what is made up."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest

import minidl
from minidl.data import ArrayDataset, DataLoader, datasets, idx, transforms
from minidl.errors import ArgumentError, DataError, FormatError


def idx_bytes(array, code=0x08):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def digits(rng):
    """The content of the four files, with few digits: {name: bytes}."""
    content = {}
    for stem, n in (("train", 6), ("t10k", 3)):
        content[f"{stem}-images-idx3-ubyte"] = idx_bytes(rng.integers(0, 256, (n, 28, 28)).astype(np.uint8))
        content[f"{stem}-labels-idx1-ubyte"] = idx_bytes(np.arange(n, dtype=np.uint8))
    return content


@pytest.fixture(autouse=True)
def _no_folder_of_the_users(monkeypatch, tmp_path):
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


# ---------------------------------------------------------------------- bundled


def test_the_bundled_subset_of_mnist():
    train, test = datasets.mnist(), datasets.mnist("test")
    assert (len(train), len(test)) == (8000, 2000)
    assert isinstance(train, ArrayDataset)
    for part in (train, test):
        assert part.name == "mnist-10k-subset"
        assert "mnist-10k-subset" in repr(part)
        assert part.classes == tuple("0123456789")
        assert part.data.shape[1:] == (1, 28, 28)
        assert part.data.dtype == np.float32
        assert (part.data.numpy().min(), part.data.numpy().max()) == (0, 1)
        assert part.targets.dtype == np.int64
        share = np.bincount(part.targets.numpy(), minlength=10) / len(part)
        assert share.min() > 0.08
    shares = [np.bincount(part.targets.numpy()) / len(part) for part in (train, test)]
    np.testing.assert_allclose(*shares, atol=0.001)  # stratified
    assert "subset of MNIST" in datasets.mnist.__doc__


def test_the_splits_of_mnist_do_not_overlap():
    images = [datasets.mnist(split, normalize=False).data.numpy() for split in ("train", "test")]
    seen = {image.tobytes() for part in images for image in part}
    assert len(seen) == 10000
    assert images[0].dtype == np.uint8
    assert images[0].max() == 255
    np.testing.assert_array_equal(images[1][:5] / np.float32(255), datasets.mnist("test").data.numpy(force=True)[:5])


def test_the_labels_belong_to_the_images():
    """A nearest-mean classifier, four lines, is right on four of five."""
    train, test = datasets.mnist(), datasets.mnist("test")
    x, y = train.data.numpy().reshape(8000, -1), train.targets.numpy()
    means = np.stack([x[y == k].mean(0) for k in range(10)])
    distance = ((test.data.numpy().reshape(2000, 1, -1) - means) ** 2).sum(-1)
    assert (distance.argmin(1) == test.targets.numpy()).mean() > 0.78


def test_mnist_in_a_loader_and_with_a_transform():
    x, y = next(iter(DataLoader(datasets.mnist("test"), 64, shuffle=True, seed=0)))
    assert x.shape == (64, 1, 28, 28)
    assert y.shape == (64,)
    pipeline = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    changed = datasets.mnist("test", transform=pipeline, target_transform=lambda y: y.item() % 2)
    x, y = changed[0]
    plain = datasets.mnist("test")[0]
    np.testing.assert_allclose(x.numpy(force=True), (plain[0].numpy(force=True) - 0.1307) / 0.3081, rtol=1e-5)
    assert y == plain[1].item() % 2
    raw = datasets.mnist("test", normalize=False, transform=transforms.ToTensor())[0][0]
    np.testing.assert_array_equal(raw.numpy(force=True), plain[0].numpy(force=True))


def test_importing_reads_no_file():
    code = (
        "import sys; sys.addaudithook(lambda e, a: print(a[0]) if e == 'open' and 'data/files' in str(a[0]) else None)"
    )
    run = subprocess.run([sys.executable, "-c", f"{code}\nimport minidl"], capture_output=True, text=True, check=True)
    assert run.stdout == ""
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport minidl; minidl.datasets.iris()"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "iris.csv" in run.stdout


def test_iris():
    iris = datasets.iris()
    assert iris.data.shape == (150, 4)
    assert iris.data.dtype == np.float32
    assert iris.classes == ("setosa", "versicolor", "virginica")
    assert np.bincount(iris.targets.numpy()).tolist() == [50, 50, 50]
    assert iris.targets.dtype == np.int64
    load_iris = pytest.importorskip("sklearn.datasets").load_iris
    np.testing.assert_allclose(iris.data.numpy(force=True), load_iris().data.astype(np.float32))
    np.testing.assert_array_equal(iris.targets.numpy(force=True), load_iris().target)


def test_two_names():
    assert minidl.datasets.mnist is minidl.data.datasets.mnist
    assert minidl.datasets.__all__ == minidl.data.datasets.__all__


# ---------------------------------------------------------------------- the full set, from files


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("folder", [".", "MNIST/raw"])
@pytest.mark.parametrize("named", ["root", "variable"])
def test_mnist_from_files(tmp_path, digits, zipped, folder, named, monkeypatch):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for name, content in digits.items():
        path = tmp_path / folder / (name + ".gz" * zipped)
        path.write_bytes(gzip.compress(content) if zipped else content)
    if named == "root":
        read = {split: datasets.mnist(split, root=tmp_path, normalize=False) for split in ("train", "test")}
    else:
        monkeypatch.setenv("MINIDL_DATA", str(tmp_path))
        read = {split: datasets.mnist(split, full=True, normalize=False) for split in ("train", "test")}
        assert len(datasets.mnist()) == 8000  # the variable alone changes nothing
    assert [len(part) for part in read.values()] == [6, 3]
    assert read["train"].name == "mnist"
    assert read["train"].data.shape == (6, 1, 28, 28)
    assert read["test"].targets.numpy().tolist() == [0, 1, 2]
    assert read["train"].data.numpy().tobytes() == digits["train-images-idx3-ubyte"][16:]


def test_missing_files_say_where_to_put_them(tmp_path):
    with pytest.raises(
        DataError, match=r"train-images-idx3-ubyte\.gz is not in .*MINIDL_DATA, or download.*download=True"
    ):
        datasets.mnist(root=tmp_path)
    with pytest.raises(DataError, match=r"home.*\.cache.*minidl"):
        datasets.mnist(full=True)
    with pytest.raises(ArgumentError, match="split must be 'train' or 'test', got 'valid'"):
        datasets.mnist("valid")


IMAGES = np.zeros((3, 28, 28), np.uint8)
LABELS = np.zeros(3, np.uint8)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (b"GIF89a.......", idx_bytes(LABELS), "not an IDX file: it starts with b'GIF8'"),
        (b"", idx_bytes(LABELS), "not an IDX file"),
        (b"\0\0\x08\x03\0\0\0\1", idx_bytes(LABELS), "the IDX header ends after 1 of 3 sizes"),
        (idx_bytes(IMAGES)[:-1], idx_bytes(LABELS), "is 2352 bytes, but there are 2351"),
        (idx_bytes(IMAGES) + b"!", idx_bytes(LABELS), "but there are more"),
        (idx_bytes(IMAGES[:, :5]), idx_bytes(LABELS), r"expected images \(N, 28, 28\) of uint8, found \(3, 5, 28\)"),
        (idx_bytes(IMAGES, 0x09), idx_bytes(LABELS), "of uint8, found .* of int8"),
        (idx_bytes(LABELS), idx_bytes(LABELS), r"expected images .* found \(3,\)"),
        (idx_bytes(IMAGES), idx_bytes(IMAGES), r"expected labels \(N,\) of uint8"),
        (idx_bytes(IMAGES), idx_bytes(LABELS[:2]), "3 images, but .* has 2 labels"),
        (idx_bytes(IMAGES), idx_bytes(LABELS + np.uint8(10)), "labels must be 0 to 9, found 10"),
        (gzip.compress(idx_bytes(IMAGES))[:-12], idx_bytes(LABELS), "the gzip file is damaged"),
        (gzip.compress(idx_bytes(IMAGES))[:-6] + b"\0\0\0\0\0\0", idx_bytes(LABELS), "the gzip file is damaged"),
        (b"\x1f\x8b" + b"\0" * 20, idx_bytes(LABELS), "the gzip file is damaged"),
        (gzip.compress(idx_bytes(IMAGES))[:10] + b"\x07" * 9, idx_bytes(LABELS), "the gzip file is damaged"),
        (b"\0\0\x08\x03" + b"\xff" * 12, idx_bytes(LABELS), "but there are 0"),
    ],
    ids=range(16),
)
def test_damaged_files(tmp_path, images, labels, message):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(images)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(labels)
    with pytest.raises(FormatError, match=message):
        datasets.mnist(root=tmp_path)


@pytest.mark.parametrize(
    ("code", "dtype"), [(0x08, "u1"), (0x09, "i1"), (0x0B, "i2"), (0x0C, "i4"), (0x0D, "f4"), (0x0E, "f8")]
)
def test_idx_of_every_type(tmp_path, code, dtype):
    array = np.arange(6).reshape(2, 3).astype(">" + dtype)
    (tmp_path / "x").write_bytes(idx_bytes(array, code))
    read = idx.read_idx(tmp_path / "x")
    assert read.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(read, array)


# ---------------------------------------------------------------------- the full set, downloaded


@pytest.fixture
def server(digits, monkeypatch):
    """A mirror on this machine with fake files, whose hashes are known; asked paths are in ``server.asked``."""
    files = {f"{name}.gz": gzip.compress(content) for name, content in digits.items()}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            folder, _, name = self.path.rpartition("/")
            content = files.get(name) if folder in ("/good", "/wrong", "/short") else None
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write({"/good": content, "/wrong": b"x" * len(content), "/short": content[:-4]}[folder])

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        running.base = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setattr(idx, "FILES", {name: hashlib.md5(content).hexdigest() for name, content in files.items()})
        monkeypatch.setattr(idx, "TIMEOUT", 10.0)
        for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(variable, raising=False)
        yield running
        running.shutdown()
        thread.join()


def mirrors(monkeypatch, server, *folders):
    monkeypatch.setattr(idx, "MIRRORS", tuple(f"{server.base}/{folder}/" for folder in folders))


def test_download(tmp_path, server, monkeypatch):
    mirrors(monkeypatch, server, "good")
    root = tmp_path / "new" / "folder"
    assert len(datasets.mnist("test", download=True, root=root)) == 3
    assert sorted(path.name for path in root.iterdir()) == sorted(idx.FILES)
    assert len(server.asked) == 4
    datasets.mnist("train", download=True, root=root)
    assert len(server.asked) == 4  # nothing is downloaded twice
    datasets.mnist("train", root=root)


@pytest.mark.parametrize("bad", ["missing", "wrong", "short"])
def test_the_next_mirror_is_tried(tmp_path, server, monkeypatch, bad):
    mirrors(monkeypatch, server, bad, "good")
    assert len(datasets.mnist(download=True, root=tmp_path)) == 6
    assert len(server.asked) == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(idx.FILES)


@pytest.mark.parametrize("bad", ["wrong", "short"])
def test_a_wrong_hash_leaves_nothing_behind(tmp_path, server, monkeypatch, bad):
    mirrors(monkeypatch, server, bad)
    with pytest.raises(DataError, match=rf"(?s)/{bad}/train-images.*MD5 is .*, expected .*by hand"):
        datasets.mnist(download=True, root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_all_failures_are_told(tmp_path, server, monkeypatch):
    monkeypatch.setattr(idx, "MIRRORS", (f"{server.base}/missing/", "http://127.0.0.1:1/"))
    with pytest.raises(DataError) as caught:
        datasets.mnist(download=True, root=tmp_path)
    text = str(caught.value)
    assert f"{server.base}/missing/train-images-idx3-ubyte.gz: HTTP Error 404" in text
    assert "http://127.0.0.1:1/train-images-idx3-ubyte.gz" in text
    assert f"into {tmp_path} by hand" in text
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_downloaded_unasked(tmp_path, server, monkeypatch):
    mirrors(monkeypatch, server, "good")
    with pytest.raises(DataError, match="download=True"):
        datasets.mnist(root=tmp_path)
    assert server.asked == []


# ---------------------------------------------------------------------- made up


@pytest.mark.parametrize(
    ("make", "classes"),
    [(datasets.spirals, 3), (datasets.blobs, 3), (datasets.moons, 2), (datasets.circles, 2)],
)
def test_made_up_sets(make, classes):
    data = make(100, seed=1)
    assert data.data.shape == (100, 2)
    assert data.data.dtype == np.float32
    assert data.targets.dtype == np.int64
    counts = np.bincount(data.targets.numpy())
    assert len(counts) == classes == len(data.classes)
    assert counts.max() - counts.min() <= 1
    assert data.name == make.__name__
    assert not (np.diff(data.targets.numpy()) >= 0).all()  # shuffled
    again, other = make(100, seed=1), make(100, seed=2)
    np.testing.assert_array_equal(data.data.numpy(force=True), again.data.numpy(force=True))
    np.testing.assert_array_equal(data.targets.numpy(force=True), again.targets.numpy(force=True))
    assert (data.data.numpy() != other.data.numpy()).any()
    minidl.manual_seed(3)
    first = make(10).data.numpy()
    minidl.manual_seed(3)
    np.testing.assert_array_equal(first, make(10).data.numpy(force=True))
    with pytest.raises(ArgumentError, match=f"{make.__name__}: n must be a positive integer, got 0"):
        make(0)
    with pytest.raises(ArgumentError, match=f"{make.__name__}: noise must not be negative"):
        make(10, **{"spread" if make is datasets.blobs else "noise": -1.0})


def test_shapes_without_noise():
    circles = datasets.circles(50, noise=0, factor=0.3, seed=0)
    radius = np.linalg.norm(circles.data.numpy(), axis=1)
    np.testing.assert_allclose(radius, np.where(circles.targets.numpy(force=True) == 0, 1, 0.3), atol=1e-6)
    sklearn = pytest.importorskip("sklearn.datasets")
    moons = datasets.moons(50, noise=0, seed=0)
    expected, labels = sklearn.make_moons(50, shuffle=False)
    for k in (0, 1):
        found = moons.data.numpy()[moons.targets.numpy() == k]
        np.testing.assert_allclose(found[np.argsort(found[:, 0])], sorted(expected[labels == k].tolist()), atol=1e-6)
    spirals = datasets.spirals(60, classes=4, noise=0, seed=0)
    x, y = spirals.data.numpy().T
    radius = np.hypot(x, y)
    angle = np.arctan2(x, y) - 4 * radius - 2 * np.pi * spirals.targets.numpy() / 4
    np.testing.assert_allclose(np.cos(angle[radius > 0]), 1, atol=1e-5)


def test_blobs():
    data = datasets.blobs(3000, centers=[[0, 0, 9], [5, 5, 0]], spread=0.5, seed=0)
    assert data.data.shape == (3000, 3)
    points = data.data.numpy()[data.targets.numpy() == 1]
    np.testing.assert_allclose(points.mean(0), [5, 5, 0], atol=0.1)
    np.testing.assert_allclose(points.std(0), 0.5, atol=0.05)
    assert datasets.blobs(10, classes=4, features=7).data.shape == (10, 7)
    with pytest.raises(ArgumentError, match=r"centers must be \(classes, features\), got shape \(2,\)"):
        datasets.blobs(centers=[1, 2])
    with pytest.raises(ArgumentError, match="features must be a positive integer"):
        datasets.blobs(features=0)
    with pytest.raises(ArgumentError, match="factor must be from 0 to below 1"):
        datasets.circles(factor=1)
    with pytest.raises(ArgumentError, match="classes must be a positive integer"):
        datasets.spirals(classes=0)
