from tests.stack import Api


def test_program_is_added_started_stopped_and_removed(api: Api) -> None:
    id = api.add("sleep 1000", name="smoke")
    api.ok(f"programs/{id}/start", {"wait": True})
    assert api.word(id) == "running"
    api.ok(f"programs/{id}/stop")
    assert api.word(id) == "stopped"
    api.ok(f"programs/remove/{id}")
    assert api.refused(f"programs/{id}/start", code=404) == f"Program with ID {id} not found"
