"""The model card of an exported network: what it is, what it was measured to do, how to use it, what is not known."""

import json
from dataclasses import dataclass

from explorer.host.formatting import percent
from explorer.study.preprocessing import Preprocessing
from explorer.training.network.proof import Proof


@dataclass(frozen=True)
class Facts:
    """What the record says of a network.

    design        for people; `setting` is its short name
    role          what it is in the study, as `It is the answer of the study `best``, without a full stop at its end
    why           why it is this run, in one sentence without a full stop at its end
    images        numbers of training, validation and test images
    val_error     None of a network that was trained on the validation images too
    val_words     what the validation images chose
    test_error    None of a search, whose designs are not tested
    tested        of a design that was tested with several seeds: how many, and their mean error in words; else None
    looks         how often a search's final rounds have looked at these test images
    again         on a network trained again: in one sentence how that differs from the record; "" if it does not
    """

    study: str
    question: str
    design: str
    setting: str
    seed: int
    run: str
    role: str
    why: str
    data: str
    data_hash: str
    images: tuple[int, int, int]
    val_error: float | None
    val_words: str
    test_error: float | None
    tested: tuple[str, str] | None
    params: int
    macs: int
    epochs: int
    seconds: float
    device: str
    precision: str
    version: str
    commit: str
    looks: int = 1
    again: str = ""


def card(facts: Facts, found: Preprocessing, proof: Proof, *, onnx: bool) -> str:
    """The text of `README.md`."""
    train, val, test = facts.images
    size, chance = found.image_size, 1 - 1 / len(found.classes)
    classes = "\n".join(
        f"    {number} {json.dumps(name, ensure_ascii=False)}" for number, name in enumerate(found.classes)
    )
    rows = []
    if facts.val_error is not None:
        rows.append(f"| {val:,} validation images | {percent(facts.val_error)} | {facts.val_words} |")
    if facts.test_error is not None:
        often = f"looked at {facts.looks} times, by as many final rounds" if facts.looks > 1 else "never used to choose"
        rows.append(f"| {test:,} test images | {percent(facts.test_error)} | {often} |")
    if facts.tested is not None:
        seeds, words = facts.tested
        rows.append(f"| {test:,} test images, {seeds} of this design | {words} | what to expect of the design |")
    if proof.float32_error is not None:
        rows.append(
            f"| {proof.images:,} {proof.part} images, the files of this folder, in float32 | "
            f"{percent(proof.float32_error)} | {proof.unlike} answers unlike the study's own |"
        )
    untested = (
        ""
        if facts.test_error is not None
        else "No test image was looked at with it, and a validation error by which designs are chosen is too low for "
        "the best of many. Test it on images of your own before you rely on it.\n\n"
    )
    resizing = (
        f"Images of any size are taken: the shorter side is resized to {found.resize} pixels (pillow's bilinear "
        f"filter), and the middle {size}x{size} cut out."
        if found.resize is not None
        else f"Images must have {size}x{size} pixels, as all had in training."
    )
    scaled = (
        f" Values of training images were 0 to {found.range[1]}; those of files, 0 to 255, are scaled to that."
        if found.range[1] != 255
        else ""
    )
    colour = "grey" if found.channels == 1 else "red, green, blue, in this order"
    own = (
        f"""
`model.onnx` takes `pixels`, bytes `(batch, {size}, {size}, {found.channels})` as image libraries give them ({colour}),
normalises them itself, and gives `scores` and `probabilities` `(batch, {len(found.classes)})`. Resizing is not in it.
The class names are in its metadata, key `classes`, as JSON.

```python
import json, numpy, onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
names = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
pixels = numpy.zeros((1, {size}, {size}, {found.channels}), numpy.uint8)
print(names[session.run(["scores"], {{"pixels": pixels}})[0][0].argmax()])
```
"""
        if onnx
        else ""
    )
    shown = "\n".join(f"- {one}" for one in proof.shown)
    unproven = "\n".join(f"- {one}" for one in proof.unproven)
    unproven = f"\n**Not shown here:**\n\n{unproven}\n" if unproven else ""
    errors = [one for one in (facts.test_error, facts.val_error) if one is not None]
    is_useless = bool(errors) and errors[0] >= 0.95 * chance
    useless = "**It has learned hardly more than guessing: do not use it.**\n\n" if is_useless else ""
    question = " ".join(facts.question.split())
    return f"""# {facts.design}, trained on {facts.data}

{useless}A network that says which of {len(found.classes)} classes an image is of.
{facts.role}. The study asked: {question}

Run `{facts.run}`, seed {facts.seed}: {facts.why}.{f" {facts.again}" if facts.again else ""}

| measured on | error | |
|---|---|---|
{chr(10).join(rows)}

{untested}Guessing has an error of {percent(chance)}. Design `{facts.setting}`: {facts.params:,} parameters,
{facts.macs:,} multiply-adds for an image. Trained on {train:,} images for {facts.epochs} epochs
in {facts.seconds:,.0f} s
on {facts.device} ({facts.precision}). Hash of the images: `{facts.data_hash}`.

## Use

```python
from model import predict
predict("photo.jpg")  # [(class name, probability), ...], the most probable first
```

`python model.py IMAGE...` does the same. Both need torch, and pillow to read files; a tensor of bytes
`({found.channels}, {size}, {size})`, values 0 to {found.range[1]}, needs torch alone. Of `model.py`, `trained()` is the
network, `preprocess(image)` makes its input, and `pixels_of(image)` the bytes before normalisation.

{resizing} Files are turned as their EXIF data says, laid on white where transparent, and converted to {colour}.{scaled}
Each channel is normalised as (value - mean) / std, mean {list(found.mean)}, std {list(found.std)}.
`weights.safetensors` has all this in its metadata; `model.py` reads it by itself, without the safetensors package, and
refuses another file than the one written with it.
{own}
Classes, in the order of the scores:

{classes}

## Shown when this was written

{shown}
{unproven}
## Limits

- It knows its classes alone: any image gets one of them.
- Probabilities are those of the softmax, and were not calibrated.
- The errors above are of images like those of the study. Others, of another camera or another place, may fare worse.

## Licence

The code in `model.py` is from resnext-explorer (Apache-2.0). The weights were made from the images of the study: what
their licence asks for is for you to know. Written by resnext-explorer {facts.version}{facts.commit}.
"""
