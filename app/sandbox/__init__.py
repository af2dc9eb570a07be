"""An offline Messages API that judges prompt caching by the documented rules. It imports nothing from the rest of the
application and shares no code with it, so that a mistake cannot be made twice and thereby go unseen."""
