"""The pages of the second factor: within the content policy, on a phone, by the keyboard alone."""

import time

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import expect

from tests.processes import eventually


def give_code(page, secret):
    eventually(lambda: time.time() % 30 < 20)  # the rest of the half minute is enough to send it
    page.get_by_label("code", exact=False).last.fill(
        format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    )
    page.keyboard.press("Enter")


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (360, "dark")])
def test_a_person_sets_one_up_signs_in_with_it_and_removes_it(person, signed_in, width, theme):
    ada = person()
    said = []

    def listen(page):
        page.on("console", lambda message: said.append((page.url, message.type, message.text)))

    page = signed_in(
        ada,
        "/accounts/2fa/",
        color_scheme=theme,
        viewport={"width": width, "height": 740},
        prepare=listen,
    )

    def shows(heading):
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url

    shows("Second factor")
    page.get_by_role("link", name="Set up an app").click()
    shows("Confirm it is you")
    page.get_by_label("Password").fill("a-good-password")
    page.keyboard.press("Enter")
    shows("Set up a second factor")
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    assert page.evaluate("document.querySelector('.qr').naturalWidth") > 0, "the picture came"
    secret = page.get_by_label("Or type this key").input_value()
    give_code(page, secret)
    shows("Recovery codes")
    recovery = page.locator(".codes li").first.inner_text()
    page.context.clear_cookies()
    page.goto("/login/")
    page.get_by_label("Username").fill(ada.username)
    page.get_by_label("Password").fill("a-good-password")
    page.keyboard.press("Enter")
    shows("One more step")
    page.get_by_label("Code").fill("12345678")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Incorrect code")).to_be_visible()
    page.get_by_label("Code").fill(recovery)
    page.keyboard.press("Enter")
    expect(page).to_have_title("Tocsin")
    page.goto("/accounts/2fa/")
    page.get_by_role("link", name="Show the recovery codes").click()
    shows("Confirm it is you")
    page.get_by_label("Password").fill("a-good-password")
    page.keyboard.press("Enter")
    expect(page.locator(".codes li")).to_have_count(9)
    page.get_by_role("link", name="Make new ones").click()
    shows("Make new recovery codes?")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("link", name="Remove the app").click()
    shows("Remove the app?")
    page.get_by_role("button", name="Remove it").click()
    shows("Second factor")
    expect(page.get_by_role("link", name="Set up an app")).to_be_visible()
    assert [line for line in said if line[1] in {"error", "warning"}] == []
    assert page.errors == []
