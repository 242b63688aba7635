"""The scoreboard's page: whole, with the one script that its policy allows, which sorts in a real browser."""

import base64
import hashlib
import re

import pytest
from test_report_page import NEEDS_BROWSER, Page, browse

from jaxvae.evaluation.scoreboard import Cell
from jaxvae.evaluation.scoreboard.records import Standing
from jaxvae.runs.scoreboard.page import board_page

pytestmark = pytest.mark.quick_compile
ROWS = [
    Standing("c", "VAE", "a <b> VAE", {"nats": Cell(91.3, 0.6, "bound"), "many": Cell(9.0)}),
    Standing("failed", "flow", "", failed="too slow."),
    Standing("a", "GAN", "", {"many": Cell(110000.0)}),
    Standing("b", "flow", "", {"nats": Cell(100.5, 0.7, "bound"), "many": Cell(-2.0)}),
]
CLICKS = """<script>
const said = [];
for (const index of [0, 0, 2, 2, 3, 3]) {
  document.querySelectorAll("#board th")[index].click();
  said.push(Array.from(document.querySelectorAll("#board tbody tr"), row => row.cells[0].dataset.value).join(" "));
}
document.querySelector("h1").textContent = said.join("; ");
</script>"""


def test_every_element_is_closed_and_the_policy_names_the_script_that_is_there():
    page = board_page("title", "lead", ROWS)
    found = Page(page)
    assert found.names.count("tr") >= 1 + len(ROWS)
    assert "a <b> VAE" in found.text
    (script,) = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#x27;sha256-{digest}&#x27;" in page


@pytest.mark.slow
@NEEDS_BROWSER
def test_a_click_sorts_numbers_as_numbers_a_second_one_turns_them_and_what_has_none_stays_below(tmp_path):
    page = re.sub(r"<meta http-equiv[^>]*>", "", board_page("title", "lead", ROWS))  # which lets no other script in
    (tmp_path / "page.html").write_text(page.replace("</body>", CLICKS + "</body>"))
    shown = browse(tmp_path, "--dump-dom", (tmp_path / "page.html").as_uri()).stdout
    orders = re.search("<h1>(.*?)</h1>", shown)[1].split("; ")
    assert orders[:2] == ["a b c failed", "failed c b a"]
    assert [order.split()[:2] for order in orders[2:4]] == [["c", "b"], ["b", "c"]]
    assert orders[4:] == ["b c a failed", "a c b failed"]
    assert len(re.findall("<th[^>]*aria-sort=", shown)) == 1
