"""Another program trains: any model, framework or task, judged as a study of networks is.

Here each design is a scikit-learn perceptron, whose two hidden layers are as wide as the design's first two stages.
Seeds are paired, the contrast is declared before the first run, the record goes to studies/perceptron and the page to
reports/perceptron.html.

    python examples/ask_and_tell.py
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import explorer as ex

study = ex.Study(
    name="perceptron",
    question="Does a wider perceptron have a lower error on handwritten digits?",
    contrast=("29-1x16d-w64", "29-1x16d-w16"),
    margin=0.01,
    space=ex.Space(depth=29, width=[16, 64], cardinality=1, bottleneck_width=16),
    budget="none",
    data=ex.Data(
        "elsewhere", name="digits", label="Digits", channels=1, image_size=8,
        train_images=1000, val_images=300, test_images=497,
    ),
    recipe=ex.Recipe("short", epochs=20, batch_size=100),
    seeds=6,
)  # fmt: skip

images, labels = load_digits(return_X_y=True)
rest, test_images, rest_labels, test_labels = train_test_split(images / 16, labels, test_size=497, random_state=0)
train_images, val_images, train_labels, val_labels = train_test_split(rest, rest_labels, test_size=300, random_state=0)

for run in study.ask(fingerprint="scikit-learn's digits, MLPClassifier"):
    widths = tuple(run.architecture.widths[:2])
    model = MLPClassifier(widths, batch_size=run.recipe.batch_size, max_iter=1, random_state=run.seed)
    for epoch in range(1, (run.recipe.epochs or 0) + 1):
        model.partial_fit(train_images, train_labels, classes=np.arange(10))
        study.tell(
            run,
            epoch=epoch,
            loss=model.loss_,
            train_error=1 - model.score(train_images, train_labels),
            val_error=1 - model.score(val_images, val_labels),
        )
    right = model.predict(test_images) == test_labels
    study.tell(run, val_error=1 - model.score(val_images, val_labels), test_error=1 - right.mean(), right=right)

print(study.verdict)
