import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_magdg.datasets._breakhis_inventory import read_slides
from sklearn_magdg.datasets._breakhis_names import SUBTYPES, accession_of, parse_filename
from tests.datasets.conftest import breakhis_name

# as published; the letters of a slide's id stand at its end in all 82
PUBLISHED = re.compile(r"SOB_([BM])_([A-Z]+)-(\d\d)-([0-9A-Z]+)-(40|100|200|400)-(\d{3})\.png", re.ASCII)

NAMES = st.tuples(
    st.sampled_from(sorted(SUBTYPES)),
    st.from_regex(r"[0-9]{2}-[0-9]{1,5}[A-Z]{0,2}", fullmatch=True, alphabet=st.characters(codec="ascii")),
    st.sampled_from([40, 100, 200, 400]),
    st.integers(0, 999),
)


@given(NAMES)
def test_a_name_is_read_as_it_was_written(fields):
    subtype, slide, magnification, sequence = fields
    parsed = parse_filename(breakhis_name(*fields))
    accession = re.match(r"\d\d-\d+", slide)[0]
    assert parsed == (SUBTYPES[subtype], subtype, accession, slide, magnification, sequence)


@given(NAMES, st.data())
def test_a_name_changed_in_one_place_is_refused_or_is_another_name(fields, data):
    name = breakhis_name(*fields)
    place = data.draw(st.integers(0, len(name)))
    width = data.draw(st.integers(0, 1))
    put = data.draw(st.sampled_from(["", *"-_0A4Bx. \n٠é"]))
    changed = name[:place] + put + name[place + width :]
    match = PUBLISHED.fullmatch(changed)
    try:
        parsed = parse_filename(changed)
    except ValueError:
        letters_amid = match and not re.fullmatch(r"\d+[A-Z]*", match[4])
        assert not match or letters_amid or SUBTYPES.get(match[2], " ")[0].upper() != match[1]
    else:
        assert match
        assert breakhis_name(parsed.subtype, parsed.slide, parsed.magnification, parsed.sequence) == changed


@pytest.mark.parametrize(
    "name",
    [
        "SOB_B_A-14-22549AB-40-001.jpg",
        "SOB_B_A-14-22549AB-40-001.PNG",
        "SOB_B_A-14-22549AB-40-001.png\n",
        "SOB_B_A-14-22549AB-50-001.png",
        "SOB_B_A-14-22549AB-40X-001.png",
        "SOB_B_A-14-22549AB-40-1.png",
        "SOB_B_A-14-22549AB-40-0001.png",
        "SOB_B_A-4-22549AB-40-001.png",
        "SOB_B_A-14-22549ab-40-001.png",
        "SOB_B_A-14--40-001.png",
        "SOB_B_A_14-22549AB-40-001.png",  # as folders are spelled
        "SOB_B_A-14-22549AB-40-٠٠١.png",
        "SOB_B_XX-14-22549AB-40-001.png",
        "SOB_M_A-14-22549AB-40-001.png",
        "SOB_B_DC-14-4364-40-001.png",
        "xSOB_B_A-14-22549AB-40-001.png",
        "",
    ],
)
def test_a_name_outside_the_grammar_is_refused(name):
    with pytest.raises(ValueError, match="is no name of a BreaKHis image"):
        parse_filename(name)


def test_every_slide_of_the_full_set_has_a_name_that_reads_back():
    slides = read_slides()
    for row in slides.itertuples():
        parsed = parse_filename(breakhis_name(row.subtype, row.slide, 40))
        assert (parsed.label, parsed.subtype, parsed.slide) == (row.label, row.subtype, row.slide)
    assert slides.loc[~slides["slide"].str.startswith("14-"), ["subtype", "slide"]].values.tolist() == [
        ["PC", "15-190EF"]
    ]


def test_the_slide_of_another_year_is_read():
    parsed = parse_filename("SOB_M_PC-15-190EF-400-012.png")
    assert parsed == ("malignant", "PC", "15-190", "15-190EF", 400, 12)


def test_slides_of_the_full_set_fall_into_seventy_accessions_of_one_label_each():
    slides = read_slides()
    accessions = slides.groupby(slides["slide"].map(accession_of))
    assert accessions.ngroups == 70
    assert (accessions["label"].nunique() == 1).all()
    subtypes = accessions["subtype"].agg(lambda subtype: set(subtype))
    crossing = {name: each for name, each in subtypes.items() if len(each) > 1}
    assert crossing == {"14-21998": {"F", "PT"}, "14-29960": {"A", "F"}, "14-13412": {"DC", "LC"}}
