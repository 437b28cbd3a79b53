"""Pictures of test images for a study's page: of the digits, which come with the program; of others where asked for."""

from dataclasses import replace
from typing import Literal

from explorer.analysis.judging import OpenedStudy
from explorer.host.commands import command_for
from explorer.host.errors import InputError
from explorer.report.disagreement import shown_places


def pictures_of(study: OpenedStudy, images: bool | Literal["auto"], path: str | None = None) -> dict[int, str]:
    """The test images that the page shows, as addresses of `data:` by their places in test order.

    `images` is `report.images` of the command: `auto` shows the digits alone, and leaves out what cannot be shown.
    `path` is where the images are now, if no longer where the study had them. Raises InputError where pictures were
    asked for and cannot be had.
    """
    config = study.config
    if images is False or (images == "auto" and config.data.source != "digits"):
        return {}
    if config.is_told:
        if images == "auto":
            return {}
        raise InputError("report.images=true: this study's images were never read here; leave it out")
    places, data = shown_places(study), replace(config.data, path=path or config.data.path)
    if not places:
        return {}
    assert study.disagreement is not None
    labels = study.labels.of(study.disagreement.seeds[0])
    try:
        if labels is None:
            raise InputError(
                f"{study.folder}: holds no labels, by which its images are known; "
                f"{command_for('label', study.folder.name)} adds them"
            )
        from explorer.training.images.thumbnails import thumbnails

        return thumbnails(data, labels, str(study.environment["data_hash"]), places)
    except (InputError, OSError) as error:
        if images == "auto":
            return {}
        raise InputError(f"report.images=true: {error}") from None
