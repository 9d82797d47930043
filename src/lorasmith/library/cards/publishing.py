"""Making an adapter public: what stops it, what will be seen, and the upload."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.container import read_container
from lorasmith.errors import AdapterError, HubError, ProjectError, first_line
from lorasmith.events import Note, Work
from lorasmith.library.cards.card import Card
from lorasmith.library.cards.telling import tell_warnings
from lorasmith.library.cards.writing import pack_card
from lorasmith.library.hubs.huggingface import ADDRESS_VARIABLE
from lorasmith.library.hubs.references import HUGGING_FACE, HUGGING_FACE_HOSTS, Reference
from lorasmith.library.hubs.tokens import find_token, keeping_hint
from lorasmith.remedies import Give, Sentence, Write
from lorasmith.tags.refusal import refuse

_TELLING = {
    "ss_tag_frequency": "the tags of its captions",
    "ss_dataset_dirs": "the names of the folders of images",
    "ss_reg_dataset_dirs": "the names of the folders of class images",
    "ss_training_comment": "a comment",
    "modelspec.thumbnail": "a small picture",
    "modelspec.author": "the author",
}
"""What a header may say that its maker might not think of."""


@dataclass(frozen=True)
class Publication:
    """What will be public: the card, what the file's header says besides, and warnings."""

    card: Card
    header: tuple[str, ...]
    warnings: tuple[str, ...]


def check_publication(card: Card) -> Publication:
    """Raises ProjectError where a licence or a real person's consent is missing, RefusedError."""
    refuse(card.words, card.name)
    if not card.licence:
        raise ProjectError(
            "no licence: nobody would know what they may do with it.",
            where=card.file,
            hint="Write it down or say it:",
            remedy=Sentence(Write('[provenance] licence = "CC BY 4.0"'), ", ", Give("licence", "CC BY 4.0")),
        )
    if card.real_person and not card.consent.strip():
        raise ProjectError(
            "it shows a real person, and their consent is not recorded.",
            where=card.file,
            hint="Ask, then write it down:",
            remedy=Write('[provenance] consent = "by letter, 3 May 2026"'),
        )
    header = read_container(card.file, AdapterError, "an adapter").metadata
    said = tuple(
        f"{words} ({key})" for key, words in _TELLING.items() if header.get(key) not in (None, "", "{}", "None")
    )
    return Publication(card, said, tuple(tell_warnings(card)))


def upload(publication: Publication, reference: Reference, *, private: bool = False) -> Work[str]:
    """Upload an adapter and its card to a repository on Hugging Face, which is made if it is not there; gives the
    address. Raises HubError."""
    from huggingface_hub import HfApi
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    card = publication.card
    token = find_token(HUGGING_FACE)
    if not token:
        raise HubError(
            f"{HUGGING_FACE_HOSTS[0]} takes uploads from those who are logged in only.",
            where=str(reference),
            hint=f"Make a token that may write, in your account's settings there, and {keeping_hint(HUGGING_FACE)}.",
            status=401,
        )
    address = os.environ.get(ADDRESS_VARIABLE, "").rstrip("/") or f"https://{HUGGING_FACE_HOSTS[0]}"
    api = HfApi(endpoint=address, token=token)
    quiet = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        with tempfile.TemporaryDirectory(prefix="lorasmith-") as room:
            packed = Path(room) / "packed"
            files = pack_card(card, packed)
            yield Note(f"uploading {len(files)} files, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB.")
            _send(api, reference, packed, card, private)
    finally:
        if not quiet:
            enable_progress_bars()
    return f"{address}/{reference.model}"


def _send(api: Any, reference: Reference, folder: Path, card: Card, private: bool) -> None:
    from huggingface_hub import errors

    try:
        api.create_repo(reference.model, private=private or None, exist_ok=True)
        if private and not api.repo_info(reference.model).private:  # one that was there before is as it was
            raise HubError(
                "is there already, and everybody can see it.",
                where=str(reference),
                hint="Make it private on its page first, or name another one.",
            )
        api.upload_folder(
            repo_id=reference.model,
            folder_path=folder,
            commit_message=f"{card.name}: adapter and card",
            revision=reference.version or None,
        )
    except HubError:
        raise
    except ValueError as fault:  # what the hub's check of the card says
        raise HubError(f"the hub does not take the card: {first_line(fault)}", where=str(reference)) from None
    except errors.OfflineModeIsEnabled:
        raise HubError(
            "HF_HUB_OFFLINE keeps huggingface_hub from the network.", where=str(reference), hint="Unset it."
        ) from None
    except errors.HfHubHTTPError as fault:
        status = getattr(fault.response, "status_code", None)
        denied = status in (401, 403, 404)
        raise HubError(
            f"your token may not write there ({status})." if denied else f"not uploaded: {first_line(fault)}",
            where=str(reference),
            hint="Make one that may write, or check the owner's name." if denied else "Try later.",
            status=status,
        ) from None
    except Exception as fault:  # its HTTP client raises classes of its own
        raise HubError(
            f"not uploaded: {first_line(fault).rstrip('.')}.",
            where=str(reference),
            hint="Check the network; the same command tries again.",
        ) from None


def tell_publication(publication: Publication, place: str) -> Iterator[str]:
    """What will be public, line by line, for who says yes."""
    card = publication.card
    yield f"to {place}:"
    yield f"  {card.name}.safetensors, {card.bytes / 1e6:.1f} MB, called by {card.call}"
    yield f"  a card with {len(card.pictures)} pictures and their prompts"
    yield f"  licence: {card.licence}; author: {card.author or 'not said'}"
    if card.known_provenance and card.real_person:
        yield f"  shows a real person; consent: {card.consent}"
    if publication.header:
        yield f"  the file's header says {', '.join(publication.header)}"
    for warning in publication.warnings:
        yield f"  warning: {warning}"
