"""llama-gguf run: what reaches the model, what reaches stdout, how it ends."""

import json
import os
import subprocess
import sys

import pytest


def test_prompt_is_echoed_and_continued(invoke, model_file):
    done = invoke("run", model_file, "-p", "a b", "-n", "3", "--no-chat")
    assert done.stdout == "a b a b a\n"
    assert (done.stderr, done.exit_code) == ("", 0)


def test_prompt_goes_through_the_template_where_there_is_one(invoke, model_file, plain_file):
    assert invoke("run", model_file, "-p", "a b", "-n", "2").stdout == " A B\n"
    assert invoke("run", model_file, "-p", "a b", "-n", "2", "--echo").stdout == "a b\n A B\n"
    assert invoke("run", plain_file, "-p", "a b", "-n", "2").stdout == "a b a b\n"
    assert invoke("run", plain_file, "-p", "a b", "-n", "2", "--chat").stdout == " A B\n"


def test_no_echo_leaves_the_answer_alone(invoke, model_file):
    done = invoke("run", model_file, "-p", "a", "-n", "1", "--no-echo", "--no-chat")
    assert done.stdout == " a\n"


def test_an_unknown_cache_type_is_wrong_usage(invoke, model_file):
    for command in (["run", model_file, "-p", "x"], ["chat", model_file], ["bench", model_file]):
        done = invoke(*command, "--kv-type", "q9")
        assert done.exit_code == 2
        assert "F32, F16, Q8_0, Q4_0" in done.stderr


def test_every_option_reaches_the_model(invoke, fake, model_file):
    options = "--temp 0.5 --top-k 7 --top-p 0.9 --min-p 0.1 --repeat-penalty 1.2 -s 3 -t 2 -c 99 --kv-type q8_0"
    line = ["run", model_file, "-p", "x", "-n", "1", "--system", "be", *options.split()]
    assert invoke(*line, "--stop", "A", "--stop", "B").exit_code == 0
    (model,) = fake.opened
    ((messages, settings),) = model.calls
    assert model.options == {"n_ctx": 99, "n_threads": 2, "kv_type": "Q8_0"}
    assert [m["role"] for m in messages] == ["system", "user"]
    assert settings == {
        "temperature": 0.5,
        "top_k": 7,
        "top_p": 0.9,
        "min_p": 0.1,
        "repeat_penalty": 1.2,
        "seed": 3,
        "stop": ("A", "B"),
        "max_tokens": 1,
    }
    assert model.closed


def test_stdin_is_the_prompt_or_follows_it(invoke, fake, model_file):
    for line in ([], ["-p", "-"]):
        invoke("run", model_file, "--no-chat", "-n", "1", *line, input="from stdin\n")
        assert fake.opened[-1].calls[0][0] == "from stdin"
    invoke("run", model_file, "--no-chat", "-n", "1", "-p", "Sum up:", input="a letter\n")
    assert fake.opened[-1].calls[0][0] == "Sum up:\na letter"


def test_what_a_user_may_have_missed_is_told(invoke, model_file):
    done = invoke("run", "Why is the sky blue?")
    assert done.exit_code == 2 and "with -p" in done.stderr
    line = ("run", model_file, "--no-chat", "-n", "1", "-p")
    assert "made for a context of 1,000" in invoke(*line, "a", "-c", "1001").stderr
    assert "context is full" in invoke(*line, "full").stderr and invoke(*line, "a", "-c", "1000").stderr == ""


def test_silent_pipe_is_not_waited_for(program, model_file):
    reader, writer = os.pipe()
    try:
        done = program("run", model_file, "-p", "a", "-n", "1", "--no-chat", stdin=reader)
    finally:
        os.close(reader), os.close(writer)
    assert done.stdout == "a a\n"
    assert "open pipe" in done.stderr


def test_json_is_one_document_with_the_figures(invoke, model_file):
    done = invoke("run", model_file, "-p", "a b", "-n", "2", "--json", "--no-chat")
    told = json.loads(done.stdout)
    assert (told["prompt"], told["text"], told["tokens"]) == ("a b", " a b", [0, 1])
    assert (told["finish_reason"], told["prompt_tokens"]) == ("length", 7)
    assert told["prompt_tokens_per_second"] == pytest.approx(100)
    assert told["tokens_per_second"] == pytest.approx(10)


def test_verbose_timings_go_to_stderr(invoke, model_file):
    done = invoke("run", model_file, "-p", "a", "-n", "1", "-v", "--no-chat")
    assert done.stdout == "a a\n"
    assert "10.0 tokens/s" in done.stderr


def test_control_characters_of_tokens_do_not_reach_the_output(program, model_file):
    done = program("run", model_file, "-p", "\x1b]0;x\x07 \x9b1m", "-n", "2", "--no-chat")
    assert not {"\x1b", "\x07", "\x9b"} & set(done.stdout + done.stderr)
    assert "␛]0;x␇" in done.stdout


def test_ctrl_c_keeps_the_text_so_far(program, model_file):
    done = program("run", model_file, "-p", "a interrupt b", "-n", "9", "--no-chat")
    assert done.stdout == "a interrupt b a\n"
    assert (done.returncode, done.stderr) == (130, "")
    done = program("run", model_file, "-p", "a interrupt b", "-n", "9", "--no-chat", "--json")
    assert json.loads(done.stdout)["finish_reason"] == "interrupted"
    assert done.returncode == 130


@pytest.mark.parametrize("line", ["run -n -1", "run --nonsense", "walk", "run -p"])
def test_wrong_usage_is_exit_code_2(program, line):
    done = program(*line.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error:" in done.stderr


def test_errors_are_one_line_and_exit_code_1(program, model_file):
    for line, message in (
        (["run", "no.gguf", "-p", "x"], "Error: there is no file no.gguf\n"),
        (["run", "smollm2", "-p", "x"], "Error: smollm2 is not cached, and offline mode is on"),
        (["run", model_file, "-p", "overflow"], "Error: 9 tokens do not fit"),
        (["run", model_file, "-p", "bug", "--no-chat"], "Error: TypeError: a mistake of ours"),
    ):
        done = program(*line)
        assert done.returncode == 1
        assert done.stderr.startswith(message)
        assert done.stderr.count("\n") == 1


def test_warnings_are_one_line(program, model_file):
    done = program("run", model_file, "-p", "warn", "-n", "1", "--no-chat")
    assert (done.stdout, done.returncode) == ("warn warn\n", 0)
    assert done.stderr == "Warning: the file is odd␛[31m\n"


def test_debug_variable_shows_the_traceback(program, model_file):
    environment = os.environ | {"LLAMA_GGUF_DEBUG": "1"}
    done = program("run", model_file, "-p", "bug", "--no-chat", env=environment)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_broken_pipe_is_quiet(program, model_file):
    command = [*program.command, "run", model_file, "-p", "word " * 50, "-n", "100000", "--no-chat"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_ctrl_c_while_importing_is_130():
    code = "import sys\ndef find(self, name, *_):\n    if name == 'click': raise KeyboardInterrupt\n"
    code += "sys.meta_path.insert(0, type('', (), {'find_spec': find})())\nimport llama_gguf.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "")
