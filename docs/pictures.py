"""The pictures of the documents, taken from a report: `python docs/pictures.py REPORT.html docs/`. Needs Debian's package chromium."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

SHOTS = {
    "matrix.png": ("#matrix", 1400, 1000),
    "decide.png": ("#decide?s=vision-gateway", 1400, 1800),
    "report.png": ("#measurements", 1400, 1000),
}
"""File -> (address in the report, width, height in CSS pixels)."""


def main(report: str, folder: str) -> None:
    """Take them all."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if not chromium:
        sys.exit("there is no chromium on the PATH; fix: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-quic"])
        for name, (address, width, height) in SHOTS.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
            page.goto(f"{Path(report).resolve().as_uri()}{address}")
            page.wait_for_load_state("networkidle")
            page.screenshot(path=str(Path(folder) / name))
            sys.stdout.write(f"{Path(folder) / name}\n")
            page.close()
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
