"""What the witness was told it tells again; without Redis it knows nothing and holds nobody up."""

import uuid

from realtime.engine.witness import Witness


async def test_the_witness_remembers_each_life_by_itself():
    life, witness = uuid.uuid4().hex, Witness()
    assert await witness.highest(life) == 0
    assert await witness.testify(life, 41)
    assert await witness.highest(life) == 41
    assert await witness.highest(life + "x") == 0
    await witness.close()


async def test_a_witness_without_redis_proves_nothing(settings, tmp_path):
    settings.REDIS_URL = f"unix://{tmp_path}/none.sock"
    witness = Witness()
    assert await witness.highest("a") == 0
    assert not await witness.testify("a", 41)
    await witness.close()
