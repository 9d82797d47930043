"""The command line's door: which verbs there are, and how an error becomes a message and an exit code.

Only the verb that was asked for is imported, so that ``lorasmith --help`` stays instant. A verb lives in
``lorasmith.cli.commands.<verb>`` and exposes either one function ``command`` or a typer sub-app ``app``.
"""

from __future__ import annotations

import errno
import gc
import io
import json
import os
import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

import typer

from lorasmith import __version__
from lorasmith.bases.known import ask_for_bases
from lorasmith.cli.program import program
from lorasmith.cli.rendering import complain
from lorasmith.cli.waiting import wait_softly
from lorasmith.cli.wording import command_words
from lorasmith.errors import LorasmithError, Stopped, StorageError, UsageError
from lorasmith.remedies import worded_by

#: Every verb and its one-line help, in the order of the road. The line is the first line of the docstring of the
#: command's function (for a group: of its app's help); a test holds them together.
VERBS: Mapping[str, str] = MappingProxyType(
    {
        "demo": "The whole road in one command, on the shipped example.",
        "collect": "Fetch images from a web gallery, with source and licence.",
        "new": "Make a project: a lora.toml beside a folder of images.",
        "add": "Add images to a project, with their captions and their source.",
        "inspect": "Look at the images and say what is wrong and what to do.",
        "curate": "Decide on images, and make more of them; all can be undone.",
        "tag": "Write the captions by the project's tag rules.",
        "recipe": "Take over recipes from other trainers, and write them for those.",
        "plan": "Show what training will do: steps, buckets, time, memory.",
        "train": "Train the adapter; stop it any time, go on with --resume.",
        "queue": "Training runs in a line that outlives a restart.",
        "exam": "Measure an adapter against its base; choose a snapshot.",
        "compare": "Compare two adapters blind: which is which is told at the end.",
        "grid": "Draw snapshots by strengths, or anything by anything.",
        "showcase": "Draw varied pictures from a template; tell the hit rate.",
        "card": "Write a model card for the hubs: figures, limits, pictures.",
        "publish": "Pack an adapter with its card, or upload it to Hugging Face.",
        "generate": "Draw pictures from a prompt; <lora:NAME:0.8> works.",
        "studio": "The whole road in the browser, for all your projects.",
        "serve": "A page to draw with, and an API that web UI clients know.",
        "picture": "Read a picture's recipe, and draw it again from it.",
        "prompt": "Read and expand prompts without drawing them.",
        "library": "Find, fetch, sort and note adapters.",
        "base": "Show what base models are; make safetensors of old pickled ones.",
        "adapter": "Show, convert, merge, resize and extract adapter files.",
    }
)
_GROUPS = frozenset(
    {"base", "queue", "recipe", "curate", "grid", "prompt", "showcase", "adapter", "picture", "library"}
)
_ROOT_HELP = "From a folder of images to a LoRA you can trust: check, caption, train, examine, use."
_FIRST_STEPS = "Start with: lorasmith demo. Help on one command: lorasmith COMMAND --help"
INTERRUPTED = Stopped.exit_code


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code: 0, the error's own, 2 for a wrong call, 130 after Ctrl-C."""
    hear_interruptions()
    code = run(sys.argv[1:] if arguments is None else arguments)
    gc.freeze()  # else leaving takes two seconds, to look for cycles in all libraries before they go
    sys.exit(code)


def hear_interruptions() -> None:
    """A shell's ``&`` has a program ignore Ctrl-C, and all that it starts; what leads a session of its own (a run or an
    exam of the studio) is stopped by that signal and by nothing else, so it hears it again."""
    leads = os.name == "posix" and os.getsid(0) == os.getpid()
    if leads and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code; every error becomes one message on stderr."""
    ask_for_bases(_find_known_base)
    with worded_by(command_words):
        return _run(arguments)


def _find_known_base(name: str) -> Path | None:
    from lorasmith.library.lookup import find_known_base

    return find_known_base(name)


def _run(arguments: Sequence[str]) -> int:
    wanted = next((word for word in arguments if not word.startswith("-")), "")
    as_json = any(word in ("--json", "--jsonl", "--events") for word in arguments)
    _say_any_name()
    wait_softly(wanted)
    try:
        app = build_app({wanted} if wanted in VERBS else ())
        code: object = app(list(arguments), prog_name="lorasmith", standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except LorasmithError as error:
        _say(error, as_json)
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (`| head`): nothing is wrong, and the interpreter must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as fault:
        if fault.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENAMETOOLONG):
            raise
        full = StorageError(
            f"cannot write: {fault.strerror}.",
            where=fault.filename,
            hint="Free some space or choose another folder.",
        )
        _say(full, as_json)
        return full.exit_code
    except Exception as fault:
        if not _is_wrong_call(fault):
            raise
        return _say_wrong_call(fault, as_json)
    if code == INTERRUPTED:
        _say_interrupted(wanted, as_json)
    return code if isinstance(code, int) else 0


def build_app(loaded: Collection[str]) -> typer.Typer:
    """The typer app with the verbs in `loaded` imported and all others as names with their one-line help."""
    app = typer.Typer(
        help=_ROOT_HELP,
        epilog=_FIRST_STEPS,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_root)
    for verb, line in VERBS.items():
        if verb not in loaded:
            app.command(verb, help=line)(_not_loaded)
            continue
        module = import_module(f"lorasmith.cli.commands.{verb}")
        if verb in _GROUPS:
            app.add_typer(module.app, name=verb, no_args_is_help=True)
        else:
            app.command(verb)(module.command)
    return app


def _say_any_name() -> None:
    """File names may hold bytes that are no text: they are spelt out (in JSON, too, that is a valid escape)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lorasmith {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", is_eager=True, callback=_print_version, help="Print the version and exit."
    ),
) -> None:
    """Options of the bare command; `version` is used up by its callback."""
    del version


def _not_loaded() -> None:
    raise AssertionError("a verb was called that was not imported")


def _say(error: LorasmithError, as_json: bool) -> None:
    if as_json:
        document = {
            "kind": type(error).__name__,
            "message": error.message,
            "where": error.where,
            "field": error.field,
            "hint": error.hint,
            "exit_code": error.exit_code,
        }
        _write(json.dumps({"error": document}, ensure_ascii=False))
        return
    complain(error.message, error.hint, error.subject)


def _is_wrong_call(fault: Exception) -> bool:
    """Whether `fault` is the parser's own: typer keeps those classes private, so they are known by their shape."""
    return hasattr(fault, "format_message") and hasattr(fault, "exit_code")


def _say_wrong_call(fault: Exception, as_json: bool) -> int:
    context = getattr(fault, "ctx", None)
    path = context.command_path if context is not None else "lorasmith"
    if type(fault).__name__ == "NoArgsIsHelpError":
        _write(context.get_help() if context is not None else _FIRST_STEPS)
        return 2
    message: str = fault.format_message()  # type: ignore[attr-defined]
    message = " ".join(message.split()).replace("Value error, ", "")
    error = UsageError(message, hint=f"See: {path} --help")
    _say(error, as_json)
    return error.exit_code


def _say_interrupted(verb: str, as_json: bool) -> None:
    hint = {
        "train": f"What is trained so far is saved; go on with: {program()} train PROJECT --resume",
        "demo": "What is finished is kept; the same command goes on from there.",
        "library": "What is known and has come so far is kept; the same command goes on from there.",
        "grid": "The cells drawn so far are kept; the same command goes on from there.",
        "showcase": "The pictures drawn so far are kept; the same command goes on from there.",
    }.get(verb, "Nothing half-written was left; the same command can be run again.")
    if as_json:
        _say(Stopped("stopped.", hint=hint), as_json)
    else:
        _write(f"\nstopped. {hint}")


def _write(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()
