"""The benchmarks run, measure the same computation in each framework, and write down what they measured."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import catalogue, frameworks, gpu, harness, process, report, steps, worker
from benchmarks.__main__ import main
from benchmarks.frameworks import FRAMEWORKS, Framework, dialect
from benchmarks.rows import Row
from minidl.backend import is_gpu_available
from tests import on_gpu

TASKS = [(network, batch) for _, _, network, _, batch, _ in steps.NETWORKS]
PEERS = [name for name, framework in FRAMEWORKS.items() if framework.beside and not framework.missing()]

#: A worker that takes its time, writes down when each burst ran, and goes wrong as it is told.
FAKE = """
import json, os, sys, time
log, seconds, fault = sys.argv[1], float(sys.argv[2]), sys.argv[3]
print(json.dumps({"threads": 1, "seconds": 0}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "prepare":
        print(json.dumps({"error": "no such thing"} if fault == "prepare" else {"first": 10 * seconds}), flush=True)
        continue
    if fault == "dies":
        os._exit(3)
    if fault == "hangs":
        time.sleep(60)
    started = time.monotonic()
    time.sleep(seconds)
    with open(log, "a") as file:
        print(started, time.monotonic(), file=file)
    print(json.dumps({"times": [seconds, 2 * seconds, 3 * seconds]}), flush=True)
"""
TINY = Row("tiny", "tiny", {"minidl": lambda: None, "torch": lambda: None}, {"torch": 2.0})


def fake(folder: Path, seconds: float, fault: str = "", timeout: float = 30) -> harness.Process:
    return harness.Process([sys.executable, "-c", FAKE, str(folder / "log"), str(seconds), fault], {}, timeout)


# -------------------------------------------------------------------------------------------------------- harness


def test_turns_never_overlap_and_the_median_is_of_all_bursts(tmp_path: Path) -> None:
    with fake(tmp_path, 0.01) as quick, fake(tmp_path, 0.03) as slow:
        figures, failed = harness.measure(TINY, {"minidl": quick, "torch": slow}, harness.Settings(3))
    assert not failed
    assert figures["torch"]["value"] == pytest.approx(0.06)
    assert figures["torch"]["first"] == pytest.approx(0.3)
    assert figures["torch"]["least"] == pytest.approx(0.03)
    assert figures["torch"]["calls"] == 9
    assert report.ratios(figures) == {"torch / minidl": pytest.approx(3)}
    spans = sorted(tuple(map(float, line.split())) for line in (tmp_path / "log").read_text().splitlines())
    assert len(spans) == 6
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


@pytest.mark.parametrize(
    ("fault", "said"),
    [("prepare", "no such thing"), ("dies", "the process ended (status 3)"), ("hangs", "no answer within 1 s")],
)
def test_a_framework_that_fails_is_named_and_the_other_measured(tmp_path: Path, fault: str, said: str) -> None:
    with fake(tmp_path, 0.01) as good, fake(tmp_path, 0.01, fault, timeout=1) as bad:
        figures, failed = harness.measure(TINY, {"minidl": good, "torch": bad}, harness.Settings(2))
    assert failed == {"torch": said}
    assert list(figures) == ["minidl"]
    assert len(figures["minidl"]["bursts"]) == 2


@pytest.mark.skipif(not harness.STOPS or not Path("/proc/self/stat").exists(), reason="no way to see it")
def test_a_worker_is_stopped_between_its_turns(tmp_path: Path) -> None:
    with fake(tmp_path, 0.01) as one:
        one.ask("burst", seconds=0)
        state = ""
        for _ in range(1000):
            state = Path(f"/proc/{one.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            if state == "T":
                break
        assert state == "T"


def test_each_goes_first_and_no_two_orders_follow() -> None:
    orders = [harness.in_turn(["a", "b", "c"], turn) for turn in range(3)]
    assert len({order[0] for order in orders}) > 1
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert harness.in_turn([], 5) == []


def test_a_worker_times_calls_in_seconds() -> None:
    times = worker.burst(lambda: None, 0.01)
    assert 0 <= np.median(times) < 1e-3
    assert len(worker.burst(lambda: None, 0.0)) == 1


def test_a_worker_answers_requests_and_reports_what_fails() -> None:
    answers = worker.Worker("minidl")
    assert answers.answer('{"do": "prepare", "row": "001-dense-3-step"}')["first"] > 0
    assert answers.answer('{"do": "burst", "seconds": 0}')["times"]
    assert answers.answer('{"do": "prepare", "row": "000-cnn-step", "more": 1}')["error"].startswith("TypeError")


# ----------------------------------------------------------------------------------------------------------- rows


def test_names_are_unique_and_goals_are_of_frameworks() -> None:
    rows = [row for _, rows in catalogue.GROUPS.values() for row in rows]
    assert len({row.name for row in rows}) == len(rows)
    assert all(set(row.goals) <= set(FRAMEWORKS) and set(row.sides) <= set(FRAMEWORKS) for row in rows)


@pytest.mark.parametrize(("network", "batch"), TASKS)
def test_a_step_trains(network: Any, batch: int) -> None:
    lib = dialect("minidl")
    lib.root.manual_seed(0)
    step = steps.training(network(lib, batch))
    first = step().item()
    for _ in range(10):
        last = step().item()
    assert last < first


@pytest.mark.parametrize(("network", "batch"), TASKS)
def test_pytorch_runs_the_same_code(network: Any, batch: int) -> None:
    pytest.importorskip("torch", reason="the other side of the comparison is not installed")
    torch, ours = dialect("torch"), network(dialect("minidl"), batch)
    task = network(torch, batch)
    task.model.eval()
    ours.model.eval()
    weights = {name: torch.root.tensor(value.numpy()) for name, value in ours.model.state_dict().items()}
    task.model.load_state_dict(weights)
    np.testing.assert_allclose(
        ours.model(ours.x).detach().numpy(), task.model(task.x).detach().numpy(), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("name", ["conv-000-second-input", "matmul-3x64x64", "lstm-10-32", "max-pool", "adam-1m"])
def test_an_operation_runs(name: str) -> None:
    catalogue.find(name).sides["minidl"]()()


@pytest.mark.parametrize("network", [steps.keras_lstm_000, steps.keras_dense_001])
def test_a_keras_step_trains(network: Any) -> None:
    step = steps.keras_training("minidl.keras", network, 4)
    first, last = (np.ravel(step())[0] for _ in range(2))
    assert np.isfinite(first)
    assert last < first or network is steps.keras_lstm_000  # which drops units at random


def test_jax_trains_the_networks() -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    for network, batch in TASKS:
        step = steps.jax_side("training", network.__name__, batch)
        assert float(step()) > float([step() for _ in range(20)][-1])


def test_what_a_process_tells_of_itself() -> None:
    assert process.ask("import_time", "minidl") > 0
    assert process.peak() > 10
    with pytest.raises(ValueError, match="KeyError"):
        process.ask("import_time", "no such framework")


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the system cannot forget a peak")
def test_a_peak_is_of_what_came_after() -> None:
    process.give_back()
    before = process.reset_peak()
    kept = np.ones(8 << 20)  # 64 MB
    assert 50 < process.peak() - before < 80
    del kept
    process.give_back()
    assert process.reset_peak() - before < 20


# -------------------------------------------------------------------------------------------------------- command


def test_a_quick_run_writes_table_json_and_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = Framework("Absent", "no_such_package", ("no_such_package",), ("minidl",))
    monkeypatch.setitem(frameworks.FRAMEWORKS, "jax", absent)
    (tmp_path / "RESULTS.md").write_text(f"# Mine\n\nbefore\n\n{report.BEGIN}\nold\n{report.END}\n\nafter\n")
    names = ["minidl", "jax", *(["torch"] if "torch" in PEERS else [])]
    main(["--quick", "--rows", "001-dense-3-*", "matmul-16*", "--frameworks", *names, "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "no_such_package: not installed (pip install 'minidl[bench]')" in printed
    assert "matmul 16x16 by 16x16" in printed
    page = (tmp_path / "RESULTS.md").read_text()
    assert page.startswith("# Mine\n\nbefore\n")
    assert page.endswith("\n\nafter\n")
    assert "old" not in page
    assert "001` dense 2-64-64-1, batch 3, Adam: a training step" in page
    data = json.loads((tmp_path / "results.json").read_text())
    assert [row["name"] for row in data["rows"]] == ["001-dense-3-step", "001-dense-3-inference", "matmul-16x16x16"]
    assert data["environments"][0]["threads"]["minidl"] >= 1
    assert data["environments"][0]["versions"]["minidl"]
    assert data["environments"][0]["missing"] == {"jax": "no_such_package: not installed (pip install 'minidl[bench]')"}
    assert data["rows"][0]["figures"]["minidl"]["first"] > 0
    assert (tmp_path / "results.png").exists() == (importlib.util.find_spec("matplotlib") is not None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rows", "matmul-16x16x61"], "did you mean matmul-16x16x16"),
        (["--rounds", "0"], "at least 1"),
        (["--frameworks", "tensorflow"], "invalid choice"),
    ],
)
def test_bad_arguments_are_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert said in capsys.readouterr().err


def test_list_names_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    listed = []
    for device in ("cpu", "gpu"):
        main(["--list", "--device", device])
        listed += capsys.readouterr().out.splitlines()
    assert len(listed) == sum(len(rows) for _, rows in catalogue.GROUPS.values())


# ---------------------------------------------------------------------------------------------------------- a GPU


@pytest.mark.parametrize("name", ["gpu-001-dense-32", "gpu-conv-000-second-filter", "gpu-embedding", "gpu-adam-many"])
def test_a_gpu_is_timed_by_its_events(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "use_threads", lambda framework, package, threads: threads)
    with on_gpu.found(request.config):
        assert worker.start("minidl", frameworks.processors(), "gpu")["card"]
        answers = worker.Worker("minidl", "gpu")
        assert answers.prepare(name)["first"] > 0
        assert answers.burst(0)["times"][0] > 0


def test_a_clock_starts_before_the_calls_and_stops_behind_them() -> None:
    seen: list[Any] = []

    class Event:
        def record(self) -> None:
            seen.append("record")

        def synchronize(self) -> None:
            seen.append("wait")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "events", lambda framework: gpu.Events(Event, lambda start, end: 6.0))
        timed = gpu.clock("minidl")
    assert timed(lambda: seen.append("call"), 3) == 2.0
    assert seen == ["record", *["call"] * 3, "record", "wait"]


def test_without_a_gpu_the_reason_is_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    if is_gpu_available():
        pytest.skip("there is one, or its stand-in")
    main(["--device", "gpu", "--out", str(tmp_path)])
    assert "nothing was measured: no GPU can be used" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_the_card_is_named() -> None:
    hello = {"threads": 1, "seconds": 0.0, "card": "NVIDIA Test"}
    place = report.environment(["minidl"], {"minidl": hello}, {}, {"rounds": 1, "seconds": 0.1})
    assert place["card"] == "NVIDIA Test"
    assert report.described(place).startswith("NVIDIA Test; ")


# --------------------------------------------------------------------------------------------------------- report


def entry(name: str, value: float, environment: int = 0) -> report.Result:
    figure = {"value": value, "low": 0.9 * value, "high": 1.2 * value, "least": value, "first": 1.0}
    figures = {"minidl": figure, "torch": {**figure, "value": 0.003}}
    return report.result(catalogue.find(name), group(name), environment, figures, {})


def group(name: str) -> str:
    return next(key for key, (_, rows) in catalogue.GROUPS.items() if any(row.name == name for row in rows))


def test_the_table_says_whether_a_goal_is_met() -> None:
    text = report.table([entry("000-cnn-step", 0.001), entry("002-cnn-step", 0.004)])
    assert "3.00 (goal 2)" in text
    assert "0.75 < 2" in text
    assert "1.00 ms (-10 +20%)" in text
    assert len({len(line) for line in text.splitlines()}) == 1
    assert "1.50 s (-10 +20%) > 0.3" in report.table([entry("import", 1.5)])


def test_rows_not_measured_again_keep_their_figures_and_their_machine(tmp_path: Path) -> None:
    here = {"processor": "a", "system": "s", "versions": {}, "threads": {}, "missing": {}, "kernels": "auto"}
    here["settings"] = {"rounds": 1, "seconds": 0.5}
    there = {**here, "processor": "b"}
    report.write(tmp_path, here, [entry("000-cnn-step", 0.001), entry("002-cnn-step", 0.004)])
    rows = report.write(tmp_path, there, [entry("002-cnn-step", 0.002)])
    assert [(row["name"], row["environment"]) for row in rows] == [("000-cnn-step", 0), ("002-cnn-step", 1)]
    page = (tmp_path / "RESULTS.md").read_text()
    assert "Run 1: a" in page
    assert "Run 2: b" in page
    rows = report.write(tmp_path, there, [entry("000-cnn-step", 0.001)])
    assert [row["environment"] for row in rows] == [0, 0]
    assert "Run 1" not in (tmp_path / "RESULTS.md").read_text()


def test_a_curve_that_rises_is_told() -> None:
    costs = {1: 1.0, 4: 3.0, 16: 24.0}
    results = [entry(f"003-dense-batch-{batch}", cost) for batch, cost in costs.items()]
    assert report.rises(results) == ["- `003` dense, time a sample by batch: rises by 100% at 16"]
    assert report.rises(results[:2]) == ["- `003` dense, time a sample by batch: never rises"]


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [(0.0000012, "time", "1.20 us"), (0.0123, "time", "12.3 ms"), (2.0, "s", "2.00 s"), (1234.5, "MB", "1,234.5 MB")],
)
def test_amounts(value: float, unit: str, said: str) -> None:
    assert report.amount(value, unit) == said


def test_environment_names_the_processor() -> None:
    assert str(os.cpu_count()) in report.processor()
