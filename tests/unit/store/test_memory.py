import asyncio

from modelmux.store.memory import ENTRY_BYTES, MemoryStore


def test_what_was_put_is_found_until_it_is_forgotten():
    async def test() -> None:
        store = MemoryStore(100_000)
        assert await store.get("a") is None
        await store.put("a", b"1", 5.0)
        await store.put("a", b"22", 5.0)
        assert await store.get("a") == b"22"
        assert (store.count, store.size_bytes) == (1, 2 + ENTRY_BYTES)
        await store.aclose()
        assert await store.get("a") is None

    asyncio.run(test())


def test_no_more_is_kept_than_allowed_and_the_one_unused_longest_goes_first():
    async def test() -> None:
        store = MemoryStore(3 * (ENTRY_BYTES + 1000))
        for name in "abc":
            await store.put(name, b"x" * 1000, 5.0)
        await store.get("a")
        await store.put("d", b"x" * 1000, 5.0)
        assert [await store.get(name) is not None for name in "abcd"] == [True, False, True, True]
        assert store.size_bytes <= 3 * (ENTRY_BYTES + 1000)

    asyncio.run(test())


def test_what_is_larger_than_all_of_it_is_not_kept_and_displaces_nothing():
    async def test() -> None:
        store = MemoryStore(1000)
        await store.put("a", b"x", 5.0)
        await store.put("b", b"x" * 1000, 5.0)
        assert await store.get("a") == b"x"
        assert await store.get("b") is None

    asyncio.run(test())
