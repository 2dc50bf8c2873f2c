"""Slides that are kept open between patches, in every process its own."""

import os
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Final

from atrous.data.slides.labelled import LabelledSlide

MAX_OPEN_SLIDES: Final = 32
"""Slides that are kept open at a time, in each process; opening one takes longer than a patch."""


class OpenSlides:
    """The slides used last, by number; safe to use from several threads and worker processes.

    A process that was forked opens its own: two that shared a file would move its position under
    each other's hands. What is let go is closed when its last reader is done.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._process = os.getpid()
        self._slides: OrderedDict[int, LabelledSlide] = OrderedDict()

    def __reduce__(self) -> tuple[type["OpenSlides"], tuple[()]]:
        return OpenSlides, ()  # files do not travel to another process

    def get(self, number: int, open_slide: Callable[[], LabelledSlide]) -> LabelledSlide:
        """The slide of a number, opened if it is not.

        Raises:
            DataError: As `open_slide` does.
        """
        with self._lock:
            if self._process != os.getpid():
                self._process, self._slides = os.getpid(), OrderedDict()
            if number not in self._slides:
                self._slides[number] = open_slide()
            self._slides.move_to_end(number)
            while len(self._slides) > MAX_OPEN_SLIDES:
                self._slides.popitem(last=False)
            return self._slides[number]
