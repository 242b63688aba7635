from .density import density_model as density_model
