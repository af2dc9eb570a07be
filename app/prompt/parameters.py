"""Whether a model takes the parameters and pages that a context asks it with, as far as its row in the table says."""

from app.models import Model
from app.prompt.context import InvalidContext, Parameters


def check_parameters(parameters: Parameters, model: Model) -> None:
    """Raise `InvalidContext` for what `model` is known to refuse. What is unknown about it is let pass."""
    if parameters.max_tokens < 1:
        raise InvalidContext("max_tokens", "max_tokens must be at least 1")
    if model.max_output is not None and parameters.max_tokens > model.max_output:
        raise InvalidContext(
            "max_tokens", f"max_tokens is {parameters.max_tokens:,}; {model.id} writes at most {model.max_output:,}"
        )
    if parameters.thinking is not None and model.thinking is not None and parameters.thinking not in model.thinking:
        # "enabled" is known but not offered: the API refuses to warm a prompt that asks for it.
        offered = sorted(model.thinking - {"enabled"}) or ["none: leave it out"]
        raise InvalidContext(
            "thinking", f"{model.id} does not take thinking {parameters.thinking!r}; it takes {', '.join(offered)}"
        )
    if parameters.effort is not None and model.efforts is not None and parameters.effort not in model.efforts:
        taken = ", ".join(model.efforts) or "none: leave it out"
        raise InvalidContext("effort", f"{model.id} does not take effort {parameters.effort!r}; it takes {taken}")
    off = parameters.thinking in ("disabled", "between_tools")
    if off and model.thinking_off_up_to is not None and parameters.effort is not None and model.efforts is not None:
        highest = model.efforts.index(model.thinking_off_up_to)
        if model.efforts.index(parameters.effort) > highest:
            raise InvalidContext(
                "effort", f"{model.id} takes thinking {parameters.thinking!r} up to effort {model.thinking_off_up_to!r}"
            )


def check_pages(pages: int, model: Model) -> None:
    """Raise `InvalidContext` when `pages` of PDF are more than a request to `model` may bring."""
    if model.max_pages is not None and pages > model.max_pages:
        raise InvalidContext(
            "documents",
            f"the PDFs have {pages:,} pages; a request to {model.id} takes {model.max_pages}: "
            "leave some out, or split them over several contexts",
        )
