"""What sections on work found: registries, many models, seconds, tests, code."""

from __future__ import annotations

import re

from benchmarks.lib.result_text import SectionText, number, only, total, where


def registry(text: SectionText) -> str:
    """First answers to models that were left out, and the time of a search."""
    rows = text.rows("models", "a true relative first")
    said = text.values("what", "figure")
    return (
        f"The first answer is right for {total(rows, 'a true relative first')} of"
        f" {total(rows, 'models')} models left out in turn; a search among {said['models']} models"
        f" takes {said['search, warm, median']} (median, warm)."
    )


def scale(text: SectionText) -> str:
    """Measures within their limits, and the time of the largest tree."""
    rows = [row for row in text.rows("what", "measured", "at most") if row["at most"]]
    within = sum(number(row["measured"]) <= number(row["at most"]) for row in rows)
    trees = [row for row in rows if re.fullmatch(r"tree of [\d,]+ models, seconds", row["what"])]
    largest = max(trees, key=lambda row: number(row["what"]))
    return (
        f"{within} of {len(rows)} measures are within their limits;"
        f" {largest['what'].partition(', ')[0]}: {largest['measured']} s."
    )


def cluster(text: SectionText) -> str:
    """Graphs of several workers that equal that of one process."""
    rows = [row for row in text.rows("way", "models", "edges", "graph") if row["graph"] != "-"]
    return (
        f"{len(where(rows, graph='the same'))} of {len(rows)} graphs of several workers equal that"
        f" of one process ({rows[0]['models']} models, {rows[0]['edges']} edges)."
    )


def remote(text: SectionText) -> str:
    """Answers from a hub that equal those from disk, and what is moved for the largest models."""
    rows = text.rows("from disk", "from the hub", "MB moved")
    same = sum(row["from the hub"] == "the same" for row in rows)
    most = max(text.rows("GB of both", "MB moved"), key=lambda row: number(row["MB moved"]))
    return (
        f"{same} of {len(rows)} answers equal those from disk; of {most['GB of both']} GB at most"
        f" {most['MB moved']} MB are moved."
    )


def start(text: SectionText) -> str:
    """Seconds of CPU before a command works."""
    seconds = text.values("command", "CPU seconds, median")
    name, most = max(seconds.items(), key=lambda x: number(x[1]))
    return (
        f"`weightkin --help` takes {seconds['`weightkin --help`']} s of CPU, the slowest of"
        f" {len(seconds)} commands ({name}) {most} s."
    )


def pages(text: SectionText) -> str:
    """How fast the page of a large family opens and moves."""
    rows = text.rows("what", "time", "95 % of frames")
    frames = [row["95 % of frames"] for row in rows if row["95 % of frames"]]
    times = {row["what"]: row["time"] for row in rows if row["time"]}
    first = times["opening, first visit"]
    slowest = max(frames, key=number)
    return f"{text.sentence()}: opens in {first}, 95 % of frames take at most {slowest}."


def speed(text: SectionText) -> str:
    """Seconds of `compare`, and how many times faster than the paper's recipe."""
    rows = where(text.rows("pair", "way", "seconds", "recipe / this"), way="compare")
    related, unrelated = (only(where(rows, pair=x)) for x in ("related", "independent"))
    return (
        f"A related pair takes {related['seconds']} s, an unrelated one {unrelated['seconds']} s:"
        f" {number(related['recipe / this']):.0f} and {number(unrelated['recipe / this']):.0f}"
        " times as fast as the paper's recipe."
    )


def localisation(text: SectionText) -> str:
    """What is found in a related pair, in how many seconds."""
    row = text.rows("pair", "locate, seconds", "ratio", "answer")[0]
    return (
        f"{row['answer'].partition(' (')[0]}, in {number(row['locate, seconds']):.0f} s:"
        f" {number(row['ratio']):.0f} times as fast as an assignment of all pairs of blocks."
    )


def views(text: SectionText) -> str:
    """Most seconds and memory of the views of one matrix."""
    seconds, memory = "views of both models, seconds", "peak memory"
    rows = text.rows("matrix", "units", seconds, memory)
    slowest = max(rows, key=lambda row: number(row[seconds]))
    most = max(rows, key=lambda row: number(row[memory]))
    return (
        f"Views of one matrix take at most {number(slowest[seconds])} s and"
        f" {number(most[memory]):.0f} MB."
    )


def mutants(text: SectionText) -> str:
    """Small changes of the code that tests notice."""
    row = only(where(text.rows("changed", "mutants", "noticed", "share"), changed="all"))
    return (
        f"{row['noticed']} of {row['mutants']} small changes of the code ({row['share']}) are"
        " noticed by a test."
    )


def source(text: SectionText) -> str:
    """Size of the code, and of its functions."""
    now = text.values("of `src`", "now")
    return (
        f"{now['lines of Python']} lines in {now['files of Python']} files; functions over 50"
        f" lines: {now['functions over 50 lines']}."
    )
