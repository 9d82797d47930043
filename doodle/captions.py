"""Captions of a picture's visible attributes, as comma tags and as sentences; randomness is passed in."""

from __future__ import annotations

from random import Random

from world import tag, tags

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def nonsense(random: Random) -> str:
    """A made-up word, so that the base learns that unknown words (future triggers) mean nothing."""
    return "".join(random.choice(_LETTERS) for _ in range(random.randint(3, 8)))


def tag_caption(seen: dict[str, str], random: Random, drop: float = 0.08) -> str:
    """Tags with the style first in half of the cases, else all shuffled; each dropped with probability `drop`."""
    words = tags(seen)
    if random.random() < 0.5:
        rest = words[1:]
        random.shuffle(rest)
        words = [words[0], *rest]
    else:
        random.shuffle(words)
    return ", ".join(word for word in words if random.random() >= drop)


def _hair(seen: dict[str, str]) -> str | None:
    """``long blonde hair``, ``a red mohawk``, ``hair bun, blonde hair`` told as one phrase."""
    shape, colour = seen.get("hair"), seen.get("hair colour")
    if shape == "bald":
        return "who is bald"
    if shape is None:
        return f"with {colour} hair" if colour else None
    if colour is None:
        return f"with {shape}" if shape.endswith(("hair", "braids", "pigtails", "buns")) else f"with a {shape}"
    if shape.endswith(" hair"):
        return f"with {shape.removesuffix(' hair')} {colour} hair"
    return f"with {colour} hair in a {shape}" if not shape.endswith("s") else f"with {colour} hair in {shape}"


_EYES = {"open eyes": "with open eyes", "closed eyes": "with closed eyes", "wink": "giving a wink"}
_PLURAL = ("glasses", "sunglasses", "earrings", "cat ears")


def sentence_caption(seen: dict[str, str], random: Random, drop: float = 0.08) -> str:
    """One English sentence that says what the tags say, in varied words and order."""
    style, shot = tag("style", seen["style"]), seen["shot"]
    person = random.choice(["a person", "a character", "someone"])
    opening = random.choice(
        [
            f"a {style} {shot} of {person}",
            f"a {shot} of {person} in {style}",
            f"a {style} drawing, {shot} of {person}",
        ]
    )
    parts: list[str | None] = [_hair(seen)]
    if "skin" in seen:
        parts.append(f"with {seen['skin']} skin")
    if "eyes" in seen:
        parts.append(_EYES.get(seen["eyes"], f"with {seen['eyes']}"))
    if "mouth" in seen:
        bare = seen["mouth"] in ("red lips",) or seen["mouth"] == "tongue out"
        article = "" if bare else "an " if seen["mouth"].startswith("open") else "a "
        parts.append(f"with {article}{seen['mouth']}")
    if "accessory" in seen:
        item = seen["accessory"]
        verb = "with" if item in ("beard", "mustache") else "wearing"
        parts.append(f"{verb} {item}" if item in _PLURAL else f"{verb} a {item}")
    if "clothing" in seen:
        parts.append(f"wearing a {seen['clothing']} shirt")
    kept = [part for part in parts if part and random.random() >= drop]
    random.shuffle(kept)
    text = ", ".join([" ".join([opening, *kept[:1]]), *kept[1:]])
    if "background" not in seen or random.random() < drop:
        return text
    return f"{text}, {random.choice(['on', 'in front of'])} a {seen['background']} background"


def training_caption(seen: dict[str, str], random: Random) -> str:
    """What the base is trained on: 10 % empty, else 70 % tags, 30 % sentences; a nonsense word in 15 %."""
    if random.random() < 0.1:
        return ""
    text = (tag_caption if random.random() < 0.7 else sentence_caption)(seen, random)
    if random.random() < 0.15:
        pieces = text.split(", ")
        pieces.insert(random.randint(0, len(pieces)), nonsense(random))
        text = ", ".join(pieces)
    return text
