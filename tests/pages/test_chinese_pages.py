"""The pages in Chinese have the same commands, code, figures and links as those in English, and link to them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAIRS = [
    ("README.md", "README.zh-CN.md"),
    ("docs/study.md", "docs/study.zh-CN.md"),
    ("docs/tour.md", "docs/tour.zh-CN.md"),
]
SAME = {  # a page that is linked in its own language, and its address in the page
    "README.zh-CN.md": "README.md",
    "study.zh-CN.md": "study.md",
    "tour.zh-CN.md": "tour.md",
    "explain.html#lang=zh": "explain.html",
}


def texts(english, chinese):
    """Both texts; of the tour the sections that there are in both."""
    en, zh = ((ROOT / name).read_text(encoding="utf-8") for name in (english, chinese))
    return (en[: en.index("\n## 4. ")] if "tour" in english else en), zh


def targets(text):
    """What is linked, pictures included; a page in Chinese counts as that in English."""
    found = re.findall(r"\]\(([^)\s]+)\)|href=\"([^\"]+)\"", text)
    short = {a or b for a, b in found}
    return {
        target.replace(target.split("/")[-1], SAME.get(target.split("/")[-1], target.split("/")[-1]))
        for target in short
    }


@pytest.mark.parametrize("english, chinese", PAIRS)
def test_both_languages_have_the_same_code_and_commands(english, chinese):
    en, zh = texts(english, chinese)
    assert re.findall(r"```.*?```", en, re.DOTALL) == re.findall(r"```.*?```", zh, re.DOTALL)
    names = [set(re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"```.*?```", "", t, flags=re.DOTALL))) for t in (en, zh)]
    commands = [{name for name in found if re.match(r"(npseq|python|make|pip|--)", name)} for found in names]
    assert commands[0] - {"--seed", "npseq train"} <= commands[1] | {"--seed"} and commands[1] <= commands[0] | names[0]


@pytest.mark.parametrize("english, chinese", PAIRS[:2])
def test_both_languages_have_the_same_links_and_pictures(english, chinese):
    en, zh = texts(english, chinese)
    only = targets(en) ^ targets(zh)
    other = {Path(english).name}  # each links to the other
    assert only <= other | {"tour.md", "exercises.zh-CN.md"}, only
    for page in (english, chinese):
        for target in re.findall(r"\]\(([^)#\s]+)\)", (ROOT / page).read_text(encoding="utf-8")):
            assert (ROOT / page).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("english, chinese", PAIRS)
def test_both_languages_have_the_same_figures(english, chinese):
    en, zh = texts(english, chinese)
    if "README" in english:
        table = re.search(r"<!-- results:.*?<!-- /results -->", en, re.DOTALL)[0]
        assert table in zh
    number = r"(?<![\w.])\d+[\d,.]*\d(?![\w])"
    words = [re.sub(r"\]\([^)]*\)", "]", re.sub(r"```.*?```", "", t, flags=re.DOTALL)) for t in (en, zh)]
    assert set(re.findall(number, words[0])) == set(re.findall(number, words[1]))


def test_the_pages_link_to_each_other():
    for english, chinese in PAIRS:
        en, zh = ((ROOT / name).read_text(encoding="utf-8") for name in (english, chinese))
        assert f"]({Path(chinese).name})" in en and f"]({Path(english).name})" in zh


def test_which_model_when_and_the_step_of_the_lstm_stand_in_both():
    for name in PAIRS[0]:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "docs/lstm_step.svg" in text and "docs/page.png" in text
        rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", text, re.MULTILINE)
        assert [row[0] for row in rows] == ["rnn", "lstm", "gru", "optimized_lstm"]


def test_the_study_page_has_the_same_order_and_minutes():
    rows = [
        re.findall(r"^\| (\d+) \|.*\| (\d+) \|$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
        for name in PAIRS[1]
    ]
    assert rows[0] == rows[1] and len(rows[0]) == 16


def test_every_exercise_has_its_task_and_its_hints_in_chinese():
    from npseq.explain.exercises import EXERCISES

    text = (ROOT / "docs" / "exercises.zh-CN.md").read_text(encoding="utf-8")
    sections = dict(part.split("\n", 1) for part in text.split("\n## ")[1:])
    assert list(sections) == list(EXERCISES)
    for name, exercise in EXERCISES.items():
        hints = re.findall(r"^\d\. (.+)$", sections[name], re.MULTILINE)
        assert len(hints) == len(exercise.hints) and f"{exercise.minutes} 分钟" in sections[name]
        for chinese, english in zip(hints, exercise.hints):  # the same equations
            assert set(re.findall(r"\(\d+\)", chinese)) == set(re.findall(r"\(\d+\)", english))


def test_the_glossary_has_both_languages():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| (.+) \|$", text, re.MULTILINE)[1:]
    assert len(rows) > 35 and [row[0].lower() for row in rows] == sorted(row[0].lower() for row in rows)
    assert all(re.search(r"[\u4e00-\u9fff]", row[1]) for row in rows)
    wanted = ("循环神经网络", "隐藏状态", "细胞状态", "门控", "沿时间反向传播", "梯度消失")
    assert all(any(term in row[1] for row in rows) for term in wanted)
