from tests.bench.flood import *
async def test_x(postgres_url):
    f = await run("slack", 60, Time(4), 60, postgres_url, chats=1, replicas=2)
    print(f.seconds, f.refused, f.correct, max(f.other_chats), f.digests_posted)
    assert 0
async def test_y(postgres_url):
    f = await run("slack", 500, Time(1), 20, postgres_url, chats=50, replicas=2)
    print(f.seconds, f.refused, f.correct)
    assert 0
async def test_z(postgres_url):
    f = await run("telegram", 60, Time(4), 60, postgres_url, chats=1, replicas=2)
    print(f.seconds, f.refused, f.correct, max(f.other_chats), f.digests_posted)
    assert 0
