"""The ways in which apps write one APNs token."""

from __future__ import annotations

from hypothesis import strategies as st

HEX_TOKENS = (
    st.integers(32, 100)
    .flatmap(lambda size: st.binary(min_size=size, max_size=size))
    .map(bytes.hex)
    .filter(lambda token: set(token) != {"0"})
)


@st.composite
def spelled(draw: st.DrawFn, token: str) -> str:
    """A token in any mixture of cases, in pieces between blanks or hyphens, in angle brackets, with blanks around it."""
    capitals = draw(st.sampled_from(["none", "all", "some"]))
    if capitals == "some":
        flips = draw(st.lists(st.booleans(), min_size=len(token), max_size=len(token)))
        token = "".join(letter.upper() if up else letter for letter, up in zip(token, flips, strict=True))
    elif capitals == "all":
        token = token.upper()
    width, between = draw(st.sampled_from([(8, " "), (2, "-"), (4, "  "), (2, "\t"), (len(token), "")]))
    token = between.join(token[start : start + width] for start in range(0, len(token), width))
    opened, closed = draw(st.sampled_from([("", ""), ("<", ">"), (" <", "> "), ("\n", ""), ("", "\r\n")]))
    return f"{opened}{token}{closed}"
