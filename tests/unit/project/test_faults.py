"""The door of `make run`: faults by name, for its own programs alone."""

import asyncio
import contextlib

import pytest

from project import faults


class Supervisor:
    """Runs these, as far as it says."""

    def __init__(self):
        self.pids = {"relay": 7, "redis": 8}
        self.hit = asyncio.Queue()

    def kill(self, name):
        self.hit.put_nowait(("kill", name, self.pids[name]))

    def freeze(self, name, seconds):
        self.hit.put_nowait(("freeze", name, seconds))


@pytest.fixture
async def supervisor(tmp_path, monkeypatch):
    monkeypatch.setenv(faults.DOOR, "")  # so that it is put back
    monkeypatch.setattr(faults, "ANSWER_S", 0)
    monkeypatch.setattr(
        faults,
        "FAULTS",
        {"kill": Supervisor.kill, "freeze": lambda one, name: one.freeze(name, 10)},
    )
    supervisor = Supervisor()
    async with await faults.listen(supervisor, tmp_path / "door"):
        yield supervisor


async def ask(fault=""):
    return await asyncio.to_thread(faults.programs, fault)


async def test_it_says_what_runs_and_hits_what_is_named(supervisor):
    assert await ask() == {"relay", "redis"}
    assert await ask("kill relay") == {"relay", "redis"}
    assert await supervisor.hit.get() == ("kill", "relay", 7)
    await ask("freeze redis")
    assert await supervisor.hit.get() == ("freeze", "redis", 10)


async def test_what_is_not_its_own_or_no_fault_is_not_hit(supervisor):
    for fault in ("kill 1", "kill postgres", "kill", "drown relay", "kill relay redis"):
        await ask(fault)
    await ask("kill redis")
    assert await supervisor.hit.get() == ("kill", "redis", 8)
    assert supervisor.hit.empty()


@pytest.mark.parametrize("said", [b"\xff\xfe relay\n", b"a" * 200_000, b""])
async def test_rubbish_is_answered_or_cut_off_and_hits_nothing(supervisor, tmp_path, said):
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "door")
        writer.write(said)
        writer.write_eof()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() in {b"relay redis", b""}
        writer.close()
        assert await ask() == {"relay", "redis"}
    assert supervisor.hit.empty()


async def test_where_it_ended_meanwhile_nothing_is_hit(supervisor):
    await ask("kill relay")
    await supervisor.hit.get()
    del supervisor.pids["relay"]
    faults._hit(supervisor, "kill", "relay")
    assert supervisor.hit.empty()


async def test_a_door_that_an_earlier_run_left_is_taken_over(supervisor, tmp_path):
    other = Supervisor()
    other.pids = {"web": 9}
    async with await faults.listen(other, tmp_path / "door"):
        assert await ask() == {"web"}


def test_without_a_door_no_make_run_runs_us(monkeypatch, tmp_path):
    monkeypatch.delenv(faults.DOOR, raising=False)
    with pytest.raises(faults.NoDoor):
        faults.programs()
    monkeypatch.setenv(faults.DOOR, str(tmp_path / "gone"))
    with pytest.raises(faults.NoDoor):
        faults.programs("kill relay")


def test_the_faults_are_the_supervisors_own_verbs():
    assert set(faults.FAULTS) == {"kill", "kill_children", "freeze"}
