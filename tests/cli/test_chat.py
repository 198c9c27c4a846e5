"""llama-gguf chat: the conversation and its commands."""

import json


def say(invoke, model_file, *lines, options=()):
    return invoke("chat", model_file, "-n", "2", *options, input="\n".join(lines) + "\n")


def test_answers_follow_each_line_and_history_grows(invoke, fake, model_file):
    done = say(invoke, model_file, "one two", "three four")
    assert done.stdout == " ONE TWO\n THREE FOUR\n"
    assert done.exit_code == 0
    (model,) = fake.opened
    assert [m["content"] for m in model.calls[1][0]] == ["one two", " ONE TWO", "three four"]


def test_clear_and_system_start_anew(invoke, fake, model_file):
    lines = ("a", "/clear", "b", "/system be kind", "c", "/system", "d")
    say(invoke, model_file, *lines, options=("--system", "be brief"))
    (model,) = fake.opened
    seen = [[m["content"] for m in messages] for messages, _ in model.calls]
    assert seen == [["be brief", "a"], ["be brief", "b"], ["be kind", "c"], ["d"]]


def test_quit_ends_and_help_goes_to_stderr(invoke, fake, model_file):
    done = say(invoke, model_file, "/help", "/nonsense", "/quit", "never")
    assert done.stdout == ""
    assert "/system TEXT" in done.stderr
    assert "no command /nonsense" in done.stderr
    assert fake.opened[0].calls == []


def test_three_quotes_hold_several_lines(invoke, fake, model_file):
    say(invoke, model_file, '"""one', "", 'two"""', '"""single"""')
    sent = [messages[-1]["content"] for messages, _ in fake.opened[0].calls]
    assert sent == ["one\n\ntwo", "single"]


def test_overflow_is_told_and_not_remembered(invoke, fake, model_file):
    done = say(invoke, model_file, "overflow now", "fine")
    assert "Error: 9 tokens do not fit" in done.stderr
    assert [m["content"] for m in fake.opened[0].calls[1][0]] == ["fine"]
    assert done.exit_code == 1


def test_ctrl_c_stops_the_answer_only(program, model_file):
    done = program("chat", model_file, "-n", "9", input="a interrupt b\nc\n")
    assert done.stdout.splitlines() == [" A", " C C C C C C C C C"]
    assert done.returncode == 0


def test_settings_are_set_shown_and_checked(invoke, fake, model_file):
    done = say(invoke, model_file, "/set temperature 0.7", "/set top_k none", "/set nosuch 1", "/set top_p high",
               "/set", "/set max_tokens -1", "/set min_p 3", "a")
    assert "temperature is now 0.7" in done.stderr and "top_k is now its default" in done.stderr
    assert "no setting 'nosuch'; there are max_tokens, temperature" in done.stderr
    assert "top_p takes a float, not 'high'" in done.stderr
    assert "Error: max_tokens must not be negative" in done.stderr and "Error: min_p" in done.stderr
    settings = fake.opened[0].calls[0][1]
    assert settings["temperature"] == 0.7 and "top_k" not in settings and settings["min_p"] == 0.05
    assert done.exit_code == 0 and done.stdout == " A A\n"


def test_a_conversation_is_saved_and_goes_on(invoke, fake, model_file, tmp_path):
    path = tmp_path / "a talk.json"
    say(invoke, model_file, "/system be kind", "one", "/set temperature 0.5", f"/save {path}")
    saved = json.loads(path.read_text())
    assert [m["content"] for m in saved["messages"]] == ["be kind", "one", " ONE ONE"]
    assert saved["settings"]["temperature"] == 0.5
    say(invoke, model_file, f'/load "{path}"', "two")
    messages, settings = fake.opened[1].calls[0]
    assert [m["content"] for m in messages] == ["be kind", "one", " ONE ONE", "two"]
    assert settings["temperature"] == 0.5
    say(invoke, model_file, "two", options=("--load", str(path)))
    assert fake.opened[2].calls[0][0] == messages


def test_a_file_is_replaced_only_by_force(invoke, model_file, tmp_path):
    path = tmp_path / "talk.json"
    path.write_text("precious")
    done = say(invoke, model_file, "a", f"/save {path}", "b")
    assert path.read_text() == "precious" and "exists already" in done.stderr
    assert done.stdout == " A A\n B B\n"
    say(invoke, model_file, "a", f"/save --force {path}")
    assert json.loads(path.read_text())["messages"][0]["content"] == "a"
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".tmp"] == []


def test_what_is_no_conversation_is_not_loaded(invoke, fake, model_file, tmp_path):
    path = tmp_path / "talk.json"
    for text in ("", "{", "[]", "[1]", '{"messages": 3}', '{"messages": [], "settings": {"a": 1}}', "[" * 10**5,
                 '{"messages": [], "settings": {"top_p": "x"}}'):
        path.write_text(text)
        done = say(invoke, model_file, "a", f"/load {path}", "b")
        assert f"Error: {path}: " in done.stderr
        assert len(fake.opened[-1].calls[1][0]) == 3 and done.exit_code == 0
    path.write_bytes(b"\xff\xfe")
    assert say(invoke, model_file, options=("--load", str(path))).exit_code == 1
    assert "No such file" in say(invoke, model_file, "/load nowhere.json", "/load", "/save").stderr
