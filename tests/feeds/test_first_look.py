"""Sent without waiting, a file is looked at first: what it shows is refused before there is a feed."""

import gzip

import pytest
from django.core.management import call_command

from deliveries.commands import add_destination
from feeds import commands
from feeds.models import Alias, Feed
from feeds.reading.beginning import LOOKED_AT

pytestmark = pytest.mark.django_db(transaction=True)

ROW = "A1,9.50,Stühle\n"
LARGE = ROW * (2 * LOOKED_AT // len(ROW))


@pytest.fixture
def send(settings, tmp_path, capsys):
    """Sends a file that should have columns Sku and Größe; returns the exit code and what is said."""
    settings.MEDIA_ROOT = tmp_path / "media"
    add_destination(name="shop", url="https://shop.example/products")
    commands.add_mapping(name="products", document={"path": "/{Sku}", "fields": ["Größe"]})

    def run(content, *options):
        file = tmp_path / "f.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(SystemExit) as ended:
            call_command("send", str(file), "--to", "shop", *(options or ("--mapping", "products")))
        return ended.value.code, capsys.readouterr().err

    return run


def assert_nothing_is_left(settings):
    assert not Feed.objects.exists()
    assert not list(settings.MEDIA_ROOT.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        "sku,price,name\n" + ROW,
        "sku,price,name\n" + LARGE,
        "\ufeffsku,price,name\n" + LARGE,
        gzip.compress(("sku,price,name\n" + LARGE).encode(), 1),
        "sku,price,name\nA1,9.50,Stühle\n".encode("cp1252"),
    ],
    ids=["small", "large", "large with a mark", "packed", "of another encoding"],
)
def test_a_file_without_a_column_of_its_mapping_is_refused_by_name(send, settings, content):
    code, said = send(content)

    assert code == 2
    assert 'no column "Größe"; it has "sku", "price", "name"' in said
    assert_nothing_is_left(settings)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty."),
        (b" \n\n", "The file is empty."),
        (b"sku,price,name\n\n", "The file has a header but no rows."),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, "not a CSV file but a picture (PNG)"),
        (b"\x89PNG\r\n\x1a\n" + bytes(LOOKED_AT), "not a CSV file but a picture (PNG)"),
        (gzip.compress(b"%PDF-1.7\n", mtime=0), "not a CSV file but a PDF"),
        (b"\x1f\x8b damaged", "damaged and cannot be unpacked"),
        (b'{"sku": 1}\n', "not a CSV file but a JSON file"),
        (",".join(f"c{n}" for n in range(1001)).encode() + b"\n" + b"1," * 1000 + b"1\n", "1,000 columns"),
    ],
    ids=["empty", "blank", "header", "png", "large png", "packed pdf", "damaged", "json", "columns"],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(send, settings, content, words):
    code, said = send(content, "--json")

    assert code == 2
    assert words in said
    assert_nothing_is_left(settings)


def test_two_columns_of_one_name_are_refused_too(send, settings):
    assert send("sku,größe,GRÖSSE,Sku\nA,1,2,B\n")[0] == 2
    assert_nothing_is_left(settings)


@pytest.mark.parametrize(
    "content",
    [
        "SKU,größe\nA,1\n",
        "Sku,Größe,name\n" + LARGE,
        "\ufeffSku;Größe;name\n" + LARGE.replace(",", ";"),
        ("Sku,Größe,name\n" + LARGE).encode("cp1252"),
        ("Sku,Größe,name\n" + LARGE).encode("utf-16"),
        ("Sku,Größe,name\n" + "ü" * LOOKED_AT).encode(),
        gzip.compress(("Sku,Größe,name\n" + LARGE).encode(), 1)[:-40],
        gzip.compress(b"Sku,G") + gzip.compress("röße\nA,1\n".encode()),
    ],
    ids=["small", "large", "mark", "windows", "utf-16", "one long line", "cut off", "two members"],
)
def test_what_the_beginning_does_not_tell_is_left_to_the_check(send, content):
    assert send(content) == (0, "")
    assert Feed.objects.get().status == "checking"
    assert [path.name for path in Feed.objects.get().folder.iterdir()] == ["source"]


def test_a_column_that_people_named_is_no_longer_missing(send):
    Alias.objects.create(mapping_name="products", column="Größe", found="Size")

    assert send("sku,size\nA,1\n") == (0, "")


def test_who_waits_is_told_by_the_check_and_keeps_the_feed(send, monkeypatch):
    monkeypatch.setattr("feeds.management.commands.send.NO_WORKER_AFTER", -1)
    code, said = send(b"", "--wait")

    assert code == 3
    assert "No worker is alive" in said
    assert Feed.objects.get().status == "checking"
