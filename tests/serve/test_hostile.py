"""Hostile clients beside good ones: no good request fails, nothing is a 500, and memory does not grow."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest

from benchmarks.service import clients
from tests.serve import hostile
from tests.serve.live import KEY, Command, classifier
from tests.serve.test_command import Load

LIMITS = ["--max-body", "500000", "--body-timeout", "0.5", "--header-timeout", "0.5"]


def attack(served: Command, attacks: list[hostile.Attack]) -> Counter[str]:
    """Make attacks, several at a time, beside good clients; return how often each status was answered."""
    statuses: Counter[str] = Counter()
    with Load(served.live.url) as load:
        load.has_answers(10)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda one: hostile.make(one, served.live.port), attacks))
        load.has_answers(len(load.outcomes) + 10)
    for one, answer in zip(attacks, answers, strict=True):
        if one.how == "reset":
            continue
        for status, text in re.findall(rb"HTTP/1\.1 (\d+).*?\r\n\r\n(.*?)(?=HTTP/1\.1|\Z)", answer, re.S):
            statuses[status.decode()] += 1
            assert status == b"200" or 400 <= int(status) < 500 or status == b"503", (one.name, answer)
            if int(status) >= 400:
                assert set(json.loads(text)) == {"error"}, (one.name, answer)
            assert not re.search(rb"Traceback|\.py|site-packages", text), (one.name, answer)
            assert KEY.encode() not in text
        assert answer, f"{one.name}: no answer"
    assert Counter(outcome for *_, outcome in load.outcomes) == {200: len(load.outcomes)}
    return statuses


def check(folder: Path, attacks: list[hostile.Attack]) -> Counter[str]:
    classifier().save(folder / "digits.h5")
    with Command(str(folder / "digits.h5"), *LIMITS, folder=folder) as served:
        statuses = attack(served, attacks)
        assert served.live.session.get(served.live.url + "/readyz").status_code == 200
        assert served.close() == 0
        assert "Traceback" not in served.logged
        assert "failed:" not in served.logged
        assert KEY not in served.logged
    return statuses


def test_there_are_five_hundred_of_every_kind() -> None:
    attacks = list(hostile.attacks())
    assert len(attacks) == 500
    assert len({one.name for one in attacks}) >= 25
    assert attacks == list(hostile.attacks())


def test_hostile_clients_beside_good_ones(tmp_path: Path) -> None:
    statuses = check(tmp_path, list(hostile.attacks())[:72])
    assert set(statuses) >= {"400", "401", "408", "413", "415", "422"}


@pytest.mark.slow
def test_all_hostile_clients_beside_good_ones(tmp_path: Path) -> None:
    print(check(tmp_path, list(hostile.attacks())))


def resident(process: int) -> float:
    """Return how much memory a process has, in MB."""
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        pytest.skip("this system does not say how much memory another process has")
    return int(re.findall(r"^VmRSS:\s+(\d+) kB", status.read_text(), re.M)[0]) / 1024


@pytest.mark.slow
def test_memory_does_not_grow(tmp_path: Path) -> None:
    """After 50,000 requests, good ones and hostile ones, it is within a tenth of what it is after 5,000."""
    classifier().save(tmp_path / "digits.h5")
    attacks = cycle(hostile.attacks())
    good = [hostile.request(hostile.image(np.random.default_rng(i))) for i in range(20)]
    good = [request.replace(b"Connection: close\r\n", b"") for request in good]
    with Command(str(tmp_path / "digits.h5"), *LIMITS, folder=tmp_path) as served:
        done, sizes = 0, []
        for until in (5_000, 50_000):
            while done < until:
                done += len(asyncio.run(clients(served.live.port, 8, 1.0, good)))
                for one in (attack for attack in islice(attacks, 20) if attack.how != "wait"):
                    hostile.make(one, served.live.port)
                    done += 1
            sizes.append(resident(served.process.pid))
        print(f"RSS after 5,000 requests: {sizes[0]:.1f} MB; after {done:,}: {sizes[1]:.1f} MB")
        assert sizes[1] <= 1.1 * sizes[0]
