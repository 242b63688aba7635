"""The page of a run: whole without the network, safe with any text, and legible in a real browser."""

import dataclasses
import json
import re
import shutil
import subprocess
import threading
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from jaxvae.commands import report
from jaxvae.runs.configs.config import DataConfig, ModelConfig
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.page import looks, measured, report_page
from jaxvae.runs.page.facts import read_facts
from jaxvae.runs.page.html import Html, document, joined, table, tag
from jaxvae.runs.page.training import curves, head
from jaxvae.runs.train import train_run

pytestmark = pytest.mark.quick_compile

MINUS = "\N{MINUS SIGN}"
SECTIONS = ["Training", "Likelihood", "What it draws", "Latents", "Anomalies", "Settings"]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# What a page may refer to: something inside itself.
INSIDE = re.compile(r"data:image/png;base64,|#")


class Page(HTMLParser):
    """The elements, the texts and the references of a page; an element that is closed in the wrong order raises."""

    def __init__(self, page):
        super().__init__()
        self.open, self.names, self.references, self.texts = [], [], [], []
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, name, attributes):
        self.names.append(name)
        assert not any(key.startswith("on") for key, _ in attributes), f"<{name}> has a script in an attribute"
        self.references += [
            value for key, value in attributes if key in ("src", "href", "xlink:href", "srcset", "action")
        ]
        self.references += re.findall(r"url\(\s*['\"]?([^)'\"]*)", " ".join(str(value) for _, value in attributes))
        if name not in ("meta", "img", "link", "br"):
            self.open.append(name)

    def handle_startendtag(self, name, attributes):
        self.handle_starttag(name, attributes)
        self.open.pop()

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and self.open[-1] == "style":
            self.references += re.findall(r"url\(([^)]*)|@import\s+(\S+)", data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def check(self):
        assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(self.names)
        outside = [reference for reference in self.references if not INSIDE.match(str(reference))]
        assert not outside, f"refers to {outside[:3]}"
        for title in SECTIONS:
            assert title in self.text, f"no section {title!r}"
        return self


def config(**model):
    protocol = "dynamic"
    return dataclasses.replace(
        PRESETS["digits"],
        epochs=2,
        evaluate_every=1,
        progress=False,
        data=DataConfig("digits", protocol=protocol),
        model=ModelConfig(**{"hidden": (8,), "latent_dim": 2, **model}),
    )


def trained(path, **model):
    train_run(config(**model), path, say=lambda line: None)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs") / "a")


@pytest.fixture(scope="module")
def facts(run):
    return read_facts(run)


@pytest.fixture(scope="module")
def page(run):
    return report_page(run, samples=5, limit=60)


def copy_of(run, tmp_path):
    return shutil.copytree(run, tmp_path / "b")


def test_text_is_escaped_and_markup_is_not():
    assert tag("p", "<b>", title='"') == '<p title="&quot;">&lt;b&gt;</p>'
    assert joined("a & b", tag("i", "c")) == "a &amp; b<i>c</i>"
    assert isinstance(table(["n"], [["<script>"]], "<i>", numbers="n"), Html)
    assert "<script>" not in document("<script>", "", table(["<script>"], [["<script>"]], "<script>"))


@pytest.mark.slow
def test_a_page_is_whole_by_itself(page):
    found = Page(page).check()
    assert "Content-Security-Policy" in page
    assert found.names.count("svg") >= 6
    assert found.names.count("img") >= 4
    assert all(len(alt) > 5 for alt in re.findall(r'<img[^>]* alt="([^"]*)"', page))
    ids = re.findall(r'\sid="(clip[^"]*|p[0-9a-f]{8,}|m[0-9a-f]{8,})"', page)
    assert len(ids) == len(set(ids)), "two drawings share a name that one of them refers to"


@pytest.mark.slow
def test_the_numbers_are_those_of_the_run_with_their_errors_and_settings(run, page):
    summary, text = json.loads((run / "summary.json").read_text()), Page(page).text
    for name in ("negative_elbo", "reconstruction", "kl"):
        number = summary["test"][name]
        assert f"{number['nats']:.2f} ± {number['standard_error']:.2f} nats" in text
    for words in (MINUS + "IW-5", "a fixed random 60 of 297", "seed 0", summary["test"]["sha256"][:12], "AUROC"):
        assert words in text, words
    assert "model.latent_dim 2 20" in text  # the value, and the default


@pytest.mark.full
def test_the_same_run_gives_the_same_page_but_for_the_time(run, page):
    again = report_page(run, samples=5, limit=60)
    cut = [re.sub(r"page made .* UTC", "", each) for each in (page, again)]
    assert cut[0] == cut[1]


@pytest.mark.slow
def test_text_from_the_run_stays_text(run, tmp_path):
    folder = copy_of(run, tmp_path)
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    file = folder / "config.json"
    content = json.loads(file.read_text())
    content["data"]["name"] = evil
    file.write_text(json.dumps(content))
    summary = json.loads((folder / "summary.json").read_text())
    summary["test"]["protocol"] = summary["written"] = evil
    (folder / "summary.json").write_text(json.dumps(summary))
    found = Page(report_page(folder, samples=2, limit=20)).check()
    assert "<script>alert(1)</script>" in found.text  # as words
    assert "No bounds were measured." in found.text  # there is no such data set


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("autoencoder", "has no likelihood and so no bound"),
        pytest.param("hierarchical", "2 groups of latents are in use", marks=pytest.mark.full),
    ],
)
def test_any_kind_of_model_has_a_page(tmp_path, kind, words):
    options = {"first_latents": 3, "upper_hidden": (8,)} if kind == "hierarchical" else {}
    folder = trained(tmp_path / kind, kind=kind, **options)
    text = Page(report_page(folder, samples=2, limit=40)).check().text
    assert words in text or "Posterior collapse" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lost", "words"),
    [
        (("summary.json",), ["was interrupted, or still goes on", MINUS + "IW-2"]),
        (("summary.json", "metrics.jsonl"), ["no records yet", "There are no curves", "Nothing was measured"]),
        (("checkpoints", "summary.json"), ["was interrupted", "No bounds were measured", "Nothing can be drawn"]),
        (("checkpoints", "summary.json", "metrics.jsonl", "pictures", "weights.safetensors"), ["no records yet"]),
    ],
)
def test_what_an_interrupted_run_lacks_is_said(run, tmp_path, lost, words):
    folder = copy_of(run, tmp_path)
    for name in lost:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    text = Page(report_page(folder, samples=2, limit=20)).check().text
    for each in words:
        assert each in text


@pytest.mark.slow
def test_records_that_are_damaged_do_no_harm(run, tmp_path):
    folder = copy_of(run, tmp_path)
    (folder / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2, "split": "train", "elbo": null}\nhalf a li')
    (folder / "summary.json").write_text("[1, 2]")
    shutil.rmtree(folder / "checkpoints")
    text = Page(report_page(folder, samples=2, limit=20)).check().text
    assert "There are no curves" in text


def few(facts, count):
    held_out = facts.held_out
    return facts._replace(held_out=held_out._replace(x=held_out.x[:count], labels=held_out.labels[:count]))


@pytest.mark.slow
@pytest.mark.parametrize("count", range(1, 13))
def test_a_page_of_any_number_of_test_images_shows_strange_ones(facts, monkeypatch, count):
    def scores(model, params, test):
        return {"iwae": np.random.default_rng(len(test.x)).normal(size=len(test.x))}

    monkeypatch.setattr(measured, "_scores", scores)
    section = measured.anomalies(few(facts, count), 1000)
    shown = {11: 5, 12: 6}.get(count, max(1, count // 2))
    assert f"Above: the {shown} of {count} test images" in section
    assert section.count("<figure") == 2
    assert ("too few to tell" in section) == (count < 4)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 7])
def test_a_page_of_few_test_images_shows_all_that_can_be_drawn(facts, count):
    section = looks.pictures(few(facts, count))
    assert section.count("<img") == (3 if count == 1 else 4)
    assert ("single test image" in section) == (count == 1)
    assert "could not be drawn" not in section or count == 1


@pytest.mark.slow
def test_a_damaged_log_and_summary_are_said_on_the_page(facts):
    section = head(facts._replace(summary={}, no_summary="summary.json is damaged: test.images is None."))
    assert "summary.json is damaged: test.images is None." in section
    assert "Nothing was measured" not in section, "the last record of the log takes its place"
    assert "2 damaged line(s)" in curves(facts._replace(damaged=2))


@pytest.mark.slow
def test_the_command_writes_the_page_and_refuses_other_names(run, tmp_path, capsys):
    folder = copy_of(run, tmp_path)
    shutil.rmtree(folder / "checkpoints")  # a page of little, made quickly
    report.main(report.ReportOptions(str(folder), samples=2, limit=20, output=str(tmp_path / "deep" / "page.html")))
    assert capsys.readouterr().out.strip().endswith("page.html")
    Page((tmp_path / "deep" / "page.html").read_text()).check()
    with pytest.raises(ValueError, match=r"ends in \.html"):
        report.main(report.ReportOptions(str(run), output="page.pdf"))
    with pytest.raises(FileNotFoundError, match="no run in"):
        report.main(report.ReportOptions(str(tmp_path / "nothing")))
    with pytest.raises(ValueError, match="samples is 0"):
        report_page(run, samples=0)
    with pytest.raises(ValueError, match="limit is 0"):
        report_page(run, limit=0)


def browse(folder, *arguments):
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--disable-background-networking",
    ]
    command = [BROWSER, *options, f"--user-data-dir={folder / 'profile'}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


NEEDS_BROWSER = pytest.mark.skipif(BROWSER is None, reason="no browser here: apt-get install chromium")


@pytest.mark.slow
@NEEDS_BROWSER
@pytest.mark.parametrize(("scheme", "low", "high"), [(1, 240, 255), (0, 0, 40)], ids=["day", "night"])
def test_a_browser_shows_it_by_day_and_by_night(page, tmp_path, scheme, low, high):
    from PIL import Image

    path, shot = tmp_path / "page.html", tmp_path / "shot.png"
    path.write_text(page)
    browse(
        tmp_path,
        f"--blink-settings=preferredColorScheme={scheme}",
        "--window-size=900,1600",
        f"--screenshot={shot}",
        path.as_uri(),
    )
    picture = np.asarray(Image.open(shot).convert("L"))
    assert picture.std() > 15, "the page is blank"
    assert low <= np.median(picture) <= high


PARENT = """<iframe src="page.html" style="width:375px;height:800px;border:0"></iframe><p id="w"></p><script>
onload = () => {
  const root = document.querySelector("iframe").contentDocument.documentElement;
  document.querySelector("#w").textContent = `width ${root.scrollWidth} of ${root.clientWidth}`;
};</script>"""


@pytest.fixture
def server(tmp_path):
    """(address of tmp_path on this machine, the paths that were asked for)."""
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=tmp_path)

        def log_message(self, form, *arguments):
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()


@pytest.mark.slow
@NEEDS_BROWSER
@pytest.mark.parametrize("spoilt", [False, True], ids=["the page", "a page that does both"])
def test_on_a_phone_nothing_overflows_and_no_request_is_made(page, tmp_path, server, spoilt):
    if spoilt:  # what the test would see of a page that is too wide and asks for a picture
        page = re.sub(r"<meta http-equiv[^>]*>", "", page)
        page = page.replace("</main>", '<img src="other.png"><p style="width:900px">wide</p></main>')
    (tmp_path / "page.html").write_text(page)
    (tmp_path / "parent.html").write_text(PARENT)
    address, asked = server
    answer = browse(tmp_path, "--dump-dom", f"{address}/parent.html").stdout
    found = re.search(r">width (\d+) of (\d+)<", answer)
    assert found, answer[-300:]
    wide, window = map(int, found.groups())
    assert window == 375
    assert {"/parent.html", "/page.html"} <= set(asked)
    others = set(asked) - {"/parent.html", "/page.html", "/favicon.ico"}
    assert (wide > window, bool(others)) == (spoilt, spoilt), others
