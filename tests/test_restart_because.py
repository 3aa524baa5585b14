"""Restarts that the supervisor makes by itself, for a reason that the history tells."""

from tests.simulated_process import Simulate


def test_unplanned_restart_has_a_pause(simulate: Simulate) -> None:
    simulation = simulate()
    simulation.start()
    simulation.advance(5)
    simulation.process.restart_because("unhealthy")
    assert simulation.state == "stopping"
    assert simulation.process.wanted
    simulation.advance(1)
    simulation.end(signum=15)
    simulation.advance(2)
    assert simulation.told[2:5] == [
        (5.0, "stopping", "unhealthy"),
        (6.0, "backoff", "unhealthy"),
        (7.0, "starting", "supervisord"),
    ]
    assert simulation.process.snapshot()["restarts"] == 1
    last_run = simulation.process.last_run
    assert last_run == {
        **last_run,
        "signal": "SIGTERM",
        "exit_code": None,
        "reason": "unhealthy",
        "requested": False,
        "seconds": 6.0,
    }


def test_planned_restart_starts_at_once(simulate: Simulate) -> None:
    simulation = simulate()
    simulation.start()
    simulation.advance(5)
    simulation.process.restart_because("max_runtime", is_planned=True)
    simulation.end()
    assert simulation.told[2:] == [
        (5.0, "stopping", "max_runtime"),
        (5.0, "stopped", "max_runtime"),
        (5.0, "starting", "max_runtime"),
    ]
    assert simulation.process.snapshot()["restarts"] == 1


def test_stop_on_request_wins_over_a_restart(simulate: Simulate) -> None:
    for is_planned in (True, False):
        simulation = simulate()
        simulation.start()
        simulation.process.restart_because("unhealthy", is_planned=is_planned)
        simulation.process.stop("api:alice")
        simulation.end()
        simulation.advance(100)
        assert simulation.told[-1] == (0.0, "stopped", "api:alice")
        assert simulation.process.last_run["requested"]
        assert not simulation.process.wanted


def test_start_on_request_wins_over_the_pause(simulate: Simulate) -> None:
    simulation = simulate()
    simulation.start()
    simulation.process.restart_because("unhealthy")
    simulation.start("api:bob")
    simulation.end()
    assert [state for _, state, _ in simulation.told][-2:] == ["stopped", "starting"]
    assert simulation.told[-1][2] == "api:bob"


def test_only_what_runs_is_restarted(simulate: Simulate) -> None:
    simulation = simulate()
    simulation.process.restart_because("unhealthy")
    assert simulation.told == []
    simulation.start()
    simulation.process.stop("api:alice")
    simulation.process.restart_because("unhealthy")
    simulation.end()
    assert simulation.state == "stopped"
