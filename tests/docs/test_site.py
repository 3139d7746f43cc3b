"""The built docs: links and pictures in the files, and navigation and search in a browser."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest

import resizenet

pytestmark = pytest.mark.site

DOCS = Path(__file__).parents[2] / "docs"
SITE = DOCS / "_build" / "html"
GALLERY = SITE / "generated" / "gallery"
GUIDES = re.findall(r"^(guides/\w+)$", (DOCS / "index.md").read_text(), re.MULTILINE)
FLAGS = ["headless", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "window-size=1280,900", "no-first-run"]
# the browser asks for nothing but the site
SILENT = ["disable-quic", "disable-background-networking", "disable-component-update", "disable-sync"]


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    if not (SITE / "index.html").is_file():
        pytest.fail(f"the site is not built: expected {SITE / 'index.html'}; run `make docs`", pytrace=False)


# --- the files


@cache
def soup(page: Path) -> Any:
    from bs4 import BeautifulSoup

    return BeautifulSoup(page.read_text(), "html.parser")


def pages(folder: Path = SITE) -> list[Path]:
    """Every page of the site, without the files that Sphinx copies."""
    return sorted(page for page in folder.rglob("*.html") if "_static" not in page.parts)


@cache
def anchors(page: Path) -> set[str]:
    return {element.get(key) for element in soup(page).select("[id], [name]") for key in ("id", "name")}


def addresses(page: Path) -> Iterator[str]:
    """The addresses that a page links to, loads and shows."""
    for element in soup(page).select("[href], [src]"):
        yield element.get("href") or element.get("src")
    for image in soup(page).select("[srcset]"):
        yield from (source.split()[0] for source in image["srcset"].split(","))


def missing(page: Path, address: str) -> bool:
    """Whether an address in the site leads nowhere; addresses outside the site are not followed."""
    split = urlsplit(urljoin(page.as_uri(), address))
    if split.scheme != "file":
        return False
    target = Path(unquote(split.path))
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file() or SITE not in target.parents:
        return True
    return bool(split.fragment) and target.suffix == ".html" and unquote(split.fragment) not in anchors(target)


def test_every_internal_link_and_anchor_leads_somewhere() -> None:
    found = [(page, address) for page in pages() for address in addresses(page) if address]
    assert len(pages()) > 50
    assert sum("#" in address for _, address in found) > 200
    assert sorted({f"{page.relative_to(SITE)}: {address}" for page, address in found if missing(page, address)}) == []


def test_every_image_has_an_alternative_text() -> None:
    images = [(page, image) for page in pages() for image in soup(page).select("img, object[type='image/svg+xml']")]
    assert len(images) > 20
    bare = [(page, image) for page, image in images if not image.get("alt")]
    # the titles of the gallery's thumbnails are the links beside them
    assert [page for page, image in bare if not image.find_parent(class_="sphx-glr-thumbcontainer")] == []


def test_every_picture_has_a_caption_and_a_description() -> None:
    shown = 0
    for page in [*pages(GALLERY), *pages(SITE / "measured"), *pages(SITE / "guides")]:
        for image in soup(page).select("article img:not(.sphx-glr-thumbcontainer img)"):
            figure = image.find_parent("figure")
            caption = figure.find("figcaption") if figure else image.find_next("p")
            where = f"{page.relative_to(SITE)}: {image['src']}"
            assert figure or "caption" in caption.get("class", []) or caption.find("em"), where
            assert len(caption.get_text().split()) >= 4, where
            assert len(image.get("alt", "").split()) >= 5, where
            shown += 1
    assert shown > 20


@pytest.mark.parametrize("source", sorted((DOCS / "gallery").glob("plot_*.py")), ids=lambda source: source.stem)
def test_the_gallery_shows_every_page(source: Path) -> None:
    assert soup(GALLERY / "index.html").find("a", href=f"{source.stem}.html")
    assert soup(GALLERY / f"{source.stem}.html").select("article img.sphx-glr-single-img")


def test_the_start_page_has_what_a_newcomer_looks_for() -> None:
    page = soup(SITE / "index.html").select_one("article")
    assert "pip install resizenet" in [block.get_text().strip() for block in page.select("pre")]
    assert f"version {resizenet.__version__}." in page.get_text()
    links = {link["href"].removesuffix(".html") for link in page.select("a[href]")}
    gallery = {f"generated/gallery/{source.stem}" for source in (DOCS / "gallery").glob("plot_*.py")}
    assert {"https://github.com/resizenet/resizenet", "quickstart", *gallery} <= links
    pictures = " ".join(image["src"] for image in page.select("img"))
    assert [name for name in gallery if Path(name).name not in pictures] == []


def test_no_description_of_a_result_is_read_as_its_type() -> None:
    api = [*SITE.glob("generated/resizenet.*.html")]
    assert len(api) > 50
    assert [page.name for page in api if "Return type" in page.read_text()] == []


# --- in a browser


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a log."""

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    """Chromium with an empty profile. Without it the tests fail, because they run only when asked for."""
    from selenium import webdriver

    chromium, driver = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.fail("needs Chromium and its driver, on Debian: apt-get install chromium chromium-driver", pytrace=False)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, *SILENT, f"user-data-dir={tmp_path}"]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    errors = [entry["message"] for entry in chrome.get_log("browser") if entry["level"] == "SEVERE"]
    chrome.quit()
    assert [error for error in errors if "/favicon.ico" not in error] == []  # Chromium asks for it by itself


def test_the_index_names_the_guides() -> None:
    assert len(GUIDES) >= 5
    assert {f"guides/{guide.stem}" for guide in (DOCS / "guides").glob("*.md")} == set(GUIDES)


@pytest.mark.parametrize("guide", GUIDES)
def test_a_reader_goes_from_the_start_page_to_a_guide(browser: Any, address: str, guide: str) -> None:
    from selenium.webdriver.common.by import By

    browser.get(address)
    assert browser.title == f"resizenet {resizenet.__version__}"
    link = browser.find_element(By.CSS_SELECTOR, f".sidebar-tree a[href='{guide}.html']")
    browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})", link)
    link.click()
    title = (DOCS / f"{guide}.md").read_text().splitlines()[0].removeprefix("# ")
    assert browser.current_url == f"{address}{guide}.html"
    assert browser.find_element(By.TAG_NAME, "h1").text.removesuffix("¶").strip() == title
    images = browser.find_elements(By.CSS_SELECTOR, "article img")
    assert [image.get_attribute("src") for image in images if not int(image.get_property("naturalWidth"))] == []


@pytest.mark.parametrize("width", [390, 1280])
def test_printed_text_is_not_clipped(browser: Any, address: str, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(f"{address}quickstart.html")
    overflow = "return [...document.querySelectorAll('.highlight-text pre')].map(b => b.scrollWidth - b.clientWidth)"
    assert browser.execute_script(overflow) == [0] * 5


def test_a_reader_searches_for_a_class_and_finds_it(browser: Any, address: str) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.wait import WebDriverWait

    browser.get(address)
    box = browser.find_element(By.CSS_SELECTOR, "input.sidebar-search")
    box.send_keys("Resizer")
    box.submit()
    result = (By.CSS_SELECTOR, "#search-results li a[href*='generated/resizenet.Resizer.html']")
    WebDriverWait(browser, 20).until(lambda driver: driver.find_elements(*result))
    browser.find_element(*result).click()
    assert urlsplit(browser.current_url).path == "/generated/resizenet.Resizer.html"
    assert browser.find_element(By.TAG_NAME, "h1").text.removesuffix("¶").strip() == "Resizer"
