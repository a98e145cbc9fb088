"""The encoding of a text: UTF-8, UTF-16 or what is said; otherwise it is told from its letters, or asked about."""

from __future__ import annotations

import codecs
import re
import unicodedata

from ..formats.messages import argument
from .errors import DataError

UTF_8 = "utf-8-sig"
EAST_ASIAN = {"cp932": "euc_jp", "gb18030": "gb2312", "big5": "", "euc-kr": "", "euc-jp": "euc_jp"}
ONE_BYTE = {"koi8-r": ("CYRILLIC", 1.0), "cp1251": ("CYRILLIC", 1.0), "cp1253": ("GREEK", 0.9),
            "cp1255": ("HEBREW", 0.8), "cp1256": ("ARABIC", 0.8), "cp874": ("THAI", 0.8)}  # fmt: skip  # how likely
FOREIGN = re.compile(r"[^\x00-\x7f]+")
LONGEST = 1 << 16  # bytes that are looked at
SHOWN = 24  # characters of each reading in a message
HANGUL = set(
    "가각간감강개거건것게격결경계고공과관광교구국군그금급기까나날남내너네년높는능니다단달당대더데도동되된두등때라락량러력련령로료"
    "류르른를리림립마만말망매면명모목무문물미민및바반발방배법변별보복본부북분불비사산상색생서석선설성세소속수순스습시식신실심"
    "써아안않알압액양어업없에여역연열영예오온와요용우운울움원월위유육율으은을음응의이인일임입있자작장재저적전절점정제조종주준중증지"
    "직진질집짜차참천철청체초총추출충치침크타탄태터토통트특판평포폭표품풍프하학한할함합항해행허현형호화확환회횟효후흐흡희"
)  # common
RARE = "бгзйхжшюцщэфъёьςΐΰξψ"  # of Cyrillic and Greek letters
INSIDE, OPENING = "’‘·–—-²³°µ\u00a0", "«“„¿¡‘"  # signs between letters, and before a word, in Western texts
ACCENTED = 3  # letters in a row that are not ASCII: more of them are another script than Latin


def decode(sample: bytes, whole: bool, source: str, said: str | None) -> tuple[str, str]:
    """Return the encoding of the first bytes of a file, and their text.

    Args:
        whole: True if they are all. source: the name of the file, for messages. said: the encoding that was named.

    Raises:
        DataError: for bytes that are no text, or not of the encoding that was named; for letters that can be read in two
            ways, with the two best.
    """
    name = said or utf_16_of(sample) or UTF_8
    try:
        text = codecs.getincrementaldecoder(name)().decode(sample, whole)
    except UnicodeDecodeError:
        if name != UTF_8:
            raise DataError(f"{source} cannot be read as {name}: name its {argument('encoding')}") from None
        name = told(sample, source)
        text = sample.decode(name, "replace")
    except LookupError:
        raise DataError(
            f"{name!r} is no encoding that Python knows; one such as utf-8, cp1252 or shift_jis expected"
        ) from None
    if "\0" in text:
        raise DataError(f"{source} is not text: it holds zero bytes; if it is, name its {argument('encoding')}")
    return name, text


def utf_16_of(sample: bytes) -> str | None:
    """Return the encoding of the first bytes of a file in UTF-16: with its mark, or with every second byte zero."""
    if sample[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    odd, even = any(sample[1:40:2]), any(sample[:40:2])
    if len(sample) > 3 and odd != even:
        return "utf-16-be" if odd else "utf-16-le"
    return None


def told(sample: bytes, source: str) -> str:
    """Return the encoding of bytes that are not UTF-8, if their letters are those of Western Europe.

    Raises:
        DataError: otherwise, with the two readings whose letters fit best.
    """
    lines = [line for line in sample[:LONGEST].splitlines() if not line.isascii()]
    foreign = b"\n".join(lines)
    western = "cp1252" if _read(foreign, "cp1252") is not None else "latin-1"
    if _is_western(foreign.decode(western)):
        return western
    found = {
        name: text for name in (*EAST_ASIAN, *ONE_BYTE, western, "cp1250") if (text := _read(foreign, name)) is not None
    }
    first, second = sorted(found, key=lambda name: -_fit(found[name], name))[:2]
    shown = [f"{_shown(found[name])!r} ({name})" for name in (first, second)]
    raise DataError(
        f"{source} is not UTF-8: its letters can be {shown[0]} or {shown[1]}; say which with "
        f"{argument('encoding', first)} or {argument('encoding', second)}"
    )


def _read(text: bytes, name: str) -> str | None:
    """Return the bytes as text; None if they are not in this encoding. The last line may be incomplete."""
    for end in (len(text), text.rfind(b"\n")):
        try:
            read = text[: max(end, 0)].decode(name)
        except UnicodeDecodeError:
            continue
        return None if read.isascii() else read
    return None


def _is_western(text: str) -> bool:
    """True for Latin letters with accents in words of other Latin letters, and signs such as °, € and µ."""
    for run in FOREIGN.finditer(text):
        before, after = (text[max(at, 0) : at + 1].isalpha() for at in (run.start() - 1, run.end()))
        signs, several = {c for c in run[0] if not c.isalpha()}, len(run[0]) > 1
        if len(run[0]) > ACCENTED or several and signs - {*INSIDE, *OPENING, *"»”€£"}:
            return False
        if several and not signs and not before and not after:
            return False
        for at, sign in enumerate(run[0], run.start()):
            follows, inside = text[at + 1 : at + 2].isalpha(), at > 0 and text[at - 1].isalpha()
            if not sign.isalpha() and follows and sign not in INSIDE and (inside or sign not in OPENING):
                return False
    return True


def _fit(text: str, name: str) -> float:
    """The fraction of the letters that are common in this encoding's language, weighed by how much they say."""
    letters = [c for run in FOREIGN.findall(text) for c in run]
    if name in ONE_BYTE:
        script, likely = ONE_BYTE[name]
        fits = sum((0.6 if c.lower() in RARE else 1.0) for c in letters if unicodedata.name(c, "").startswith(script))
        words = re.findall(r"[^\W\d_]{2,}", text)
        wrong = sum(
            0.1 if word == word.upper() != word.lower() else float(word[1:] != word[1:].lower()) for word in words
        )
        return likely * fits / len(letters) - wrong / max(len(words), 1)
    if name not in EAST_ASIAN:  # Latin: accents in words of ASCII letters
        accents = re.findall(r"(?<=[a-zA-Z])[^\x00-\x7f]|[^\x00-\x7f](?=[a-zA-Z])", text)
        return float(sum(map(str.isalpha, accents)) / len(letters))
    return sum(_is_common(c, name) for c in letters) / len(letters)


def _is_common(c: str, name: str) -> float:
    """1 for a character of everyday texts of the language, less for a rare one."""
    kind = unicodedata.name(c, "")
    if kind.startswith(("HIRAGANA", "KATAKANA")):
        return 1.0 if EAST_ASIAN[name] == "euc_jp" else 0.3
    if kind.startswith("HANGUL SYLLABLE"):
        return (1.0 if c in HANGUL else 0.4) if name == "euc-kr" else 0.0
    if not kind.startswith("CJK UNIFIED"):
        return 0.7 if kind.startswith(("FULLWIDTH", "IDEOGRAPHIC")) or c in "℃％〜、。・「」年" else 0.0
    try:
        place = c.encode(EAST_ASIAN[name] or name)
    except UnicodeEncodeError:
        return 0.0
    first = {"euc_jp": (0xB0, 0xCF), "gb2312": (0xB0, 0xD7), "": (0xA4, 0xC6)}[EAST_ASIAN[name]]
    common = len(place) == 2 and first[0] <= place[0] <= first[1]
    return (0.9 if common else 0.2) if name != "euc-kr" else 0.2


def _shown(text: str) -> str:
    """The longest words of other letters."""
    return " ".join(sorted(dict.fromkeys(FOREIGN.findall(text)), key=len, reverse=True))[:SHOWN]
