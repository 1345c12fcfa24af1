"""What the broker promises, each with the scenario that shows it."""

PROMISES = {}


def promise(text):
    """Registers a scenario, an async function of a client, under the promise that it shows."""

    def register(scenario):
        assert text not in PROMISES, f"promised twice: {text}"
        PROMISES[text] = scenario
        return scenario

    return register
