"""What people write and paste for a model on a hub."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorasmith.errors import UsageError
from lorasmith.library.hubs.references import CIVITAI, HUGGING_FACE, Reference, read_reference

SHA = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("civitai:12", Reference(CIVITAI, "12")),
        ("civitai:12@34", Reference(CIVITAI, "12", "34")),
        (" CIVITAI:@34 ", Reference(CIVITAI, "", "34")),
        ("https://civitai.com/models/12", Reference(CIVITAI, "12", host="civitai.com")),
        ("https://www.civitai.com/models/12/a-name", Reference(CIVITAI, "12", host="civitai.com")),
        ("civitai.com/models/12/x?modelVersionId=34#gallery", Reference(CIVITAI, "12", "34", host="civitai.com")),
        ("https://civitai.red/models/12?modelVersionId=34", Reference(CIVITAI, "12", "34", host="civitai.red")),
        ("https://civitai.com/api/download/models/34?token=x", Reference(CIVITAI, "", "34", host="civitai.com")),
        ("https://civitai.com/api/v1/model-versions/34", Reference(CIVITAI, "", "34", host="civitai.com")),
        ("https://civitai.com/api/v1/models/12", Reference(CIVITAI, "12", host="civitai.com")),
        ("urn:air:sdxl:lora:civitai:12@34", Reference(CIVITAI, "12", "34")),
        ("hf:a/b", Reference(HUGGING_FACE, "a/b")),
        ("hf:a/b@v1.0", Reference(HUGGING_FACE, "a/b", "v1.0")),
        ("hf:a/b/c/d.safetensors@main", Reference(HUGGING_FACE, "a/b", "main", "c/d.safetensors")),
        ("https://huggingface.co/a/b", Reference(HUGGING_FACE, "a/b")),
        ("https://huggingface.co/a/b/tree/main", Reference(HUGGING_FACE, "a/b", "main")),
        (
            "https://huggingface.co/a/b/resolve/main/x%20y.safetensors?download=true",
            Reference(HUGGING_FACE, "a/b", "main", "x y.safetensors"),
        ),
        ("hf.co/a/b/discussions/3", Reference(HUGGING_FACE, "a/b")),
        (SHA, Reference(CIVITAI, hash=SHA)),
        (f"0x{SHA.upper()}", Reference(CIVITAI, hash=SHA)),
        ("0123456789AB", Reference(CIVITAI, hash="0123456789ab")),
        ("0123456789", Reference(CIVITAI, hash="0123456789")),
    ],
)
def test_what_is_meant(text: str, reference: Reference) -> None:
    assert read_reference(text) == reference


@pytest.mark.parametrize(
    "text",
    [
        *("", "teal", "civitai:", "civitai:teal", "civitai:12@latest", "hf:a", "hf:a/../b", "hf:a/b/../../c"),
        *("https://civitai.com/images/12", "https://huggingface.co/datasets/a/b", "https://example.com/models/12"),
        *("http://[broken", "urn:air:sd1", "file:///etc/passwd", "https://civitai.com.evil.net/models/1", "abcd"),
    ],
)
def test_what_is_not(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_reference(text)
    assert refused.value.field == "reference"
    assert "civitai:MODEL" in str(refused.value)


def test_no_message_has_a_pasted_token() -> None:
    for address in (
        "https://civitai.com/images/3?token=hidden",
        "https://e.org/x?token=hidden",
        "nonsense?token=hidden",
    ):
        with pytest.raises(UsageError) as refused:
            read_reference(address)
        assert "hidden" not in str(refused.value)


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_an_error(text: str) -> None:
    try:
        found = read_reference(text)
    except UsageError:
        return
    assert read_reference(str(found)).model == found.model


@given(st.sampled_from(["civitai:12@3", "hf:a/b@c", "hf:a/b/c.safetensors@d", SHA, "civitai:@4"]))
def test_a_reference_is_read_as_it_is_written(text: str) -> None:
    assert str(read_reference(text)) == text
