"""What is made of the figures: aligned tables, ``results.json``, and the generated part of ``RESULTS.md``."""

from __future__ import annotations

import itertools
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.catalogue import GROUPS
from benchmarks.frameworks import FRAMEWORKS
from benchmarks.rows import Row

BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
Result = dict[str, Any]


# ------------------------------------------------------------------------------------------------------- figures


def result(row: Row, group: str, environment: int, figures: Mapping[str, Any], skipped: Mapping[str, str]) -> Result:
    """Return a row's entry in ``results.json``."""
    return {
        "name": row.name,
        "title": row.title,
        "group": group,
        "unit": row.unit,
        "series": row.series,
        "goals": dict(row.goals),
        "environment": environment,
        "figures": dict(figures),
        "ratios": ratios(figures),
        "skipped": dict(skipped),
    }


def ratios(figures: Mapping[str, Any]) -> dict[str, float]:
    """Return a peer's figure over minidl's, for each pair that is compared."""
    pairs = [(peer, own) for peer, framework in FRAMEWORKS.items() for own in framework.beside]
    return {
        f"{peer} / {own}": figures[peer]["value"] / max(figures[own]["value"], 1e-9)
        for peer, own in pairs
        if peer in figures and own in figures
    }


def environment(
    present: Sequence[str],
    workers: Mapping[str, Mapping[str, Any]],
    missing: Mapping[str, str],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what the figures depend on: the machine, the versions, the threads, how it was measured."""
    versions: dict[str, str] = {"python": platform.python_version()}
    for name in present:
        versions.update(FRAMEWORKS[name].versions())
    cards = [hello["card"] for hello in workers.values() if "card" in hello]
    return {
        "processor": processor(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "versions": versions,
        "threads": {name: hello["threads"] for name, hello in workers.items()},
        "missing": dict(missing),
        "settings": dict(settings),
        "kernels": os.environ.get("MINIDL_KERNELS", "auto"),
        **({"card": cards[0]} if cards else {}),
    }


def processor() -> str:
    """Return the processor's name and how many of it there are."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else f"{os.cpu_count()} x {platform.processor() or 'processor'}"


# --------------------------------------------------------------------------------------------------------- tables


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns line up: text to the left, all else to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        "| "
        + " | ".join(
            cell.rjust(w) if at else cell.ljust(w) for at, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (w + 1) + ("-" if at == 0 else ":") for at, w in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def amount(value: float, unit: str) -> str:
    """Return a figure in the unit that reads best, to three digits."""
    if unit == "MB":
        return f"{value:,.1f} MB"
    factor, name = next(((f, n) for f, n in ((1, "s"), (1e3, "ms")) if value * f >= 1), (1e6, "us"))
    scaled = value * factor
    return f"{scaled:,.{max(0, 3 - len(str(int(scaled))))}f} {name}"


def cell(figure: Mapping[str, Any] | None, unit: str, share: int = 1) -> str:
    """Return a median, and in brackets the quartiles of the bursts as percentages of it."""
    if figure is None:
        return "-"
    value = figure["value"]
    spread = ""
    if figure["high"] > figure["low"]:
        below, above = (round(100 * (figure[end] / value - 1)) for end in ("low", "high"))
        spread = f" ({below:+d} {above:+d}%)"
    return amount(value / share, unit) + spread


def judged(value: float, goal: float | None, least: bool) -> str:
    """Return a ratio and its goal: ``2.31 (goal 2)``, or ``0.46 < 2`` where it is missed."""
    if goal is None:
        return f"{value:.2f}"
    if value >= goal if least else value <= goal:
        return f"{value:.2f} (goal {goal:g})"
    return f"{value:.2f} {'<' if least else '>'} {goal:g}"


def table(results: Sequence[Result]) -> str:
    """Return the table of a group."""
    names = [name for name in FRAMEWORKS if any(name in result["figures"] for result in results)]
    pairs = list(
        dict.fromkeys(
            pair for name in names for result in results for pair in result["ratios"] if pair.startswith(f"{name} /")
        )
    )
    several = len({result["environment"] for result in results}) > 1
    head = ["row", *(FRAMEWORKS[name].label for name in names)]
    head += [" / ".join(FRAMEWORKS[name].label for name in pair.split(" / ")) for pair in pairs]
    rows = [head + (["run"] if several else [])]
    for entry in results:
        share = entry["series"][1] if entry["series"] else 1
        line = [entry["title"]]
        for name in names:
            text = cell(entry["figures"].get(name), entry["unit"], share)
            limit = entry["goals"].get(name) if name in FRAMEWORKS and not FRAMEWORKS[name].beside else None
            if limit is not None and name in entry["figures"]:
                text += f" {'<=' if entry['figures'][name]['value'] <= limit else '>'} {limit:g}"
            line.append(text)
        for pair in pairs:
            ratio, goal = entry["ratios"].get(pair), entry["goals"].get(pair.split(" / ")[0])
            line.append("-" if ratio is None else judged(ratio, goal, least=True))
        rows.append(line + ([str(entry["environment"] + 1)] if several else []))
    return aligned(rows)


def first_calls(results: Sequence[Result]) -> str:
    """Return the table of what the first call took: compiling, loading, warming up."""
    names = [name for name in FRAMEWORKS if any(name in result["figures"] for result in results)]
    rows = [["first call", *(FRAMEWORKS[name].label for name in names)]]
    for entry in results:
        figures = (entry["figures"].get(name) for name in names)
        rows.append([entry["title"], *(amount(figure["first"], "time") if figure else "-" for figure in figures)])
    return aligned(rows)


def curves(results: Sequence[Result]) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Return, for each series and framework, its points: the size, and the seconds for one of it."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for entry in results:
        if entry["series"]:
            series, at = entry["series"]
            for name, figure in entry["figures"].items():
                found.setdefault(series, {}).setdefault(name, []).append((at, figure["value"] / at))
    return {series: {name: sorted(points) for name, points in lines.items()} for series, lines in found.items()}


def rises(results: Sequence[Result]) -> list[str]:
    """Return a line for each curve of minidl: by how much, at worst, a size costs more than the one before."""
    lines = []
    for series, frameworks in curves(results).items():
        points = frameworks.get("minidl", [])
        steps = [(after[1] / before[1] - 1, after[0]) for before, after in itertools.pairwise(points)]
        if steps:
            worst, at = max(steps)
            lines.append(f"- {series}: " + ("never rises" if worst <= 0 else f"rises by {worst:.0%} at {at}"))
    return lines


# ---------------------------------------------------------------------------------------------------------- files


def report(environments: Sequence[Mapping[str, Any]], results: Sequence[Result]) -> str:
    """Return the generated part of ``RESULTS.md``."""
    parts = []
    for at, place in enumerate(environments):
        number = f"Run {at + 1}: " if len(environments) > 1 else ""
        parts.append(number + described(place))
    parts.append(
        "Medians of bursts, and in brackets their quartiles as percentages of it. A ratio above 1 means that minidl is "
        "faster, or smaller; where a goal is missed the table says so with `<` or `>`."
    )
    for group, (heading, _) in GROUPS.items():
        chosen = [entry for entry in results if entry["group"] == group]
        if chosen:
            parts += [f"## {heading}", table(chosen)]
            if any(entry["series"] for entry in chosen):
                parts.append("\n".join(rises(chosen)))
            if group != "process":
                opened = "<details><summary>The first call of each: compiling, loading, warming up</summary>"
                parts.append(f"{opened}\n\n{first_calls(chosen)}\n\n</details>")
    failures = [
        f"- {entry['title']}, {FRAMEWORKS[name].label}: {reason}"
        for entry in results
        for name, reason in entry["skipped"].items()
    ]
    if failures:
        parts += ["Could not run:", "\n".join(failures)]
    return "\n\n".join(part for part in parts if part)


def described(place: Mapping[str, Any]) -> str:
    """Return an environment in a paragraph."""
    versions = ", ".join(f"{name} {version}" for name, version in place["versions"].items())
    threads = ", ".join(f"{FRAMEWORKS[name].label} {count}" for name, count in place["threads"].items())
    card = f"{place['card']}; " if "card" in place else ""
    said = f"{card}{place['processor']}; {place['system']}; {versions}. Threads: {threads or 'as each chooses'}. "
    rounds, seconds = place["settings"]["rounds"], place["settings"]["seconds"]
    said += f"{rounds} bursts of {seconds:g} s. " if seconds else "A quick look: each call made once. "
    said += f"`MINIDL_KERNELS={place['kernels']}`. " if place["kernels"] != "auto" else ""
    return said + " ".join(f"{FRAMEWORKS[name].label} left out: {why}." for name, why in place["missing"].items())


def merged(file: Path, place: dict[str, Any], results: Sequence[Result]) -> tuple[list[dict[str, Any]], list[Result]]:
    """Return the environments and rows of a file of results, with these rows in place of their older selves."""
    old: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"environments": [], "rows": []}
    new = {entry["name"]: {**entry, "environment": len(old["environments"])} for entry in results}
    rows = {entry["name"]: entry for entry in old["rows"]} | new
    order = [row.name for _, known in GROUPS.values() for row in known]
    kept = [rows[name] for name in order if name in rows]  # a row that is no longer in the catalogue goes
    places = [*old["environments"], place]
    used: list[dict[str, Any]] = []
    for entry in kept:
        where = places[entry["environment"]]
        if where not in used:
            used.append(where)
        entry["environment"] = used.index(where)
    return used, kept


def write(folder: Path, place: dict[str, Any], results: Sequence[Result]) -> list[Result]:
    """Write ``results.json`` and ``RESULTS.md`` into a folder; return all the rows that they now have."""
    folder.mkdir(parents=True, exist_ok=True)
    data, page = folder / "results.json", folder / "RESULTS.md"
    places, rows = merged(data, place, results)
    data.write_text(json.dumps({"environments": places, "rows": rows}, indent=1) + "\n")
    text = page.read_text() if page.exists() else "# Results\n"
    page.write_text(inserted(text, report(places, rows) + "\n\n![ratios and curves](results.png)"))
    return rows


def inserted(page: str, generated: str) -> str:
    """Return a page with the part between the markers replaced; all that was written by hand stays."""
    block = f"{BEGIN}\n{generated}\n{END}"
    if BEGIN in page and END in page:
        return page[: page.index(BEGIN)] + block + page[page.index(END) + len(END) :]
    return f"{page.rstrip()}\n\n{block}\n"
