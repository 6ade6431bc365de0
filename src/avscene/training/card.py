"""The model card that every checkpoint carries."""

from avscene.models.checkpoint import Config

_CARD = """# {name}: scenes from sound and picture

A checkpoint of avscene, recipe `{recipe}`: a frozen EfficientNet-Lite0 on frames
and on log-mel spectrograms, one linear head for each modality, and a log-linear pool.

Use it: `avscene classify VIDEO --system DIRECTORY`

## Scenes

{labels}

It answers in these scenes and no others, whatever it is shown.

## Training

{training}

## Out-of-fold metrics

Per segment of {hop:g} s. Each segment was judged by heads that had seen no recording of its group; ridge, temperature
and pool were chosen on these same probabilities, so a held-out test is the better guide.

| model | log loss | accuracy | segments |
|---|---|---|---|
{metrics}

## Limits

Probabilities are calibrated for recordings like those of the training data. Log-mel settings, frame size and
scaling are part of the checkpoint and cannot be changed.
"""


def model_card(config: Config) -> str:
    """The card in Markdown."""
    training = "\n".join(
        f"- {key.replace('_', ' ')}: {value}" for key, value in config.training.items() if key != "heads"
    )
    metrics = "\n".join(
        f"| {name} | {figures['log_loss']:.3f} | {figures['accuracy']:.3f} | {figures['n']} |"
        for name, figures in config.metrics.items()
    )
    return _CARD.format(
        name=config.name,
        recipe=config.recipe,
        labels=", ".join(config.labels),
        training=training,
        hop=config.hop,
        metrics=metrics,
    )
