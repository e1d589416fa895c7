"""A finding says what to do only where there is something to do, and is told in the log only then."""

from agri_assets.store.finding import Finding, tell


def test_only_what_did_not_pass_says_what_to_do_and_is_logged(caplog):
    good = Finding.judged("size", True, "3 of 3", "add one", n=3)
    bad = Finding.judged("size", False, "2 of 3", "add one", n=2)
    assert (good.todo, bad.todo) == ("", "add one")
    tell("here", [good, bad, Finding.unknown("age", "nobody wrote it down", "make it again")])
    assert [record.getMessage() for record in caplog.records] == [
        "here: size: 2 of 3; add one",
        "here: age: not known: nobody wrote it down; make it again",
    ]
