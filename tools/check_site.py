"""Look at every page of a built site in a browser: figures, console, links, and whether it can be read on a telephone.

    python tools/check_site.py build/docs [--width 400] [--shots FOLDER]

Run by hand, with Selenium and Chromium installed; neither is needed for anything else. Ends with 1 when a page has a fault.
"""

import argparse
import functools
import http.server
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

from selenium import webdriver

QUIET = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars"]  # fmt: skip
#: What a page says of itself: pictures that did not load or have no words, its links and anchors, and whatever is wider than the window.
LOOK = """
const wide = [...document.querySelectorAll('main *, article *')].filter(e => {
  if (e.closest('pre, .table-wrapper, .cell_output, .output, .highlight, .math, math, svg')) return false;
  const box = e.getBoundingClientRect(); return box.width > 0 && box.right > window.innerWidth + 1; });
const texts = [...document.querySelectorAll('main p, article p, main li, article li')].filter(e => e.offsetParent);
return {at: location.href, ready: document.readyState, title: document.title, text: document.body.innerText.length,
  broken: [...document.images].filter(i => !i.complete || i.naturalWidth === 0).map(i => i.src.slice(0, 80)),
  mute: [...document.images].filter(i => !i.alt.trim()).map(i => i.src.slice(0, 80)), images: document.images.length,
  links: [...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href')),
  ids: [...document.querySelectorAll('[id], a[name]')].map(e => e.id || e.name),
  overflow: document.documentElement.scrollWidth - window.innerWidth, wide: wide.slice(0, 3).map(e => e.tagName + ' ' + e.className),
  smallest: texts.length ? Math.min(...texts.map(e => parseFloat(getComputedStyle(e).fontSize))) : 16};
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that does not report every request."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(folder: Path) -> tuple[http.server.ThreadingHTTPServer, str]:
    """Serve the folder on a free port of this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}/"


def browser(width: int, height: int = 900) -> webdriver.Chrome:
    """Start a browser that keeps what pages write to the console; its window has the width of a telephone if asked."""
    options = webdriver.ChromeOptions()
    for argument in [*QUIET, f"--user-data-dir={tempfile.mkdtemp()}", "--window-size=1280,900"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    own = shutil.which("chromedriver")  # else Selenium looks for one over the network
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(own) if own else None)
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    )
    return driver


def look(driver: webdriver.Chrome, url: str) -> dict:
    """Open one page and let it speak."""
    driver.get(url)
    said = driver.execute_script(LOOK)
    for _ in range(40):  # a busy machine may answer with the page before this one, or with half of it
        if said["at"].split("#")[0] == url and said["ready"] == "complete" and said["text"] >= 200:
            break
        time.sleep(0.25)
        said = driver.execute_script(LOOK)
    said["console"] = [
        row["message"][:160]
        for row in driver.get_log("browser")
        if row["level"] in ("SEVERE", "WARNING") and "favicon.ico" not in row["message"]
    ]  # which browsers ask for by themselves
    return said


def faults(page: str, said: dict, pages: dict[str, dict], folder: Path) -> list[str]:
    """Return what is wrong with a page, in words."""
    found = [f"console: {line}" for line in said["console"]]
    found += [f"picture does not load: {source}" for source in said["broken"]]
    found += [f"picture without words: {source}" for source in said["mute"]]
    found += ["nothing to read"] if said["text"] < 200 else []
    found += [f"{said['overflow']} px wider than the window: {said['wide']}"] if said["overflow"] > 1 else []
    found += [f"letters of {said['smallest']:g} px"] if said["smallest"] < 11 else []
    for link in dict.fromkeys(said["links"]):
        if urlparse(link).scheme or link.startswith("//"):
            continue
        path, anchor = urldefrag(urljoin("/" + page, link))
        target = unquote(path).lstrip("/") or "index.html"
        if target not in pages and not (folder / target).is_file():
            found.append(f"broken link: {link}")
        elif anchor and target in pages and unquote(anchor) not in pages[target]["ids"]:
            found.append(f"no such place on the page: {link}")
    return found


def main() -> int:
    """Check all pages and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--width", type=int, default=400)
    parser.add_argument("--shots", type=Path, help="write a picture of each page here")
    given = parser.parse_args()
    names = sorted(path.relative_to(given.folder).as_posix() for path in given.folder.rglob("*.html"))
    server, root = serve(given.folder)
    driver = browser(given.width)
    try:
        pages = {}
        for name in names:
            pages[name] = look(driver, root + name)
            if given.shots and not name.startswith(("generated", "_modules")):
                given.shots.mkdir(parents=True, exist_ok=True)
                driver.save_screenshot(str(given.shots / f"{name.replace('/', '_').removesuffix('.html')}.png"))
    finally:
        driver.quit()
        server.shutdown()
    wrong = {name: found for name in names if (found := faults(name, pages[name], pages, given.folder))}
    for name, found in wrong.items():
        print(name, *found[:8], sep="\n  ")
    print(
        f"{len(names)} pages at {given.width} px, {sum(page['images'] for page in pages.values())} pictures, {len(wrong)} pages with faults"
    )
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
