"""The three files of a report: whole, readable by others, and without the network."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest
from pretend import pretend_contract, pretend_imitation, pretend_task, run_summary
from pydantic import ValidationError

from semgfin_rt.errors import OptionError
from semgfin_rt.train.report.summary import Results
from semgfin_rt.train.report.write import write_report
from semgfin_rt.train.results import MEASURES, Detail, Figure, TaskResult

FILES = {"results.json", "results.parquet", "report.html"}
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Tags, addresses and text of a page; refuses one whose tags do not close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.addresses, self.ids, self.text = [], set(), [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href")]
        self.ids += [v for k, v in attrs if k == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def tasks():
    contract = pretend_contract()
    return [
        pretend_task(s, seed, contract, ("fin", "lda")) for s in range(1, 7) for seed in (0, 1)
    ] + [pretend_imitation(s, 0) for s in range(1, 7)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tasks):
    out = tmp_path_factory.mktemp("report") / "new" / "run"
    summary = run_summary(notes=("SVM: 5,000 balanced windows.", "Hello."))
    write_report(out, Results.of(summary, tasks))
    return out


def page(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def written(tmp_path, tasks, **changes):
    write_report(tmp_path, Results.of(run_summary(**changes), tasks))
    return page(tmp_path)


def test_three_files_and_nothing_else(folder):
    assert {f.name for f in folder.iterdir()} == FILES


def test_json_holds_everything(folder, tasks):
    content = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert content["protocol"] == "within"
    assert content["config"]["seeds"] == 2
    assert content["versions"]["torch"] == "2.13"
    assert content["date"] == "2026-01-02T03:04:05+00:00"
    assert content["notes"] == ["SVM: 5,000 balanced windows.", "Hello."]  # each once
    assert [Figure(**row) for row in content["figures"]] == [f for t in tasks for f in t.figures]
    assert [Detail(**row) for row in content["details"]] == [d for t in tasks for d in t.details]
    statistics = content["statistics"]
    assert statistics["fewest_subjects"] == 6
    (steady,) = (
        row
        for row in statistics["spread"]
        if (row["measure"], row["method"], row["horizon_ms"]) == ("accuracy_steady", "fin", 0)
    )
    assert steady["n_subjects"] == 6
    (against_lda,) = (
        row for row in statistics["comparisons"] if row["measure"] == "accuracy_steady"
    )
    assert against_lda["control"] == "lda"
    assert 2 / 64 <= against_lda["p"] <= 1


def test_parquet_is_the_tidy_figures(folder, tasks):
    table = pq.read_table(folder / "results.parquet")
    assert table.column_names == list(Figure.model_fields)
    assert [Figure(**row) for row in table.to_pylist()] == [f for t in tasks for f in t.figures]
    assert table.schema.metadata[b"protocol"] == b"within"


def test_the_page_needs_no_network_and_no_script(folder):
    found = page(folder)
    assert not {"script", "link", "iframe"} & found.tags
    assert {a.split(",")[0] for a in found.addresses if not a.startswith("#")} == {
        "data:image/svg+xml;base64"
    }
    assert {a[1:] for a in found.addresses if a.startswith("#")} <= set(found.ids)
    style = (folder / "report.html").read_text(encoding="utf-8").split("</style>")[0]
    assert "prefers-color-scheme: dark" in style
    assert "url(" not in style
    assert "@import" not in style


def test_the_page_has_every_section(folder):
    assert page(folder).ids == [
        "recognition",
        "tests",
        "horizons",
        "imitation",
        "confusion",
        "errors",
        "confidence",
        "cost",
        "limits",
        "run",
    ]


def test_what_users_wrote_is_shown_as_text(folder):
    assert '"<data & more>"' in page(folder).text


def test_six_subjects_are_tested(folder):
    text = page(folder).text
    assert "With 6 subjects the smallest p that this test can give is 0.031" in text
    assert "Not tested" not in text


def test_two_subjects_are_not_and_it_says_so(tmp_path, tasks):
    few = [t for t in tasks if t.figures[0].subject < 3]
    text = written(tmp_path, few).text
    assert "Not tested with 2 subjects: a test needs at least 6 subjects" in text
    assert "smallest p" not in text


def test_sections_without_figures_are_left_out(tmp_path):
    found = written(tmp_path, [pretend_imitation(1, 0), pretend_imitation(2, 0)])
    assert found.ids == ["tests", "imitation", "limits", "run"]


def test_a_run_without_any_figure(tmp_path):
    nothing = TaskResult(figures=[], notes=["Subject 3 has no test repetition."])
    found = written(tmp_path, [nothing])
    assert "No figure was found" in found.text
    assert "Subject 3 has no test repetition." in found.text
    assert pq.read_table(tmp_path / "results.parquet").num_rows == 0


def test_controls_alone_make_no_comparison(tmp_path):
    lda = Figure(subject=1, seed=0, method="lda", measure="accuracy_steady", value=0.5)
    assert "tests" not in written(tmp_path, [TaskResult(figures=[lda])]).ids


@pytest.mark.parametrize(
    ("dataset", "banner", "stated"),
    [("synthetic", True, False), ("db2", False, True), ("3dc", False, False)],
)
def test_what_is_said_of_the_data(tmp_path, tasks, dataset, banner, stated):
    text = written(tmp_path, tasks[:2] + tasks[-6:], dataset=dataset).text
    assert ("say nothing about people" in text) == banner
    assert ("TraHGR" in text) == stated
    assert ("above 0.96" in text) == stated
    assert "not from a medical device" in text


def test_a_value_that_is_not_known_is_null(tmp_path):
    row = {"subject": 1, "seed": 0, "method": "fin", "measure": "r2", "feature": "zc"}
    unknown = [Figure(value=None, **row), Figure(value=None, horizon_ms=50, **row)]
    written(tmp_path, [TaskResult(figures=unknown)])
    content = json.loads((tmp_path / "results.json").read_text())
    assert [f["value"] for f in content["figures"]] == [None, None]
    assert pq.read_table(tmp_path / "results.parquet")["value"].null_count == 2
    with pytest.raises(ValidationError):
        Figure(value=float("nan"), **row)


def test_every_measure_may_come_alone(tmp_path):
    for measure in MEASURES:
        row = {"subject": 1, "seed": 0, "method": "fin", "feature": "zc" * (measure[:2] == "r2")}
        figures = [Figure(measure=measure, horizon_ms=ms, value=0.5, **row) for ms in (0, 100)]
        written(tmp_path, [TaskResult(figures=figures)], dataset="db2")


def test_an_older_report_is_replaced_and_a_failure_leaves_it_whole(tmp_path, tasks):
    written(tmp_path, tasks[:1], title="The old one")
    old = {name: (tmp_path / name).read_bytes() for name in FILES}
    broken = run_summary(config={"rate": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_report(tmp_path, Results.of(broken, tasks[:1]))
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == old
    assert "The new one" in written(tmp_path, tasks[:1], title="The new one").text


def test_a_folder_that_cannot_be_written(tmp_path, tasks):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OptionError, match=r"cannot be written to .*file.*give another --out"):
        write_report(tmp_path / "file", Results.of(run_summary(), tasks[:1]))
    (tmp_path / "run" / "report.html").mkdir(parents=True)
    with pytest.raises(OptionError, match="give another --out"):
        write_report(tmp_path / "run", Results.of(run_summary(), tasks[:1]))
    assert {f.name for f in (tmp_path / "run").iterdir()} == FILES


def test_the_same_run_has_the_same_page(tmp_path, tasks):
    for name in ("one", "other"):
        write_report(tmp_path / name, Results.of(run_summary(), tasks[:2]))
    one, other = ((tmp_path / n / "report.html").read_bytes() for n in ("one", "other"))
    assert one == other
