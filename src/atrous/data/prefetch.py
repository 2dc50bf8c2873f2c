"""Keep a network busy: work ahead in threads, and put together what can run at once."""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def prefetch(
    function: Callable[[S], T], items: Iterable[S], *, num_workers: int = 2
) -> Iterator[T]:
    """`map(function, items)` in the same order, with threads a bounded number of items ahead.

    An error of the function is raised where its result would have come.

    Example:
        >>> list(prefetch(abs, [-1, 2, -3]))
        [1, 2, 3]
    """
    rest = iter(items)
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix="prefetch")
    try:
        ahead: deque[Future[T]] = deque(
            pool.submit(function, item) for item in islice(rest, 2 * num_workers)
        )
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(pool.submit(function, item) for item in islice(rest, 1))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def batches(
    items: Iterable[T], *, key: Callable[[T], Hashable], weight: Callable[[T], int], limit: int
) -> Iterator[list[T]]:
    """Lists of items of equal key whose weights sum to `limit` at most, or of one heavier item.

    What waits for company never weighs more than four limits, so that items of many different keys
    do not pile up. Items of one key keep their order.

    Example:
        >>> list(batches("aababb", key=str, weight=lambda _: 1, limit=2))
        [['a', 'a'], ['b', 'b'], ['a'], ['b']]
    """
    waiting: dict[Hashable, list[T]] = defaultdict(list)
    weights: dict[Hashable, int] = defaultdict(int)
    for item in items:
        group, load = key(item), weight(item)
        if waiting[group] and weights[group] + load > limit:
            yield waiting.pop(group)
            weights.pop(group)
        waiting[group].append(item)
        weights[group] += load
        if weights[group] >= limit:
            yield waiting.pop(group)
            weights.pop(group)
        elif sum(weights.values()) > 4 * limit:
            yield from [waiting.pop(group) for group in list(waiting)]
            weights.clear()
    yield from (batch for batch in waiting.values() if batch)
