"""What a person sees of a run of the checks: `lines` on a terminal, a `page`, a `play`, the `seats` of a lab room."""

__all__ = ["lines", "page", "play", "seats"]
