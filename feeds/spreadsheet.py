"""Result rows as a spreadsheet (.xlsx) in which every cell is text, written while it is downloaded.

What stands in a cell is what stood in the file: leading zeros, long numbers and what begins with "="
survive, also where somebody writes anew, for the columns are formatted as text. What a spreadsheet
program saves as CSV from it uploads again as it is.

The format is a zip archive of a few small files and one large one. We write it ourselves, because the
libraries for it (XlsxWriter, openpyxl) can only hand out a file once all of it is written: the browser of
somebody with a million rows would wait for minutes, and so would a temporary file.
"""

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from feeds.errors import TooLarge
from feeds.results import MARK, RESULT_COLUMNS, ResultRow, record

MOST_ROWS: Final = 1_048_576 - 1  # of a sheet, less the header
LONGEST_CELL: Final = 32_767  # in units of UTF-16, as Excel counts
LARGEST_SHEET: Final = (1 << 31) - 1  # bytes before compression; beyond, Excel refuses the archive
CELL_COST: Final = 60  # bytes around a cell's text, about
CHUNK = 64 * 1024  # bytes that are collected before they are handed on

CONTENT_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_SHEET = "xl/worksheets/sheet1.xml"

_PARTS: Final = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>'
    f'<Override PartName="/{_SHEET}" ContentType="{_TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
    '<sheets><sheet name="Rows" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
    # Style 1 is text (format 49, "@"), style 2 the same in bold.
    "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}">'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/>'
    '</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
    "</styleSheet>",
}

# What XML cannot hold is written as _xHHHH_, and so is the beginning of what only looks like that.
_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_OUTER_SPACE = re.compile(r"\s|.*\s\Z|.*[\t\n]", re.DOTALL)


def problem_with_size(*, rows: int, columns: int, text: int) -> str:
    """Why so many rows with so many bytes of text make no spreadsheet; "" when they do."""
    if rows > MOST_ROWS:
        return f"A spreadsheet takes {MOST_ROWS:,} rows, and these are {rows:,}."
    if text + rows * (columns + len(RESULT_COLUMNS)) * CELL_COST > LARGEST_SHEET:
        return f"These {rows:,} rows are too large for a spreadsheet."
    return ""


def write_xlsx(rows: Iterable[ResultRow], columns: Sequence[str]) -> Iterator[bytes]:
    """The spreadsheet, piece by piece, in constant memory: the columns of the CSV file (feeds.results).

    Raises TooLarge in the midst of it, so that no half of it is taken for the whole, when there are
    more rows after all than a sheet takes.
    """
    out = _Collected()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in _PARTS.items():
            archive.writestr(name, _XML + content)
        with archive.open(_SHEET, "w") as sheet:
            for piece in _sheet(rows, columns):
                sheet.write(piece.encode(errors="replace"))
                if len(out.data) >= CHUNK:
                    yield out.taken()
    yield out.taken()


class _Collected:
    """What the archive writes to: never sought in, and emptied as it grows."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes, /) -> int:
        self.data += data
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> bytes:
        data = bytes(self.data)
        self.data.clear()
        return data


def _sheet(rows: Iterable[ResultRow], columns: Sequence[str]) -> Iterator[str]:
    header = [*columns, *RESULT_COLUMNS]
    names = [_letters(index) for index in range(len(header))]
    yield (
        f'{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f'<cols><col min="1" max="{len(header)}" width="18" style="1" customWidth="1"/></cols><sheetData>'
    )
    yield _row(1, header, names, style=2)
    for number, row in enumerate(rows, 2):
        if number > MOST_ROWS + 1:
            raise TooLarge(f"There were more than {MOST_ROWS:,} rows while the spreadsheet was written.")
        yield _row(number, record(row, len(columns)), names, style=1)
    # Without this each number that is text has a green corner.
    yield (
        f'</sheetData><ignoredErrors><ignoredError sqref="A1:{names[-1]}{MOST_ROWS + 1}"'
        ' numberStoredAsText="1"/></ignoredErrors></worksheet>'
    )


def _row(number: int, cells: Sequence[str], names: Sequence[str], *, style: int) -> str:
    written = [
        f'<c r="{name}{number}" s="{style}" t="inlineStr"><is>{_text(cell)}</is></c>'
        for name, cell in zip(names, cells, strict=True)
        if cell
    ]
    return f'<row r="{number}">{"".join(written)}</row>'


def _text(cell: str) -> str:
    text = fitting(cell)
    if _UNWRITABLE.search(text):
        text = _UNWRITABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    if "&" in text or "<" in text or ">" in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    space = ' xml:space="preserve"' if _OUTER_SPACE.match(text) else ""
    return f"<t{space}>{text}</t>"


def fitting(cell: str) -> str:
    """The cell, or, of one that no spreadsheet takes, its beginning behind a mark: so it is not sent cut."""
    if len(cell) <= LONGEST_CELL // 2 or (length := len(cell.encode("utf-16-le", "replace")) // 2) <= (
        LONGEST_CELL
    ):
        return cell
    mark = f"{MARK}: {length:,} characters, too many for a spreadsheet; take them from the CSV file]] "
    return mark + cell[: LONGEST_CELL // 2 - len(mark)]


def _letters(index: int) -> str:
    """0 → A, 25 → Z, 26 → AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
