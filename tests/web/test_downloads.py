"""Claim: what a page shows can be had in every format of the command line, made from its record."""

import httpx
import pytest

from tests.web.conftest import TIMEOUT, finished
from weightkin.cli.formats import GraphFormat, PairFormat
from weightkin.records import Comparison
from weightkin.records.registry import Trace
from weightkin.report.pictures import picture_of, svg
from weightkin.report.rendering import written

ALSO = {"html": "HTML report", "svg": "SVG picture"}


@pytest.fixture(scope="module")
def asked(address):
    """A server with a trace of model 2, a comparison and a family graph; the comparison's job."""
    jobs = [
        httpx.post(f"{address}/api/{what}", json=body, timeout=TIMEOUT).json()["id"]
        for what, body in (
            ("compare", {"a": 1, "b": 2}),
            ("models/2/trace", None),
            ("family", None),
        )
    ]
    assert {finished(address, x)["state"] for x in jobs} == {"done"}
    return jobs[0]


def fetched(address, path):
    return httpx.get(f"{address}{path}", timeout=TIMEOUT)


@pytest.mark.parametrize("form", [*PairFormat, *ALSO])
def test_a_trace_and_a_comparison_come_in_every_format(address, asked, form):
    for kind, page, record, files in (
        (Trace, "/models/2", "/api/models/2/trace", "/models/2/trace"),
        (Comparison, f"/jobs/{asked}", f"/api/jobs/{asked}/record", f"/jobs/{asked}/record"),
    ):
        assert f'href="{files}/{form}" download>' in fetched(address, page).text
        found = fetched(address, f"{files}/{form}")
        known = kind.from_json(fetched(address, record).text)
        text = svg(picture_of(known)) if form == "svg" else written(known, form)
        assert found.text == text
        assert found.headers["content-disposition"].startswith("attachment; filename=")
        assert "json" not in form or found.headers["content-type"].endswith("json")


@pytest.mark.parametrize("form", [*GraphFormat, *ALSO])
def test_a_family_comes_in_every_format(address, asked, form):
    assert f'href="/family/{form}?family=1" download>' in fetched(address, "/family").text
    found = fetched(address, f"/family/{form}?family=1")
    assert "llama-a-ft1" in found.text
    assert "vit-a" not in found.text  # another family
    assert found.headers["content-disposition"].startswith('attachment; filename="family.')


def test_what_is_not_there_cannot_be_had(address, asked):
    assert fetched(address, "/models/3/trace/cyclonedx").status_code == 404
    assert fetched(address, "/models/99/trace/cyclonedx").status_code == 404
    assert fetched(address, "/models/2/trace/newick").status_code == 422
    assert fetched(address, "/family/cyclonedx").status_code == 422
    assert fetched(address, f"/jobs/{asked + 1}/record/cyclonedx").status_code == 404
