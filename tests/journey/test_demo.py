from support.processes import answer


def test_the_demo_tells_its_story_once_and_ends():
    told = answer("demo", "--once", "--devices", "200")
    assert told["devices"] == 200
    after = {played["name"]: played["after"] for played in told["rounds"]}
    assert after["registered"] == {"unused": 200, "sent": 0, "bounced": 0, "suppressed": 0}
    assert after["first push"] == {"unused": 0, "sent": 200, "bounced": 0, "suppressed": 0}
    assert after["uninstalled"] == {"unused": 0, "sent": 160, "bounced": 40, "suppressed": 0}
    assert after["still gone"] == {"unused": 0, "sent": 160, "bounced": 0, "suppressed": 40}
    assert after["left alone"] == after["still gone"]
    assert after["back again"] == {"unused": 0, "sent": 180, "bounced": 0, "suppressed": 20}
    for earlier, later in zip(told["rounds"], told["rounds"][1:], strict=False):
        assert later["before"] == earlier["after"]
    assert sum(count["devices"] for count in told["by_platform"]) == 200
    skipped = [row["pushes"] for row in told["answers"] if row["ending"] == "skipped"]
    assert skipped == [40 + 20]
