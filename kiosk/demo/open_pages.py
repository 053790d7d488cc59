"""Opens the demo's pages in a graphical browser, where there is one.

Without a display :mod:`webbrowser` would take a text browser, which cannot make calls and takes over the terminal.
"""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Sequence

NONE_OPENED = "No browser was opened here: open the addresses yourself."


def open_pages(addresses: Sequence[str]) -> None:
    """Open *addresses*, or say that nothing was opened. Returns at once: some browsers block until they end."""
    if not _has_graphical_browser():
        print(NONE_OPENED, flush=True)
        return
    for address in addresses:
        threading.Thread(target=_open, args=(address,), name="browser", daemon=True).start()


def _open(address: str) -> None:
    try:
        opened = webbrowser.open(address)
    except webbrowser.Error:
        opened = False
    if not opened:
        print(NONE_OPENED, flush=True)


def _has_graphical_browser() -> bool:
    if not (sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    # Exactly this class are the text browsers, and what the user named in $BROWSER.
    return type(browser) is not webbrowser.GenericBrowser or bool(os.environ.get("BROWSER"))
