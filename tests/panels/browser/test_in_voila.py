"""The panels in a real browser, as people use them: Voila shows each as a page."""

from playwright.sync_api import expect

OPEN = """
from llama_gguf import Model, panels
model = Model({path!r}, n_threads=1)
"""
SLOW = """
def slowly(stream=model.stream):
    import time
    def chunks(*args, **options):
        for chunk in stream(*args, **options):
            time.sleep(0.04)
            yield chunk
    return chunks
model.stream = slowly()
"""


def handle(page, name):
    """The handle of a slider."""
    return page.locator(f".lg-{name} .noUi-handle")


def test_generate_stop_and_branch(open_voila, tiny_file):
    cell = OPEN + SLOW + "panels.open(model, 'generate', 'the', max_tokens=200, temperature=1.0, template=False)"
    page = open_voila("generate", cell.format(path=str(tiny_file)))
    expect(page.locator(".lg-stop")).to_be_disabled()
    page.locator(".lg-generate").click()
    expect(page.locator(".lg-status")).to_contain_text("tokens/s")  # while it runs
    expect(page.locator(".lg-generate")).to_be_disabled()
    expect(page.locator(".lg-answer")).to_contain_text("▍")
    page.locator(".lg-stop").click()
    expect(page.locator(".lg-status")).to_contain_text("stopped")
    expect(page.locator(".lg-answer")).not_to_contain_text("▍")
    made = page.locator(".lg-tokens button").count()
    assert 0 < made < 200

    page.locator(".lg-tokens button").nth(1).click()
    expect(page.locator(".lg-alternatives button")).to_have_count(10)
    expect(page.locator(".lg-about")).to_contain_text("Token 2 is")
    page.locator(".lg-alternatives button").nth(4).click()
    handle(page, "max-tokens").focus()
    for key in ("Home", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator(".lg-max-tokens .widget-readout")).to_have_text("3")
    page.locator(".lg-branch").click()
    expect(page.locator(".lg-status")).to_contain_text("5 tokens")
    expect(page.locator(".lg-tokens button")).to_have_count(5)


def test_sampler_sliders_drop_tokens(open_voila, tiny_file):
    page = open_voila("sampler", OPEN.format(path=str(tiny_file)) + "panels.open(model, 'sampler', 'the and')")
    page.locator(".lg-freeze").click()
    expect(page.locator(".lg-survivors tr")).to_have_count(25)
    expect(page.locator(".lg-status")).to_contain_text("of 269 tokens survive")
    handle(page, "top-k").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".lg-survivors")).to_contain_text("top-k: 1")
    expect(page.locator(".lg-status")).to_contain_text("1 of 269 tokens survive")
