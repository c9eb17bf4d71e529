"""Columns that a file names otherwise than its mapping does: asked once, remembered for later feeds."""

import io
import json

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from deliveries.commands import add_destination
from deliveries.models import Payload
from feeds import aliases, commands, queries
from feeds.errors import WrongState
from feeds.models import Alias, Deed, FeedStatus
from tests.feeds.conftest import after_check, import_step

pytestmark = pytest.mark.django_db(transaction=True)

DOCUMENT = {"path": "/{Sku}", "fields": {"Price": "price", "Stock": {"to": "stock", "type": "integer"}}}
RENAMED = "SKU,Sale price,Colour\nA1,9.50,red\nA2,3.00,blue\n"


@pytest.fixture
def person(db):
    return User.objects.create_user("olga")


@pytest.fixture
def checked(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    destination = add_destination(name="shop", url="https://shop.example/products")

    def run(text=RENAMED, document=DOCUMENT, **options):
        feed = commands.create_feed(
            content=io.BytesIO(text.encode()),
            name="f.csv",
            destination=destination,
            mapping=commands.add_mapping(name="products", document=document),
            **options,
        )
        return after_check(feed)

    return run


def sent(feed):
    while import_step(feed):
        pass
    return [json.loads(body) for body in Payload.objects.values_list("body", flat=True)]


def test_a_feed_that_lacks_columns_names_them_and_is_not_sent(checked):
    feed = checked()

    assert (feed.status, feed.missing, feed.total, feed.pending) == ("ready", ["Price", "Stock"], 2, 2)
    with pytest.raises(WrongState, match="lacks what the mapping names \\(Price, Stock\\)"):
        commands.release(feed.id)
    with pytest.raises(WrongState, match="cannot be sent"):
        commands.try_first(feed.id)
    feed.refresh_from_db()
    assert feed.status == FeedStatus.READY


def test_a_feed_that_was_to_be_sent_at_once_is_rejected_by_name(checked):
    feed = checked(send_at_once=True)

    assert feed.status == FeedStatus.REJECTED
    assert 'The feed has no columns "Price", "Stock"' in feed.reason
    assert feed.missing == ["Price", "Stock"]


def test_the_command_line_ends_with_2_and_names_the_column(checked, monkeypatch, tmp_path, capsys):
    commands.add_mapping(name="products", document=DOCUMENT)
    file = tmp_path / "f.csv"
    file.write_text(RENAMED)
    create = commands.create_feed
    monkeypatch.setattr(
        "feeds.management.commands.send.create_feed", lambda **given: after_check(create(**given))
    )
    with pytest.raises(SystemExit) as ended:
        call_command("send", str(file), "--to", "shop", "--mapping", "products", "--wait")

    assert ended.value.code == 2
    assert '"Price"' in capsys.readouterr().err


def test_the_unused_columns_are_offered_the_most_similar_first(checked):
    price, stock = queries.missing_columns(checked())

    assert (price.name, price.likely) == ("Price", "Sale price")
    assert list(price.choices) == ["Sale price", "Colour"]
    assert (stock.name, stock.likely) == ("Stock", "")


@pytest.mark.parametrize(
    ("header", "likely"), [("SKU,identity,Stock", ""), ("SKU,the no. I,Stock", "the no. I")]
)
def test_a_column_that_merely_holds_a_very_short_name_is_not_proposed(checked, header, likely):
    short = checked(f"{header}\nA1,9.50,3\n", {"fields": {"SKU": "sku", "de": "price"}})
    assert [column.likely for column in queries.missing_columns(short)] == [""]
    longer = checked(f"{header}\nA1,9.50,3\n", {"fields": {"SKU": "sku", "no.": "price"}})
    assert [column.likely for column in queries.missing_columns(longer)] == [likely]


def test_what_a_person_confirms_is_sent_and_holds_for_later_feeds(checked, person):
    # Given
    feed = checked()
    # When
    aliases.confirm_columns(feed.id, chosen={"Price": "Sale price", "Stock": "Colour"}, user_id=person.pk)
    feed = after_check(feed)
    # Then the very feed is read with it
    assert (feed.missing, feed.aliases) == ([], {"Price": "Sale price", "Stock": "Colour"})
    assert feed.invalid_by_code == {"not_an_integer": 2}
    # And a later one too, also of another version of the mapping, and without a question
    later = checked("sku,SALE PRICE,colour\nA3,7,5\n", DOCUMENT | {"method": "PUT"}, send_at_once=True)
    assert later.status == FeedStatus.DELIVERING
    assert sent(later) == [{"price": "7", "stock": 5}]
    deeds = Deed.objects.filter(feed=feed, what="confirmed").values_list("user", "detail")
    assert (person.pk, 'that "Sale price" is the column "Price" of products') in deeds


def test_a_rejected_feed_goes_on_once_the_columns_are_confirmed(checked, person):
    feed = checked("sku,cost,stock\nA1,2,3\n", send_at_once=True)
    aliases.confirm_columns(feed.id, chosen={"Price": "cost"}, user_id=person.pk)

    feed = after_check(feed)
    assert feed.status == FeedStatus.DELIVERING
    assert sent(feed) == [{"price": "2", "stock": 3}]


def test_a_column_of_the_right_name_wins_over_an_alias_and_the_newest_alias_over_older_ones(checked, person):
    for found in ("cost", "tag"):
        feed = checked(f"sku,{found},stock\nA1,2,3\n", {"fields": {"price": "p"}})
        aliases.confirm_columns(feed.id, chosen={"price": found}, user_id=person.pk)

    assert checked("price,cost\n1,2\n", {"fields": {"price": "p"}}).aliases == {}
    assert checked("cost,tag\n1,2\n", {"fields": {"price": "p"}}).aliases == {"price": "tag"}
    assert checked("cost,name\n1,2\n", {"fields": {"price": "p"}}).aliases == {"price": "cost"}, (
        "it has no tag"
    )


def test_a_column_that_is_taken_for_another_is_not_offered_again(checked, person):
    feed = checked()
    aliases.confirm_columns(feed.id, chosen={"Price": "Sale price"}, user_id=person.pk)
    [stock] = queries.missing_columns(after_check(feed))
    assert (stock.name, list(stock.choices)) == ("Stock", ["Colour"])


def test_a_mapping_of_another_name_knows_nothing_of_it(checked, person):
    feed = checked()
    aliases.confirm_columns(feed.id, chosen={"Price": "Sale price"}, user_id=person.pk)

    assert aliases.confirmed_aliases("other") == []


def test_a_second_answer_changes_nothing_and_is_told(checked, person):
    feed = checked()
    aliases.confirm_columns(feed.id, chosen={"Price": "Sale price"}, user_id=person.pk)
    with pytest.raises(WrongState, match="checking"):
        aliases.confirm_columns(feed.id, chosen={"Price": "Colour"}, user_id=person.pk)

    assert aliases.confirmed_aliases("products") == [("Price", "Sale price")]


@pytest.mark.parametrize("chosen", [{"Price": "nothing"}, {"Colour": "Sale price"}])
def test_an_answer_to_what_was_not_asked_stores_nothing(checked, person, chosen):
    feed = checked()
    with pytest.raises(WrongState, match="other columns"):
        aliases.confirm_columns(feed.id, chosen=chosen, user_id=person.pk)

    feed.refresh_from_db()
    assert feed.status == FeedStatus.READY
    assert not Alias.objects.exists()


def test_a_name_that_is_too_long_to_be_kept_is_told(checked, person):
    endless = "x" * 201
    feed = checked(f"SKU,{endless},Stock\nA1,9.50,3\n")
    with pytest.raises(WrongState, match="rename the column"):
        aliases.confirm_columns(feed.id, chosen={"Price": endless}, user_id=person.pk)

    assert not Alias.objects.exists()


def test_what_two_people_say_of_two_feeds_is_kept_once_as_the_first_ones_word(checked, person):
    first, second = checked(), checked()
    aliases.confirm_columns(first.id, chosen={"Price": "Sale price"}, user_id=person.pk)
    otto = User.objects.create_user("otto")
    aliases.confirm_columns(second.id, chosen={"Price": "Sale price"}, user_id=otto.pk)

    alias = Alias.objects.get()
    assert (alias.user, alias.feed_id) == (person, first.id)
    assert Deed.objects.filter(feed=second, what="confirmed", user=otto).exists()


def test_what_is_taken_back_is_asked_again_and_read_feeds_keep_it(checked, person):
    feed = checked("sku,cost,stock\nA1,2,3\n")
    aliases.confirm_columns(feed.id, chosen={"Price": "cost"}, user_id=person.pk)
    feed = after_check(feed)
    alias = Alias.objects.get()
    assert aliases.remove_alias(alias.id, user_id=person.pk)
    assert aliases.remove_alias(alias.id, user_id=person.pk) is None

    assert checked("sku,cost,stock\nA1,2,3\n").missing == ["Price"]
    commands.release(feed.id)
    feed.refresh_from_db()
    assert sent(feed) == [{"price": "2", "stock": 3}]
    assert Deed.objects.filter(feed=feed, what="took back", user=person).exists()


def test_a_file_that_cannot_be_read_any_more_is_not_asked_about_columns(checked):
    # Given a feed that waits to be told which columns are meant
    feed = checked("sku;price\nA1;1\n", {"fields": {"stock": "stock"}})
    assert feed.missing == ["stock"]
    # When a person says that it is in an encoding that it is not in
    commands.correct(feed.id, said={"encoding": "utf-16"})
    feed = after_check(feed)
    # Then only that is to be told
    assert (feed.status, feed.missing) == (FeedStatus.REJECTED, [])


def test_what_a_rejected_feed_holds_is_not_judged_by_a_mapping_that_does_not_fit(checked):
    # Given a feed that was checked
    feed = checked("sku;price\nSku;SKU\nA1;1\nA2;2\n", {"path": "/{sKu}"})
    assert feed.invalid_by_code == {}
    # When a person says that its header stands lower, where two columns have the mapping's name
    commands.correct(feed.id, said={"preamble": 1, "has_header": True})
    feed = after_check(feed)
    # Then its rows can be had as they are
    assert feed.status == FeedStatus.REJECTED
    assert [row.cells[0] for row in queries.result_rows(feed, "not-processed")] == ["A1", "A2"]


def test_rows_that_were_never_reached_are_told_apart_as_the_check_did(checked):
    feed = checked("sku,price,stock\nA1,1,2\nA2,1,none\n")
    commands.release(feed.id)
    commands.cancel(feed.id)
    feed.refresh_from_db()

    assert (feed.failed, feed.cancelled) == (1, 1)
    failed = list(queries.result_rows(feed, "failed"))
    assert [(row.cells[0], row.error_code) for row in failed] == [("A2", "not_an_integer")]
    assert [row.cells[0] for row in queries.result_rows(feed, "not-processed")] == ["A1"]
