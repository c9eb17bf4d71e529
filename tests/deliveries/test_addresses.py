import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries.addresses import AddressRules, problem_with_url


class TestAddressRules:
    @pytest.mark.parametrize(
        ("address", "kind"),
        [
            ("0.0.0.0", "unspecified"),  # noqa: S104
            ("10.1.2.3", "private"),
            ("100.64.0.1", "CGNAT"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("169.254.169.254", "link-local"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.168.1.1", "private"),
            ("192.0.0.8", "reserved"),
            ("198.18.0.1", "benchmarking"),
            ("203.0.113.9", "documentation"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.250", "multicast"),
            ("255.255.255.255", "reserved"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("fc00::1", "private"),
            ("fd12:3456::1", "private"),
            ("fe80::1", "link-local"),
            ("fe80::1%eth0", "link-local"),
            ("ff02::1", "multicast"),
            ("fec0::1", "reserved"),
            ("2001:db8::1", "documentation"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:10.0.0.1", "private"),
            ("::127.0.0.1", "reserved"),
            ("64:ff9b::7f00:1", "loopback"),
            ("64:ff9b::a00:1", "private"),
            ("64:ff9b:1::a00:1", "reserved"),
            ("2002:7f00:1::", "6to4"),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo"),
        ],
    )
    def test_an_address_that_is_not_public_is_refused(self, address: str, kind: str):
        refusal = AddressRules([]).refusal("shop.example", address)

        assert kind in refusal
        assert refusal.startswith("shop.example (")
        assert "the setting ALLOWED_NETWORKS" in refusal

    @pytest.mark.parametrize(
        "address",
        [
            "1.1.1.1",
            "93.184.216.34",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::808:808",
        ],
    )
    def test_a_public_address_is_permitted(self, address: str):
        assert AddressRules([]).refusal("shop.example", address) == ""

    @pytest.mark.parametrize(
        ("network", "address"),
        [
            ("10.0.0.0/8", "10.9.9.9"),
            ("10.0.0.0/8", "::ffff:10.9.9.9"),
            ("127.0.0.1/32", "127.0.0.1"),
            ("::1/128", "::1"),
            ("fe80::/10", "fe80::1%eth0"),
            ("2002::/16", "2002:7f00:1::"),
        ],
    )
    def test_one_of_an_allowed_network_is_permitted(self, network: str, address: str):
        assert AddressRules([network]).refusal("shop.example", address) == ""

    def test_allowing_one_network_allows_no_other(self):
        rules = AddressRules(["10.0.0.0/8"])

        assert rules.refusal("a", "11.0.0.1") == ""
        assert rules.refusal("a", "127.0.0.1") != ""
        assert rules.refusal("a", "::ffff:127.0.0.1") != ""

    def test_what_is_no_network_is_refused_at_the_start(self):
        with pytest.raises(ValueError, match="host bits"):
            AddressRules(["10.0.0.1/8"])

    @given(st.ip_addresses())
    def test_every_address_is_either_permitted_or_refused_with_a_sentence(self, address: object):
        refusal = AddressRules([]).refusal("a", str(address))

        assert refusal == "" or refusal.endswith(".")


class TestURLsTypedByPeople:
    @pytest.mark.parametrize(
        "url",
        [
            "https://shop.example/api/orders?x=1",
            "HTTP://shop.example",
            "http://localhost:8900/demo/products",
            "http://my_host.internal/",
            "https://[2606:4700::1111]:8443/",
            "https://bücher.example/",
            "https://shop.example./",
        ],
    )
    def test_a_sound_one_has_no_problem(self, url: str):
        assert problem_with_url(url) == ""

    @pytest.mark.parametrize(
        ("url", "word"),
        [
            ("", "Enter the URL"),
            ("shop.example/orders", "http:// or https://"),
            ("ftp://shop.example/", "http:// or https://"),
            ("file:///etc/passwd", "http:// or https://"),
            ("javascript:alert(1)", "http:// or https://"),
            ("https:///orders", "name a host"),
            ("https://shop..example/", "name a host"),
            ("https://user:secret@shop.example/", "Enter them under the authentication"),
            ("https://@shop.example/", "user name or password"),
            ("https://shop.example/#top", "fragment"),
            ("https://shop.example/#", "fragment"),
            ("https://shop.example:0/", "port"),
            ("https://shop.example:99999/", "port"),
            ("https://[::1/", "host or port"),
            ("https://shop.example/a b", "spaces"),
            ("https://shop.example/a\r\nHost: other", "spaces"),
            ("https://shop.example/" + "a" * 2000, "at most 2000"),
        ],
    )
    def test_another_is_answered_with_one_sentence(self, url: str, word: str):
        problem = problem_with_url(url)

        assert word in problem
        assert problem.endswith(".")
        assert "secret" not in problem

    @given(st.text(max_size=50))
    def test_any_text_is_survived(self, url: str):
        assert isinstance(problem_with_url(url), str)
        assert isinstance(problem_with_url(f"http://{url}"), str)
