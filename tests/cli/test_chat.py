"""llama-gguf chat: the conversation and its commands."""


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
    assert done.exit_code == 0


def test_ctrl_c_stops_the_answer_only(program, model_file):
    done = program("chat", model_file, "-n", "9", input="a interrupt b\nc\n")
    assert done.stdout.splitlines() == [" A", " C C C C C C C C C"]
    assert done.returncode == 0
