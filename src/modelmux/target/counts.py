"""What is counted of choices: hedges, copies, rules."""


class ChoiceCounts:
    """Counts of the whole process. Outlives configurations.

    Attributes:
        hedges: Second requests that were made.
        hedges_won: Those of them that answered first.
        mirrored: Copies that were sent.
        mirrors_dropped: Copies that were not, because too many were under way.
    """

    __slots__ = ("hedges", "hedges_won", "mirrored", "mirrors_dropped")

    def __init__(self) -> None:
        self.hedges = 0
        self.hedges_won = 0
        self.mirrored = 0
        self.mirrors_dropped = 0
