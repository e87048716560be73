"""Reading pages as a person does: waiting for a text, pressing a button by its name, listening to the console.

What belongs here: what every page has. What does not: what a certain page should say.
"""

from __future__ import annotations

import json
from typing import Any

from energy_assets_tests.browser.serving import until

PAGE_S = 120
"""How long a page may take on a busy machine."""


def text_of(browser: Any) -> str:
    """All text a person can see."""
    return str(browser.execute_script("return document.body.innerText"))


def shows(browser: Any, *texts: str) -> str:
    """Wait until the page shows every one of the texts; the page's text."""

    def missing() -> list[str]:
        page = text_of(browser)
        return [text for text in texts if text not in page]

    until(lambda: not missing(), PAGE_S, lambda: f"not shown at {browser.current_url}: {missing()}")
    return text_of(browser)


def press(browser: Any, name: str, within: str = "") -> None:
    """Press the button whose name begins with `name`, as soon as it can be pressed.

    Args:
        browser: The browser.
        name: Beginning of the button's text.
        within: XPath of what holds it; default the page.
    """
    path = f"{within}//*[self::button or self::a][starts-with(normalize-space(.), '{name}')][not(@disabled)]"
    until(lambda: browser.find_elements("xpath", path), PAGE_S, lambda: f"no button {name} at {browser.current_url}")
    click(browser, browser.find_elements("xpath", path)[-1])


def click(browser: Any, element: Any) -> None:
    """Scroll to an element as a person does, so that no bar covers it, and click it."""
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    element.click()


def complaints(browser: Any) -> list[str]:
    """Errors in the console since the last question, such as scripts that failed or files that are missing."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def requested(browser: Any) -> list[str]:
    """Addresses the page has asked for since the last question, without those that hold their own data."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    return [url for url in sent if not url.startswith(("data:", "blob:", "chrome:"))]
