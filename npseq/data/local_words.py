"""Words in times as spreadsheets write them in other languages: halves of the day, and names of months."""

from __future__ import annotations

import re

# before noon / after noon, without points and blanks: es, el, ko, zh, ja, ar, fa, he, hu, tr, vi, sv, fi, cs, sq, af, ms, uk, hi
HALVES = """am/pm πμ/μμ 오전/오후 上午/下午 午前/午後 ص/م قظ/بظ לפנהצ/אחהצ de/du öö/ös sa/ch fm/em ap/ip dop/odp
    pd/md vm/nm pg/ptg дп/пп पूर्वाह्न/अपराह्न""".split()
HALF_OF = {mark: half for pair in HALVES for mark, half in zip(pair.split("/"), ("AM", "PM"))}
MONTHS = """january february march april may june july august september october november december
    januar februar märz april mai juni juli august september oktober november dezember
    janvier février mars avril mai juin juillet août septembre octobre novembre décembre
    enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
    gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
    janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro
    januari februari maart april mei juni juli augustus september oktober november december
    januari februari mars april maj juni juli augusti september oktober november desember
    stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia
    styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik listopad grudzień
    jänner luty mrz kwi maja cze lip sie wrz paź lis gru
    ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık
    января февраля марта апреля мая июня июля августа сентября октября ноября декабря
    январь февраль mrt апрель май июнь июль август сентябрь октябрь ноябрь декабрь""".split()
DAYS = set("""lun mar mié mie jue vie sáb sab dom lunes martes miércoles jueves viernes sábado domingo mer jeu ven sam dim lundi mardi
    mercredi jeudi vendredi samedi dimanche mo di mi do fr sa so montag dienstag mittwoch donnerstag freitag samstag sonntag
    lunedì martedì mercoledì giovedì venerdì sabato domenica gio seg ter qua qui sex segunda terça quarta quinta sexta
    ma wo vr za zo maandag dinsdag woensdag donderdag vrijdag zaterdag zondag пн вт ср чт пт сб вс""".split())  # fmt: skip


def _month_of() -> dict[str, str]:
    """The English month of each name, and of each of its beginnings of three letters or more that stands for one month."""
    found: dict[str, set[int]] = {}
    for k, name in enumerate(MONTHS):
        for end in range(3, len(name) + 1):
            found.setdefault(name[:end], set()).add(k % 12)
    return {start: MONTHS[min(months)].capitalize() for start, months in found.items() if len(months) == 1}


MONTH_OF = _month_of()
WORD = re.compile(r"(?<![^\W\d_])([^\W\d_]{3,})\.?(?![^\W\d_])")
FIRST = re.compile(r"^\s*([^\W\d_]+)[.,]*\s+(?=\d)")
DATE = re.compile(r"\d+[./-]\d+[./-]\d|\d+\.?\s+(?:de\s+)?[^\W\d_]{3}")
LINK = re.compile(r"\s+del?\s+", re.I)
ORDINAL = re.compile(r"(?<=\d)(?:er|st|nd|rd|th|[ºª])(?![^\W\d_])\.?", re.I)
END = re.compile(r"(?<=[\d:])[^\d:]+$")
BEFORE = re.compile(r"([^\d\s:,/.-]+)\s*(\d\d?:[\d:.]*\d)")
BLANKS = re.compile(r"[\s.״\"']")


def in_english(cell: str) -> str:
    """Return a time with AM and PM, and the months, in English; what is not known stays as it is."""
    if ":" in cell:
        if (found := END.search(cell)) and (half := HALF_OF.get(BLANKS.sub("", found[0]).lower())):
            cell = f"{cell[: found.start()]} {half}"
        elif (before := BEFORE.search(cell)) and (half := HALF_OF.get(before[1].lower())):
            cell = f"{cell[: before.start()]}{before[2]} {half}{cell[before.end() :]}"
    if (first := FIRST.match(cell)) and first[1].lower() in DAYS and DATE.match(cell, first.end()):
        cell = cell[first.end() :]
    if any(word[1].lower() in MONTH_OF for word in WORD.finditer(cell)):
        cell = LINK.sub(" ", ORDINAL.sub("", cell))
        cell = WORD.sub(lambda word: MONTH_OF.get(word[1].lower(), word[0]), cell)
    return cell
