"""The verdict on an answer: what the upstream counted, beside what was expected when it was asked."""

from app.ledger.verdict import Timing, Verdict, judge
from app.store.sessions import SessionRecord
from app.turns.answer import Answer
from app.turns.attempt import Attempt
from app.turns.services import Services


async def judge_answer(
    services: Services, session: SessionRecord, attempt: Attempt, answer: Answer, timing: Timing
) -> Verdict:
    """The verdict on `answer`, which `attempt` gave, or found given by another process."""
    model = session.parameters["model"]
    pace = await services.ledger.pace(model, answer.usage.read)
    expected = attempt.expected
    if attempt.plan is not None:
        expected = await services.expecting.explain(session, attempt.plan, expected)
    return judge(
        model,
        answer.usage,
        expected,
        timing,
        message_id=answer.message_id,
        seconds_per_token=pace.seconds_per_token if pace else None,
        diagnosed=answer.diagnosed,
    )
