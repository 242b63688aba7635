"""Critics by config, and the optimizer of what is trained beside one."""

from typing import TYPE_CHECKING, Any

from jaxvae.runs.choices.records import BOUND, PARTS, Options

if TYPE_CHECKING:
    from jaxvae.models.records import Network

CRITIC = ("model.critic_hidden", "model.critic_rate")
USUAL_CRITIC: dict[str, Any] = {"model.critic_hidden": (128,)}
IGNORED = (*PARTS, *BOUND)  # the game is the objective


def code_critic(config: Options) -> "Network":
    """Of codes: dense layers."""
    from jaxvae.networks.discriminator import MLPCritic

    return MLPCritic(config.critic_hidden)


def image_critic(config: Options) -> "Network":
    """Of the convolutions, or the residual blocks, of the networks it plays against, where they have some."""
    if config.network == "mlp":
        return code_critic(config)
    if config.network == "resnet":
        from jaxvae.networks.residual.critic import ResNetCritic

        return ResNetCritic(config.features, config.dense, config.blocks)
    from jaxvae.networks.discriminator import ConvCritic
    from jaxvae.runs.choices.networks import stack_of

    stack = stack_of(config)
    return ConvCritic(stack.features, stack.dense[-1], kernel_size=stack.kernel_size, pad=stack.pad)


def own_rates(config: Options, make: Any) -> Any:
    """One for the critic, at its own rate, and one for all else."""
    from jaxvae.training.engine.optimizers import optimizer_by_part

    return optimizer_by_part({"critic": make(config.model.critic_rate)}, make())
