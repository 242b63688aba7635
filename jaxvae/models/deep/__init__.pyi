from .levels import Level as Level
from .top_down import top_down_vae as top_down_vae
