"""The program on a real model."""

import json
import subprocess
import sys


def program(*line, **options):
    command = [sys.executable, "-m", "llama_gguf", *map(str, line)]
    return subprocess.run(command, capture_output=True, timeout=120, encoding="utf-8", **options)


def run(smollm2, *line, prompt="The capital of France is"):
    return program("run", smollm2, "-p", prompt, *line, stdin=subprocess.DEVNULL)


def test_capital_of_france_is_paris(smollm2):
    done = run(smollm2, "-n", "16", "--temperature", "0", "--no-chat")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The capital of France is Paris.")
    assert done.stderr == ""


def test_same_seed_same_text_with_any_number_of_threads(smollm2):
    line = ("-n", "12", "--temperature", "1.5", "--seed", "7", "--no-chat", "--json")
    told = [json.loads(run(smollm2, *line, "-t", t).stdout) for t in (1, 2, 2)]
    assert told[0]["text"] == told[1]["text"] == told[2]["text"]
    assert len(told[0]["tokens"]) == 12
    other = json.loads(run(smollm2, *line, "--seed", "8").stdout)
    assert other["text"] != told[0]["text"]


def test_chat_answers_and_ends_by_itself(smollm2):
    done = run(smollm2, "-n", "60", "--no-echo", "--json", prompt="What is 2+2?")
    told = json.loads(done.stdout)
    assert "4" in told["text"]
    assert told["finish_reason"] == "stop"


def test_chat_repl_remembers(smollm2):
    lines = "My name is Zoltan.\nWhat is my name?\n"
    done = program("chat", smollm2, "-n", "40", input=lines)
    assert done.returncode == 0, done.stderr
    assert "Zoltan" in done.stdout.splitlines()[-1]


def test_stop_text_ends_the_answer(smollm2):
    done = run(smollm2, "-n", "16", "--no-chat", "--no-echo", "--stop", ".")
    assert done.stdout == " Paris\n"


def test_prompt_that_does_not_fit_is_refused_at_once(smollm2):
    done = run(smollm2, "-c", "8", "--no-chat", prompt="word " * 50)
    assert (done.returncode, done.stdout) == (1, "")
    assert "context holds 8" in done.stderr
    assert done.stderr.count("\n") == 1


def test_bench_tells_both_rates(smollm2):
    done = program("bench", smollm2, "-p", "16", "-n", "4", "-r", "1", "--ops", "--json")
    told = json.loads(done.stdout)
    assert told["prompt_tokens_per_second"]["median"] > 0
    assert told["decode_tokens_per_second"]["median"] > 0
    assert {"kind", "count", "ms_per_token", "share"} == set(told["ops"][0])
