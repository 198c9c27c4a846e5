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


def test_tensors_are_filtered_and_a_block_is_taken_apart(open_voila, quantized_file):
    page = open_voila("tensors", OPEN.format(path=str(quantized_file)) + "panels.open(model, 'tensors')")
    options = page.locator(".lg-tensor-list option")
    expect(options).to_have_count(21)
    page.locator(".lg-filter input").fill("attn_q")
    expect(options).to_have_count(2)
    page.locator(".lg-tensor-list select").select_option(index=1)
    expect(page.locator(".lg-values")).to_contain_text("kurtosis")
    expect(page.locator(".lg-values svg").first).to_be_visible()
    expect(page.locator(".lg-status")).to_contain_text("block 0 of 256")
    before = page.locator(".lg-microscope").inner_html()
    page.locator(".lg-block input").fill("7")
    page.locator(".lg-block input").press("Enter")
    page.wait_for_function(
        "before => document.querySelector('.lg-microscope').innerHTML !== before", arg=before
    )  # fmt: skip
    page.locator(".lg-filter input").fill("")
    page.locator(".lg-type select").select_option("F32")
    expect(options).to_have_count(7)


def test_layers_show_another_map_and_what_happens_without_a_part(open_voila, tiny_file):
    page = open_voila("layers", OPEN.format(path=str(tiny_file)) + "panels.open(model, 'layers', 'the and the')")
    page.locator(".lg-run").click()
    expect(page.locator(".lg-map")).to_contain_text("blk.0.resid_post: 5 tokens by 64")
    handle(page, "layer").focus()
    page.keyboard.press("End")
    expect(page.locator(".lg-map")).to_contain_text("blk.1.resid_post")
    page.locator(".lg-activation select").select_option("attn_pattern")
    expect(page.locator(".lg-map")).to_contain_text("blk.1.attn_pattern, head 0")
    handle(page, "head-number").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".lg-map")).to_contain_text("blk.1.attn_pattern, head 1")
    page.locator(".lg-ablate").click()
    expect(page.locator(".lg-effect")).to_contain_text("without blk.1.attn_pattern")
    expect(page.locator(".lg-status")).to_contain_text("KL")
    page.locator(".lg-lens").click()
    expect(page.locator(".lg-lens-view")).to_contain_text("after 1")


def test_tokens_are_explained_while_one_types(open_voila, tiny_file):
    page = open_voila("tokenizer", OPEN.format(path=str(tiny_file)) + "panels.open(model, 'tokenizer', 'the')")
    expect(page.locator(".lg-xray")).to_contain_text("3 characters")
    page.locator(".lg-text textarea").fill("the hand <|end|>")
    expect(page.locator(".lg-xray")).to_contain_text("16 characters")
    page.locator(".lg-chat input").check()
    expect(page.locator(".lg-preview")).to_contain_text("assistant")
    page.locator(".lg-lookup input").fill("1")
    expect(page.locator(".lg-found")).to_contain_text("<|end|>")


def test_quantize_greys_out_what_cannot_be_shows_progress_and_cancels(open_voila, wide_file, tmp_path):
    slow = """
import time
panel = panels.open(model, 'quantize', target={target!r})
def slowly(job, part, message=None, advance=panel.advance):
    time.sleep(0.1)
    advance(job, part, message)
panel.advance = slowly
panel
"""
    target = tmp_path / "new.gguf"
    page = open_voila("quantize", (OPEN + slow).format(path=str(wide_file), target=str(target)))
    low = page.locator(".lg-type-IQ2_XXS")
    expect(low).to_be_disabled()
    assert "importance" in low.get_attribute("title")
    expect(page.locator(".lg-banner")).to_contain_text("Good choices here")
    page.locator(".lg-type-Q8_0").click()
    expect(page.locator(".lg-status")).to_contain_text("Q8_0")
    page.locator(".lg-quantize").click()
    expect(page.locator(".lg-progress")).to_be_visible()
    page.locator(".lg-cancel").click()
    expect(page.locator(".lg-status")).to_contain_text("nothing was written")
    assert not target.exists()
    page.locator(".lg-quantize").click()
    expect(page.locator(".lg-status")).to_contain_text("wrote")
    assert target.exists()
    page.locator(".lg-compare").click()
    expect(page.locator(".lg-status")).to_contain_text("nats per token")


def test_make_checks_a_source_and_shows_the_table_of_what_it_made(open_voila, wide_file, tmp_path):
    cell = "from llama_gguf import panels\npanels.open({path!r}, 'make', folder={folder!r}, types=['Q8_0'])"
    page = open_voila("make", cell.format(path=str(wide_file), folder=str(tmp_path / "made")))
    page.locator(".lg-check").click()
    expect(page.locator(".lg-banner")).to_contain_text("Good choices here")
    expect(page.locator(".lg-type-IQ2_XXS")).to_be_disabled()
    assert "importance" in page.locator(".lg-type-IQ2_XXS").get_attribute("title")
    page.locator(".lg-type-Q4_0").click()
    expect(page.locator(".lg-type-Q4_0")).to_contain_text("✓ Q4_0")
    page.locator(".lg-make").click()
    expect(page.locator(".lg-card tbody tr")).to_have_count(2)
    expect(page.locator(".lg-status")).to_contain_text("README.md")
    assert len(list((tmp_path / "made").glob("*.gguf"))) == 2
