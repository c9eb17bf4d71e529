"""Any upload becomes a plain UTF-8 file, or is refused with a sentence that says what it is."""

# ruff: noqa: RUF001

import gzip
import io
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from feeds.reading import Normalised, Unreadable, detect_dialect, normalise, read_header, read_records
from feeds.reading import unpacking as unpacking_module

GERMAN = "Artikel;Straße;Größe\nSchöne Grüße;Königsstraße 5;süß\nÄpfel – für Öl;Übergasse;7,5 €\n"
FRENCH = "nom,ville\nhôtel très élégant,Besançon\nça où à côté,Nîmes\ncœur œuvre,Évry\n"
SPANISH = "nombre,nota\nniño,¿qué señor?\ncamión,3ª planta\n"
POLISH = "nazwa;opis\nŁódź;Zażółć gęślą jaźń\nKraków;święta są już wkrótce\nGdańsk;książka, źródło, żółw\n"
CZECH = "jméno;popis\nPříliš žluťoučký kůň;úpěl ďábelské ódy\nŘeka;Dobrý den, děkuji za včerejší večeři\n"
RUSSIAN = "имя;город\nИван;Москва\nПривет мир;как дела сегодня в городе\n"
SIGNS = "name,price\nTea,£5\nCoffee,£3.50 each\n10°C,5²m\nfoo\u2019s,\u201cbar\u201d\n"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "plain.csv"


def upload(folder: Path, content: bytes) -> Path:
    path = folder / "upload"
    path.write_bytes(content)
    return path


def refusal(folder: Path, content: bytes, encoding: str | None = None) -> Unreadable:
    """What is said of a file that cannot be read; nothing must be left of it."""
    with pytest.raises(Unreadable) as caught:
        normalise(upload(folder, content), folder / "plain.csv", encoding=encoding)
    assert [path.name for path in folder.iterdir()] == ["upload"]
    return caught.value


class TestEncodings:
    @pytest.mark.parametrize("text", ["a,b\r\n1,2\n\r3,4", GERMAN, POLISH, RUSSIAN])
    def test_plain_utf8_is_read_where_it_is(self, tmp_path, target, text):
        source = upload(tmp_path, text.encode())
        assert normalise(source, target) == Normalised(source, "utf-8", converted=False, note="")
        assert not target.exists()

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    def test_a_mark_or_every_other_byte_zero_tells_the_encoding(self, tmp_path, target, encoding):
        # Given a file with mixed line ends
        text = "name\tgröße\r\nx\t1\ny\t2\r"
        # When it is normalised
        plain = normalise(upload(tmp_path, text.encode(encoding)), target)
        # Then nothing but the encoding is different
        assert (plain.path.read_bytes(), plain.converted) == (text.encode(), True)

    def test_excels_unicode_text_is_read(self, tmp_path, target):
        plain = normalise(
            upload(tmp_path, "sku\tname\r\n1\t\u0141\u00f3d\u017a\r\n".encode("utf-16")), target
        )
        dialect = detect_dialect(plain.path)
        assert (dialect.delimiter, read_header(plain.path, dialect)) == ("\t", ("sku", "name"))
        assert [record.cells for record, _ in read_records(plain.path, dialect, 2)] == [("1", "Łódź")]

    @pytest.mark.parametrize(
        ("text", "encoding"),
        [
            (GERMAN, "cp1252"),
            (FRENCH, "cp1252"),
            (SPANISH, "cp1252"),
            (SIGNS, "cp1252"),
            ("a;b\nMüller;1\n", "cp1252"),
            (POLISH, "cp1250"),
            (POLISH, "iso8859_2"),
            (CZECH, "cp1250"),
            (RUSSIAN, "cp1251"),
        ],
    )
    def test_windows_code_pages_are_told_apart(self, tmp_path, target, text, encoding):
        plain = normalise(upload(tmp_path, text.encode(encoding)), target)
        assert (plain.path.read_text(encoding="utf-8"), plain.encoding) == (text, encoding)

    def test_people_are_told_of_a_guess(self, tmp_path, target):
        plain = normalise(upload(tmp_path, GERMAN.encode("cp1252")), target)
        assert plain.note == "Read as windows-1252, because the file is not UTF-8."

    def test_one_letter_at_the_very_end_is_not_overlooked(self, tmp_path, target):
        plain = normalise(upload(tmp_path, b"a,b\n" + b"1,2\n" * 500_000 + "é".encode("cp1252")), target)
        assert plain.path.read_bytes().endswith("é".encode())

    def test_a_character_across_two_blocks_is_one_character(self, tmp_path, target):
        text = "x" + "é" * 1024 * 1024
        assert normalise(upload(tmp_path, text.encode()), target).encoding == "utf-8"

    def test_what_a_person_says_is_not_doubted(self, tmp_path, target):
        plain = normalise(upload(tmp_path, "ő".encode("cp1250")), target, encoding="windows-1250")
        assert (plain.path.read_text(encoding="utf-8"), plain.note) == ("ő", "")

    def test_an_encoding_that_does_not_fit_or_exist_is_told(self, tmp_path):
        assert refusal(tmp_path, b"\xe9", encoding="utf-8").code == "wrong_encoding"
        assert refusal(tmp_path, b"a", encoding="klingon").code == "unknown_encoding"
        assert refusal(tmp_path, b"a", encoding="base64").code == "unknown_encoding"

    @pytest.mark.parametrize("content", [b"sku,name\n", b"a", b"\xff", b"\x00a\x00,", b"\xd8\x00\xd8\x00"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32", "cp1252", "shift_jis", "gb18030"])
    def test_whatever_is_said_of_whatever_file_is_taken_or_told(self, tmp_path, target, content, encoding):
        with suppress(Unreadable):
            normalise(upload(tmp_path, content), target, encoding=encoding)

    @pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
    def test_utf16_is_read_in_the_order_of_its_bytes_when_there_is_no_mark(self, tmp_path, target, order):
        plain = normalise(upload(tmp_path, GERMAN.encode(order)), target, encoding="utf-16")
        assert (plain.path.read_text(encoding="utf-8"), plain.encoding) == (GERMAN, order)

    def test_a_file_cut_off_within_a_character_is_told(self, tmp_path):
        error = refusal(tmp_path, "a,b".encode("utf-16")[:-1])
        assert (error.code, str(error)) == ("wrong_encoding", "The file cannot be read as UTF-16.")

    def test_nul_bytes_alone_make_no_file_unreadable(self, tmp_path, target):
        assert not normalise(upload(tmp_path, b"a,b\n1,\0\n" + b"2,3\n" * 50), target).converted

    def test_progress_is_told(self, tmp_path, target):
        calls: list[int] = []
        normalise(upload(tmp_path, b"1,2\n" * 1_000_000), target, progress=lambda: calls.append(1))
        assert len(calls) >= 4


class TestGzip:
    def test_it_is_known_by_its_content_and_unpacked(self, tmp_path, target):
        plain = normalise(upload(tmp_path, gzip.compress(GERMAN.encode())), target)
        assert (plain.path, plain.path.read_text(encoding="utf-8"), plain.converted) == (target, GERMAN, True)

    def test_what_is_in_it_may_be_in_any_encoding(self, tmp_path, target):
        plain = normalise(upload(tmp_path, gzip.compress(POLISH.encode("cp1250"))), target)
        assert (plain.path.read_text(encoding="utf-8"), plain.encoding) == (POLISH, "cp1250")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["plain.csv", "upload"]

    def test_several_members_are_one_file(self, tmp_path, target):
        packed = gzip.compress(b"a,b\n") + gzip.compress(b"1,2\n" * 300_000) + b"\0" * 512
        assert normalise(upload(tmp_path, packed), target).path.read_bytes() == b"a,b\n" + b"1,2\n" * 300_000

    def test_a_member_may_be_cut_anywhere_by_a_block(self, tmp_path, target, monkeypatch):
        # Noise does not pack, so that zeros stand at the ends of many blocks
        content = b"".join(number.to_bytes(4, "big").hex().encode() + b"\n" for number in range(0, 99_999, 7))
        monkeypatch.setattr(unpacking_module, "BLOCK", 5)
        packed = gzip.compress(content[:50_000], 0) + gzip.compress(content[50_000:], 0)
        assert normalise(upload(tmp_path, packed), target).path.read_bytes() == content

    @pytest.mark.parametrize("missing", [1, 8, 9, 40])
    def test_a_truncated_one_is_rejected(self, tmp_path, missing):
        packed = gzip.compress(bytes(range(32, 127)) * 50)
        assert refusal(tmp_path, packed[:-missing]).code == "truncated_gzip"

    def test_a_damaged_one_is_rejected(self, tmp_path):
        packed = bytearray(gzip.compress(bytes(range(32, 127)) * 50))
        packed[-6] ^= 255
        assert refusal(tmp_path, bytes(packed)).code == "broken_gzip"

    def test_a_bomb_is_rejected_before_it_fills_the_disk(self, tmp_path, monkeypatch):
        monkeypatch.setattr(unpacking_module, "FREE_SIZE", 1024 * 1024)
        assert refusal(tmp_path, gzip.compress(b"0" * 20_000_000)).code == "gzip_ratio"

    def test_an_empty_one_is_empty(self, tmp_path):
        assert refusal(tmp_path, gzip.compress(b"")).code == "empty"

    def test_one_within_another_is_named(self, tmp_path):
        assert "gzip file within" in str(refusal(tmp_path, gzip.compress(gzip.compress(b"a,b"))))


class TestOtherFiles:
    def workbook(self) -> bytes:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("[Content_Types].xml", "x" * 100)
            archive.writestr("xl/workbook.xml", "x")
        return content.getvalue()

    def test_an_excel_workbook_is_named_with_what_to_do(self, tmp_path):
        error = refusal(tmp_path, self.workbook())
        assert error.code == "binary"
        assert str(error) == (
            "This is not a CSV file but an Excel workbook (.xlsx): save it as CSV and upload that."
        )

    @pytest.mark.parametrize(
        ("beginning", "name"),
        [
            (b"PK\x03\x04", "a ZIP archive"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "(.xls)"),
            (b"\x89PNG\r\n\x1a\n", "a picture (PNG)"),
            (b"%PDF-1.7", "a PDF document"),
            (b"PAR1", "a Parquet file"),
            (bytes(range(20)), "a file that is not text"),
        ],
    )
    def test_a_binary_file_is_named(self, tmp_path, beginning, name):
        error = refusal(tmp_path, beginning + bytes(range(256)) * 4)
        assert (error.code, name in str(error)) == ("binary", True)

    def test_nothing_is_empty(self, tmp_path):
        error = refusal(tmp_path, b"")
        assert (error.code, str(error)) == ("empty", "The file is empty.")


def test_an_error_crosses_processes_with_its_code():
    error = pickle.loads(pickle.dumps(Unreadable("empty", "The file is empty.")))  # noqa: S301
    assert (error.code, str(error)) == ("empty", "The file is empty.")
