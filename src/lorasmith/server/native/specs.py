"""From requests of our API to pictures' specs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lorasmith.generation.defaults import random_seed
from lorasmith.generation.spec import GREATEST_SEED, Hires, PictureSpec, StoredInit, Variation
from lorasmith.prompts import Network
from lorasmith.server.bases import find_base
from lorasmith.server.input_files import RequestInputs
from lorasmith.server.inputs import keep_input
from lorasmith.server.native import schemas
from lorasmith.server.native.spec_models import spec_values
from lorasmith.server.service import Service


def merge_requests(shared: schemas.PictureRequest, own: schemas.PictureRequest) -> schemas.PictureRequest:
    """`own`, and what it leaves out from `shared`."""
    merged: schemas.PictureRequest = shared.model_copy(
        update={name: getattr(own, name) for name in own.model_fields_set}
    )
    return merged


def checked_specs(
    service: Service, inputs: RequestInputs, requests: Sequence[schemas.PictureRequest], count: int = 1
) -> list[PictureSpec]:
    """Checked specs; pictures to start from are kept once all else is right. Raises FieldError, PromptError,
    RefusedError."""
    service.admission.check_count(len(requests) * count, "count")
    plain = [service.admission.check(spec_of(service, request)) for request in requests]
    checked = [_named(service, inputs, spec, request) for spec, request in zip(plain, requests, strict=True)]
    return [replace(spec, seed=(spec.seed + index) % (GREATEST_SEED + 1)) for spec in checked for index in range(count)]


def _named(service: Service, inputs: RequestInputs, spec: PictureSpec, request: schemas.PictureRequest) -> PictureSpec:
    """The spec with the picture that it starts from, kept. Raises FieldError, StorageError."""
    given, pixels = request.init, service.limits.pixels
    if given is None or not isinstance(spec.init, StoredInit):
        return spec
    image = keep_input(inputs, given.image, "init.image", pixels)
    mask = given.mask and keep_input(inputs, given.mask, "init.mask", pixels)
    return replace(spec, init=replace(spec.init, image=image, mask=mask))


def spec_of(service: Service, request: schemas.PictureRequest) -> PictureSpec:
    """The spec that a request means; the picture that it starts from has no name yet. Raises FieldError."""
    tags = [
        str(
            Network(
                call.name.strip(),
                call.strength if call.text_strength is None else call.text_strength,
                call.strength,
                apart=call.apart.strip(),
            )
        )
        for call in request.adapters
    ]
    base = service.default_base() if request.base is None else find_base(service.bases, request.base)
    values = {
        **spec_values(request),
        "prompt": " ".join([request.prompt, *tags]).strip(),
        "seed": random_seed() if request.seed is None else request.seed,
        "base": base.name,
    }
    return PictureSpec(
        **values,
        variation=None if request.variation is None else Variation(**spec_values(request.variation, "variation")),
        hires=None if request.hires is None else Hires(**spec_values(request.hires, "hires")),
        init=None if request.init is None else StoredInit(image="", **spec_values(request.init, "init")),
    )
