"""torchlint finds loss mistakes in PyTorch code by following values from the model's last layer to the loss."""

__version__ = "0.1.0"
