"""Pictures of `experiments.disentanglement`: the scores of all models, and what the best one found."""

from typing import Any


def draw(folder: Any, model: Any, results: list[dict[str, Any]], best: Any, data: Any) -> None:
    """Scores of all, and what the latents of the model of largest MIG tell and do."""
    import numpy as np

    from jaxvae.evaluation import latents, plots
    from jaxvae.evaluation.disentanglement import SCORES, information_matrix
    from jaxvae.evaluation.latents import generation
    from jaxvae.evaluation.plots import score_charts

    columns = {**SCORES, "udr": "UDR"}
    shown = ("beta_vae", "factor_vae", "mig", "sap", "dci_disentanglement", "udr")
    values = np.array([[[one["scores"].get(key, np.nan) for one in row["seeds"]] for key in shown] for row in results])
    names = list(dict.fromkeys(row["model"] for row in results))
    rows = [f"{row['model']} {row['strength']:g}" for row in results]
    titles = [columns[key].replace("DCI disentanglement", "DCI D").replace(" score", "") for key in shown]
    groups = [names.index(row["model"]) for row in results]
    plots.save(score_charts.score_dots(rows, titles, values, groups=groups)[0], folder / "scores.png")

    label, params, one = best
    information = information_matrix(one["mean"], data.factors)
    order = np.argsort(-information.max(1))
    figure, _ = score_charts.information_map(
        information[order],
        data.factor_names,
        latent_names=[f"z[{latent}]" for latent in order],
        limits=np.log([len(np.unique(column)) for column in data.factors.T]),
        title=f"What each latent tells of each factor, nats ({label})",
    )
    plots.save(figure, folder / "information.png")
    chosen = order[: max(2, one["active"])]
    values = latents.gaussian_quantiles(11)
    images = np.stack(
        [
            model.to_unit(generation.traverse(model, params, one["mean"][len(one["mean"]) // 2], latent, values))
            for latent in chosen
        ]
    )
    plots.save(plots.traversals(images, tuple(map(int, chosen)), values)[0], folder / "traversals.png")
